"""The legacy API as clients see it: every case of http/, and what no client library would send.

The cases are gabbi's, run against the live service. They are made by `build_tests`, of which
gabbi's own way with pytest (`py_test_generator`) is a wrapper that wants the service's port while
tests are still being collected; here the port is known once the service runs.
"""

from __future__ import annotations

import json
import re
import unittest
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests
from gabbi.driver import build_tests
from gabbi.reporter import PyTestResult
from support.live import shim
from support.paths import ROOT
from support.peers import send_raw

from api.faults import NO_IMAGE, NO_PATH, Fault, bad

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient
    from gabbi.case import HTTPTestCase

FILES = ("no-token", "root", "refused-paths", "accepted-paths", "hosts", "media-types", "queries")
ARCS = ("images", "filters", "pages")

IMAGE_ID = "155d900f-4e14-4e4c-a73d-069cbf4541e6"
BAD_HOST = bad("The Host header is malformed: it must be a name or address and a port")
NO_NUMBER = bad("Invalid input received: limit must be an integer")


def cases() -> list[HTTPTestCase]:
    """Return the cases of all files: first the dull edges, then the arcs."""
    suites = build_tests(
        str(ROOT / "tests" / "http"),
        unittest.TestLoader(),
        host="127.0.0.1",
        test_loader_name="http",
        cert_validate=False,  # there is no TLS, and a CA bundle for each case takes its time
    )
    found = {suite._tests[0].test_base_name: list(suite) for suite in suites}
    assert {*FILES, *ARCS} == found.keys()
    return [case for name in (*FILES, *ARCS) for case in found[name]]


CASES = cases()


