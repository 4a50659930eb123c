"""Test the service under gunicorn with a real Keystone and Glance."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from support.live import shim

from .cloud import RealCloud
from .conftest import real_environ
from .test_contract import create

UNAVAILABLE = {
    "serviceUnavailable": {
        "code": 503,
        "message": "The server is currently unavailable. Please try again at a later time.",
    }
}
UNAUTHENTICATED = {
    "error": {
        "code": 401,
        "title": "Unauthorized",
        "message": "The request you have made requires authentication.",
    }
}


class Client:
    """An old client with a token, a project and the service's URL."""

    def __init__(self, url: str, project_id: str, token: str | None) -> None:
        self.base = f"{url}/v2/{project_id}"
        self.headers = {"X-Auth-Token": token} if token else {}

    def get(self, path: str, **query: Any) -> requests.Response:
        address = path if path.startswith("http") else f"{self.base}{path}"
        suffix = f"?{urlencode(query)}" if query else ""
        return requests.get(address + suffix, headers=self.headers, timeout=60)

    def names(self, path: str = "/images/detail", **query: Any) -> set[Any]:
        answer = self.get(path, **query)
        assert 200 == answer.status_code, answer.text
        return {image["name"] for image in answer.json()["images"]}


@pytest.fixture
def client(cloud: RealCloud, real_shim: str) -> Callable[[str], Client]:
    return lambda user: Client(real_shim, cloud.projects[user], cloud.token(user))


@pytest.fixture
def one_worker(cloud: RealCloud, tmp_path: Path) -> Callable[..., AbstractContextManager[str]]:
    """Return a function that starts a shim with one worker and without memcached."""
    return lambda **settings: shim(tmp_path / "log", **real_environ(cloud) | settings)


KINDS: dict[str, dict[str, Any]] = {
    "private": {"visibility": "private"},
    "public": {"visibility": "public"},
    "community": {"visibility": "community"},
    "hidden": {"visibility": "private", "os_hidden": True},
    "shared": {"visibility": "shared"},
    **{status: {"visibility": "shared"} for status in ("pending", "accepted", "rejected")},
}
VISIBILITIES: tuple[dict[str, Any], ...] = tuple(
    {
        "owner": owner,
        "name": f"{owner} {kind}",
        "members": {other: kind} if kind in {"pending", "accepted", "rejected"} else {},
        **fields,
    }
    for owner, other in (("demo", "alt"), ("alt", "demo"))
    for kind, fields in KINDS.items()
)


@pytest.mark.parametrize(("user", "other"), [("demo", "alt"), ("alt", "demo")])
def test_each_project_sees_exactly_its_visible_images(
    user: str, other: str, cloud: RealCloud, client: Callable[[str], Client]
) -> None:
    cloud.purge_images()
    images = {image["name"]: create(cloud, image)["id"] for image in VISIBILITIES}
    own = {"private", "public", "community", "shared", "pending", "accepted", "rejected"}
    listed = {f"{user} {kind}" for kind in own} | {f"{other} public", f"{other} accepted"}
    shown = {f"{user} {kind}" for kind in own | {"hidden"}} | {
        f"{other} {kind}" for kind in ("public", "community", "pending", "accepted", "rejected")
    }
    asked = client(user)
    assert (listed, listed) == (asked.names(), asked.names("/images"))
    answers = {name: asked.get(f"/images/{image_id}") for name, image_id in images.items()}
    assert shown == {name for name, answer in answers.items() if answer.status_code == 200}
    missing = {"itemNotFound": {"code": 404, "message": "Image not found."}}
    assert [missing] * 3 == [a.json() for name, a in answers.items() if name not in shown]
    hidden = client(user).get(f"/images?marker={images[f'{other} private']}&limit=1")
    message = f"No image found with ID {images[f'{other} private']}"
    assert {"badRequest": {"code": 400, "message": message}} == hidden.json()


def test_another_projects_path_is_refused(cloud: RealCloud, real_shim: str) -> None:
    for user, path in (("demo", "alt"), ("admin", "demo")):
        own, foreign = cloud.projects[user], cloud.projects[path]
        answer = Client(real_shim, foreign, cloud.token(user)).get("/images/detail")
        message = (
            f"Malformed request URL: URL's project_id '{foreign}' "
            f"doesn't match Context's project_id '{own}'"
        )
        assert {"badRequest": {"code": 400, "message": message}} == answer.json()
        assert 400 == answer.status_code


