"""Outgoing requests: the environment's proxies and certificates, and no cookies or ~/.netrc."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from support.fakes import FakeGlance, FakeKeystone, serve, token_of
from support.live import free_port, glance_environ, live_shim
from werkzeug import Request, Response

from nova_image_shim.adapters.http.session import open_session
from nova_image_shim.adapters.http.transport import BoundedTransport

PROXY = "http://proxy.example:3128"
ENVIRONMENTS: list[dict[str, str]] = [
    {},
    {"http_proxy": PROXY},
    {"HTTPS_PROXY": PROXY},
    {"all_proxy": PROXY},
    {"http_proxy": PROXY, "no_proxy": "glance.example"},
    {"http_proxy": PROXY, "no_proxy": ".example,10.0.0.0/8"},
    {"REQUESTS_CA_BUNDLE": "/ca.pem"},
    {"CURL_CA_BUNDLE": "/ca.pem"},
]
URLS = ["http://glance.example:9292/v2/images", "https://glance.example/v2", "http://10.1.2.3/v2"]


def transport() -> BoundedTransport:
    return BoundedTransport(max_bytes=2**10, total_seconds=10, pool_maxsize=1)


def own_session() -> requests.Session:
    return open_session(transport()).session


def merged(session: requests.Session, url: str, verify: Any = True) -> Any:
    return session.merge_environment_settings(url, {}, None, verify, None)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("environ", ENVIRONMENTS, ids=str)
@pytest.mark.parametrize("url", URLS)
def test_it_says_what_requests_says(
    environ: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    for verify in (True, "/own.pem"):
        expected = merged(requests.Session(), url, verify)
        assert expected == merged(own_session(), url, verify)


def test_it_looks_once_for_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    session = own_session()
    before = merged(session, "http://glance.example/v2/images?limit=1")
    monkeypatch.setenv("http_proxy", PROXY)
    assert before == merged(session, "http://glance.example/v2/images?limit=2")
    assert {"http": PROXY} == merged(session, "http://other.example/v2/images")["proxies"]


def test_a_request_brings_nothing_of_the_environment_or_of_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, str]] = []

    @Request.application
    def service(request: Request) -> Response:
        seen.append(dict(request.headers))
        return Response("{}", headers={"Set-Cookie": "SERVERID=node1; Path=/"})

    with serve(service) as url:
        (tmp_path / ".netrc").write_text(f"machine {urlsplit(url).hostname} login me password p\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        with requests.Session() as of_requests:
            of_requests.get(url)
            of_requests.get(url)
        session = open_session(transport()).session
        for _ in range(2):
            session.request("GET", url, headers={"X-Auth-Token": "t", "User-Agent": "a"})
        session.close()
    assert {"Cookie", "Authorization"} < seen[1].keys()
    host = {"Host": urlsplit(url).netloc, "Accept-Encoding": "identity"}
    assert [{**host, "X-Auth-Token": "t", "User-Agent": "a"}] * 2 == seen[2:]


@pytest.mark.live
@pytest.mark.parametrize(("trust", "status", "asked"), [("1", 503, 0), ("0", 200, 1)])
def test_a_proxy_of_the_environment_counts_unless_told_otherwise(
    trust: str,
    status: int,
    asked: int,
    glance: FakeGlance,
    keystone: FakeKeystone,
    tmp_path: Path,
) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    environ = glance_environ(keystone) | {"SHIM_TRUST_ENV": trust}
    with live_shim(tmp_path / "log", **environ, http_proxy=nowhere, no_proxy="") as live:
        headers = {"X-Auth-Token": token_of("demo")}
        answer = requests.get(f"{live.url}/v2/demo/images", headers=headers, timeout=20)
        assert (status, asked) == (answer.status_code, len(glance.seen))


@pytest.mark.live
def test_a_proxy_counts_for_glance_apart(
    glance: FakeGlance, keystone: FakeKeystone, tmp_path: Path
) -> None:
    """Keystone is let through, so that it is the way to Glance that is seen."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    there = glance.url.replace("127.0.0.1", "localhost")
    found = {}
    for trust in ("1", "0"):
        environ = glance_environ(keystone) | {"SHIM_TRUST_ENV": trust}
        environ |= {"SHIM_GLANCE_ENDPOINT": there, "http_proxy": nowhere, "no_proxy": "127.0.0.1"}
        with live_shim(tmp_path / f"log{trust}", **environ) as live:
            headers = {"X-Auth-Token": token_of("demo")}
            url = f"{live.url}/v2/demo/images"
            found[trust] = requests.get(url, headers=headers, timeout=20).status_code
    assert {"1": 503, "0": 200} == found
