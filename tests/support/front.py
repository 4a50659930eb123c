"""A front that passes requests on and may change the answers, as a faulty service would."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import requests
from werkzeug.wrappers import Request, Response

Change = Callable[[Request, Response], Response | None]


@dataclass
class Front:
    """A WSGI application in front of another one.

    Args:
        app: what answers.
        change: changes an answer, or returns another one.
    """

    app: WSGIApplication
    change: Change = lambda _request, _answer: None
    seen: list[str] = field(default_factory=list)
    url: str = ""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        self.seen.append(f"{request.method} {environ['REQUEST_URI']}")
        answer = Response.from_app(self.app, environ, buffered=True)
        return (self.change(request, answer) or answer)(environ, start_response)


def forward_to(url: str) -> WSGIApplication:
    """Return an application that passes requests on to an address, with their `Host`."""

    @Request.application
    def forward(request: Request) -> Response:
        with requests.Session() as session:
            session.trust_env = False
            headers = dict(request.headers)
            target = request.environ["REQUEST_URI"]
            got = session.request(
                request.method, f"{url}{target}", headers=headers, timeout=60, allow_redirects=False
            )
        hop = {"connection", "content-length", "transfer-encoding", "date", "server"}
        kept = [pair for pair in got.headers.items() if pair[0].lower() not in hop]
        return Response(got.content, got.status_code, kept)

    return forward


def with_json(answer: Response, change: Callable[[Any], Any]) -> None:
    """Change the JSON in an answer; what `change` returns, if anything, replaces it."""
    body = answer.get_json()
    answer.set_data(answer.json_module.dumps(change(body) or body))


def a_wrong_status(request: Request, answer: Response) -> None:
    """Return 203 for an image."""
    if answer.status_code == 200 and b'{"image":' in answer.get_data():
        answer.status_code = 203


def a_missing_key(_request: Request, answer: Response) -> None:
    """Leave `minRam` out of images."""
    answer.set_data(answer.get_data().replace(b'"minRam":0,', b""))


def another_order(request: Request, answer: Response) -> None:
    """Return the list from the end."""
    if answer.status_code == 200 and request.path.endswith("/images") and not request.args:
        with_json(answer, lambda body: body["images"].reverse())


def a_lost_header(_request: Request, answer: Response) -> None:
    """Leave the request id out of errors."""
    if answer.status_code == 404:
        del answer.headers["X-Compute-Request-Id"]


def a_hole_in_a_list(request: Request, answer: Response) -> None:
    """Leave the second image out of detailed lists."""
    if answer.status_code == 200 and request.path.endswith("/detail"):
        with_json(answer, lambda body: body["images"].__delitem__(slice(1, 2)))


class Fault(NamedTuple):
    """A fault, and patterns of the requests and of the fields in which it is found."""

    change: Change
    request: str
    field: str


FAULTS = {
    "a wrong status": Fault(a_wrong_status, r"GET \S+/images/[\w-]+", "status"),
    "a missing key": Fault(a_missing_key, r"GET \S+/images.*", "body/.*/minRam"),
    "another order": Fault(another_order, r"GET \S+/images", "body/images"),
    "a lost header": Fault(
        a_lost_header, r"GET .*", "header/(X-Compute-Request-Id|request ids are one)"
    ),
    "a hole in a list": Fault(a_hole_in_a_list, r"GET \S+/detail(\?.*)?", "body/images.*"),
}


def unexpected(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return request and field of each unexpected difference that a report has."""
    return [
        (result["request"], field["field"])
        for result in found["differences"]
        for field in result["fields"]
        if field["reason"] is None
    ]


def assert_found(fault: Fault, found: dict[str, Any]) -> None:
    """Compare what a report has with where the fault must be."""
    differing = unexpected(found)
    assert differing
    for request, name in differing:
        assert re.fullmatch(fault.request, request), request
        assert re.fullmatch(fault.field, name), name
