"""Faults as clients meet them on the wire, in a test's own process and behind gunicorn."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from keystoneauth1 import session
from keystoneauth1.exceptions import ConnectFailure, UnknownConnectionError
from keystoneauth1.identity import v3
from support.identity_answers import UNAUTHORIZED, error
from support.peers import send_raw
from urllib3.util import Retry

from nova_image_shim.fakecloud import create_cloud_app
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.control.faults import GARBAGE
from nova_image_shim.fakecloud.seed import Seed
from nova_image_shim.fakecloud.testing import LegacyCloud
from nova_image_shim.settings import Settings

UNAVAILABLE = "The server is currently unavailable. Please try again at a later time."


class Cloud:
    """A running cloud, steered over HTTP as any language would."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.images = f"{url}/v2/demo/images"
        self.http = requests.Session()
        self.http.headers = {"X-Auth-Token": "demo", "User-Agent": "test", "Accept": "*/*"}

    def rule(self, **rule: Any) -> int:
        """Add a rule and return its id."""
        answer = self.http.post(f"{self.url}/_fake/rules", json=rule, timeout=10)
        assert 201 == answer.status_code, answer.text
        return int(answer.json()["id"])

    def seen(self) -> list[tuple[str, str, int | None, int | None]]:
        """Return what the journal has: method, path, status, rule."""
        entries = self.http.get(f"{self.url}/_fake/requests", timeout=10).json()["requests"]
        keys = ("method", "path", "status", "rule")
        return [tuple(entry[key] for key in keys) for entry in entries]

    def get(self, path: str = "/v2/demo/images", **kwargs: Any) -> requests.Response:
        return self.http.get(f"{self.url}{path}", **{"timeout": 10} | kwargs)

    def raw(self, path: str = "/v2/demo/images") -> list[Any]:
        """Return what comes over a socket."""
        host = urlsplit(self.url).netloc
        lines = (f"GET {path} HTTP/1.1", f"Host: {host}", "X-Auth-Token: demo")
        return send_raw(self.url, "\r\n".join([*lines, "Connection: close", "", ""]).encode())


@pytest.fixture(params=["in process", pytest.param("gunicorn", marks=pytest.mark.live)])
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    if request.param == "gunicorn":
        url = request.getfixturevalue("memory_shim")
    else:
        url = request.getfixturevalue("legacy_cloud").url
    cloud = Cloud(url)
    cloud.http.post(f"{url}/_fake/reset", json={}, timeout=10)
    with cloud.http:
        yield cloud
        cloud.http.post(f"{url}/_fake/reset", json={}, timeout=10)


def test_a_rule_acts_twice_and_then_stops(cloud: Cloud) -> None:
    rule = cloud.rule(status=503, retry_after=0, times=2)
    answers = [cloud.get() for _ in range(3)]
    fault = {"serviceUnavailable": {"code": 503, "message": UNAVAILABLE}}
    assert [fault, fault] == [answer.json() for answer in answers[:2]]
    assert ["0", "0", None] == [answer.headers.get("Retry-After") for answer in answers]
    assert "images" in answers[2].json()
    path = "/v2/demo/images"
    expected = [("GET", path, 503, rule), ("GET", path, 503, rule), ("GET", path, 200, None)]
    assert expected == cloud.seen()


def test_the_second_page_fails(cloud: Cloud) -> None:
    cloud.rule(status=503, path="*/images", query={"marker": "*"})
    first = cloud.get("/v2/demo/images?limit=2")
    following = {link["rel"]: link["href"] for link in first.json()["images_links"]}
    answers = [first, cloud.http.get(following["next"], timeout=10), cloud.get()]
    assert [200, 503, 200] == [answer.status_code for answer in answers]


def test_the_first_requests_are_skipped(cloud: Cloud) -> None:
    cloud.rule(status=503, skip=1, headers={"accept": "application/json"})
    json = {"Accept": "application/json"}
    statuses = [cloud.get(headers=headers).status_code for headers in (json, {}, json, json, {})]
    assert [200, 200, 503, 503, 200] == statuses


def test_only_one_project_sees_errors(cloud: Cloud) -> None:
    cloud.rule(status=503, project="demo")
    paths = ("/v2/{}/images", "/v2.1/images", "/image/v2/images", "/v3/auth/projects")
    statuses = {
        token: [
            cloud.get(path.format(token), headers={"X-Auth-Token": token}).status_code
            for path in paths
        ]
        for token in ("demo", "alt", "nobody")
    }
    assert {"demo": [503] * 4, "alt": [200] * 4, "nobody": [401] * 4} == statuses


