"""The cache of lists: who gets an answer from it, which one, and what it never keeps."""

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from adapters.timing import Clock, soon
from flask import Request
from flask.testing import FlaskClient
from support.images import load_images
from werkzeug.test import TestResponse

from nova_image_shim import create_app
from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.address import Address
from nova_image_shim.adapters.limits.limiter import Waiting
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.adapters.stores.process import ProcessStore
from nova_image_shim.auth.caller import Caller, Unauthenticated
from nova_image_shim.lists.cache import Lists
from nova_image_shim.realcloud import create_glance_app
from nova_image_shim.settings import Keystone, Settings
from nova_image_shim.settings.settings import COMPAT

ROLES = [{"id": "1", "name": "member"}, {"id": "2", "name": "reader"}]
TOKEN = {"auth_token": "a", "audit_ids": ["a"], "expires_at": "soon", "roles": ROLES}
SAME = {"auth_token": "b", "audit_ids": ["b"], "expires_at": "later", "roles": ROLES[::-1]}
SYSTEM = {"system": {"all": True}}
CREDENTIAL = {"application_credential": {"id": "ac", "restricted": True}}
DEMO = Caller("u-demo", "demo", roles=frozenset({"member", "reader"}), token=TOKEN)
CALLERS = {
    "demo": DEMO,
    "demo-again": replace(DEMO, token=SAME),
    "other-user": replace(DEMO, user_id="u-other"),
    "other-project": replace(DEMO, project_id="alt"),
    "more-roles": replace(DEMO, roles=frozenset({"member", "admin"})),
    "no-roles": replace(DEMO, roles=frozenset()),
    "other-role-id": replace(
        DEMO, token=TOKEN | {"roles": [{"id": "3", "name": "member"}, ROLES[1]]}
    ),
    "trust": replace(DEMO, token=TOKEN | {"OS-TRUST:trust": {"id": "t"}}),
    "system": replace(DEMO, token=TOKEN | SYSTEM),
    "credential": replace(DEMO, token=TOKEN | CREDENTIAL),
}


def authenticate(request: Request, _project_id: str | None) -> Caller:
    try:
        return CALLERS[request.headers["X-Auth-Token"]]
    except KeyError as error:
        raise Unauthenticated from error


@dataclass
class Asked(MemoryImageService):
    """An image store that counts lists, and does something else first when told so."""

    images: list[Any] = field(default_factory=load_images)
    asked: list[str] = field(default_factory=list)
    first: Callable[[port.Context], None] = lambda _context: None

    def __post_init__(self) -> None:
        super().__init__(self.images)

    def list_page(self, context: port.Context, *args: Any, **kwargs: Any) -> port.Page:
        self.asked.append(context.project_id)
        self.first(context)
        return super().list_page(context, *args, **kwargs)


@dataclass
class Cached:
    """A process with a cache, what it stands on, and how requests wait in it."""

    service: Asked = field(default_factory=Asked)
    markers: Any = field(default_factory=ProcessStore)
    settings: Settings = field(default_factory=lambda: Settings(cache_seconds=60))
    clock: Clock = field(default_factory=Clock)
    waiting: Waiting = field(default_factory=lambda: Waiting(MANY))

    def __post_init__(self) -> None:
        self.lists = Lists(
            self.service,
            shared_fetches=self.settings.shared_lists,
            cache_seconds=self.settings.cache_seconds,
            markers=self.markers,
            waiting=self.waiting,
            clock=self.clock,
        )

    def client(self) -> FlaskClient:
        app = create_app(self.settings, self.service, authenticate, lists=self.lists)
        client = app.test_client()
        client.environ_base["HTTP_X_AUTH_TOKEN"] = "demo"
        return client


@pytest.fixture
def cached() -> Cached:
    return Cached()


@pytest.fixture
def client(cached: Cached) -> FlaskClient:
    return cached.client()


MANY = 8
DETAIL = "/v2/demo/images/detail"
MARKER = "70a599e0-31e7-49b7-b260-868f441e862b"
SHAPELESS = {"no-compression", "v2-current", "v2-deprecated"}  # words that change no list


def token(name: str) -> dict[str, str]:
    return {"X-Auth-Token": name}


def uncached(path: str, **headers: str) -> TestResponse:
    app = create_app(Settings(), Asked(), authenticate)
    return app.test_client().get(path, headers={**token("demo"), **headers})


