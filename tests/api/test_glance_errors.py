"""What each outcome at Glance is answered with: through the application, over real HTTP."""

import gzip
import json
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import cache
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Request as FlaskRequest
from flask.testing import FlaskClient
from keystoneauth1.token_endpoint import Token
from support.fakes import FakeGlance, refusal, says, serve, token_of
from support.live import free_port
from support.peers import Step, drips, hears, scripted, sends, waits
from werkzeug.test import TestResponse
from werkzeug.wrappers import Request, Response

from api.faults import BUSY, FAILED, NO_IMAGE, TOO_LARGE, UNAVAILABLE, Fault, bad, fault, forbidden
from nova_image_shim import create_app
from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.glance.service import GlanceImageService, GlanceOptions
from nova_image_shim.api.errors import PORT_ERRORS
from nova_image_shim.auth.caller import Caller
from nova_image_shim.settings import Settings

IMAGE_ID = "70a599e0-31e7-49b7-b260-868f441e862b"
LIST = "/v2/demo/images"
DETAIL = "/v2/demo/images/detail"
SHOW = f"/v2/demo/images/{IMAGE_ID}"
METADATA = f"/v2/demo/images/{IMAGE_ID}/metadata"
ITEM = f"/v2/demo/images/{IMAGE_ID}/metadata/key"
LISTS = [LIST, DETAIL]
SINGLES = [SHOW, METADATA, ITEM]

E = "Something is wrong with it."
MALFORMED = (
    "The server could not comply with the request since it is either malformed or otherwise "
    "incorrect."
)
DENIED = "Access was denied to this resource."
CONFLICT = "There was a conflict when trying to complete your request."
LIMITED = "This request was rate-limited."
NOT_VERIFIED = (
    "This server could not verify that you are authorized to access the document you requested. "
    "Either you supplied the wrong credentials (e.g., bad password), or your browser does not "
    "understand how to supply the credentials required."
)

UNAUTHORIZED = fault("unauthorized", 401, NOT_VERIFIED)


def over(
    url: str, options: dict[str, Any] | None = None, **settings: Any
) -> Callable[..., TestResponse]:
    """Return what asks the application over the Glance at an address."""

    def authenticate(_request: FlaskRequest, _project_id: str | None) -> Caller:
        return Caller("user-of-demo", "demo", Token(url, token_of("demo")))

    service = GlanceImageService(GlanceOptions(endpoint=url, **(options or {})))
    conf = Settings(www_authenticate_uri="http://keystone.example:5000", **settings)
    client: FlaskClient = create_app(conf, service, authenticate).test_client()
    return client.open


over_fake = cache(over)  # an application for the tests' one fake Glance, which takes long to build


def faulty(answer: TestResponse) -> Fault:
    """Return a fault's status and body; its form is that of every fault."""
    assert "application/json; charset=UTF-8" == answer.headers["Content-Type"]
    assert str(len(answer.data)) == answer.headers["Content-Length"]
    assert answer.headers["X-Compute-Request-Id"] == answer.headers["X-Openstack-Request-Id"]
    assert answer.data.isascii()
    return answer.status_code, answer.get_json()


# Statuses

NO_MEANING = (201, 202, 206, 300, 301, 302, 304, 307, 405, 410, 418, 500, 501, 502, 504)
STATUSES: list[tuple[int, Fault, Fault]] = [
    # Glance's status, a list's fault, a single image's
    *((status, FAILED, FAILED) for status in NO_MEANING),
    (204, UNAVAILABLE, UNAVAILABLE),
    (400, bad(E), bad(E)),
    (401, UNAUTHORIZED, UNAUTHORIZED),
    (403, forbidden(E), NO_IMAGE),
    (404, FAILED, NO_IMAGE),
    (409, fault("conflictingRequest", 409, E), fault("conflictingRequest", 409, E)),
    (413, fault("overLimit", 413, TOO_LARGE), fault("overLimit", 413, TOO_LARGE)),
    (429, fault("overLimit", 429, LIMITED), fault("overLimit", 429, LIMITED)),
    (503, UNAVAILABLE, UNAVAILABLE),
]
NO_CONTENT = {204, 304}
NAMED = f"No image found with ID {IMAGE_ID}"