def test_a_project_of_an_open_cloud_is_that_of_the_path() -> None:
    app = create_cloud_app(Settings(fake_open=True), FakeCloud(Seed()))
    app.extensions["fake_cloud"].add_rule(status=503, project="demo")
    client, headers = app.test_client(), {"X-Auth-Token": "any"}
    paths = ("/v2/demo/images", "/v2/alt/images", "/v2.1/images", "/identity")
    statuses = [client.get(path, headers=headers).status_code for path in paths]
    assert [503, 200, 200, 300] == statuses


LIMITED = {"code": 429, "message": "This request was rate-limited.", "retryAfter": "7"}
ERRED = "The server has either erred or is incapable of performing the requested operation."
PHRASES = {500: "Internal Server Error", 503: "Service Unavailable"}
GLANCE_503 = {
    "message": "Service Unavailable<br /><br />\n\n\n",
    "code": "503 Service Unavailable",
    "title": "Service Unavailable",
}


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/v1.1/demo/images", 429, {"overLimit": LIMITED}),
        ("/v2.1/images", 502, {"computeFault": {"code": 502, "message": ERRED}}),
        ("/v2/demo/images", 401, UNAUTHORIZED),
        ("/identity/v3/auth/tokens", 500, error(500, PHRASES[500], PHRASES[500])),
        ("/v2.0/tokens", 503, error(503, PHRASES[503], PHRASES[503])),
        ("/image/v2/images", 503, GLANCE_503),
    ],
)
def test_a_fault_has_the_form_of_its_service(
    path: str, status: int, body: dict[str, Any], cloud: Cloud
) -> None:
    cloud.rule(status=status, retry_after=7)
    answer = cloud.get(path, headers={"Accept": "application/json"})
    assert (status, body, "7") == (answer.status_code, answer.json(), answer.headers["Retry-After"])


def test_a_request_with_a_body_gets_the_fault(cloud: Cloud) -> None:
    cloud.rule(method="POST", status=503)
    answer = cloud.http.post(f"{cloud.images}/none/metadata", data=b"x" * 2**20, timeout=10)
    assert 503 == answer.status_code


def test_a_response_is_delayed(cloud: Cloud) -> None:
    cloud.rule(latency_seconds=0.3, times=1)
    started = time.monotonic()
    assert 200 == cloud.get().status_code
    assert 0.3 <= time.monotonic() - started < 8


@pytest.mark.live
def test_a_client_times_out_on_a_delayed_response(cloud: Cloud) -> None:
    cloud.rule(latency_seconds=2, times=1)
    with pytest.raises(requests.ReadTimeout):
        cloud.get(timeout=0.5)


@pytest.mark.live
def test_other_requests_are_not_delayed(cloud: Cloud) -> None:
    cloud.rule(latency_seconds=3, user_agent="slow")
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(requests.get, cloud.url, headers={"User-Agent": "slow"}, timeout=10)
        started = time.monotonic()
        assert 200 == cloud.get().status_code
        assert time.monotonic() - started < 3
        assert 200 == slow.result().status_code


