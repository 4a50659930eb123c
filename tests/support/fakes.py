"""Stand-ins for Keystone and Glance that speak real HTTP on loopback, and a live shim.

The fake Glance serves Glance v2 from the embedded store, so that one contract suite can hold the
Glance adapter, wire and all, to what the embedded store does; it can also be told what to answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import requests
from keystoneauth1 import fixture
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.memory.service import MemoryImageService
from support import canary

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping
    from wsgiref.types import WSGIApplication

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parents[1] / "cases"


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class _QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *args: Any, **kwargs: Any) -> None:
        """Say nothing: the tests look at what was recorded."""


@contextlib.contextmanager
def serve(app: WSGIApplication) -> Iterator[str]:
    """Serve a WSGI application on a free port in threads, and give its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_QuietHandler)
    server.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Seen:
    """A request that a fake has seen; the query decoded, in order."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Fake:
    """What both fakes have: the requests seen, and answers that come before the usual ones."""

    seen: list[Seen] = field(default_factory=list)
    answers: list[Callable[[Request], Response]] = field(default_factory=list)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        self.seen.append(
            Seen(
                request.method,
                request.path,
                parse_qsl(request.query_string.decode(), keep_blank_values=True),
                {name.lower(): value for name, value in request.headers.items()},
                request.get_data(),
            )
        )
        answer = self.answers.pop(0) if self.answers else self.usual
        return answer(request)(environ, start_response)

    def usual(self, request: Request) -> Response:
        """Answer as the real service would."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget what was seen and what was to be answered."""
        self.seen.clear()
        self.answers.clear()


def says(status: int, body: Any = b"", **headers: str) -> Callable[[Request], Response]:
    """Return an answer to be queued: JSON unless the body is bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    content_type = fields.pop("Content-Type", "application/json")
    return lambda _request: Response(data, status, fields, content_type=content_type)


def refusal(status: int, text: str) -> Response:
    """Return an error in Glance's own form."""
    phrase = HTTPStatus(status).phrase
    body = {"message": f"{text}<br /><br />\n\n\n", "code": f"{status} {phrase}", "title": phrase}
    return Response(json.dumps(body), status, content_type="application/json; charset=UTF-8")


_STATUS_OF = {
    port.MarkerNotFound: 400,
    port.ImageNotAuthorized: 403,
    port.ImageNotFound: 404,
    port.ImageConflict: 409,
}


def token_of(project: str) -> str:
    """Return the token that both fakes take for a project's."""
    return f"{project}-token-0123456789abcdef"


@dataclass
class FakeGlance(Fake):
    """Glance v2 over the embedded store; a token names its project."""

    url: str = ""
    service: port.ImageService = field(default_factory=MemoryImageService)

    def reset(self) -> None:
        """Forget images, too."""
        super().reset()
        self.service = MemoryImageService()

    def usual(self, request: Request) -> Response:
        project = request.headers["X-Auth-Token"].partition("-token-")[0]
        context = port.Context(project, "req-fake")
        try:
            return self._route(request, context)
        except port.ImageServiceError as error:
            return refusal(_STATUS_OF[type(error)], error.text)

    def _route(self, request: Request, context: port.Context) -> Response:
        if request.path == "/v2/images":
            return self._list(request, context)
        image_id = request.path.removeprefix("/v2/images/")
        if request.method == "DELETE":
            self.service.delete(context, image_id)
            return Response(status=204)
        if request.method == "PATCH":
            return _json(self._patch(request, context, image_id))
        return _json(self.service.get(context, image_id))

    def _list(self, request: Request, context: port.Context) -> Response:
        query = request.args.to_dict()
        limit = int(query.pop("limit"))
        marker = query.pop("marker", None)
        oldest_first = query.pop("sort_dir", "desc") == "asc"
        query.pop("sort_key", None)
        page = self.service.list_page(
            context, query, limit=limit, marker=marker, oldest_first=oldest_first
        )
        body: dict[str, Any] = {"images": page.images, "schema": "/v2/schemas/images"}
        if page.next_marker:
            body["next"] = f"/v2/images?limit={limit}&marker={page.next_marker}"
        return _json(body)

    def _patch(self, request: Request, context: port.Context, image_id: str) -> port.Image:
        changes: dict[str, dict[str, str]] = {"add": {}, "replace": {}, "remove": {}}
        for step in json.loads(request.get_data()):
            key = step["path"][1:].replace("~1", "/").replace("~0", "~")
            changes[step["op"]][key] = step.get("value", "")
        return self.service.update(
            context,
            image_id,
            add=changes["add"],
            replace=changes["replace"],
            remove=changes["remove"],
        )


def _json(value: Any) -> Response:
    return Response(json.dumps(value), content_type="application/json; charset=UTF-8")