def error_of_glance(status: int, text: str = E) -> Callable[[Request], Response]:
    if status in NO_CONTENT:
        return says(status, b"")
    if status == 404 and text == E:
        text = NAMED
    return lambda _request: refusal(status, text)


@pytest.mark.parametrize(
    ("status", "path", "expected"),
    [
        *((status, path, of_list) for status, of_list, _ in STATUSES for path in LISTS),
        *((status, path, of_one) for status, _, of_one in STATUSES for path in SINGLES),
    ],
)
def test_a_status_of_glance_has_its_fault(
    status: int, path: str, expected: Fault, glance: FakeGlance
) -> None:
    glance.answers.append(error_of_glance(status))
    answer = over_fake(glance.url)(path)
    assert expected == faulty(answer)
    assert 1 == len(glance.seen)
    challenge = ['Keystone uri="http://keystone.example:5000"'] if status == 401 else []
    assert challenge == answer.headers.getlist("WWW-Authenticate")
    assert "Retry-After" not in answer.headers


# A 404 that names no image: of an image that Glance's policy hides, or of a wrong address.

NAMELESS: dict[str, Callable[[Request], Response]] = {
    "Glance's": lambda _request: refusal(404, "The resource could not be found."),
    "a page": says(404, b"<html><h1>Not Found</h1></html>", Content_Type="text/html"),
    "nothing": says(404, b""),
    "the path": lambda request: refusal(404, f"Cannot GET {request.path}"),
    "another image": lambda _request: refusal(404, f"No image found with ID {IMAGE_ID}0"),
}
NOT_GLANCE: dict[str, tuple[Callable[[Request], Response], Fault]] = {
    "404": (says(404, b""), FAILED),
    "300": (says(300, {"versions": []}), FAILED),
    "500": (error_of_glance(500), FAILED),
    "503": (error_of_glance(503), UNAVAILABLE),
    "401": (error_of_glance(401), UNAUTHORIZED),
    "403": (error_of_glance(403), forbidden(E)),
    "a page": (says(200, b"<html>Welcome</html>"), UNAVAILABLE),
}
PROBE = ("GET", "/v2/images", [("limit", "1")])


def calls(glance: FakeGlance) -> list[tuple[str, str, list[tuple[str, str]]]]:
    return [(seen.method, seen.path, seen.query) for seen in glance.seen]


@pytest.mark.parametrize("nameless", NAMELESS.values(), ids=NAMELESS)
def test_a_nameless_404_is_a_missing_image_where_glance_lists_images(
    nameless: Callable[[Request], Response], glance: FakeGlance
) -> None:
    ask = over(glance.url)
    glance.answers.append(nameless)
    assert NO_IMAGE == faulty(ask(SHOW))
    one: Any = ("GET", f"/v2/images/{IMAGE_ID}", [])
    assert [one, PROBE] == calls(glance)
    for path in (SHOW, METADATA):
        glance.answers.append(nameless)
        assert NO_IMAGE == faulty(ask(path))
    assert [one, PROBE, one, one] == calls(glance)


@pytest.mark.parametrize(("listed", "expected"), NOT_GLANCE.values(), ids=NOT_GLANCE)
@pytest.mark.parametrize("path", SINGLES)
def test_a_404_from_a_wrong_address_is_not_a_missing_image(
    path: str, listed: Callable[[Request], Response], expected: Fault, glance: FakeGlance
) -> None:
    ask = over(glance.url)
    glance.answers[:] = [says(404, b""), listed, says(404, b"")]
    assert [expected, expected] == [faulty(ask(path)) for _ in range(2)]
    assert 1 == calls(glance).count(PROBE)


@pytest.mark.parametrize(
    ("path", "method", "calls_before"),
    [
        (f"{METADATA}/a", "PUT", ["GET", "PATCH"]),
        (f"{METADATA}/a", "DELETE", ["GET", "PATCH"]),
        (SHOW, "DELETE", ["DELETE"]),
    ],
)
@pytest.mark.parametrize(("is_glance", "expected"), [(True, NO_IMAGE), (False, FAILED)])
def test_a_write_at_a_wrong_address_is_not_of_a_missing_image(
    is_glance: bool,
    expected: Fault,
    path: str,
    method: str,
    calls_before: list[str],
    glance: FakeGlance,
) -> None:
    image = [says(200, {"id": IMAGE_ID, "a": "1"})] * (len(calls_before) - 1)
    listed = says(200, {"images": []}) if is_glance else says(404, b"")
    glance.answers[:] = [*image, says(404, b""), listed]
    assert expected == faulty(over(glance.url)(path, method=method, json={"meta": {"a": "2"}}))
    assert [*calls_before, "GET"] == [seen.method for seen in glance.seen]
    assert PROBE == calls(glance)[-1]


