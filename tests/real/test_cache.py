"""The cache of lists in a real memcached, before a real Keystone and Glance."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests
from pymemcache import Client as Memcached
from support.live import shim

from nova_image_shim.adapters.stores.cache_store import PIECE_BYTES, MemcachedStore
from nova_image_shim.adapters.stores.memcached import Memcached as Servers

from .conftest import real_environ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .cloud import RealCloud

SECONDS = 60


@pytest.fixture(scope="module")
def cached_shims(
    cloud: RealCloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """Return two shims of two workers each, as on two machines."""
    settings = {
        "WEB_CONCURRENCY": "2",
        "SHIM_MEMCACHED_SERVERS": cloud.memcached,
        "SHIM_CACHE_SECONDS": str(SECONDS),
    }
    folder = tmp_path_factory.mktemp("cached")
    environ = real_environ(cloud) | settings
    with shim(folder / "one", **environ) as one, shim(folder / "other", **environ) as other:
        yield one, other


@pytest.fixture
def ask(cloud: RealCloud) -> Callable[..., requests.Response]:
    """Return how to ask: a shim's address, a user, what, and how."""

    def ask(url: str, user: str, path: str = "", method: str = "GET", **kwargs: Any) -> Any:
        headers = {"X-Auth-Token": cloud.token(user)}
        address = f"{url}/v2/{cloud.projects[user]}/images{path}"
        return requests.request(method, address, headers=headers, timeout=60, **kwargs)

    return ask


@pytest.fixture
def memcached(cloud: RealCloud) -> Iterator[Memcached]:
    host, _, port = cloud.memcached.rpartition(":")
    client = Memcached((host, int(port)))
    yield client
    client.close()


@pytest.fixture
def stores(cloud: RealCloud) -> Iterator[list[MemcachedStore]]:
    """Return two that share one memcached."""
    servers = [Servers([cloud.memcached]) for _ in range(2)]
    yield [MemcachedStore(memcached) for memcached in servers]
    for memcached in servers:
        memcached.close()


@pytest.fixture
def _empty(
    cloud: RealCloud, cached_shims: tuple[str, str], ask: Callable[..., requests.Response]
) -> None:
    """Leave no image, and no list that is found again: a write, even a vain one, sees to that."""
    cloud.purge_images()
    for user in ("demo", "alt"):
        assert 404 == ask(cached_shims[0], user, "/none", "DELETE").status_code


def names(answer: requests.Response) -> list[str]:
    assert 200 == answer.status_code, answer.text
    return [image["name"] for image in answer.json()["images"]]


@pytest.mark.usefixtures("_empty")
def test_all_machines_share_one_answer(
    cloud: RealCloud,
    cached_shims: tuple[str, str],
    ask: Callable[..., requests.Response],
) -> None:
    cloud.insert_images("demo", 3, prefix="own")
    with cloud.counting() as counted, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda url: ask(url, "demo", "/detail"), cached_shims * 6))
    assert 1 == len(counted.glance)
    assert {("own-00002", "own-00001", "own-00000")} == {tuple(names(one)) for one in answers}
    for url in cached_shims:  # whose links are its own all the same
        answer = ask(url, "demo", "/detail")
        assert 0 <= int(answer.headers["Age"]) <= SECONDS
        links = answer.json()["images"][0]["links"]
        assert links[0]["href"].startswith(f"{url}/v2/")


@pytest.mark.usefixtures("_empty")
def test_users_see_their_own(
    cloud: RealCloud,
    cached_shims: tuple[str, str],
    ask: Callable[..., requests.Response],
) -> None:
    cloud.insert_images("demo", 1, prefix="demo")
    cloud.insert_images("alt", 1, prefix="alt")
    for _ in range(2):
        for user in ("demo", "alt"):
            assert [f"{user}-00000"] == names(ask(cached_shims[0], user))


@pytest.mark.usefixtures("_empty")
def test_a_write_on_one_machine_is_seen_on_the_other(
    cloud: RealCloud,
    cached_shims: tuple[str, str],
    ask: Callable[..., requests.Response],
) -> None:
    one, other = cached_shims
    first, second = cloud.insert_images("demo", 2, prefix="own")
    assert ["own-00001", "own-00000"] == names(ask(other, "demo"))
    assert 204 == ask(one, "demo", f"/{first}", "DELETE").status_code
    assert ["own-00001"] == names(ask(other, "demo"))
    body = {"meta": {"a": "b"}}
    assert 200 == ask(one, "demo", f"/{second}/metadata/a", "PUT", json=body).status_code
    assert "b" == ask(other, "demo", "/detail").json()["images"][0]["metadata"]["a"]


@pytest.mark.usefixtures("_empty")
def test_without_memcached_everything_is_asked_for(
    cloud: RealCloud,
    cached_shims: tuple[str, str],
    ask: Callable[..., requests.Response],
) -> None:
    cloud.insert_images("demo", 1, prefix="own")
    cloud.stop_memcached()
    try:
        for _ in range(2):
            answer = ask(cached_shims[0], "demo")
            assert (["own-00000"], None) == (names(answer), answer.headers.get("Age"))
    finally:
        cloud.start_memcached()


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, 5 * 2**20 + 1])
def test_values_of_any_size_come_back(stores: list[MemcachedStore], size: int) -> None:
    one, other = stores
    value = (bytes(range(256)) * (size // 256 + 1))[:size]
    one.set("key", value, SECONDS)
    assert value == other.get("key")
    one.delete("key")
    assert other.get("key") is None


def test_a_value_with_a_piece_missing_is_none(
    stores: list[MemcachedStore], memcached: Memcached
) -> None:
    stores[0].set("key", bytes(3 * PIECE_BYTES), SECONDS)
    pieces = memcached.get("key").removeprefix(b"#").split()
    assert 3 == len(pieces)
    memcached.delete(pieces[1], noreply=False)
    assert stores[0].get("key") is None


def test_only_the_first_adds(stores: list[MemcachedStore]) -> None:
    one, other = stores
    assert [True, False] == [one.add("turn", b"1", SECONDS), other.add("turn", b"1", SECONDS)]
    one.delete("turn")
    assert other.add("turn", b"1", SECONDS)
