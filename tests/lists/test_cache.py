"""What the cache of lists promises: whom it answers, with what, and what it never keeps."""

from __future__ import annotations

import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from nova_image_shim import create_app
from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.adapters.stores.cache_store import ProcessStore
from nova_image_shim.adapters.stores.memcached import Memcached
from nova_image_shim.auth.caller import Caller
from nova_image_shim.auth.errors import Unauthenticated
from nova_image_shim.fakecloud.image_file import load_images
from nova_image_shim.lists.cache import ListCache
from nova_image_shim.lists.cached_list import shared_secret
from nova_image_shim.settings import Keystone, Settings
from nova_image_shim.wsgi import make_list_cache

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Request
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

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
    """An application with a cache, and what it stands on."""

    service: Asked = field(default_factory=Asked)
    store: ProcessStore = field(default_factory=ProcessStore)
    settings: Settings = field(default_factory=lambda: Settings(cache_seconds=60))
    secret: bytes = b"secret"

    def client(self) -> FlaskClient:
        cache = ListCache(self.settings, self.store, self.secret)
        app = create_app(self.settings, self.service, authenticate, list_cache=cache)
        client = app.test_client()
        client.environ_base["HTTP_X_AUTH_TOKEN"] = "demo"
        return client


@pytest.fixture
def cached() -> Cached:
    return Cached()


@pytest.fixture
def client(cached: Cached) -> FlaskClient:
    return cached.client()


DETAIL = "/v2/demo/images/detail"


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


def test_without_the_setting_there_is_no_cache() -> None:
    cache = make_list_cache(Settings())
    service = Asked()
    client = create_app(Settings(), service, authenticate, list_cache=cache).test_client()
    for _ in range(2):
        assert "Age" not in client.get(DETAIL, headers=token("demo")).headers
    assert ["demo", "demo"] == service.asked