PAST = "Wed, 21 Oct 2015 07:28:00 GMT"
OLD_DATES = ["Wednesday, 21-Oct-15 07:28:00 GMT", "Wed Oct 21 07:28:00 2015", f"{PAST} <x>"]
# What is passed on: the header, and in the body seconds.
KNOWN_FORMS = {seconds: (seconds, seconds) for seconds in ("0", "7", "120")}
KNOWN_FORMS |= dict.fromkeys((PAST, *OLD_DATES), (PAST, "0"))
NO_KNOWN_FORMS = [
    *("", "soon", "-1", "1.5", "9" * 10, "7, 8", "x" * 5000, "Wed, 99 Oct 2015 07:28:00 GMT"),
    *("Wed, some other day in May", "Fri, 31 Dec 9999 23:59:59 -2300"),
]


@pytest.mark.parametrize("path", [LIST, SHOW, METADATA])
@pytest.mark.parametrize("retry_after", [*KNOWN_FORMS, *NO_KNOWN_FORMS])
@pytest.mark.parametrize(
    ("status", "name", "message", "in_body"),
    [
        (413, "overLimit", TOO_LARGE, True),
        (429, "overLimit", LIMITED, True),
        (503, "serviceUnavailable", BUSY, False),
    ],
)
def test_when_to_try_again_is_passed_on_in_a_known_form(
    status: int,
    name: str,
    message: str,
    in_body: bool,
    retry_after: str,
    path: str,
    glance: FakeGlance,
) -> None:
    glance.answers.append(says(status, {"message": E}, Retry_After=retry_after))
    answer = over_fake(glance.url)(path)
    header, seconds = KNOWN_FORMS.get(retry_after, (None, None))
    more = {"retryAfter": seconds} if seconds and in_body else {}
    assert fault(name, status, message, **more) == faulty(answer)
    assert header == answer.headers.get("Retry-After")


def test_a_date_to_try_again_is_seconds_in_the_body(glance: FakeGlance) -> None:
    date = formatdate(time.time() + 3600, usegmt=True)
    glance.answers.append(says(429, {"message": E}, Retry_After=date))
    answer = over_fake(glance.url)(LIST)
    assert date == answer.headers["Retry-After"]
    assert answer.json
    assert 3500 < int(answer.json["overLimit"]["retryAfter"]) <= 3600


# Answers that cannot be understood

NOTHING: dict[str, bytes] = {
    "no JSON": b"<html>Welcome</html>",
    "nothing": b"",
    "blank": b" \n",
    "half": b'{"images": [{"id": "x"}',
    "no UTF-8": b'{"images": [], "id": "\xff\xfe"}',
    "too deep": b"[" * 200_000,
    "too deep an object": b'{"a":' * 200_000,
    "two": b"{}{}",
    "a list": b"[]",
    "a list of images": b'[{"id": "x"}]',
    "a number": b"5",
    "null": b"null",
    "a text": b'"images"',
    "an empty object": b"{}",
    "a number of images": b'{"images": 5, "id": 5}',
    "null images": b'{"images": null, "id": null}',
    "an object of images": b'{"images": {"id": "x"}, "id": {}}',
    "a null image": b'{"images": [null]}',
    "a numeric image": b'{"images": [5]}',
    "an image without id": b'{"images": [{"id": "x"}, {"name": "y"}]}',
    "an image whose id is no text": b'{"images": [{"id": 5}], "id": ["x"]}',
}


