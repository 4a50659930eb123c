"""Fake Keystone and Glance services that speak real HTTP on loopback.

The fake Glance serves Glance v2 from the embedded store, so that one contract suite can hold the
Glance adapter, HTTP included, to what the embedded store does. Both also return scripted answers.
"""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.types import WSGIApplication

from keystoneauth1 import fixture
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.memory.service import MemoryImageService


class _QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *args: Any, **kwargs: Any) -> None:
        """Print nothing: the tests read the recorded requests."""


@contextlib.contextmanager
def serve(app: WSGIApplication, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve a WSGI application in threads on a free port, and yield its address."""
    server = make_server(
        "127.0.0.1", 0, app, threaded=True, request_handler=_QuietHandler, ssl_context=tls
    )
    server.daemon_threads = True  # type: ignore[attr-defined]
    server.log = lambda *_args: None  # type: ignore[method-assign]
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            server.handle_request()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        # One more connection ends the loop at once; `serve_forever` would poll.
        socket.create_connection(("127.0.0.1", server.server_port)).close()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Seen:
    """A request that a fake has received; the query is decoded and in order."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Fake:
    """A WSGI application that records requests and returns scripted answers first."""

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
        """Forget the recorded requests and the scripted answers."""
        self.seen.clear()
        self.answers.clear()


def says(status: int, body: Any = b"", **headers: str) -> Callable[[Request], Response]:
    """Return a scripted answer: JSON, unless the body is bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    content_type = fields.pop("Content-Type", "application/json")
    return lambda _request: Response(data, status, fields, content_type=content_type)


def refusal(status: int, text: str) -> Response:
    """Return an error in Glance's own form."""
    phrase = HTTP_STATUS_CODES[status]
    body = {"message": f"{text}<br /><br />\n\n\n", "code": f"{status} {phrase}", "title": phrase}
    return Response(json.dumps(body), status, content_type="application/json; charset=UTF-8")


_STATUS_OF = {
    port.MarkerNotFound: 400,
    port.ImageNotAuthorized: 403,
    port.ImageNotFound: 404,
    port.ImageConflict: 409,
}


def token_of(project: str) -> str:
    """Return a project's token, which both fakes accept; it has the form of a Fernet token."""
    return f"gAAAAA{project}-token-0123456789abcdef"


def project_of(token: str) -> str:
    """Return the project of a token."""
    return token.removeprefix("gAAAAA").partition("-token-")[0]


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
        project = project_of(request.headers["X-Auth-Token"])
        context = port.Context(project, "req-fake", roles=frozenset({"member"}))
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
        return self.service.update(context, image_id, port.Changes(**changes))


def _json(value: Any) -> Response:
    return Response(json.dumps(value), content_type="application/json; charset=UTF-8")


@dataclass
class FakeKeystone(Fake):
    """The part of Keystone v3 that auth_token calls: discovery, login and validation."""

    url: str = ""
    glance_url: str = ""
    password: str = "service-user-password"
    token_lifetime: timedelta = timedelta(minutes=5)

    def usual(self, request: Request) -> Response:
        if request.path.rstrip("/") in {"", "/v3"}:
            version = fixture.V3Discovery(f"{self.url}/v3")
            return _json({"version": version})
        if request.method == "POST":
            return self._login(request)
        return self._validate(request.headers["X-Subject-Token"])

    def validations(self) -> int:
        """Return the number of token validations."""
        return sum(seen.method == "GET" and seen.path == "/v3/auth/tokens" for seen in self.seen)

    def _login(self, request: Request) -> Response:
        identity = json.loads(request.get_data())["auth"]["identity"]
        if json.dumps(self.password) not in json.dumps(identity):
            text = "The request you have made requires authentication."  # the reason is hidden
            return Response(json.dumps({"error": {"code": 401, "message": text}}), 401)
        response = _json(self._token("service"))
        response.status_code = 201
        response.headers["X-Subject-Token"] = token_of("service")
        return response

    def _validate(self, token: str) -> Response:
        project = project_of(token)
        if token != token_of(project):
            message = {"error": {"code": 404, "message": "Could not recognize Fernet token"}}
            return Response(json.dumps(message), 404, content_type="application/json")
        return _json(self._token(project))

    def _token(self, project: str) -> Any:
        token = fixture.V3Token(
            datetime.now(UTC) + self.token_lifetime, user_id=f"user-of-{project}", user_name=project
        )
        if project != "unscoped":
            token.set_project_scope(id=project, name=project)
        token.add_role(name="member")
        token.add_service("identity").add_standard_endpoints(
            public=f"{self.url}/v3", internal=f"{self.url}/v3", admin=f"{self.url}/v3", region="R"
        )
        token.add_service("image").add_standard_endpoints(public=self.glance_url, region="R")
        return token
