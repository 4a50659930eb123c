"""Compare `usage` with an independent count on a log of a million lines.

    python tests/tools/million.py [LINES [FOLDER]]

The service's formatters write the log, alternately as text and JSON, and part of it is compressed.
SQLite counts rows that are inserted at the same time. Prints the time and peak memory of `usage`,
and exits with 1 if the counts differ. With FOLDER, the log is kept there.
"""

import csv
import gzip
import io
import itertools
import logging
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nova_image_shim.observability.client_families import client_of
from nova_image_shim.observability.logs import JsonFormatter, RequestFormatter
from nova_image_shim.observability.trace import ACCESS_LINE, ACCESS_LOGGER, CURRENT, Trace

CALLS = ("images.index", "images.detail", "images.show", "image_metadata.index", "none")
AGENTS = (
    *(f"python-novaclient/{major}.{minor}" for major in (2, 7, 17) for minor in range(5)),
    *("python-novaclient", "libcloud/3.8.0 (x)", "fog/1.0", "goose (0.1)", "curl/7.88", ""),
    'strange "agent" call: images.show images: 9 client: fog/9 status: 500',
)
COUNT = """
    SELECT client, version, project, user, count(*), sum(status >= 400), sum(images),
           min(time), max(time) FROM use GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2, 3, 4
"""
FORMATTERS = (RequestFormatter(), JsonFormatter())


def rows(count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Yield a month of calls: a few projects call often, many rarely."""
    pick = random.Random(seed)
    for number in range(count):
        call = pick.choice(CALLS)
        project = f"project-{int(pick.expovariate(0.05))}"
        yield {
            "created": 1_790_000_000 + number * 2_592_000 // count,
            "agent": pick.choice(AGENTS),
            "project": project,
            "user": f"{project}-user-{pick.randrange(3)}",
            "call": call,
            "status": pick.choices((200, 401, 404, 503), (90, 3, 5, 2))[0],
            "images": pick.randrange(2000) if call in CALLS[:2] else "-",
        }


def line(row: dict[str, Any], formatter: logging.Formatter) -> str:
    """Return a row's access line."""
    fields = {
        "remote": "10.0.0.1",
        "method": "GET",
        "target": row.get("target", f"/v2/{row['project']}/images?name=%20call:%20none"),
        "protocol": "HTTP/1.1",
        "status": row["status"],
        "length": "1234",
        "seconds": 0.0123,
        "glance_calls": 1,
        "glance_seconds": 0.01,
        "keystone_calls": 0,
        "call": row["call"],
        "images": row["images"],
        "list": "-" if row["images"] == "-" else "fetched",
        "client": str(client_of(row["agent"])),
        "glance_request_ids": "req-1",
        "user_agent": row["agent"].replace('"', "'"),
    }
    record = logging.LogRecord(ACCESS_LOGGER, logging.INFO, "", 1, ACCESS_LINE, (), None)
    record.args = fields
    record.created, record.msecs, record.process = row["created"], 0.0, 42
    CURRENT.set(Trace("req-own", user_id=row["user"], project_id=row["project"]))
    return formatter.format(record)


def make(folder: Path, count: int) -> tuple[list[Path], sqlite3.Connection]:
    """Write the logs, some of them compressed, and the table."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE use (client, version, project, user, status, images, time)")
    paths = [
        folder / f"shim.log.{number}{'.gz' if number % 4 == 3 else ''}" for number in range(10)
    ]
    source = rows(count)
    for path, formatter in zip(paths, itertools.cycle(FORMATTERS), strict=False):
        with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w") as log:
            for row in itertools.islice(source, -(-count // len(paths))):
                log.write(line(row, formatter) + "\n")
                database.execute("INSERT INTO use VALUES (?, ?, ?, ?, ?, ?, ?)", use(row))
    return paths, database


def use(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return a row as the table has it."""
    client = client_of(row["agent"])
    listed = 0 if row["images"] == "-" else row["images"]
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(row["created"]))
    return (*client, row["project"], row["user"], row["status"], listed, moment)


def counted(database: sqlite3.Connection) -> list[list[str]]:
    """Return SQLite's count in the report's format."""
    return [[str(value) or "-" for value in row] for row in database.execute(COUNT)]


# Runs the command and prints its peak memory in KiB, as the kernel reports it.
PROGRAM = """
from pathlib import Path
from nova_image_shim.cli import main
main()
print(next(l for l in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in l))
"""


def reported(paths: list[Path]) -> tuple[list[list[str]], float]:
    """Return the command's report without heading and kinds of calls, and its memory in MiB."""
    arguments = ["usage", "--format", "csv", *map(str, paths)]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, check=True
    )
    text, _, most = done.stdout.decode().rpartition("VmHWM:")
    return [row[:-1] for row in csv.reader(io.StringIO(text))][1:], int(most.split()[0]) / 1024


def main(count: int = 1_000_000, kept: str | None = None) -> int:
    with tempfile.TemporaryDirectory() as folder:
        paths, database = make(Path(kept or folder), count)
        size = sum(path.stat().st_size for path in paths)
        started = time.monotonic()
        report, most = reported(paths)
        seconds = time.monotonic() - started
    same = counted(database) == report
    print(
        f"{count:,} lines, {size / 2**20:.0f} MiB, {len(report):,} groups: {seconds:.1f} s, "
        f"{most:.0f} MiB of memory, counts {'agree' if same else 'DIFFER'}"
    )
    return 0 if same else 1


if __name__ == "__main__":
    lines, *kept = sys.argv[1:] or ["1000000"]
    raise SystemExit(main(int(lines), *kept))