@pytest.mark.parametrize("body", NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize("path", [*LISTS, *SINGLES])
def test_an_answer_that_is_none_is_a_503(path: str, body: bytes, glance: FakeGlance) -> None:
    glance.answers.append(says(200, body))
    assert UNAVAILABLE == faulty(over_fake(glance.url)(path))


@pytest.mark.parametrize(
    "following",
    [
        *("", "/v2/images", "/v2/images?limit=2", "/v2/images?marker=", "x"),
        *("http://[", "http://[::1/v2/images?marker=x", 5, True, ["marker=x"], {}, 1.5),
    ],
)
def test_a_next_page_that_leads_nowhere_is_a_503(following: Any, glance: FakeGlance) -> None:
    glance.answers.append(says(200, {"images": [{"id": "x"}], "next": following}))
    assert UNAVAILABLE == faulty(over_fake(glance.url)(LIST))


def test_odd_numbers_and_texts_do_not_break_an_answer(glance: FakeGlance) -> None:
    image = b'{"id": "x", "a": NaN, "b": Infinity, "c": "\\ud800", "d": 1e999, "e": 123456789e30}'
    glance.answers[:] = [says(200, image)]
    answer = over_fake(glance.url)(f"{SHOW}/metadata")
    expected = {"a": None, "b": None, "c": "\ud800", "d": None, "e": 123456789e30}
    assert (200, {"metadata": expected}) == (answer.status_code, json.loads(answer.data))


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
WHOLE = b'{"id": "x", "images": []}'
LENGTH = b"Content-Length: %d\r\n\r\n" % len(WHOLE)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
BROKEN: dict[str, list[Step]] = {
    "cut before the answer": [hears],
    "cut in the status line": [hears, sends(HEAD[:12])],
    "cut in the headers": [hears, sends(HEAD)],
    "cut in the body": [hears, sends(HEAD + LENGTH + WHOLE[:-1])],
    "cut before the body": [hears, sends(HEAD + LENGTH)],
    "cut in a chunk": [hears, sends(HEAD + CHUNKED + b"30\r\n" + WHOLE)],
    "cut after a chunk": [hears, sends(HEAD + CHUNKED + b"19\r\n" + WHOLE + b"\r\n")],
    "no HTTP": [hears, sends(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")],
    "no gzip": [hears, sends(HEAD + b"Content-Encoding: gzip\r\n" + LENGTH + WHOLE)],
    "half a gzip": [
        hears,
        sends(HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(WHOLE * 99)[:-20]),
    ],
    "too large": [hears, sends(HEAD + b"\r\n" + b" " * 2**17 + WHOLE)],
}


SILENT: dict[str, list[Step]] = {
    "silent": [hears, waits()],
    "silent in the body": [hears, sends(HEAD + LENGTH + WHOLE[:-1]), waits()],
}


@pytest.mark.parametrize(
    "script",
    [
        *(pytest.param(script, id=name) for name, script in BROKEN.items()),
        *(pytest.param(script, id=name, marks=pytest.mark.live) for name, script in SILENT.items()),
    ],
)
@pytest.mark.parametrize("path", [LIST, SHOW, METADATA])
def test_a_glance_that_breaks_off_is_a_503_in_time(path: str, script: list[Step]) -> None:
    options = {"read_timeout_seconds": 0.2, "max_answer_bytes": 2**16}
    with scripted(*[script] * 3) as server:
        started = time.monotonic()
        answer = over(server.url, options)(path)
        assert time.monotonic() - started < 1
    assert UNAVAILABLE == faulty(answer)


def test_the_whole_answer_of_the_broken_ones_is_good() -> None:
    answers = [HEAD + LENGTH + WHOLE, HEAD + CHUNKED + b"19\r\n" + WHOLE + b"\r\n0\r\n\r\n"]
    with scripted([step for answer in answers for step in (hears, sends(answer))]) as server:
        ask = over(server.url)
        assert [200, 200] == [ask(path).status_code for path in (LIST, METADATA)]


@pytest.mark.parametrize("path", [*LISTS, *SINGLES])
def test_a_glance_that_refuses_connections_is_a_503(path: str) -> None:
    started = time.monotonic()
    answer = over(f"http://127.0.0.1:{free_port()}")(path)
    assert UNAVAILABLE == faulty(answer)
    assert time.monotonic() - started < 1


@pytest.mark.live
@pytest.mark.parametrize("path", [LIST, SHOW, METADATA])
def test_a_request_waits_no_longer_than_it_may(path: str) -> None:
    with scripted([hears, drips(HEAD * 10)]) as server:
        started = time.monotonic()
        answer = over(server.url, request_timeout_seconds=0.3)(path)
        assert 0.2 < time.monotonic() - started < 1.2
    assert UNAVAILABLE == faulty(answer)


@pytest.mark.live
def test_the_pages_of_a_list_share_one_requests_time(glance: FakeGlance) -> None:
    def page(request: Request) -> Response:
        time.sleep(0.2)
        following = f"/v2/images?marker={len(glance.seen)}"
        return says(200, {"images": [{"id": "x"}], "next": following})(request)

    glance.answers[:] = [page] * 20
    started = time.monotonic()
    answer = over_fake(glance.url, request_timeout_seconds=0.7)(LIST)
    assert 0.6 < time.monotonic() - started < 1.5
    assert UNAVAILABLE == faulty(answer)
    assert 3 <= len(glance.seen) <= 4


# Explanations


def in_json(text: str) -> bytes:
    return json.dumps({"message": text, "code": "400 Bad Request", "title": "Bad"}).encode()


def in_html(text: str) -> bytes:
    page = (
        "<html>\n <head>\n  <title>400 Bad Request</title>\n </head>\n <body>\n"
        f"  <h1>400 Bad Request</h1>\n  {text}\n\n\n </body>\n</html>"
    )
    return page.encode()


NGINX = (
    b"<html>\r\n<head><title>400 Bad Request</title></head>\r\n<body>\r\n"
    b"<center><h1>400 Bad Request</h1></center>\r\n<hr><center>nginx/1.24.0</center>\r\n"
    b"</body>\r\n</html>\r\n"
)
EXPLANATIONS: dict[str, tuple[bytes, str | None]] = {
    "JSON": (in_json(f"{E}<br /><br />\n\n\n"), E),
    "JSON, plain": (in_json(E), E),
    "JSON, other breaks": (in_json(f"{E}<BR><br/>\n"), E),
    "JSON, not escaped": (
        in_json("No <image> \"x\" & 'y'<br /><br />\n\n\n"),
        "No <image> \"x\" & 'y'",
    ),
    "JSON, no ASCII": (in_json("Kein Café 🐍<br /><br />\n\n\n"), "Kein Café 🐍"),
    "JSON, broken lines": (in_json("Some\r\n  thing\t is<br /><br />\n\n\n"), "Some thing is"),
    "JSON, with a detail": (in_json(f"{E}<br /><br />\nin detail\n\n"), E),
    "JSON, only a detail": (
        in_json(f"{MALFORMED}<br /><br />\nOwner can't be updated by non admin.\n\n"),
        f"{MALFORMED} Owner can't be updated by non admin.",
    ),
    "JSON, the default": (in_json(f"{MALFORMED}<br /><br />\n\n\n"), MALFORMED),
    "JSON, empty": (in_json("<br /><br />\n\n\n"), None),
    "JSON, huge": (in_json("e" * 200_000), "e" * 1000),
    "JSON without a message": (b'{"error": {"message": "x"}}', None),
    "JSON with a number": (b'{"message": 5}', None),
    "JSON with null": (b'{"message": null}', None),
    "JSON list": (b'["message"]', None),
    "JSON text": (b'"message"', None),
    "HTML": (in_html(f"{E}<br /><br />\n"), E),
    "HTML, escaped": (
        in_html("No &lt;image&gt; &quot;x&quot; &amp; &#x27;y&#x27;<br /><br />\n"),
        "No <image> \"x\" & 'y'",
    ),
    "HTML, with a detail": (in_html(f"{E}<br /><br />\nin detail"), E),
    "HTML, only a detail": (
        in_html(f"{MALFORMED}<br /><br />\nOwner can&#x27;t be updated by non admin."),
        f"{MALFORMED} Owner can't be updated by non admin.",
    ),
    "HTML, huge": (in_html(f"{'e' * 200_000}<br /><br />\n"), "e" * 1000),
    "HTML, no UTF-8": (in_html(f"{E}<br /><br />\n") + b"\xff", E),
    "a proxy's page": (NGINX, None),
    "nothing": (b"", None),
    **{
        f"a detail after {default}": (
            in_json(f"{default}<br /><br />\nfor a reason\n\n"),
            f"{default} for a reason",
        )
        for default in (DENIED, CONFLICT)
    },
}


@pytest.mark.parametrize(("body", "message"), EXPLANATIONS.values(), ids=EXPLANATIONS)
@pytest.mark.parametrize(
    ("status", "path", "name", "default"),
    [
        (400, LIST, "badRequest", MALFORMED),
        (400, SHOW, "badRequest", MALFORMED),
        (403, DETAIL, "forbidden", DENIED),
        (409, METADATA, "conflictingRequest", CONFLICT),
    ],
)
def test_glances_own_words_and_nothing_else_are_passed_on(
    status: int,
    path: str,
    name: str,
    default: str,
    body: bytes,
    message: str | None,
    glance: FakeGlance,
) -> None:
    glance.answers.append(says(status, body, Content_Type="text/html; charset=UTF-8"))
    assert fault(name, status, message or default) == faulty(over_fake(glance.url)(path))


@pytest.mark.parametrize("status", [401, 404, 413, 429, 500, 503])
@pytest.mark.parametrize("path", [LIST, SHOW])
def test_glances_words_of_other_errors_are_for_the_log(
    status: int, path: str, glance: FakeGlance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nova_image_shim")
    glance.answers.append(error_of_glance(status, "mysql://user@host is gone"))
    answer = over_fake(glance.url)(path)
    assert b"mysql" not in answer.data
    assert 1 == sum("mysql://user@host is gone" in message for message in caplog.messages)


# Markers

MARKERS = {
    "unknown": "1f29e8cf-2d2b-4d2f-a77a-2b4f0b9f3a55",
    "no UUID": "no-uuid",
    "one letter": "e",
    "blanks": "a  b ",
    "a break": "a<br />b",
    "markup": "<b>&amp;",
    "quotes": "'\"\\",
    "no ASCII": "Café 日本",
    "percent": "100%(image_id)s",
    "long": "x" * 300,
    "very long": "x" * 3000,
}
REFUSALS_OF_MARKERS = {
    "unknown": (400, "No image found with ID {}"),
    "foreign": (403, "Forbidding request, image {} not visible"),
    "over-long": (400, "Image with the given id %(image_id)s was not found"),
}


@pytest.mark.parametrize(("status", "text"), REFUSALS_OF_MARKERS.values(), ids=REFUSALS_OF_MARKERS)
@pytest.mark.parametrize("marker", MARKERS.values(), ids=MARKERS)
@pytest.mark.parametrize(("path", "limit"), [(LIST, {}), (DETAIL, {"limit": "2"})])
def test_every_bad_marker_is_answered_alike(
    path: str, limit: dict[str, str], marker: str, status: int, text: str, glance: FakeGlance
) -> None:
    glance.answers[:] = [error_of_glance(status, text.replace("{}", marker))] * 2
    answer = over_fake(glance.url)(f"{path}?{urlencode({**limit, 'marker': marker})}")
    assert bad(f"No image found with ID {marker}") == faulty(answer)
    while len(glance.seen) < 1 + len(limit):  # the page before may still be asked for
        time.sleep(0.01)
    assert {marker} == {dict(seen.query)["marker"] for seen in glance.seen}


@pytest.mark.parametrize(
    ("status", "text", "name"),
    [
        (400, "Invalid filter value : ", "badRequest"),
        (400, 'Bad "updated_at" query filter format. Use ISO 8601 DateTime.', "badRequest"),
        (403, "You are not authorized to complete get_images action.", "forbidden"),
    ],
)
@pytest.mark.parametrize("marker", [IMAGE_ID, "e", "a", "filter", "You are not", "0"])
def test_a_refusal_of_something_else_keeps_its_meaning(
    marker: str, status: int, text: str, name: str, glance: FakeGlance
) -> None:
    glance.answers.append(error_of_glance(status, text))
    answer = over_fake(glance.url)(f"{LIST}?marker={marker}")
    assert fault(name, status, text.strip()) == faulty(answer)


def test_without_a_marker_no_refusal_is_about_one(glance: FakeGlance) -> None:
    text = "No image found with ID x"
    glance.answers.append(error_of_glance(403, text))
    assert forbidden(text) == faulty(over_fake(glance.url)(LIST))


# Lists of several pages


def page(first: int, following: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {"images": [{"id": str(first)}, {"id": str(first + 1)}]}
    return body if following is None else body | {"next": following}


THIRD: dict[str, tuple[Callable[[Request], Response], Fault]] = {
    "503": (error_of_glance(503), UNAVAILABLE),
    "marker gone": (error_of_glance(400, "No image found with ID 4"), UNAVAILABLE),
    "marker hidden": (error_of_glance(403, "Forbidding request, image 4 not visible"), UNAVAILABLE),
    "no list": (says(200, b""), UNAVAILABLE),
    "no image": (says(200, {"images": [{"id": "5"}, None]}), UNAVAILABLE),
    "404": (error_of_glance(404), FAILED),
    "500": (error_of_glance(500), FAILED),
    "302": (says(302, b"", Location="/v2/images?marker=4"), FAILED),
    "400": (error_of_glance(400), bad(E)),
    "401": (error_of_glance(401), UNAUTHORIZED),
    "429": (error_of_glance(429), fault("overLimit", 429, LIMITED)),
}


@pytest.mark.parametrize(("third", "expected"), THIRD.values(), ids=THIRD)
@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("query", ["", "?limit=5", "?marker=x", "?limit=5&marker=x"])
def test_a_list_is_whole_or_an_error(
    query: str,
    path: str,
    third: Callable[[Request], Response],
    expected: Fault,
    glance: FakeGlance,
) -> None:
    pages = [page(1, "/v2/images?limit=2&marker=2"), page(3, "/v2/images?limit=2&marker=4")]
    glance.answers[:] = [*(says(200, body) for body in pages), third]
    answer = over_fake(glance.url, glance_page_size=2)(f"{path}{query}")
    assert expected == faulty(answer)
    markers = [dict(seen.query).get("marker") for seen in glance.seen]
    assert ["x" if "marker" in query else None, "2", "4"] == markers


def test_a_list_cut_in_its_third_page_is_no_list() -> None:
    bodies = [json.dumps(page(first, f"/v2/images?marker={first + 1}")) for first in (1, 3, 5)]
    heads = [HEAD + b"Content-Length: %d\r\n\r\n" % len(body) for body in bodies]
    answers = [head + body.encode() for head, body in zip(heads, bodies, strict=True)]
    with scripted(
        [hears, sends(answers[0]), hears, sends(answers[1]), hears, sends(answers[2][:-9])]
    ) as server:
        assert UNAVAILABLE == faulty(over(server.url, glance_page_size=2)(LIST))


@pytest.mark.parametrize(
    ("markers", "calls"),
    [(["2", "2"], 2), (["2", "4", "2"], 3), (["x"], 1), (["2", "x"], 2)],
)
def test_pages_that_lead_in_a_circle_are_a_503(
    markers: list[str], calls: int, glance: FakeGlance
) -> None:
    glance.answers[:] = [says(200, page(1, f"/v2/images?marker={marker}")) for marker in markers]
    answer = over_fake(glance.url, glance_page_size=2)(f"{LIST}?marker=x")
    assert UNAVAILABLE == faulty(answer)
    assert calls == len(glance.seen)


@pytest.mark.parametrize(
    "following",
    [
        "{stranger}/v2/images?marker=2&limit=2",
        "//{host}/v2/images?limit=2&marker=2",
        "/v1/other?marker=9&marker=2&name=x&owner=alt&visibility=private#f",
        "?marker=2",
    ],
)
def test_of_a_next_page_only_the_marker_counts(following: str, glance: FakeGlance) -> None:
    stranger = FakeGlance()
    with serve(stranger) as stranger.url:
        host = stranger.url.removeprefix("http://")
        address = following.format(stranger=stranger.url, host=host)
        glance.answers[:] = [says(200, page(1, address)), says(200, page(3, None))]
        answer = over_fake(glance.url, glance_page_size=2)(f"{LIST}?name=y")
    assert answer.json
    assert ["1", "2", "3", "4"] == [image["id"] for image in answer.json["images"]]
    first = [("name", "y"), ("limit", "2")]
    assert [
        ("/v2/images", first),
        ("/v2/images", [*first, ("marker", "2")]),
    ] == [(seen.path, seen.query) for seen in glance.seen]
    assert [] == stranger.seen


# The table


def every_error(base: type[port.ImageServiceError]) -> set[type[port.ImageServiceError]]:
    below = {error for child in base.__subclasses__() for error in every_error(child)}
    return below | {base}


def test_every_error_of_the_port_has_its_row_and_no_other() -> None:
    assert every_error(port.ImageServiceError) - {port.ImageServiceError} == PORT_ERRORS.keys()