@dataclass
class FakeKeystone(Fake):
    """Keystone v3, as much of it as auth_token asks: discovery, a login, a validation."""

    url: str = ""
    glance_url: str = ""
    password: str = "service-user-password"

    def usual(self, request: Request) -> Response:
        if request.path.rstrip("/") in {"", "/v3"}:
            version = fixture.V3Discovery(f"{self.url}/v3")
            return _json({"version": version})
        if request.method == "POST":
            return self._login(request)
        return self._validate(request.headers["X-Subject-Token"])

    def validations(self) -> int:
        """Return how often a token was asked about."""
        return sum(seen.method == "GET" and seen.path == "/v3/auth/tokens" for seen in self.seen)

    def _login(self, request: Request) -> Response:
        identity = json.loads(request.get_data())["auth"]["identity"]
        if self.password not in json.dumps(identity):
            return Response(json.dumps({"error": {"code": 401, "message": "no"}}), 401)
        response = _json(self._token("service"))
        response.status_code = 201
        response.headers["X-Subject-Token"] = token_of("service")
        return response

    def _validate(self, token: str) -> Response:
        project = token.partition("-token-")[0]
        if token != token_of(project):
            message = {"error": {"code": 404, "message": "Could not recognize Fernet token"}}
            return Response(json.dumps(message), 404, content_type="application/json")
        return _json(self._token(project))

    def _token(self, project: str) -> Any:
        token = fixture.V3Token(user_id=f"user-of-{project}", user_name=project)
        if project != "unscoped":
            token.set_project_scope(id=project, name=project)
        token.add_role(name="member")
        token.add_service("identity").add_standard_endpoints(
            public=f"{self.url}/v3", internal=f"{self.url}/v3", admin=f"{self.url}/v3", region="R"
        )
        token.add_service("image").add_standard_endpoints(public=self.glance_url, region="R")
        return token


@dataclass(frozen=True)
class Live:
    """A running shim: its address, gunicorn's process, and the file of its output."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@contextlib.contextmanager
def live_shim(log: Path, **environ: str) -> Iterator[Live]:
    """Run the real thing, gunicorn and all, with these settings, and search what it says.

    Args:
        log: where its standard output and error go.
        environ: settings; without SHIM_BIND a free port is chosen.
    """
    environ = {"SHIM_BIND": f"127.0.0.1:{free_port()}"} | environ
    url = f"http://{environ['SHIM_BIND']}"
    answers = log.with_name(f"{log.name}.answers")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "gunicorn",
                "-c",
                ROOT / "tests" / "support" / "gunicorn_canary.py",
            ],
            cwd=ROOT,
            env=clean_environ() | environ | {"CANARY_ANSWERS": str(answers)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_up(process, f"{url}/healthcheck", log)
        yield Live(url, process, log)
    finally:
        metrics = _metrics(environ)
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    canary.note("pages of metrics", metrics, environ)
    canary.note("logs", log.read_text(errors="replace"), environ)
    canary.note_answers(answers)


def _metrics(environ: Mapping[str, str]) -> str:
    """Return what Prometheus would be told, nothing where there is nobody to tell it."""
    if bind := environ.get("SHIM_METRICS_BIND"):
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"http://{bind}/metrics", timeout=10).text
    return ""


@contextlib.contextmanager
def shim(log: Path, **environ: str) -> Iterator[str]:
    """Run the real thing as `live_shim` does, and give its address."""
    with live_shim(log, **environ) as live:
        yield live.url


def clean_environ() -> dict[str, str]:
    """Return this process's environment without any setting of the service."""
    ours = ("SHIM_", "OS_", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def _wait_until_up(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(url, timeout=5).ok:
                return
        time.sleep(0.05)
    raise AssertionError(f"the shim did not start:\n{log.read_text()}")


class Peer:
    """The server's side of one connection."""

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


if TYPE_CHECKING:
    Step = Callable[[Peer], None]


def hears(peer: Peer) -> None:
    """Read a request."""
    peer.hear()


def sends(data: bytes) -> Step:
    """Return the step that sends these bytes at once."""
    return lambda peer: peer.sock.sendall(data)


def drips(data: bytes, seconds: float = 0.01) -> Step:
    """Return the step that sends one byte, waits, sends the next."""

    def drip(peer: Peer) -> None:
        for number in range(len(data)):
            peer.sock.sendall(data[number : number + 1])
            if peer.over.wait(seconds):
                return

    return drip


def waits(seconds: float = 60) -> Step:
    """Return the step that does nothing until the time or the server is over."""

    def wait(peer: Peer) -> None:
        peer.over.wait(seconds)

    return wait


def resets(peer: Peer) -> None:
    """Close the connection so that the client gets a reset."""
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.sock.close()


@dataclass
class ScriptedServer:
    """What a scripted server has seen: connections, and the requests on all of them."""

    url: str = ""
    connections: int = 0
    heard: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def scripted(
    *scripts: list[Step],
    bind: tuple[str, int] = ("127.0.0.1", 0),
    tls: ssl.SSLContext | None = None,
) -> Iterator[ScriptedServer]:
    """Run a TCP server that does on its nth connection the nth script, then closes it.

    Connections beyond the last script are counted and closed at once.
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
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                sock, _ = listener.accept()
                script = scripts[server.connections] if server.connections < len(scripts) else []
                server.connections += 1
                threads.append(threading.Thread(target=play, args=(sock, script)))
                threads[-1].start()

    with socket.create_server(bind) as listener:
        listener.settimeout(0.02)
        server.url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        threads.append(threading.Thread(target=accept, args=(listener,)))
        threads[0].start()
        try:
            yield server
        finally:
            over.set()
            for thread in threads:
                thread.join(30)


@dataclass(frozen=True)
class RawAnswer:
    """An answer as it came over the socket."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return what the body says."""
        return json.loads(self.body)


def send_raw(base: str, request: bytes) -> list[RawAnswer]:
    """Send bytes that no client library would, and return the answers to them.

    The last request has to ask for the connection to be closed.
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
