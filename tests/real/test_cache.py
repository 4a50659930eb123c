"""Lists cached by several processes with one memcached, in front of real Keystone and Glance."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from support.live import shim

from .cloud import RealCloud
from .conftest import real_environ

SECONDS = 60


@pytest.fixture(scope="module")
def cached_shims(
    cloud: RealCloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """Return two shims with two workers each, as if on two machines."""
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
    """Return a function that sends a user's request to a shim."""

    def ask(url: str, user: str, path: str = "", method: str = "GET", **kwargs: Any) -> Any:
        headers = {"X-Auth-Token": cloud.token(user)}
        address = f"{url}/v2/{cloud.projects[user]}/images{path}"
        return requests.request(method, address, headers=headers, timeout=60, **kwargs)

    return ask


@pytest.fixture
def _empty(
    cloud: RealCloud, cached_shims: tuple[str, str], ask: Callable[..., requests.Response]
) -> None:
    """Leave no image and no cached list: a write, even one that fails, drops them."""
    cloud.purge_images()
    for user in ("demo", "alt"):
        assert 404 == ask(cached_shims[0], user, "/none", "DELETE").status_code


def names(answer: requests.Response) -> list[str]:
    assert 200 == answer.status_code, answer.text
    return [image["name"] for image in answer.json()["images"]]


@pytest.mark.usefixtures("_empty")
def test_each_process_fetches_a_list_once(
    cloud: RealCloud,
    cached_shims: tuple[str, str],
    ask: Callable[..., requests.Response],
) -> None:
    cloud.insert_images("demo", 3, prefix="own")
    with cloud.counting() as counted, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda url: ask(url, "demo", "/detail"), cached_shims * 12))
    assert 1 <= len(counted.glance) <= 4  # two machines of two workers
    assert {("own-00002", "own-00001", "own-00000")} == {tuple(names(one)) for one in answers}
    for answer in answers:
        assert 0 <= int(answer.headers.get("Age", "0")) <= SECONDS


@pytest.mark.usefixtures("_empty")
def test_users_see_their_own_images(
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
def test_a_write_on_one_machine_is_visible_on_the_other(
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
def test_without_memcached_nothing_is_cached(
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