@pytest.mark.parametrize("token", [None, "gibberish", "gAAAAA" + "x" * 180])
def test_a_missing_or_invalid_token_is_refused(
    token: str | None, cloud: RealCloud, real_shim: str
) -> None:
    answer = Client(real_shim, cloud.projects["demo"], token).get("/images/detail")
    challenge = answer.headers["WWW-Authenticate"]
    expected = (401, UNAUTHENTICATED, f'Keystone uri="{cloud.auth_url}"')
    assert expected == (answer.status_code, answer.json(), challenge)


def test_an_expired_token_is_refused(cloud: RealCloud, real_shim: str) -> None:
    asked = Client(real_shim, cloud.projects["demo"], cloud.short_token("demo", 4))
    assert 200 == asked.get("/images").status_code
    time.sleep(5)
    assert 401 == asked.get("/images").status_code


def test_a_revoked_token_is_refused_once_its_cache_entry_expires(
    cloud: RealCloud, one_worker: Callable[..., AbstractContextManager[str]]
) -> None:
    with one_worker(SHIM_TOKEN_CACHE_SECONDS="2") as url:
        token = cloud.token("demo")
        asked = Client(url, cloud.projects["demo"], token)
        assert 200 == asked.get("/images").status_code
        cloud.revoke(token)
        time.sleep(2.5)
        assert (401, UNAUTHENTICATED) == (
            asked.get("/images").status_code,
            asked.get("/images").json(),
        )


def test_an_application_credential_can_validate_tokens(
    cloud: RealCloud, one_worker: Callable[..., AbstractContextManager[str]]
) -> None:
    identity, secret = cloud.application_credential
    settings = {
        "OS_APPLICATION_CREDENTIAL_ID": identity,
        "OS_APPLICATION_CREDENTIAL_SECRET": secret,
        "OS_USERNAME": "a stray one",
    }
    with one_worker(**settings) as url:
        assert (
            200
            == Client(url, cloud.projects["demo"], cloud.token("demo")).get("/images").status_code
        )


@pytest.fixture(scope="module")
def thousands(cloud: RealCloud) -> Iterator[list[str]]:
    """Return the ids of 1,203 images, newest first, some with the same creation time."""
    cloud.purge_images()
    ids = cloud.insert_images("demo", 1203, prefix="many", architecture="x86_64")
    yield [ids[0]] and list_ids(cloud)
    cloud.purge_images()


def list_ids(cloud: RealCloud) -> list[str]:
    """Return the ids in Glance's own list, in its order."""
    session, found, path = cloud.session("demo"), [], "/v2/images?limit=500"
    while path:
        body = session.get(cloud.glance_url + path).json()
        found += [image["id"] for image in body["images"]]
        path = body.get("next")
    return found


def test_a_list_without_limit_holds_every_image(
    cloud: RealCloud, thousands: list[str], client: Callable[[str], Client]
) -> None:
    asked = client("demo")
    with cloud.counting() as calls:
        answer = asked.get("/images/detail").json()
    assert (1203, thousands) == (len(thousands), [image["id"] for image in answer["images"]])
    assert ["images"] == list(answer)
    assert ["GET", "GET"] == [call.method for call in calls.glance]


def follow(asked: Client, path: str, rel: str) -> Iterator[list[str]]:
    """Yield the ids of a page and of each linked page."""
    while path:
        answer = asked.get(path).json()
        yield [image["id"] for image in answer["images"]]
        links = {link["rel"]: link["href"] for link in answer.get("images_links", [])}
        path = links.get(rel, "")


def test_pages_of_a_hundred_hold_every_image_once_forwards_and_backwards(
    thousands: list[str], client: Callable[[str], Client]
) -> None:
    asked = client("demo")
    forwards = list(follow(asked, "/images?limit=100", "next"))
    assert [100] * 12 + [3] == [len(page) for page in forwards]
    assert thousands == list(itertools.chain(*forwards))
    last = f"/images?limit=100&marker={thousands[-1]}"
    backwards = list(follow(asked, last, "previous"))[::-1]
    assert thousands == list(itertools.chain(*backwards))