@pytest.mark.parametrize("path", [DETAIL, "/v2/demo/images", f"{DETAIL}?limit=2"])
def test_the_second_answer_is_the_first_with_an_age(
    cached: Cached, client: FlaskClient, path: str
) -> None:
    first, second = client.get(path), client.get(path)
    assert ["demo"] == cached.service.asked
    assert (200, uncached(path).data) == (first.status_code, first.data)
    assert (200, first.data) == (second.status_code, second.data)
    assert (None, "0") == (first.headers.get("Age"), second.headers["Age"])


@pytest.mark.parametrize(
    "without",
    [{"settings": Settings()}, {"markers": ProcessStore(0)}],
    ids=["the setting", "room for markers"],
)
def test_without_the_setting_or_its_store_of_markers_nothing_is_cached(
    without: dict[str, Any],
) -> None:
    cached = Cached(**without)
    client = cached.client()
    for _ in range(2):
        answer = client.get(DETAIL)
        assert (uncached(DETAIL).data, None) == (answer.data, answer.headers.get("Age"))
    assert ["demo", "demo"] == cached.service.asked


@pytest.mark.parametrize("other", sorted(CALLERS.keys() - {"demo", "demo-again"}))
def test_nobody_gets_what_was_fetched_for_another(
    cached: Cached, client: FlaskClient, other: str
) -> None:
    client.get(DETAIL)
    project = CALLERS[other].project_id
    answer = client.get(f"/v2/{project}/images/detail", headers=token(other))
    assert ["demo", project] == cached.service.asked
    assert "Age" not in answer.headers


def test_another_token_of_the_same_user_role_and_scope_gets_the_same(
    cached: Cached, client: FlaskClient
) -> None:
    client.get(DETAIL)
    assert "0" == client.get(DETAIL, headers=token("demo-again")).headers["Age"]
    assert ["demo"] == cached.service.asked


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), (token("unknown"), 401), (token("other-project"), 400)],
)
def test_a_cached_list_needs_a_valid_token_of_its_project(
    cached: Cached, client: FlaskClient, headers: dict[str, str], status: int
) -> None:
    client.get(DETAIL)
    del client.environ_base["HTTP_X_AUTH_TOKEN"]
    assert status == client.get(DETAIL, headers=headers).status_code


@pytest.mark.parametrize("word", sorted({*COMPAT} - SHAPELESS))
def test_each_word_of_shim_compat_has_lists_of_its_own(cached: Cached, word: str) -> None:
    """Lists are cached as they are sent, so what shapes them is part of the key."""
    paths = [DETAIL, f"{DETAIL}?limit=2", f"{DETAIL}?limit=2&marker={MARKER}"]
    for settings in (cached.settings, replace(cached.settings, compat=(word,))):
        cached.settings = settings
        client = cached.client()
        assert [None] * 3 == [client.get(path).headers.get("Age") for path in paths]
        assert ["0"] * 3 == [client.get(path).headers.get("Age") for path in paths]


QUERIES = [
    "",
    "limit=2",
    "limit=3",
    "name=a",
    "name=b",
    "status=active",
    "property-a=1",
    "minRam=1",
    "property-id=1",  # which no image can have
    "property-a_min=1",  # compared here and not by Glance
]


def test_different_queries_have_different_answers(cached: Cached, client: FlaskClient) -> None:
    ids = [image["id"] for image in json.loads(client.get(DETAIL).data)["images"]]
    markers = [f"marker={image_id}&limit=2" for image_id in ids[1:3]]
    paths = [f"{DETAIL}?{query}" for query in (*QUERIES, *markers)] + ["/v2/demo/images"]
    expected = [uncached(path).data for path in paths]
    for _ in range(2):
        assert expected == [client.get(path).data for path in paths]
    once = len(cached.service.asked)
    assert expected == [client.get(path).data for path in paths]
    assert once == len(cached.service.asked)


def test_equivalent_queries_share_an_answer(cached: Cached, client: FlaskClient) -> None:
    for query in ("limit=2&name=x", "name=x&limit=2", "name=x&unknown=1&limit=%2B2"):
        client.get(f"{DETAIL}?{query}")
    assert ["demo"] == cached.service.asked


