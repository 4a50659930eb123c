"""Test that no call reveals the existence of an image to a project that may not see it."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
from support.live import Live, live_shim

from .cloud import RealCloud
from .conftest import real_environ

ABSENT = "0f1c5b0e-93c5-4c0e-8f0e-0c53e1a4a3c2"
SECRET = "alt-secret-7c1d"
OWN = "demo-own"
ONE_OF_A_KIND = {"Age", "Date", "X-Compute-Request-Id", "X-Openstack-Request-Id"}
METADATA = {"metadata": {"os": "linux"}}
META = {"meta": {"secret": "x"}}

CALLS: list[tuple[str, str, Any]] = [
    ("GET", "/images/{id}", None),
    ("HEAD", "/images/{id}", None),
    ("GET", "/images/{id}.json", None),
    ("DELETE", "/images/{id}", None),
    ("GET", "/images/{id}/metadata", None),
    ("GET", "/images/{id}/metadata/secret", None),
    ("GET", "/images/{id}/metadata/none", None),
    ("POST", "/images/{id}/metadata", METADATA),
    ("PUT", "/images/{id}/metadata", METADATA),
    ("PUT", "/images/{id}/metadata", {"metadata": {}}),
    ("POST", "/images/{id}/metadata", {"metadata": {f"k{n}": "v" for n in range(129)}}),
    ("POST", "/images/{id}/metadata", {"metadata": {"owner": "demo"}}),
    ("PUT", "/images/{id}/metadata/secret", META),
    ("DELETE", "/images/{id}/metadata/secret", None),
    ("DELETE", "/images/{id}/metadata/none", None),
    ("DELETE", "/images/{id}/metadata/os_glance_x", None),
    ("GET", "/images?marker={id}", None),
    ("GET", "/images/detail?marker={id}&limit=1", None),
    ("GET", "/images?marker={id}&limit=1&name=x", None),
    ("GET", "/images?property-id={id}", None),
    ("GET", "/images?server={id}", None),
    ("GET", "/images?name={id}", None),
]
# Queries that match the image if it is visible, each with a similar query that matches nothing.
FILTERS = [
    (f"name={SECRET}", f"name={SECRET[::-1]}"),
    (f"property-secret={SECRET}", f"property-secret={SECRET[::-1]}"),
    (f"server={SECRET}", f"server={SECRET[::-1]}"),
    (f"type={SECRET}", f"type={SECRET[::-1]}"),
    ("minRam=777", "minRam=778"),
    ("minDisk=77", "minDisk=78"),
    (f"name={SECRET}&status=ACTIVE", f"name={SECRET[::-1]}&status=ACTIVE"),
    (f"name=in:{SECRET}", f"name=in:{SECRET[::-1]}"),
]


@pytest.fixture(scope="module", params=["0", "60"], ids=["no cache", "cache"])
def live(
    cloud: RealCloud, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Live]:
    """Return a live service, without and with the list cache."""
    log = tmp_path_factory.mktemp("secrecy") / "log"
    environ = real_environ(cloud) | {"SHIM_MEMCACHED_SERVERS": cloud.memcached}
    environ |= {"SHIM_CACHE_SECONDS": request.param}
    with live_shim(log, **environ, SHIM_LOG_LEVEL="DEBUG") as live:
        yield live


@pytest.fixture(scope="module")
def hidden(cloud: RealCloud) -> str:
    """Return the id of alt's image that demo may not see; demo has an image too."""
    cloud.purge_images()
    cloud.create_image("demo", name=OWN, visibility="private")
    image = cloud.create_image(
        "alt",
        name=SECRET,
        visibility="private",
        min_ram=777,
        min_disk=77,
        secret=SECRET,
        instance_uuid=SECRET,
        image_type=SECRET,
    )
    return str(image["id"])


def ask(cloud: RealCloud, live: Live, user: str, method: str, path: str, body: Any = None) -> Any:
    url = f"{live.url}/v2/{cloud.projects[user]}{path}"
    headers = {"X-Auth-Token": TOKENS.setdefault(user, cloud.token(user))}
    answer = requests.request(method, url, headers=headers, json=body, timeout=30)
    assert answer.status_code != 401, answer.text
    return answer


TOKENS: dict[str, str] = {}


def observable(answer: requests.Response, image_id: str) -> tuple[int, dict[str, str], str]:
    """Return everything in a response except the id that the client sent."""
    headers = {name: value for name, value in answer.headers.items() if name not in ONE_OF_A_KIND}
    return answer.status_code, headers, answer.text.replace(image_id, "ID")


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_an_invisible_image_looks_like_a_missing_one(
    method: str, path: str, body: Any, hidden: str, cloud: RealCloud, live: Live
) -> None:
    found, none = (
        observable(ask(cloud, live, "demo", method, path.format(id=image_id), body), image_id)
        for image_id in (hidden, ABSENT)
    )
    assert none == found
    assert SECRET not in str(found)


@pytest.mark.parametrize(("finding", "vain"), FILTERS)
@pytest.mark.parametrize("path", ["/images", "/images/detail"])
def test_no_filter_finds_an_invisible_image(
    path: str, finding: str, vain: str, hidden: str, cloud: RealCloud, live: Live
) -> None:
    seen = ask(cloud, live, "alt", "GET", f"{path}?{finding.replace('in:', '')}").json()["images"]
    assert [hidden] == [image["id"] for image in seen]
    found, none = (
        observable(ask(cloud, live, "demo", "GET", f"{path}?{query}"), "-")
        for query in (finding, vain)
    )
    assert none == found
    assert '{"images":[]}' == found[2]


def test_no_page_link_or_list_shows_an_invisible_image(
    hidden: str, cloud: RealCloud, live: Live
) -> None:
    own = ask(cloud, live, "demo", "GET", "/images").json()["images"]
    assert [OWN] == [image["name"] for image in own]
    page = ask(cloud, live, "demo", "GET", f"/images/detail?limit=1&marker={own[0]['id']}")
    assert [] == page.json()["images"]
    assert hidden not in page.text
    assert SECRET not in page.text


def test_another_projects_path_reveals_nothing(hidden: str, cloud: RealCloud, live: Live) -> None:
    for path in (f"/images/{hidden}", "/images", f"/images/{ABSENT}"):
        url = f"{live.url}/v2/{cloud.projects['alt']}{path}"
        headers = {"X-Auth-Token": TOKENS.setdefault("demo", cloud.token("demo"))}
        answer = requests.get(url, headers=headers, timeout=30)
        assert 400 == answer.status_code
        assert answer.json()["badRequest"]["message"].startswith("Malformed request URL")


def test_the_invisible_image_exists_unchanged(hidden: str, cloud: RealCloud, live: Live) -> None:
    for user in ("alt", "admin"):
        answer = ask(cloud, live, user, "GET", f"/images/{hidden}")
        assert (200, SECRET) == (answer.status_code, answer.json()["image"]["name"])
        assert SECRET == answer.json()["image"]["metadata"]["secret"]


def test_the_log_holds_only_what_the_client_sent(hidden: str, live: Live) -> None:
    """Its name is only in the filters that the client sent."""
    del hidden
    lines = [line for line in live.log.read_text().splitlines() if SECRET in line]
    assert lines
    for line in lines:
        assert f"={quote(SECRET)}" in line or f"in:{SECRET}" in line or f"in%3A{SECRET}" in line