@pytest.mark.parametrize(
    ("query", "calls"),
    [("", 2), ("?limit=1000", 1), ("?limit=1001", 2), ("?limit=100", 1), ("?name=nobody", 1)],
)
def test_a_list_takes_one_call_per_thousand_images(
    query: str, calls: int, cloud: RealCloud, thousands: list[str], client: Callable[[str], Client]
) -> None:
    asked = client("demo")
    with cloud.counting() as counted:
        assert 200 == asked.get(f"/images/detail{query}").status_code
    assert calls == len(counted.glance)
    assert all(call.path.startswith("/v2/images?") for call in counted.glance)


def test_a_previous_link_takes_one_more_call(
    cloud: RealCloud, thousands: list[str], client: Callable[[str], Client]
) -> None:
    asked = client("demo")
    with cloud.counting() as counted:
        asked.get(f"/images?limit=10&marker={thousands[50]}")
    assert 2 == len(counted.glance)


def validations(calls: list[Any]) -> int:
    """Return how often the shim (not Glance) validated a token with Keystone."""
    return sum(call.method == "GET" and call.path.startswith("/v3/auth/tokens") for call in calls)


def test_a_single_worker_validates_a_token_once(
    cloud: RealCloud, one_worker: Callable[..., AbstractContextManager[str]]
) -> None:
    with one_worker() as url:
        asked = Client(url, cloud.projects["demo"], cloud.token("demo"))
        with cloud.counting() as counted:
            for _ in range(5):
                assert 404 == asked.get("/images/none/such").status_code  # no call to Glance
        assert 1 == validations(counted.keystone)


def test_workers_with_memcached_validate_a_token_once(
    cloud: RealCloud, client: Callable[[str], Client]
) -> None:
    asked = client("demo")
    with cloud.counting() as counted:
        for _ in range(12):  # by either worker
            assert 404 == asked.get("/images/none/such").status_code
    assert 1 == validations(counted.keystone)


def test_version_documents_call_no_service(cloud: RealCloud, real_shim: str) -> None:
    headers = {"X-Auth-Token": cloud.token("demo")}
    with cloud.counting() as counted:
        for path in ("/", "/v2", "/v2/", "/v1.1", "/healthcheck"):
            assert requests.get(real_shim + path, headers=headers, timeout=10).ok
    assert ([], []) == (counted.keystone, counted.glance)


def test_a_stopped_keystone_causes_503_until_it_is_back(
    cloud: RealCloud, one_worker: Callable[..., AbstractContextManager[str]]
) -> None:
    cloud.purge_images()
    with one_worker(SHIM_TOKEN_CACHE_SECONDS="300") as url:
        known = Client(url, cloud.projects["demo"], cloud.token("demo"))
        fresh = Client(url, cloud.projects["alt"], cloud.token("alt"))
        assert 200 == known.get("/images").status_code
        cloud.stop_keystone()
        try:
            answer = fresh.get("/images")
            assert (503, UNAVAILABLE) == (answer.status_code, answer.json())
            assert 200 == known.get("/images").status_code
            assert 200 == requests.get(f"{url}/v2/", timeout=10).status_code
        finally:
            cloud.start_keystone()
        assert 200 == fresh.get("/images").status_code


def test_a_silent_keystone_causes_503_in_time(
    cloud: RealCloud, one_worker: Callable[..., AbstractContextManager[str]]
) -> None:
    with one_worker(SHIM_KEYSTONE_TIMEOUT="1") as url:
        token = cloud.token("demo")
        cloud.freeze_keystone()
        try:
            answer = Client(url, cloud.projects["demo"], token).get("/images")
        finally:
            cloud.thaw_keystone()
    assert (503, UNAVAILABLE) == (answer.status_code, answer.json())
    assert answer.elapsed.total_seconds() < 3


def test_a_stopped_glance_causes_503_until_it_is_back(
    cloud: RealCloud, client: Callable[[str], Client]
) -> None:
    asked = client("demo")
    assert 200 == asked.get("/images").status_code
    cloud.stop_glance()
    try:
        for path in ("/images", "/images/detail", "/images/some-id", "/images/some-id/metadata"):
            answer = asked.get(path)
            assert (503, UNAVAILABLE) == (answer.status_code, answer.json())
            assert answer.elapsed.total_seconds() < 2
    finally:
        cloud.start_glance()
    assert 200 == asked.get("/images").status_code