@pytest.mark.parametrize("other", sorted(CALLERS.keys() - {"demo", "demo-again"}))
def test_nobody_gets_what_was_asked_for_another(
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


@pytest.mark.parametrize("headers", [{}, token("unknown")])
def test_without_a_good_token_there_is_nothing(
    cached: Cached, client: FlaskClient, headers: dict[str, str]
) -> None:
    client.get(DETAIL)
    del client.environ_base["HTTP_X_AUTH_TOKEN"]
    assert 401 == client.get(DETAIL, headers=headers).status_code


def test_another_projects_path_is_refused_before(client: FlaskClient) -> None:
    client.get(DETAIL)
    assert 400 == client.get(DETAIL, headers=token("other-project")).status_code


QUERIES = [
    "",
    "limit=2",
    "limit=3",
    "name=a",
    "name=b",
    "status=active",
    "property-a=1",
    "minRam=1",
]


def test_each_question_has_an_answer_of_its_own(cached: Cached, client: FlaskClient) -> None:
    ids = [image["id"] for image in json.loads(client.get(DETAIL).data)["images"]]
    markers = [f"marker={image_id}&limit=2" for image_id in ids[1:3]]
    paths = [f"{DETAIL}?{query}" for query in (*QUERIES, *markers)] + ["/v2/demo/images"]
    expected = [uncached(path).data for path in paths]
    for _ in range(2):
        assert expected == [client.get(path).data for path in paths]
    once = len(cached.service.asked)
    assert expected == [client.get(path).data for path in paths]
    assert once == len(cached.service.asked)


def test_what_decides_nothing_is_no_part_of_the_question(
    cached: Cached, client: FlaskClient
) -> None:
    for query in ("limit=2&name=x", "name=x&limit=2", "name=x&unknown=1&limit=%2B2"):
        client.get(f"{DETAIL}?{query}")
    assert ["demo"] == cached.service.asked


@pytest.mark.parametrize("mount", ["v2", "v1.1", "v2.1"])
def test_a_forged_host_reaches_nobody_else(client: FlaskClient, mount: str) -> None:
    path = f"{DETAIL}?limit=1"
    forged = client.get(path, headers={"Host": "evil.example:1"})
    assert b"evil.example" in forged.data
    path = path.replace("v2", mount)
    for host in ("compute.example", "evil.example:1", "[::1]:8774"):
        assert uncached(path, Host=host).data == client.get(path, headers={"Host": host}).data


def test_names_that_look_like_links_stay_as_they_are() -> None:
    names = ["0", "http://localhost/v2/demo/images/", '\u00e9"\\0', "0123456789abcdef" * 2 + "0"]
    model = load_images()[0]
    images = [{**model, "id": f"i{n}", "name": name} for n, name in enumerate(names)]
    cached = Cached(Asked(images))
    client = cached.client()
    client.get(DETAIL)
    shown = json.loads(client.get(DETAIL).data)["images"]
    assert sorted(names) == sorted(image["name"] for image in shown)


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
def test_a_write_is_seen_at_once(
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


def test_a_list_begun_before_a_write_is_not_found_after_it(cached: Cached) -> None:
    client = cached.client()
    cache = ListCache(cached.settings, cached.store, cached.secret)
    cached.service.first = lambda _context: cache.note_write("demo")
    client.get(DETAIL)
    cached.service.first = lambda _context: None
    assert "Age" not in client.get(DETAIL).headers
    assert ["demo", "demo"] == cached.service.asked


def test_a_list_is_kept_for_the_time_set_and_no_longer() -> None:
    cached = Cached(settings=Settings(cache_seconds=1))
    client = cached.client()
    client.get(DETAIL)
    assert "0" == client.get(DETAIL).headers["Age"]
    time.sleep(1.05)
    assert "Age" not in client.get(DETAIL).headers
    assert ["demo", "demo"] == cached.service.asked


def fail(_context: port.Context) -> None:
    raise port.ImageServiceUnavailable("down")


@pytest.mark.parametrize("path", [DETAIL, f"{DETAIL}?marker=unknown"])
def test_an_error_is_never_kept(cached: Cached, client: FlaskClient, path: str) -> None:
    cached.service.first = fail
    assert 503 == client.get(path).status_code
    cached.service.first = lambda _context: None
    assert uncached(path).status_code == client.get(path).status_code
    assert ["demo", "demo"] == cached.service.asked


def test_a_list_without_the_link_that_is_due_is_not_kept(
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


MANY = 8


def at_once(cached: Cached, tokens: list[str]) -> list[TestResponse]:
    """Send requests of which the first is held back until all others have come."""
    clients = [cached.client()] * len(tokens)
    with ThreadPoolExecutor(len(tokens)) as pool:
        return list(pool.map(lambda c, t: c.get(DETAIL, headers=token(t)), clients, tokens))


def test_equal_requests_wait_for_the_one_that_asks(cached: Cached) -> None:
    cached.service.first = lambda _context: time.sleep(0.5)
    answers = at_once(cached, ["demo", "demo-again"] * (MANY // 2))
    assert ["demo"] == cached.service.asked
    assert {(200, answers[0].data)} == {(one.status_code, one.data) for one in answers}
    assert [None] + ["0"] * (MANY - 1) == sorted(
        (one.headers.get("Age") for one in answers), key=bool
    )


def test_unequal_requests_do_not_wait(cached: Cached) -> None:
    together = threading.Barrier(2, timeout=20)

    def meet(_context: port.Context) -> None:
        together.wait()

    cached.service.first = meet
    assert [200, 200] == [one.status_code for one in at_once(cached, ["demo", "other-user"])]


def test_who_waited_in_vain_asks_for_itself(cached: Cached) -> None:
    turns = iter([True])

    def fail_once(context: port.Context) -> None:
        if next(turns, False):
            time.sleep(0.5)
            fail(context)

    cached.service.first = fail_once
    statuses = sorted(one.status_code for one in at_once(cached, ["demo"] * MANY))
    assert [200] * (MANY - 1) + [503] == statuses


def test_who_waits_does_so_no_longer_than_its_own_time() -> None:
    cached = Cached(settings=Settings(cache_seconds=60, request_timeout_seconds=0.2))
    cached.service.first = lambda _context: time.sleep(1)
    assert [200, 503] == sorted(one.status_code for one in at_once(cached, ["demo"] * 2))


@dataclass
class Spied(ProcessStore):
    """A store of which the test sees, and changes, what is in it."""

    values: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()

    def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    def set(self, key: str, value: bytes, seconds: int) -> None:
        self.values[key] = value


def lists_of(store: Spied) -> list[str]:
    return [key for key in store.values if ":list:" in key]


def test_what_was_tampered_with_is_asked_for_anew() -> None:
    store = Spied()
    cached = Cached(store=store)
    client = cached.client()
    expected = client.get(DETAIL).data
    (key,) = lists_of(store)
    whole = store.values[key]
    for bad in (b"", whole[:-1], whole + b"x", b"x" + whole, whole[:40] + b"\0" + whole[41:]):
        store.values[key] = bad
        answer = client.get(DETAIL)
        assert (expected, None) == (answer.data, answer.headers.get("Age"))
    assert "0" == client.get(DETAIL).headers["Age"]


def test_a_value_moved_to_another_key_is_asked_for_anew() -> None:
    store = Spied()
    client = Cached(store=store).client()
    client.get("/v2/alt/images/detail", headers=token("other-project"))
    (theirs,) = lists_of(store)
    expected = client.get(DETAIL).data
    (own,) = set(lists_of(store)) - {theirs}
    store.values[own] = store.values[theirs]
    assert expected == client.get(DETAIL).data


def test_a_value_sealed_with_another_secret_is_asked_for_anew() -> None:
    store = Spied()
    Cached(store=store, secret=b"another").client().get(DETAIL)
    assert "Age" not in Cached(store=store).client().get(DETAIL).headers


def test_an_old_value_that_is_put_back_is_asked_for_anew() -> None:
    store = Spied()
    client = Cached(store=store, settings=Settings(cache_seconds=1)).client()
    client.get(DETAIL)
    time.sleep(1.05)
    assert "Age" not in client.get(DETAIL).headers


def test_what_is_kept_names_nobody_in_its_keys_and_holds_no_token() -> None:
    store = Spied()
    client = Cached(store=store).client()
    client.get(DETAIL)
    client.delete("/v2/demo/images/none")
    for key, value in store.values.items():
        assert key.isascii()
        assert len(key) < 250
        assert not [word for word in ("demo", " ") if word in key]
        assert b"demo-token" not in value


class AwayStore:
    """A store that is away: it has nothing and keeps nothing."""

    def get(self, key: str) -> None:
        """Return nothing."""

    def set(self, key: str, value: bytes, seconds: int) -> None:
        """Keep nothing."""

    def add(self, key: str, value: bytes, seconds: int) -> bool:
        return False

    def delete(self, key: str) -> None:
        """Forget nothing."""


def test_a_store_that_is_away_costs_no_answer() -> None:
    settings, service = Settings(cache_seconds=60), Asked()
    cache = ListCache(settings, AwayStore(), b"secret")
    client = create_app(settings, service, authenticate, list_cache=cache).test_client()
    for _ in range(2):
        assert uncached(DETAIL).data == client.get(DETAIL, headers=token("demo")).data
    assert ["demo", "demo"] == service.asked


def test_two_processes_with_one_store_ask_once() -> None:
    cached = Cached()
    cached.service.first = lambda _context: time.sleep(0.5)
    clients = [cached.client(), cached.client()]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda client: client.get(DETAIL), clients))
    assert ["demo"] == cached.service.asked
    assert answers[0].data == answers[1].data


@dataclass
class Late(Spied):
    """A store in which a list is there only from the second look on."""

    looked: set[str] = field(default_factory=set)

    def get(self, key: str) -> bytes | None:
        is_first = key not in self.looked
        self.looked.add(key)
        return None if is_first else super().get(key)


def test_a_list_that_came_while_one_took_the_turn_is_taken() -> None:
    store = Late()
    cached = Cached(store=store)
    expected = cached.client().get(DETAIL).data
    store.looked.clear()
    assert expected == cached.client().get(DETAIL).data
    assert ["demo"] == cached.service.asked


def test_where_the_other_process_fails_one_asks_for_itself() -> None:
    cached = Cached()

    def fail_late(context: port.Context) -> None:
        time.sleep(0.3)
        fail(context)

    cached.service.first = fail_late
    first = threading.Thread(target=cached.client().get, args=(DETAIL,))
    first.start()
    while not cached.service.asked:
        time.sleep(0.01)
    cached.service.first = lambda _context: None
    assert 200 == cached.client().get(DETAIL).status_code
    first.join()
    assert ["demo", "demo"] == cached.service.asked


@pytest.mark.parametrize(
    ("environ", "warned"),
    [
        ({"cache_seconds": 5}, True),
        ({"cache_seconds": 5, "workers": 1}, False),
        ({"cache_seconds": 5, "memcached_servers": ("127.0.0.1:1",)}, False),
        ({}, False),
    ],
)
def test_several_workers_without_memcached_are_warned_of(
    environ: dict[str, Any], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(backend="glance", keystone=Keystone(password="p"), **environ)
    with caplog.at_level(logging.WARNING):
        servers = settings.memcached_servers
        cache = make_list_cache(settings, Memcached(servers) if servers else None)
    assert bool(environ) is (cache is not None)
    assert warned is ("SHIM_CACHE_SECONDS=5 without SHIM_MEMCACHED_SERVERS" in caplog.text)


def test_the_shared_secret_is_that_of_the_service_user() -> None:
    own = Keystone(auth_url="http://k/v3", username="shim", password="p")
    others = [
        replace(own, password="q"),
        replace(own, username="other"),
        replace(own, auth_url="http://l/v3"),
        replace(own, application_credential_id="a", application_credential_secret="p"),
    ]
    assert shared_secret(own) == shared_secret(replace(own))
    assert len(others) + 1 == len({shared_secret(one) for one in (own, *others)})