@pytest.fixture(scope="module")
def legacy_shim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a live service of the legacy mounts, whose images nobody changes.

    It takes any token and any `Host`, since the cases have many.
    """
    log = tmp_path_factory.mktemp("shim") / "log"
    with shim(log, SHIM_BACKEND="memory", SHIM_MOUNTS="v1.1,v2", SHIM_FAKE_OPEN="1") as url:
        yield url


@pytest.fixture
def _aimed(legacy_shim: str) -> None:
    """Point all cases at the live service: one that is run alone runs those before it first."""
    for case in CASES:
        type(case).port = urlsplit(legacy_shim).port


@pytest.mark.parametrize("case", CASES, ids=lambda case: type(case).__name__)
@pytest.mark.usefixtures("_aimed")
def test_http(case: HTTPTestCase) -> None:
    case.run(PyTestResult())


def head_of(first_line: bytes, *headers: bytes) -> bytes:
    """Return a request with a good token, after which the connection is closed."""
    lines = (first_line, b"X-Auth-Token: demo", b"Connection: close", *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def target(path: str) -> bytes:
    """Return a GET of a path exactly as it stands."""
    return head_of(f"GET {path} HTTP/1.1".encode("latin-1"), b"Host: shim.example")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/demo/images/.", NO_IMAGE),
        ("/v2/demo/images/..", NO_IMAGE),
        ("/v2/demo/images/../metadata", NO_IMAGE),
        ("/v2/demo/images/./metadata/kernel_id", NO_IMAGE),
        ("/v2/demo/images/..json", NO_IMAGE),
        ("/v2/demo/images/...json", NO_IMAGE),
        ("/v2/demo/images/../images", NO_PATH),
        ("/v2/demo/../demo/images", NO_PATH),
        ("/v2/./demo/images", NO_PATH),
        ("/../v2/demo/images", NO_PATH),
        ("/v2/demo/images/..%2fdetail", NO_PATH),
        ("/v2/demo/images/%2e%2e%2fdetail", NO_PATH),
        ("/v2/demo/images/%2f", NO_PATH),
        ("http://shim.example/v2/demo/images/a%2fb", NO_PATH),
        ("/v2/demo/images/%c3%28", NO_PATH),
        ("/%ff", NO_PATH),
        ("/v2/%ed%a0%80/images", NO_PATH),
        ("/v2/demo/images/%zz", NO_IMAGE),
        ("/v2/demo/images/%", NO_IMAGE),
        ("/v2/demo/images/\\..\\detail", NO_IMAGE),
        ("/v2;x=y/demo/images", NO_PATH),
        ("/v2/demo/images;x=y", NO_PATH),
        ("/v2/demo/images/detail?marker=../../x", bad("No image found with ID ../../x")),
        ("/v2/demo/images?limit=%zz", NO_NUMBER),
        ("/v2/demo/images?limit=" + "9" * 5000, NO_NUMBER),
    ],
)
def test_a_path_that_clients_would_tidy_up_is_taken_as_it_is(
    path: str, expected: Fault, legacy_shim: str
) -> None:
    (answer,) = send_raw(legacy_shim, target(path))
    assert "application/json; charset=UTF-8" == answer.headers["content-type"]
    assert expected == (answer.status, answer.json())


@pytest.mark.parametrize(
    "path",
    [
        "//v2/demo/images",
        "///v2//demo///images",
        "http://shim.example/v2/demo/images",
        "http://shim.example//v2/demo//images.json",
        "/v2/demo/images?",
        "/v2/demo/images#fragment",
    ],
)
def test_a_target_in_an_uncommon_form_is_the_list(path: str, legacy_shim: str) -> None:
    (usual,) = send_raw(legacy_shim, target("/v2/demo/images"))
    (answer,) = send_raw(legacy_shim, target(path))
    assert (200, usual.json()) == (answer.status, answer.json())


@pytest.mark.parametrize("path", ["/", "//", "http://shim.example/", "http://shim.example"])
def test_the_root_in_any_form_lists_the_version(path: str, legacy_shim: str) -> None:
    (answer,) = send_raw(legacy_shim, target(path))
    assert (200, ["http://shim.example/v2/"]) == (
        answer.status,
        [version["links"][0]["href"] for version in json.loads(answer.body)["versions"]],
    )


def test_an_uncommon_method_is_a_json_fault(legacy_shim: str) -> None:
    line = b"TRACE /v2/demo/images HTTP/1.1"
    (answer,) = send_raw(legacy_shim, head_of(line, b"Host: shim.example"))
    (fault,) = answer.json().values()
    assert (405, 405) == (answer.status, fault["code"])


@pytest.mark.parametrize(
    ("paths", "allowed"),
    [
        ("/ // /v2 /v2/ /v1.1 /healthcheck /healthcheck/ready", {"GET", "HEAD"}),
        ("/v2/demo/images //v1.1//alt//images.json?limit=x", {"GET", "HEAD"}),
        (f"/v2/demo/images/detail /v2/demo/images/{IMAGE_ID}", {"GET", "HEAD", "DELETE"}),
        ("/v2/demo/images/x/metadata", {"GET", "HEAD", "POST", "PUT"}),
        ("/v2/demo/images/x/metadata/y", {"GET", "HEAD", "PUT", "DELETE"}),
        ("* /x /v4/ /v2/demo/os-keypairs /v2/demo/images/ /%ff /healthcheck/", None),
        ("/identity/v3", {"GET", "HEAD", "POST"}),
        ("/identity/v2.0/tenants", {"GET", "HEAD"}),
    ],
)
@pytest.mark.parametrize(
    "rest",
    [
        b"HTTP/1.0\r\n",
        b"HTTP/1.1\r\nConnection: close\r\nHost: shim.example\r\n",
        b"HTTP/1.1\r\nConnection: close\r\nHost:\r\nX-Auth-Token: no such token\r\n",
        b"HTTP/1.1\r\nConnection: close\r\nHost: a/b\r\nX-Auth-Token: demo\r\n",
    ],
)
def test_options_is_answered_on_every_path_to_anyone(
    paths: str, allowed: set[str] | None, rest: bytes, legacy_shim: str
) -> None:
    for path in paths.split():
        (answer,) = send_raw(legacy_shim, f"OPTIONS {path} ".encode() + rest + b"\r\n")
        assert (200, b"", "0") == (answer.status, answer.body, answer.headers["content-length"])
        allow = answer.headers.get("allow")
        assert allowed == (set(allow.split(", ")) if allow else None), path
        unwanted = {"content-type", "www-authenticate", "cache-control", "vary"}
        assert set() == unwanted & answer.headers.keys()


LISTED, STORED = "private, no-cache", "private, no-store"
BOTH = "X-Auth-Token, Accept-Encoding"


@pytest.mark.parametrize(
    ("call", "status", "cache_control", "vary"),
    [
        ("GET /v2/demo/images", 200, LISTED, BOTH),
        ("HEAD /v1.1/demo/images/detail?limit=1", 200, LISTED, BOTH),
        ("GET /v2/demo/images?limit=x", 400, STORED, BOTH),
        ("GET /v2/alt/images", 400, STORED, BOTH),
        (f"GET /v2/demo/images/{IMAGE_ID}", 200, STORED, BOTH),
        (f"GET /v2/demo/images/{IMAGE_ID}/metadata", 200, STORED, BOTH),
        ("GET /v2/demo/images/x", 404, STORED, BOTH),
        ("DELETE /v2/demo/images/x/metadata/y", 404, STORED, BOTH),
        ("POST /v2/demo/images/x/metadata", 415, STORED, BOTH),
        ("PATCH /v2/demo/images", 405, STORED, BOTH),
        ("GET /v2/demo/os-keypairs", 404, STORED, BOTH),
        *((f"GET {path}", 200, None, "Accept-Encoding") for path in ("/", "/v2", "/v1.1/")),
        ("GET /x", 404, None, "Accept-Encoding"),
        ("GET /healthcheck", 200, None, None),
        ("GET /identity/v2.0/tenants", 200, None, BOTH),
        ("GET /image/v2/images", 200, None, "Accept-Encoding"),
    ],
)
def test_no_shared_cache_may_keep_what_a_token_opened(
    call: str, status: int, cache_control: str | None, vary: str | None, memory_shim: str
) -> None:
    method, path = call.split()
    data = b"x" if method == "POST" else None
    headers = {"X-Auth-Token": "demo", "Content-Type": "application/xml"}
    answer = requests.request(method, memory_shim + path, headers=headers, data=data, timeout=10)
    told = [answer.headers.get(name) for name in ("Cache-Control", "Vary")]
    assert (status, [cache_control, vary]) == (answer.status_code, told)
    if cache_control:
        refused = requests.request(method, memory_shim + path, timeout=10)
        told = [refused.headers.get(name) for name in ("Cache-Control", "Vary")]
        assert (401, [STORED, BOTH]) == (refused.status_code, told)


@pytest.mark.parametrize("path", ["/", "/v2/", "/v2/demo/images", "/v2/x", "/x"])
def test_head_is_get_without_the_body(path: str, legacy_shim: str) -> None:
    (got,) = send_raw(legacy_shim, head_of(f"GET {path} HTTP/1.1".encode(), b"Host: a"))
    (answer,) = send_raw(legacy_shim, head_of(f"HEAD {path} HTTP/1.1".encode(), b"Host: a"))
    own = {"date", "x-compute-request-id", "x-openstack-request-id"}
    wanted = {name: value for name, value in got.headers.items() if name not in own}
    found = {name: value for name, value in answer.headers.items() if name not in own}
    assert (got.status, wanted, b"") == (answer.status, found, answer.body)
    assert len(got.body) == int(answer.headers["content-length"]) > 0


@pytest.mark.parametrize("header", [b"Host:", b"Host: ", b"Host: \xc3\xa9", b"Host: a\tb"])
def test_a_host_that_no_client_would_send_is_refused(header: bytes, legacy_shim: str) -> None:
    (answer,) = send_raw(legacy_shim, head_of(b"GET /v2/demo/images HTTP/1.1", header))
    assert BAD_HOST == (answer.status, answer.json())


@pytest.mark.parametrize("header", [b"Host:", b"Host: ", b"Host: a/b", b"Host: \xc3\xa9"])
@pytest.mark.parametrize("path", [b"/healthcheck", b"/healthcheck/ready"])
def test_a_health_check_has_no_links_and_takes_any_host(
    path: bytes, header: bytes, legacy_shim: str
) -> None:
    (answer,) = send_raw(legacy_shim, head_of(b"GET " + path + b" HTTP/1.1", header))
    assert (200, b"OK") == (answer.status, answer.body)


@pytest.mark.parametrize("second", [b"Host: a", b"Host: b"])
def test_two_hosts_are_refused(second: bytes, legacy_shim: str) -> None:
    (answer,) = send_raw(legacy_shim, head_of(b"GET / HTTP/1.1", b"Host: a", second))
    assert 400 == answer.status


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_without_a_host_links_begin_with_the_address_that_is_served(
    version: bytes, legacy_shim: str
) -> None:
    (answer,) = send_raw(legacy_shim, head_of(b"GET / HTTP/" + version))
    (listed,) = answer.json()["versions"]
    assert [{"rel": "self", "href": f"{legacy_shim}/v2/"}] == listed["links"]


def test_pipelined_requests_are_answered_each_in_its_turn(legacy_shim: str) -> None:
    kept = b"X-Auth-Token: demo\r\n\r\n"
    answers = send_raw(
        legacy_shim,
        b"GET /v2/demo/images/nowhere HTTP/1.1\r\nHost: a\r\n" + kept
        + b"GET /v2/ HTTP/1.1\r\nHost: b\r\n" + kept
        + b"POST /v2/demo/images HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n" + kept + b"GET"
        + b"GET /v2/demo/images HTTP/1.1\r\nHost: a\r\n\r\n"
        + head_of(b"GET /healthcheck HTTP/1.1", b"Host: a"),
    )  # fmt: skip
    assert [404, 200, 405, 401, 200] == [answer.status for answer in answers]
    assert "http://b/v2/" == answers[1].json()["version"]["links"][0]["href"]
    assert b"OK" == answers[4].body
    ids = {answer.headers["x-compute-request-id"] for answer in answers}
    assert len(answers) == len(ids)


@pytest.mark.parametrize("token", [b"", b" ", b"\t \t"])
def test_a_blank_token_is_none(token: bytes, legacy_shim: str) -> None:
    request = b"GET /v2/demo/images HTTP/1.1\r\nHost: a\r\nX-Auth-Token:" + token
    (answer,) = send_raw(legacy_shim, request + b"\r\nConnection: close\r\n\r\n")
    message = "The request you have made requires authentication."
    error = {"code": 401, "title": "Unauthorized", "message": message}
    assert (401, {"error": error}) == (answer.status, answer.json())


def test_every_answer_has_an_id_of_its_own_under_both_names(legacy_shim: str) -> None:
    sent = "req-00000000-0000-4000-8000-000000000000"
    seen = set()
    for path in ("/v2", "/v2/demo/images", "/v2/demo/images/nowhere", "/v2/demo", "/healthcheck"):
        headers = {"X-Auth-Token": "demo", "X-OpenStack-Request-Id": sent}
        answer = requests.get(f"{legacy_shim}{path}", headers=headers, timeout=10)
        request_id = answer.headers["X-Compute-Request-Id"]
        assert request_id == answer.headers["X-OpenStack-Request-Id"]
        assert re.fullmatch(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", request_id)
        seen.add(request_id)
    assert 5 == len(seen)
    assert sent not in seen


def test_every_byte_of_an_answer_is_ascii(legacy_shim: str) -> None:
    answers = [send_raw(legacy_shim, target(path))[0] for path in ("/v2/demo/images/detail", "/x")]
    assert [True, True] == [answer.body.isascii() for answer in answers]
    assert "Café 日本 🐍" == answers[0].json()["images"][0]["name"]


ENCODED = [
    ("a.b", "a.b"),
    ("a%2Eb", "a.b"),
    ("a.b.json", "a.b"),
    ("owner_specified.openstack.md5", "owner_specified.openstack.md5"),
    ("na%C3%AFve%20%E2%98%83", "naïve ☃"),
    ("%F0%9F%90%8D", "🐍"),
    ("%20", " "),
    ("a%20b+c", "a b+c"),
    ("a%20b%2Bc", "a b+c"),
    ("100%", "100%"),
    ("100%25", "100%"),
    ("%2541", "%41"),
    ("a%3Fb%23c", "a?b#c"),
    ("a;b&c=d", "a;b&c=d"),
    ("a%3Bb%26c%3Dd", "a;b&c=d"),
    ("%C3%A9", "é"),
    ("e%CC%81", "e\u0301"),
    ("%2e%2e", ".."),
    ("..", ".."),
    ("a.json.", "a.json."),
    ("te%78t", "text"),
    ("x.json.json", "x.json"),
    ("x.json.xml", "x.json"),
]
KEYS = {key: f"value of {key}" for _, key in ENCODED} | {
    "": "blank",
    "text": 'quotes " and \\ and \n',
}


@pytest.fixture(scope="module")
def odd_shim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of the live service over images with odd keys and ids."""
    folder = tmp_path_factory.mktemp("odd")
    odd_ids = ["a.b", "a.raw", "-_~.".removeprefix("-"), "a" * 255]
    images = [{"id": IMAGE_ID, **KEYS}, *({"id": odd_id} for odd_id in odd_ids)]
    (folder / "images.json").write_text(json.dumps({"images": images}))
    settings = {"SHIM_BACKEND": "memory", "SHIM_MEMORY_IMAGES": str(folder / "images.json")}
    with shim(folder / "log", **settings, SHIM_FAKE_HOSTS="shim.example") as url:
        yield url


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        *((encoded, (200, {"meta": {key: KEYS[key]}})) for encoded, key in ENCODED),
        *((other, NO_PATH) for other in ("A", "%2520", "a%2520b+c", "x.json", "a+b%2Bc", "")),
    ],
)
def test_a_key_of_any_characters_is_decoded_once(
    encoded: str, expected: Fault, odd_shim: str
) -> None:
    (answer,) = send_raw(odd_shim, target(f"/v2/demo/images/{IMAGE_ID}/metadata/{encoded}"))
    assert expected == (answer.status, answer.json())


