"""A server on real sockets that fails on demand, in front of a fake Keystone or Glance."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from support.peers import Peer, drips, resets, sends, waits
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from wsgiref.types import WSGIApplication

    from support.peers import Step

HUGE_BYTES = 2**31
E_TEXT = "Something is wrong with it."


@dataclass(frozen=True)
class Request:
    """A request as received on the socket."""

    method: str
    target: str
    head: bytes
    body: bytes

    @classmethod
    def of(cls, data: bytes) -> Request:
        head, _, body = data.partition(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        return cls(method, target, head, body)

    def headers(self) -> list[tuple[str, str]]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]


def wire(status: int, body: Any, **headers: str) -> bytes:
    """Return a response as bytes; the body is encoded as JSON unless it is bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(data))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {fields[name]}" for name in fields)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


@dataclass
class Trouble:
    """A fault and the requests that it applies to.

    Args:
        fails: returns whether a request fails.
        before: returns whether to stop listening after a request; for `refused` only.
        name: the fault's name in the table.
    """

    fails: Callable[[Request], bool]
    before: Callable[[Request], bool]
    name: str


@dataclass
class Upstream:
    """A TCP server in front of a WSGI fake, which records requests in `seen`.

    Args:
        app: answers requests that do not fail.
        stranger: the address in redirects and links to next pages.
    """

    app: WSGIApplication
    stranger: str = "http://127.0.0.1:9"
    trouble: Trouble | None = None
    seen: list[Request] = field(default_factory=list)
    url: str = ""
    port: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _listener: socket.socket | None = None
    _threads: list[threading.Thread] = field(default_factory=list)
    _socks: set[socket.socket] = field(default_factory=set)

    @contextlib.contextmanager
    def running(self) -> Iterator[Upstream]:
        self.listen()
        self.url = f"http://127.0.0.1:{self.port}"
        try:
            yield self
        finally:
            self._over.set()
            self.refuse()
            for sock in list(self._socks):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            for thread in self._threads:
                thread.join(10)

    def listen(self) -> None:
        """Accept connections again."""
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
            self.port = self._listener.getsockname()[1]
            self._spawn(self._accept, self._listener)

    def refuse(self) -> None:
        """Refuse new connections, and close idle ones."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def heal(self) -> None:
        """End all faults."""
        self.trouble = None
        self._over.set()  # ends slow and waiting responses
        self._over = threading.Event()
        self.listen()

    def break_(self, trouble: Trouble, *, at_once: bool) -> None:
        """Start a fault."""
        self.trouble = trouble
        if trouble.name == "refused" and at_once:
            self.hang_up()
            self.refuse()

    def hang_up(self) -> None:
        """Close every connection."""
        for sock in list(self._socks):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _spawn(self, target: Callable[..., None], *args: Any) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                self._socks.add(sock)
                self._spawn(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(60)
        try:
            with contextlib.suppress(OSError, ConnectionError):
                while self._one(Peer(sock, [], self._over)):
                    pass
        finally:
            self._socks.discard(sock)
            sock.close()

    def _one(self, peer: Peer) -> bool:
        """Answer one request; return False if the connection is closed."""
        peer.hear()
        peer.over = self._over  # the current fault, however long this connection was idle
        request = Request.of(peer.heard[-1])
        self.seen.append(request)
        trouble = self.trouble
        if trouble and trouble.name == "refused" and trouble.before(request):
            self.refuse()
            sends(self._healthy(request, "close"))(peer)
            return False
        if not (trouble and trouble.fails(request)):
            sends(self._healthy(request))(peer)
            return True
        steps, goes_on = self._wrong(trouble.name, request)
        for step in steps:
            step(peer)
        return goes_on

    def _healthy(self, request: Request, connection: str = "keep-alive") -> bytes:
        return wire_of(self.answer(request), connection)

    def answer(self, request: Request) -> Response:
        """Return the fake's response."""
        parts = urlsplit(request.target)
        builder = EnvironBuilder(
            path=parts.path,
            query_string=parts.query,
            method=request.method,
            headers=request.headers(),
            input_stream=BytesIO(request.body),
        )
        return Response.from_app(self.app, builder.get_environ())

    def _wrong(self, name: str, request: Request) -> tuple[list[Step], bool]:
        """Return the action for a failing request, and whether to keep its connection."""
        if name.isdigit():
            more = {"Retry_After": "7"} if name in {"413", "429", "503"} else {}
            more |= {"Location": f"{self.stranger}/v2/images"} if name[0] == "3" else {}
            text = E_TEXT
            if name == "404":  # one that does not name the image could come from anywhere
                text = f"No image found with ID {urlsplit(request.target).path.rpartition('/')[2]}"
            body = {"message": f"{text}<br /><br />\n\n\n", "code": name, "title": "Oh"}
            return [sends(wire(int(name), body, **more))], True
        if name in BODIES:
            return [sends(wire(200, BODIES[name]))], True
        if name in LIES:
            answer = json.loads(self.answer(request).get_data())
            LIES[name](answer, self, request)
            return [sends(wire(200, answer))], True
        whole = self._healthy(request)
        return RAW[name](whole), False


def wire_of(response: Response, connection: str) -> bytes:
    """Return a fake's response as bytes."""
    data = response.get_data()
    fields = dict(response.headers)
    fields |= {"Connection": connection}
    if response.status_code != 204:
        fields["Content-Length"] = str(len(data))
    lines = [f"HTTP/1.1 {response.status}", *(f"{name}: {fields[name]}" for name in fields)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + data


def _streams(head: bytes) -> Step:
    """Return an action that sends a body of 2 GiB, or as much of it as the client reads."""

    def stream(peer: Peer) -> None:
        peer.sock.sendall(head)
        chunk = b" " * 2**20
        for _ in range(HUGE_BYTES // len(chunk)):
            peer.sock.sendall(chunk)

    return stream


_HUGE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"

BODIES: dict[str, Any] = {
    "no JSON": b"<html><h1>Welcome</h1></html>",
    "another shape": {"images": {"id": "x"}, "id": 5},
    "without id": {"images": [{"name": "x"}], "name": "x"},
}


def _itself(answer: Any, _upstream: Upstream, request: Request) -> None:
    answer["next"] = request.target


def _elsewhere(answer: Any, upstream: Upstream, _request: Request) -> None:
    if answer["images"]:
        last = answer["images"][-1]["id"]
        answer["next"] = f"{upstream.stranger}/v2/images?marker={last}"


def _without_end(answer: Any, upstream: Upstream, _request: Request) -> None:
    name = f"endless-{len(upstream.seen)}"
    answer.clear()
    answer |= {"images": [{"id": name}], "next": f"/v2/images?marker={name}"}


def _twice(answer: Any, _upstream: Upstream, _request: Request) -> None:
    answer["images"] = answer["images"][:1] * 2


LIES: dict[str, Callable[[Any, Upstream, Request], None]] = {
    "next is itself": _itself,
    "next is elsewhere": _elsewhere,
    "next without end": _without_end,
    "an image twice": _twice,
}
RAW: dict[str, Callable[[bytes], list[Step]]] = {
    "reset": lambda whole: [sends(whole[: len(whole) // 2]), resets],
    "closed": lambda whole: [],
    "silent": lambda whole: [waits()],
    "slow": lambda whole: [waits(0.3), sends(whole)],
    "in drops": lambda whole: [drips(whole, 0.05)],
    "cut": lambda whole: [sends(whole[:-1])],
    "no HTTP": lambda whole: [sends(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")],
    "2 GiB": lambda whole: [_streams(_HUGE_HEAD % HUGE_BYTES)],
}
