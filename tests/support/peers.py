"""TCP servers that follow a script, and requests that no HTTP library would send.

A script is a list of steps: `[hears, sends(b"HTTP/1.1 "), waits()]`.
"""

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


class Peer:
    """The server's side of one connection.

    Args:
        sock: the accepted connection.
        heard: gets each request that arrives.
        over: set when the server ends.
    """

    def __init__(self, sock: socket.socket, heard: list[bytes], over: threading.Event) -> None:
        self.sock = sock
        self.heard = heard
        self.over = over

    def hear(self) -> None:
        """Read one request, head and body."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._some()
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ]
        while len(body) < sum(lengths):
            body += self._some()
        self.heard.append(head + b"\r\n\r\n" + body)

    def _some(self) -> bytes:
        if not (data := self.sock.recv(2**16)):
            raise ConnectionError("the client has gone")
        return data


Step = Callable[[Peer], None]


def hears(peer: Peer) -> None:
    """Read a request."""
    peer.hear()


def sends(data: bytes) -> Step:
    """Return a step that sends these bytes at once."""
    return lambda peer: peer.sock.sendall(data)


def drips(data: bytes, seconds: float = 0.01) -> Step:
    """Return a step that sends byte by byte, with a pause after each."""

    def drip(peer: Peer) -> None:
        for number in range(len(data)):
            peer.sock.sendall(data[number : number + 1])
            if peer.over.wait(seconds):
                return

    return drip


def waits(seconds: float = 60) -> Step:
    """Return a step that does nothing for a time, or until the server ends."""

    def wait(peer: Peer) -> None:
        peer.over.wait(seconds)

    return wait


def resets(peer: Peer) -> None:
    """Close the connection with a reset."""
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.sock.close()


@dataclass
class ScriptedServer:
    """A scripted server's address, its number of connections, and the requests on them."""

    url: str = ""
    connections: int = 0
    heard: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def scripted(
    *scripts: list[Step],
    bind: tuple[str, int] = ("127.0.0.1", 0),
    tls: ssl.SSLContext | None = None,
) -> Iterator[ScriptedServer]:
    """Run a TCP server that follows the nth script on its nth connection, then closes it.

    It counts and closes connections beyond the last script.
    """
    server = ScriptedServer()
    over = threading.Event()
    threads: list[threading.Thread] = []

    def play(sock: socket.socket, script: list[Step]) -> None:
        sock.settimeout(20)
        with contextlib.suppress(OSError):
            if tls:
                sock = tls.wrap_socket(sock, server_side=True)
            peer = Peer(sock, server.heard, over)
            for step in script:
                step(peer)
        sock.close()

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the listener is shut down at the end
            while True:
                sock, _ = listener.accept()
                script = scripts[server.connections] if server.connections < len(scripts) else []
                server.connections += 1
                threads.append(threading.Thread(target=play, args=(sock, script)))
                threads[-1].start()

    with socket.create_server(bind) as listener:
        server.url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        threads.append(threading.Thread(target=accept, args=(listener,)))
        threads[0].start()
        try:
            yield server
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(30)


@dataclass(frozen=True)
class RawAnswer:
    """A response as it arrived on the socket."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the decoded JSON body."""
        return json.loads(self.body)


def send_raw(base: str, request: bytes) -> list[RawAnswer]:
    """Send bytes that no client library would send, and return the responses.

    The last request must ask for the connection to be closed.
    """
    address = urlsplit(base)
    with socket.create_connection((str(address.hostname), address.port), timeout=10) as sock:
        sock.sendall(request)
        data = b"".join(iter(lambda: sock.recv(65536), b""))
    answers = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        size = int(headers["content-length"])
        answers.append(RawAnswer(int(status_line.split()[1]), headers, data[:size]))
        data = data[size:]
    return answers
