"""Old clients get lists with working links through nginx and HAProxy."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from real.processes import free_ports
from support.live import until

from .fronts import PROXIES, Backends, front_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import requests
    import trustme

    from .conftest import Deployment
    from .fronts import Front

IMAGE_ID = "155d900f-4e14-4e4c-a73d-069cbf4541e6"
FORGED = {
    "X-Forwarded-For": "198.51.100.7",
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Port": "1",
    "Forwarded": "for=198.51.100.7;host=evil.example;proto=gopher",
}


def base_of(url: str, deployment: Deployment) -> str:
    return f"{url}/v2/{deployment.cloud.projects['demo']}"


def pages(session: requests.Session, url: str, rel: str) -> list[list[str]]:
    """Return the ids of each page, following the links from the first."""
    found = []
    following: str | None = url
    while following:
        answer = session.get(following, timeout=60)
        assert 200 == answer.status_code, answer.text
        body = answer.json()
        found.append([image["id"] for image in body["images"]])
        links = {link["rel"]: link["href"] for link in body.get("images_links", [])}
        following = links.get(rel)
        assert following is None or following.startswith(f"{url.partition('/v2')[0]}/v2/")
    return found


@pytest.mark.parametrize("call", ["images", "images/detail", "images/detail.json"])
def test_links_lead_through_a_list_and_back(
    call: str, url: str, deployment: Deployment, stocked: list[str]
) -> None:
    session = deployment.session()
    base = base_of(url, deployment)
    forth = pages(session, f"{base}/{call}?limit=3", "next")
    assert [stocked[:3], stocked[3:6], stocked[6:]] == forth
    back = pages(session, f"{base}/{call}?limit=3&marker={stocked[5]}", "previous")
    assert [stocked[6:], stocked[3:6], stocked[:3]] == back


def test_image_links_use_the_clients_entry_point(
    url: str, deployment: Deployment, stocked: list[str]
) -> None:
    session = deployment.session()
    project, glance = deployment.cloud.projects["demo"], deployment.cloud.glance_url
    answer = session.get(f"{base_of(url, deployment)}/images/detail", timeout=60).json()
    assert stocked == [image["id"] for image in answer["images"]]
    for image in answer["images"]:
        links = {link["rel"]: link["href"] for link in image["links"]}
        assert {
            "self": f"{url}/v2/{project}/images/{image['id']}",
            "bookmark": f"{url}/{project}/images/{image['id']}",
            "alternate": f"{glance}/{project}/images/{image['id']}",
        } == links
        assert {"image": image} == session.get(links["self"], timeout=60).json()


def raw(url: str, deployment: Deployment, target: str, *headers: str) -> bytes:
    """Send a target unchanged and return the raw response."""
    address = urlsplit(url)
    sock: socket.socket = socket.create_connection(("127.0.0.1", address.port or 0), timeout=60)
    if address.scheme == "https":
        context = ssl.create_default_context(cafile=str(deployment.ca))
        sock = context.wrap_socket(sock, server_hostname="127.0.0.1")
    lines = [f"GET {target} HTTP/1.1", f"Host: {address.netloc}", "Connection: close", *headers]
    with sock:
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        return b"".join(iter(lambda: sock.recv(65536), b""))


@pytest.mark.parametrize("path", ["/v2/{}//images?limit=2", "//v2//{}///images?limit=2"])
def test_doubled_slashes_are_accepted(
    path: str, url: str, deployment: Deployment, stocked: list[str]
) -> None:
    session = deployment.session()
    token = f"X-Auth-Token: {session.headers['X-Auth-Token']!s}"
    answer = raw(url, deployment, path.format(deployment.cloud.projects["demo"]), token)
    assert answer.startswith(b"HTTP/1.1 200 ")
    (following,) = re.findall(rb'\{"rel":"next","href":"([^"]+)"\}', answer)
    assert [stocked[2:4], stocked[4:6], stocked[6:]] == pages(session, following.decode(), "next")


def test_forged_headers_reach_neither_links_nor_log(
    url: str, deployment: Deployment, stocked: list[str]
) -> None:
    session = deployment.session()
    address = f"{base_of(url, deployment)}/images?limit=2"
    usual, forged = (session.get(address, headers=sent, timeout=60) for sent in ({}, FORGED))
    assert (200, usual.json()) == (forged.status_code, forged.json())

    def logged() -> str:
        return "".join(log.read_text() for log in deployment.logs)

    line = r' 127\.0\.0\.1 "GET /v2/\w+/images\?limit=2 '
    until(lambda: len(re.findall(line, logged())) >= 2)
    assert "198.51.100.7" not in logged()


def test_forged_headers_do_not_reach_nova(url: str, deployment: Deployment) -> None:
    answer = deployment.session().get(f"{url}/v2/demo/servers", headers=FORGED, timeout=60)
    seen = answer.json()["nova"]["headers"]
    address = urlsplit(url)
    told = {name: seen.get(name) for name in map(str.lower, FORGED) if name != "x-forwarded-port"}
    assert {
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": address.scheme,
        "x-forwarded-host": address.netloc,
        "x-forwarded-prefix": None,
        "forwarded": None,
    } == told
    assert address.netloc == seen["host"]


IMAGE_CALLS = [
    f"/{mount}/demo/images{rest}"
    for mount in ("v1.1", "v2", "v2.1")
    for rest in ("", "/detail", ".json", "/detail.json", f"/{IMAGE_ID}", "/x/metadata/a%20b", "/")
]
OTHER_IMAGE_CALLS = [
    "/v2.1/images",
    "/v2.1/images/detail?limit=1",
    f"/v2.1/images/{IMAGE_ID}/metadata",
    "//v2/demo//images",
    "/v2/demo/%69mages",
    "/v2/%64emo/images?name=a/b",
]
NOVA_CALLS = [
    "/",
    "/v2",
    "/v2/",
    "/v2.1",
    "/v2.1/",
    "/v1.1/",
    "/v2/demo",
    "/v2/demo/servers/detail",
    "/v2/demo/servers/images",
    "/v2/demo/servers/images/images",
    "/v2/demo/imagesx",
    "/v2/demo/images-x/1",
    "/v2/demo/os-images/images",
    "/v2.1/servers",
    "/v2.0/demo/images",
    "/v3/demo/images",
    "/demo/images",
    "/images",
    "/docs",
    "/openapi.json",
    "/healthcheck",
    "/v2/demo/flavors?name=/v2/demo/images",
    "/v2/demo/servers/a%20b//c",
]


@pytest.mark.parametrize("path", [*IMAGE_CALLS, *OTHER_IMAGE_CALLS])
def test_image_calls_reach_the_shim(path: str, url: str, deployment: Deployment) -> None:
    answer = raw(url, deployment, path)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert f'uri="{deployment.cloud.auth_url}"'.encode() in answer
    assert [] == deployment.nova.seen


@pytest.mark.parametrize("path", NOVA_CALLS)
def test_other_calls_reach_nova_unchanged(path: str, url: str, deployment: Deployment) -> None:
    answer = raw(url, deployment, path)
    assert answer.startswith(b"HTTP/1.1 299 ")
    assert f'"target": "{path}"'.encode() in answer


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE"])
def test_routing_depends_on_the_path_only(method: str, url: str, deployment: Deployment) -> None:
    session = deployment.session(None)
    here = session.request(method, f"{url}/v2/demo/images/{IMAGE_ID}/metadata", timeout=60)
    there = session.request(method, f"{url}/v2/demo/servers/1/action", timeout=60)
    assert (401, 299) == (here.status_code, there.status_code)


def test_metadata_can_be_written(url: str, deployment: Deployment, stocked: list[str]) -> None:
    address = f"{base_of(url, deployment)}/images/{stocked[0]}/metadata"
    session = deployment.session()
    written = session.post(address, json={"metadata": {"colour": "blue"}}, timeout=60)
    assert {"metadata": {"colour": "blue"}} == written.json()
    assert 204 == session.delete(f"{address}/colour", timeout=60).status_code
    assert {"metadata": {}} == session.get(address, timeout=60).json()


def test_a_large_body_is_refused_in_json(url: str, deployment: Deployment) -> None:
    address = f"{base_of(url, deployment)}/images/{IMAGE_ID}/metadata"
    body: Any = {"metadata": {"a": "x" * 200_000}}
    answer = deployment.session().post(address, json=body, timeout=60)
    assert (413, {"overLimit"}) == (answer.status_code, answer.json().keys())


BUSY = {"overLimit": {"code": 429, "message": "This request was rate-limited.", "retryAfter": "1"}}
MOST_CONNECTIONS = 100


def test_concurrent_requests_per_address_are_limited(front: Front, deployment: Deployment) -> None:
    address = urlsplit(front.http)
    head = (
        f"POST /v2/demo/images/{IMAGE_ID}/metadata HTTP/1.1\r\n"
        f"Host: {address.netloc}\r\nContent-Length: 9\r\n\r\n{{"
    ).encode()
    session = deployment.session(None)
    held: list[socket.socket] = []
    with contextlib.ExitStack() as stack:

        def hold() -> None:
            sock = socket.create_connection(("127.0.0.1", address.port or 0), timeout=60)
            held.append(stack.enter_context(sock))
            sock.sendall(head)

        def one_more() -> requests.Response:
            """Hold one more request, in case the previous response was still being sent."""
            hold()
            return session.get(f"{front.http}/v2/demo/images", timeout=60)

        for _ in range(MOST_CONNECTIONS - 1):
            hold()
        busy = repeat(one_more, 429)
        assert (BUSY, "1") == (busy.json(), busy.headers["Retry-After"])
        refused, _, _ = select.select(held, [], [], 0)
        assert MOST_CONNECTIONS == len(held) - len(refused)
        there = session.get(f"{front.http}/v2/demo/servers", timeout=60)
        assert 299 == there.status_code
    repeat(lambda: session.get(f"{front.http}/v2/demo/images", timeout=60), 401)


def repeat(ask: Callable[[], requests.Response], status: int) -> requests.Response:
    """Repeat a request until its response has this status."""
    deadline = time.monotonic() + 20
    while (answer := ask()).status_code != status:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
    return answer


@pytest.mark.parametrize("name", PROXIES)
def test_without_a_shim_clients_get_a_readable_fault(
    name: str, certificate: tuple[Path, trustme.LeafCert], deployment: Deployment, tmp_path: Path
) -> None:
    one, other = (f"127.0.0.1:{port}" for port in free_ports(2))
    with front_of(name, tmp_path, Backends((one, other)), certificate[1]) as front:
        answer = deployment.session(None).get(f"{front.http}/v2/demo/images", timeout=60)
    message = "The server is currently unavailable. Please try again at a later time."
    assert {"serviceUnavailable": {"code": 503, "message": message}} == answer.json()
    found = (answer.status_code, answer.headers["Content-Type"], answer.headers["Retry-After"])
    assert (503, "application/json", "1") == found


def test_the_longest_accepted_token_passes(url: str, deployment: Deployment) -> None:
    session = deployment.session(None)
    session.headers["X-Auth-Token"] = "x" * 16_000
    answer = session.get(f"{base_of(url, deployment)}/images", timeout=60)
    # The shim validates it with Keystone, and this Keystone refuses such a long header.
    assert (503, {"serviceUnavailable"}) == (answer.status_code, answer.json().keys())


def test_a_response_is_compressed_on_request(
    url: str, deployment: Deployment, stocked: list[str]
) -> None:
    session = deployment.session()
    answers = [
        session.get(
            f"{base_of(url, deployment)}/images", headers={"Accept-Encoding": coding}, timeout=60
        )
        for coding in ("gzip", "identity")
    ]
    assert ["gzip", None] == [answer.headers.get("Content-Encoding") for answer in answers]
    assert answers[0].json() == answers[1].json()