def test_metadata_hold_keys_of_any_characters(odd_shim: str) -> None:
    (answer,) = send_raw(odd_shim, target(f"/v2/demo/images/{IMAGE_ID}/metadata"))
    assert ({"metadata": KEYS}, True) == (answer.json(), answer.body.isascii())


@pytest.mark.parametrize(
    ("encoded", "image_id"),
    [
        ("a.b", "a.b"),
        ("a.b.json", "a.b"),
        ("a%2eraw", "a.raw"),
        ("_~.", "_~."),
        ("%5f%7e%2e", "_~."),
        ("a" * 255, "a" * 255),
        ("a" * 255 + ".xml", "a" * 255),
    ],
)
def test_an_id_with_dots_is_found(encoded: str, image_id: str, odd_shim: str) -> None:
    (answer,) = send_raw(odd_shim, target(f"/v2/demo/images/{encoded}"))
    assert image_id == answer.json()["image"]["id"]


def properties(count: int, repeat: int = 1) -> str:
    return "&".join(f"property-{number}=x" for number in range(count) for _ in range(repeat))


@pytest.mark.parametrize("path", ["/v2/demo/images", "/v1.1/demo/images/detail", "/v2.1/images"])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (properties(50), (200, {"images": []})),
        (properties(50, repeat=3), (200, {"images": []})),
        (f"{properties(49)}&property-=x&type=a&server=b&x=y", (200, {"images": []})),
        (properties(51), bad("Too many property filters")),
        (f"{properties(50)}&property-name=x", bad("Too many property filters")),
        (properties(520), bad("Too many property filters")),
    ],
)
def test_a_list_has_at_most_50_property_filters(
    client: FlaskClient, path: str, query: str, expected: Fault
) -> None:
    answer = client.get(f"{path}?{query}", headers={"X-Auth-Token": "demo"})
    assert expected == (answer.status_code, answer.json)
