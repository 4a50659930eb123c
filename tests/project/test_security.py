"""What SECURITY.md promises of the live service, over fakes; the real Glance's part is in real/."""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from support.fakes import FakeGlance, FakeKeystone, refusal, serve, token_of
from support.live import Live, free_port, glance_environ, live_shim
from support.peers import scripted, send_raw
from werkzeug.wrappers import Request, Response

from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.fakecloud.image_file import complete

CANARY = token_of("canary-4f1d2c")
SERVICE_CANARY = token_of("service")
PASSWORD = "canary-password-9b7e&%\"'"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00"
LINE = re.compile(rf"{TIME} \d+ [A-Z]+ [\w.]+ \[[^\n]*\] ")


@dataclass
class Telltale(FakeGlance):
    """A Glance that tells in its errors and images all that it was sent."""

    trouble: int = 0

    def usual(self, request: Request) -> Response:
        if self.trouble:
            told = f"{dict(request.headers)} {request.get_data(as_text=True)}"
            return refusal(self.trouble, told) if self.trouble != 200 else Response(told)
        return super().usual(request)


@dataclass
class TelltaleKeystone(FakeKeystone):
    """The same of a Keystone."""

    password: str = PASSWORD
    trouble: int = 0
    told: list[str] = field(default_factory=list)

    def usual(self, request: Request) -> Response:
        if self.trouble:
            body = request.get_data(as_text=True)
            told = f"{dict(request.headers)} {body} {PASSWORD} {SERVICE_CANARY}"
            self.told.append(told)
            error = {"error": {"code": self.trouble, "message": told, "title": told}}
            return Response(json.dumps(error), self.trouble, content_type="application/json")
        return super().usual(request)


@pytest.fixture(params=["DEBUG", "INFO", "WARNING", "ERROR"])
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, Any, Live]]:
    glance = Telltale(service=MemoryImageService([complete({"id": "i1"})]))
    keystone = TelltaleKeystone()
    with serve(glance) as glance.url, serve(keystone) as keystone.url:
        keystone.glance_url = glance.url
        environ = glance_environ(keystone) | {"SHIM_TOKEN_CACHE_SECONDS": "0"}
        environ |= {"SHIM_LOG_LEVEL": request.param, "SHIM_GLANCE_READ_TIMEOUT": "2"}
        environ |= {"SHIM_METRICS_BIND": f"127.0.0.1:{free_port()}", "SHIM_DOCS": "1"}
        with live_shim(tmp_path / "log", **environ) as live:
            yield glance, keystone, live


def requests_of_all_kinds(url: str, token: str) -> list[requests.Response]:
    """Send a token by every way there is, and return the answers."""
    base = f"{url}/v2/canary-4f1d2c"
    headers = {"X-Auth-Token": token, "User-Agent": f"{token}", "X-Service-Token": token}
    named = {"metadata": {"a": "b"}}
    found = [
        requests.get(f"{base}/images", headers=headers, timeout=20),
        requests.get(f"{base}/images/detail?name=x&marker={quote(token)}", headers=headers),
        requests.get(f"{base}/images/i1", headers=headers, timeout=20),
        requests.get(f"{base}/images/{quote(token)}", headers=headers, timeout=20),
        requests.get(f"{url}/v2/{quote(token)}/images", headers=headers, timeout=20),
        requests.delete(f"{base}/images/i1", headers=headers, timeout=20),
        requests.post(f"{base}/images/i1/metadata", headers=headers, json=named, timeout=20),
        requests.put(f"{base}/images/i1/metadata", headers=headers, data=b"{", timeout=20),
        requests.get(f"{url}/{quote(token)}", headers=headers, timeout=20),
        requests.get(f"{base}/images", headers={"X-Auth-Token": f"{token}x"}, timeout=20),
        *(
            requests.get(f"{url}/{page}", headers=headers, timeout=20)
            for page in ("", "v2", "docs/", "openapi.json", "healthcheck", "healthcheck/ready")
        ),
    ]
    request_id = {"X-OpenStack-Request-Id": f"req-{token}", "X-Auth-Token": token}
    return [*found, requests.get(f"{base}/images", headers=request_id, timeout=20)]