@pytest.mark.parametrize("mount", ["v2", "v1.1", "v2.1"])
def test_a_forged_host_is_in_nobody_elses_answer(client: FlaskClient, mount: str) -> None:
    path = f"{DETAIL}?limit=1"
    forged = client.get(path, headers={"Host": "evil.example:1"})
    assert b"evil.example" in forged.data
    path = path.replace("v2", mount)
    for host in ("compute.example", "evil.example:1", "[::1]:8774"):
        assert uncached(path, Host=host).data == client.get(path, headers={"Host": host}).data


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "metadata/a", {"meta": {"a": "b"}}, 200),
        ("POST", "metadata", {"metadata": {"a": "b"}}, 200),
        ("PUT", "metadata", {"metadata": {"a": "b"}}, 200),
        ("DELETE", "", None, 204),
        ("DELETE", "metadata/missing", None, 404),
    ],
)
def test_a_write_is_seen_immediately(
    cached: Cached, client: FlaskClient, method: str, path: str, body: Any, status: int
) -> None:
    own = next(image["id"] for image in cached.service.images if image["owner"] == "demo")
    other = client.get("/v2/alt/images/detail", headers=token("other-project")).data
    client.get(DETAIL)
    url = f"/v2/demo/images/{own}/{path}".rstrip("/")
    assert status == client.open(url, method=method, json=body).status_code
    asked = len(cached.service.asked)
    after = client.get(DETAIL)
    assert asked + 1 == len(cached.service.asked)
    assert "Age" not in after.headers
    kept = client.get("/v2/alt/images/detail", headers=token("other-project"))
    assert (other, "0") == (kept.data, kept.headers["Age"])


def test_a_list_fetched_before_a_write_is_not_used_after_it(
    cached: Cached, client: FlaskClient
) -> None:
    cached.service.first = lambda _context: cached.lists.note_write("demo")
    client.get(DETAIL)
    cached.service.first = lambda _context: None
    assert "Age" not in client.get(DETAIL).headers
    assert ["demo", "demo"] == cached.service.asked


def test_a_list_is_used_until_it_is_as_old_as_set(cached: Cached, client: FlaskClient) -> None:
    def take_ten_seconds(_context: port.Context) -> None:
        cached.clock.now += 10

    cached.service.first = take_ten_seconds
    client.get(DETAIL)
    ages = []
    for seconds in (0, 49.9, 0.1):
        cached.clock.now += seconds
        ages.append(client.get(DETAIL).headers.get("Age"))
    assert ["10", "59", None] == ages
    assert ["demo", "demo"] == cached.service.asked


def fail(_context: port.Context) -> None:
    raise port.ImageServiceUnavailable("down")


@pytest.mark.parametrize("path", [DETAIL, f"{DETAIL}?marker=unknown"])
def test_an_error_is_never_cached(cached: Cached, client: FlaskClient, path: str) -> None:
    cached.service.first = fail
    assert 503 == client.get(path).status_code
    cached.service.first = lambda _context: None
    assert uncached(path).status_code == client.get(path).status_code
    assert ["demo", "demo"] == cached.service.asked


def test_a_list_without_a_link_that_is_due_is_not_cached(
    cached: Cached, client: FlaskClient
) -> None:
    ids = [image["id"] for image in json.loads(client.get(DETAIL).data)["images"]]
    path = f"{DETAIL}?limit=1&marker={ids[1]}"

    def fail_the_other_thread(context: port.Context) -> None:
        if threading.current_thread().name.startswith("pages"):
            fail(context)

    cached.service.first = fail_the_other_thread
    assert ["next"] == rels(client.get(path))
    cached.service.first = lambda _context: None
    assert ["next", "previous"] == rels(client.get(path))


def rels(answer: TestResponse) -> list[str]:
    return [link["rel"] for link in json.loads(answer.data)["images_links"]]


def at_once(cached: Cached, tokens: list[str], waiting: int) -> list[TestResponse]:
    """Send requests together; the store answers the first when so many wait for its result."""
    client = cached.client()
    first = cached.service.first

    def hold(context: port.Context) -> None:
        soon(lambda: cached.waiting._count == waiting or len(cached.service.asked) > 1)
        first(context)

    cached.service.first = hold
    with ThreadPoolExecutor(len(tokens)) as pool:
        return list(pool.map(lambda name: client.get(DETAIL, headers=token(name)), tokens))