def test_a_silent_glance_causes_503_in_time(
    cloud: RealCloud, one_worker: Callable[..., AbstractContextManager[str]]
) -> None:
    with one_worker(SHIM_GLANCE_READ_TIMEOUT="1") as url:
        asked = Client(url, cloud.projects["demo"], cloud.token("demo"))
        assert 200 == asked.get("/images").status_code
        cloud.freeze_glance()
        try:
            answer = asked.get("/images")
        finally:
            cloud.thaw_glance()
    assert (503, UNAVAILABLE) == (answer.status_code, answer.json())
    assert answer.elapsed.total_seconds() < 3


FILTERED: tuple[dict[str, Any], ...] = (
    {"owner": "demo", "name": "plain", "min_ram": 512, "image_type": "snapshot"},
    {"owner": "demo", "name": "in:a,b", "min_disk": 20, "instance_uuid": "aa640691-d1a7"},
    {
        "owner": "demo",
        "name": "waiting",
        "status": "queued",
        "size_min": "big",
        "metadata": "big",
        "tag": "big",
        "_x": "big",
    },
    {"owner": "demo", "name": "off", "status": "deactivated", "os_type": "linux"},
)
EVERYTHING = {"plain", "in:a,b", "waiting", "off"}


@pytest.fixture(scope="module")
def filtered(cloud: RealCloud) -> None:
    cloud.purge_images()
    for image in FILTERED:
        create(cloud, image)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"name": "plain"}, {"plain"}),
        ({"name": "in:a,b"}, {"in:a,b"}),
        ({"name": "nobody"}, set()),
        ({"status": "ACTIVE"}, {"plain", "in:a,b"}),
        ({"status": "SAVING"}, {"waiting"}),
        ({"status": "UNKNOWN"}, {"off"}),
        ({"status": "deactivated"}, {"off"}),
        ({"status": "DELETED"}, set()),
        ({"status": "ERROR"}, set()),
        ({"status": "bogus"}, set()),
        ({"status": "foo:bar"}, set()),
        ({"type": "snapshot"}, {"plain"}),
        ({"type": "backup"}, set()),
        ({"server": "http://nova/v2/t/servers/aa640691-d1a7/?x=y"}, {"in:a,b"}),
        ({"server": "bb640691"}, set()),
        ({"changes-since": "2001-01-01T00:00:00 09:00"}, EVERYTHING),
        ({"changes-since": "2099"}, set()),
        ({"minRam": "512"}, {"plain"}),
        ({"minRam": "511"}, set()),
        ({"minRam": "99999999999999999999"}, set()),
        ({"minDisk": "20"}, {"in:a,b"}),
        ({"minDisk": "19"}, set()),
        ({"property-os_type": "linux"}, {"off"}),
        ({"property-os_type": "Linux"}, set()),
        ({"property-size_min": "big"}, {"waiting"}),
        ({"property-size_min": "5"}, set()),
        ({"property-metadata": "big"}, {"waiting"}),
        ({"property-tag": "big", "property-_x": "big"}, {"waiting"}),
        ({"property-registry": "x"}, set()),
        ({"property-name": "plain"}, set()),
        ({"property-visibility": "public"}, set()),
        ({"foo": "bar", "is_public": "none", "sort_key": "x"}, EVERYTHING),
    ],
)
@pytest.mark.usefixtures("filtered")
def test_a_filter_finds_matching_images(
    query: dict[str, str], found: set[str], client: Callable[[str], Client]
) -> None:
    assert found == client("demo").names(**query)


@pytest.mark.usefixtures("filtered")
def test_the_metadata_is_glances(client: Callable[[str], Client]) -> None:
    asked = client("demo")
    (image,) = asked.get("/images/detail", name="off").json()["images"]
    metadata = {"os_type": "linux"}
    assert metadata == image["metadata"]
    assert {"metadata": metadata} == asked.get(f"/images/{image['id']}/metadata").json()
    assert {"meta": metadata} == asked.get(f"/images/{image['id']}/metadata/os_type").json()
    assert {"image": image} == asked.get(f"/images/{image['id']}").json()
