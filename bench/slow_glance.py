"""A Glance that takes its time, serves few requests at once, and says when each one arrived.

Run `python -m bench.slow_glance PORT SECONDS AT_ONCE FILE`. Each response is the file's page; its
first image is named after the time of `time.monotonic` at which the request arrived.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MARK = b"MARK"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class SlowGlance(NamedTuple):
    """How it responds."""

    seconds: float
    turns: asyncio.Semaphore
    page: bytes

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                body = await self._listed() if b" /v2/images?" in head else b"{}"
                writer.write(HEAD % len(body) + body)
                await writer.drain()
        writer.close()

    async def _listed(self) -> bytes:
        mark = f"{time.monotonic():.6f}".encode()
        async with self.turns:
            await asyncio.sleep(self.seconds)
        return self.page.replace(MARK, mark, 1)


async def main(port: int, seconds: float, at_once: int, file: Path) -> None:
    """Serve on a loopback port."""
    glance = SlowGlance(seconds, asyncio.Semaphore(at_once), file.read_bytes())
    server = await asyncio.start_server(glance.serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    given = sys.argv[1:]
    asyncio.run(main(int(given[0]), float(given[1]), int(given[2]), Path(given[3])))