def test_a_body_is_cut_in_half(cloud: Cloud) -> None:
    whole = cloud.raw()[0]
    rule = cloud.rule(body="cut", times=1)
    cut = cloud.raw()[0]
    assert whole.status == cut.status == 200
    assert whole.headers["content-length"] == cut.headers["content-length"]
    assert whole.body[: len(whole.body) // 2] == cut.body
    cloud.rule(body="cut", times=1)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        cloud.get()
    statuses = [(status, number) for _, _, status, number in cloud.seen()]
    assert [(200, None), (200, rule), (200, rule + 1)] == statuses


@pytest.mark.parametrize(
    ("fault", "status", "content_type"),
    [({}, 200, "application/json"), ({"status": 503}, 503, "application/json; charset=UTF-8")],
)
def test_a_body_is_garbage(
    fault: dict[str, int], status: int, content_type: str, cloud: Cloud
) -> None:
    cloud.rule(body="garbage", times=1, **fault)
    headers = {"Accept-Encoding": "gzip", "Accept": "application/json"}
    answer = cloud.get(headers=headers)
    assert (status, content_type) == (answer.status_code, answer.headers["Content-Type"])
    assert GARBAGE == answer.content
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_a_connection_is_closed_without_an_answer(cloud: Cloud) -> None:
    rule = cloud.rule(close=True, times=1)
    assert [] == cloud.raw()
    assert 200 == cloud.get().status_code
    path = "/v2/demo/images"
    assert [("GET", path, None, rule), ("GET", path, 200, None)] == cloud.seen()


def test_a_closed_connection_changes_nothing_and_a_cut_response_does(
    cloud: Cloud,
) -> None:
    image_id = "155d900f-4e14-4e4c-a73d-069cbf4541e6"
    url = f"{cloud.images}/{image_id}"
    cloud.rule(method="DELETE", close=True, times=1)
    with pytest.raises(requests.ConnectionError):
        cloud.http.delete(url, timeout=10)
    assert 200 == cloud.http.get(url, timeout=10).status_code
    cloud.rule(method="DELETE", body="cut", times=1)
    # An empty body ends whole, so only this keeps the client from using the connection again.
    headers = {"Connection": "close"}
    assert 204 == cloud.http.delete(url, headers=headers, timeout=10).status_code
    assert 404 == cloud.http.get(url, timeout=10).status_code


# A real client: keystoneauth, which logs in and asks the catalog


@pytest.fixture
def client(legacy_cloud: LegacyCloud) -> Iterator[session.Session]:
    auth = v3.Password(
        auth_url=legacy_cloud.auth_url,
        username=legacy_cloud.username,
        password=legacy_cloud.password,
        project_name=legacy_cloud.project_name,
        user_domain_name="Default",
        project_domain_name="Default",
    )
    client = session.Session(auth, user_agent="test-client")
    yield client
    client.session.close()


COMPUTE = {"service_type": "compute"}


def test_a_client_retries_until_it_succeeds(
    client: session.Session, legacy_cloud: LegacyCloud
) -> None:
    legacy_cloud.add_rule(path="*/images", status=503, retry_after=0, times=2)
    answer = client.get(
        "/images", endpoint_filter=COMPUTE, status_code_retries=2, status_code_retry_delay=0
    )
    assert 200 == answer.status_code
    tries = [entry for entry in legacy_cloud.requests() if entry["path"].endswith("/images")]
    assert [503, 503, 200] == [entry["status"] for entry in tries]
    assert {"test-client"} == {entry["user_agent"].split()[0] for entry in tries}


def test_a_client_handles_a_closed_connection(
    client: session.Session, legacy_cloud: LegacyCloud
) -> None:
    legacy_cloud.add_rule(path="*/images", close=True, times=2)
    with pytest.raises(ConnectFailure):
        client.get("/images", endpoint_filter=COMPUTE)
    answer = client.get(
        "/images", endpoint_filter=COMPUTE, connect_retries=1, connect_retry_delay=0
    )
    assert 200 == answer.status_code


def test_a_client_detects_half_a_body(client: session.Session, legacy_cloud: LegacyCloud) -> None:
    legacy_cloud.add_rule(path="*/images", body="cut", times=1)
    with pytest.raises(UnknownConnectionError, match="IncompleteRead"):
        client.get("/images", endpoint_filter=COMPUTE)


def test_a_client_logs_in_again_when_its_token_expires(
    client: session.Session, legacy_cloud: LegacyCloud
) -> None:
    legacy_cloud.set_token_seconds(600)
    assert 200 == client.get("/images", endpoint_filter=COMPUTE).status_code
    legacy_cloud.advance_clock(601)
    legacy_cloud.clear_requests()
    assert 200 == client.get("/images", endpoint_filter=COMPUTE).status_code
    calls = [(entry["method"], entry["status"]) for entry in legacy_cloud.requests()]
    assert [("GET", 401), ("POST", 201), ("GET", 200)] == calls


@pytest.mark.live
def test_urllib3_obeys_retry_after(legacy_cloud: LegacyCloud) -> None:
    legacy_cloud.add_rule(status=503, retry_after=1, times=1)
    retry = Retry(total=1, status_forcelist=[503], allowed_methods=["GET"])
    with requests.Session() as http:
        http.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
        started = time.monotonic()
        assert 200 == http.get(f"{legacy_cloud.url}/v2", timeout=10).status_code
    assert time.monotonic() - started >= 1