@pytest.mark.live
def test_no_token_and_no_password_is_in_any_log(
    told: tuple[Telltale, TelltaleKeystone, Live],
) -> None:
    glance, keystone, live = told
    answers = requests_of_all_kinds(live.url, CANARY)
    for trouble in (200, 400, 401, 404, 500, 503):
        glance.trouble = trouble
        answers += requests_of_all_kinds(live.url, CANARY)
        glance.trouble, keystone.trouble = 0, trouble
        answers += requests_of_all_kinds(live.url, CANARY)
        keystone.trouble = 0
    log = live.log.read_text()
    assert log.strip()
    for secret in (CANARY, SERVICE_CANARY, PASSWORD, json.dumps(PASSWORD)[1:-1], quote(PASSWORD)):
        assert secret not in log
        for answer in answers:
            if secret != CANARY:  # a client may be told what it sent itself
                assert secret not in answer.text
                assert secret not in str(answer.headers)


@pytest.mark.live
def test_readiness_repeats_nothing_that_keystone_said(
    told: tuple[Telltale, TelltaleKeystone, Live],
) -> None:
    """Whoever asks may be told in an error what was sent: the service user's own token."""
    _, keystone, live = told
    keystone.trouble = 503
    answer = requests.get(f"{live.url}/healthcheck/ready", timeout=20)
    assert 503 == answer.status_code
    assert keystone.told
    for secret in (SERVICE_CANARY, PASSWORD):
        assert secret not in live.log.read_text() + answer.text


def says_back(text: str, _request: Request) -> Response:
    return refusal(400, f"a{text}b")


ODD = [
    *("\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\x1b[31m", "\x00", "\x7f", "\t"),
    "\n2026-01-01 00:00:00.000 1 CRITICAL nova_image_shim [- - -] forged",
    "<script>alert(1)</script>",
    "%(message)s %s {0} ${x}",
]


@pytest.mark.live
def test_no_name_id_or_agent_begins_a_log_line_of_its_own(
    keystone: FakeKeystone, glance: FakeGlance, tmp_path: Path
) -> None:
    with live_shim(tmp_path / "log", **glance_environ(keystone), SHIM_LOG_LEVEL="DEBUG") as live:
        headers = {"X-Auth-Token": token_of("demo")}
        base = f"{live.url}/v2/demo/images"
        for text in ODD:
            for address in (
                *(f"{base}/{quote(text, safe='')}", f"{base}?name={quote(text)}"),
                *(f"{base}?marker={quote(text)}", f"{live.url}/v2/{quote(text, safe='')}/images"),
            ):
                answer = requests.get(address, headers=headers, timeout=10)
                assert answer.headers["Content-Type"].startswith("application/json")
            glance.answers.append(partial(says_back, text))
            requests.get(base, headers=headers, timeout=10)
            agent = text.encode("ascii", "ignore").decode().translate({10: None, 13: None, 0: None})
            requests.get(base, headers=headers | {"User-Agent": agent.strip()}, timeout=10)
        raw = b"GET /v2/demo/images HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        for number in (9, 11, 27, 133):
            field_ = b"X-OpenStack-Request-Id: req-\r\nUser-Agent: a%cb\r\n\r\n" % number
            with contextlib.suppress(ValueError, KeyError):
                send_raw(live.url, raw + field_)
        log = live.log.read_bytes().decode()
    lines = log.replace(f"nova-image-shim ready: {live.url}\n", "").split("\n")
    assert [] == [line for line in lines if line and not LINE.match(line)]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", log)


STRANGERS = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Port": "444",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Server": "evil.example",
    "X-Forwarded-Ssl": "on",
    "Forwarded": "for=203.0.113.7;host=evil.example;proto=https",
    "X-Original-URL": "/healthcheck",
    "X-Rewrite-URL": "/healthcheck",
    "X-HTTP-Method-Override": "DELETE",
    "X-Method-Override": "DELETE",
    "X-Scheme": "https",
    "Front-End-Https": "on",
    "X-Script-Name": "/evil",
    "Script-Name": "/evil",
    "X-Real-Ip": "203.0.113.7",
    "X-Project-Id": "other",
    "X-Tenant-Id": "other",
    "X-Roles": "admin",
    "X-User-Id": "admin",
    "X-Identity-Status": "Confirmed",
    "X-Service-Catalog": "[]",
}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_header_of_an_untrusted_peer_changes_nothing(
    name: str, glance_shim: str, glance: FakeGlance
) -> None:
    glance.service = MemoryImageService([complete({"id": "i1", "owner": "demo"})])
    address = f"{glance_shim}/v2/demo/images/detail"
    headers = {"X-Auth-Token": token_of("demo")}
    usual = requests.get(address, headers=headers, timeout=10)
    answer = requests.get(address, headers=headers | {name: STRANGERS[name]}, timeout=10)
    assert (200, usual.json()) == (answer.status_code, answer.json())
    assert "i1" == answer.json()["images"][0]["id"]
    assert "evil" not in str(answer.headers)