def test_equal_requests_wait_for_the_one_that_fetches(cached: Cached) -> None:
    answers = at_once(cached, ["demo", "demo-again"] * (MANY // 2), MANY - 1)
    assert ["demo"] == cached.service.asked
    assert {(200, answers[0].data)} == {(one.status_code, one.data) for one in answers}
    assert [None] + ["0"] * (MANY - 1) == sorted(
        (one.headers.get("Age") for one in answers), key=bool
    )


def test_different_requests_do_not_wait(cached: Cached) -> None:
    together = threading.Barrier(2, timeout=20)

    def meet(_context: port.Context) -> None:
        together.wait()

    cached.service.first = meet
    assert [200, 200] == [one.status_code for one in at_once(cached, ["demo", "other-user"], 0)]


def test_requests_that_waited_for_a_failure_fetch_for_themselves(cached: Cached) -> None:
    turns = iter([True])

    def fail_once(context: port.Context) -> None:
        if next(turns, False):
            fail(context)

    cached.service.first = fail_once
    statuses = sorted(one.status_code for one in at_once(cached, ["demo"] * MANY, MANY - 1))
    assert [200] * (MANY - 1) + [503] == statuses


@pytest.mark.parametrize(
    ("settings", "queue", "log"),
    [
        ({"request_timeout_seconds": 0.1}, 1, "another request's fetch took too long"),
        ({}, 0, "0 requests wait already: too many"),
    ],
)
def test_a_request_waits_no_longer_than_its_own_time_and_within_the_bound(
    settings: dict[str, Any], queue: int, log: str, caplog: pytest.LogCaptureFixture
) -> None:
    cached = Cached(settings=Settings(cache_seconds=60, **settings))
    cached.waiting = Waiting(queue)
    cached.__post_init__()
    refused, started = threading.Event(), threading.Event()

    def hold(_context: port.Context) -> None:
        started.set()
        refused.wait(5)

    cached.service.first = hold
    client = cached.client()
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(client.get, DETAIL)
        started.wait(5)
        follower = client.get(DETAIL)
        refused.set()
    assert [200, 503] == [leader.result().status_code, follower.status_code]
    assert log in caplog.text


def test_a_write_through_one_process_is_seen_by_the_others() -> None:
    markers = ProcessStore()
    one, other = Cached(markers=markers), Cached(markers=markers)
    clients = [one.client(), other.client()]
    for client in clients:
        client.get(DETAIL)
        assert "0" == client.get(DETAIL).headers["Age"]
    clients[0].delete("/v2/demo/images/none")
    assert [None, None] == [client.get(DETAIL).headers.get("Age") for client in clients]
    assert 2 == len(other.service.asked)


class Flaky(ProcessStore):
    """A store that fails when a marker changes, and is back at once."""

    def set(self, key: str, value: bytes, seconds: int) -> bool:
        return False


def test_a_write_whose_marker_is_lost_is_seen_in_its_own_process() -> None:
    client = Cached(markers=Flaky()).client()
    ages = []
    for _ in range(2):
        ages += [client.get(DETAIL).headers.get("Age") for _ in range(2)]
        client.delete("/v2/demo/images/none")
    assert [None, "0", None, "0"] == ages


class Forged(ProcessStore):
    """Markers that somebody else rewrites at any time."""

    value: bytes | None = None

    def get(self, key: str) -> bytes | None:
        return self.value or super().get(key)


def test_a_forged_marker_gives_no_list_older_than_the_setting() -> None:
    cached = Cached(markers=Forged())
    client = cached.client()
    cached.markers.value = b"forged"
    client.get(DETAIL)
    client.delete("/v2/demo/images/none")
    assert "0" == client.get(DETAIL).headers["Age"]
    cached.clock.now += 60
    assert "Age" not in client.get(DETAIL).headers


def test_markers_name_nobody() -> None:
    keys: list[str] = []

    class Spied(ProcessStore):
        def set(self, key: str, value: bytes, seconds: int) -> bool:
            keys.append(key)
            return True

    client = Cached(markers=Spied()).client()
    client.delete("/v2/demo/images/none")
    assert [True] == [key.isascii() and len(key) < 230 and "demo" not in key for key in keys]


@pytest.mark.parametrize(
    ("environ", "warned"),
    [
        ({"cache_seconds": 5}, True),
        ({"cache_seconds": 5, "workers": 1}, False),
        ({"cache_seconds": 5, "memcached_servers": (Address("127.0.0.1", 1),)}, False),
        ({}, False),
    ],
)
def test_several_workers_without_memcached_are_warned_about(
    environ: dict[str, Any], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    keystone = Keystone(auth_url="http://k", password="p")
    with caplog.at_level(logging.WARNING):
        create_glance_app(Settings(backend="glance", keystone=keystone, **environ))
    assert warned is ("SHIM_CACHE_SECONDS=5 without SHIM_MEMCACHED_SERVERS" in caplog.text)