def test_nothing_in_a_request_makes_the_service_ask_anybody_else(
    glance_shim: str, glance: FakeGlance
) -> None:
    with scripted() as stranger:
        inside = stranger.url.removeprefix("http://")
        base = f"{glance_shim}/v2/demo/images"
        for value in (stranger.url, f"{stranger.url}/servers/x", f"//{inside}/", f"@{inside}"):
            for query in ("server", "marker", "name", "property-direct_url", "type"):
                requests.get(f"{base}?{query}={quote(value)}", headers=sent(inside), timeout=10)
            for path in (f"{base}/{quote(value, safe='')}", f"{base}/{quote(value)}/metadata"):
                requests.get(path, headers=sent(inside), timeout=10)
        (answer,) = send_raw(
            glance_shim,
            f"GET {stranger.url}/v2/demo/images HTTP/1.1\r\nHost: {inside}\r\n"
            f"X-Auth-Token: {token_of('demo')}\r\nConnection: close\r\n\r\n".encode(),
        )
        assert 200 == answer.status
        assert 0 == stranger.connections
    assert {"127.0.0.1"} == {seen.headers["host"].partition(":")[0] for seen in glance.seen}


def sent(inside: str) -> dict[str, str]:
    return {
        "X-Auth-Token": token_of("demo"),
        "Host": inside,
        "X-Auth-Url": f"http://{inside}",
        "X-Identity-Url": f"http://{inside}",
        "X-Service-Catalog": json.dumps([{"type": "image", "endpoints": [{"publicURL": inside}]}]),
        "Referer": f"http://{inside}/",
    }


# No embedded cloud in front of a real one


@pytest.fixture(scope="module")
def everything_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a service over Glance whose environment asks for all else, too."""
    folder = tmp_path_factory.mktemp("everything")
    (folder / "images.yaml").write_text("- id: fake\n")
    glance, keystone = FakeGlance(), FakeKeystone()
    with serve(glance) as glance.url, serve(keystone) as keystone.url:
        keystone.glance_url = glance.url
        environ = glance_environ(keystone) | {
            "SHIM_FAKE_OPEN": "1",
            "SHIM_ALLOW_PUBLIC": "1",
            "SHIM_MEMORY_IMAGES": str(folder / "images.yaml"),
            "FLASK_DEBUG": "1",
            "FLASK_ENV": "development",
            "WERKZEUG_DEBUG_PIN": "off",
        }
        with live_shim(folder / "log", **environ) as live:
            yield live.url


@pytest.mark.live
@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", path) for path in ("/_fake", "/_fake/", "/_fake/images", "/_fake/journal")),
        *(("POST", path) for path in ("/_fake/images", "/_fake/faults", "/_fake/reset")),
        *(("DELETE", "/_fake/images"), ("PUT", "/_fake/clock"), ("POST", "/_fake/clock")),
        *(
            ("POST", path)
            for path in ("/v3/auth/tokens", "/v2.0/tokens", "/identity/v3/auth/tokens")
        ),
        *(("GET", path) for path in ("/v3", "/identity", "/identity/v3", "/image", "/image/v2")),
        *(("GET", path) for path in ("/image/v2/images", "/image/v2/images/fake", "/v2.0")),
        *(("GET", path) for path in ("/console", "/?__debugger__=yes&cmd=resource&f=debugger.js")),
        *(("GET", path) for path in ("/static/x", "/metrics", "/docs", "/openapi.json")),
    ],
)
def test_no_embedded_cloud_stands_beside_a_real_one(
    method: str, path: str, everything_set: str
) -> None:
    answer = requests.request(method, everything_set + path, json={}, timeout=10)
    if path.startswith("/?"):
        assert "versions" in answer.json()
        return
    assert answer.status_code in {401, 404, 405}, answer.text
    assert "token" not in answer.text.lower()
    assert "fake" not in answer.text


@pytest.mark.live
@pytest.mark.parametrize("token", ["demo", "alt", "admin", "x", "fake", "open"])
def test_no_made_up_token_opens_a_real_cloud(token: str, everything_set: str) -> None:
    for project in ("demo", "admin", token):
        answer = requests.get(
            f"{everything_set}/v2/{project}/images", headers={"X-Auth-Token": token}, timeout=10
        )
        assert 401 == answer.status_code
