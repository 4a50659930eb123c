"""The body of a list: made once for all that share it, with an ETag, and counted in the cache."""

import gzip
import zlib
from typing import Any

import pytest
from flask.testing import FlaskClient

from lists.test_cache import DETAIL, Asked, Cached, token, uncached
from nova_image_shim.lists import body as bodies
from nova_image_shim.settings import Settings

BROTHER = "/v2/demo/images/detail?limit=2"


@pytest.fixture(params=[0, 60], ids=["fetched", "cached"])
def client(request: pytest.FixtureRequest) -> FlaskClient:
    return Cached(settings=Settings(cache_seconds=request.param)).client()


def etag_of(client: FlaskClient, path: str = DETAIL, **headers: str) -> str:
    return client.get(path, headers=headers).headers["ETag"]


def test_equal_bodies_have_one_weak_etag_whatever_their_coding(client: FlaskClient) -> None:
    codings = ["identity", "gzip", "deflate"] * 2
    answers = [client.get(DETAIL, headers={"Accept-Encoding": coding}) for coding in codings]
    assert 1 == len({answer.headers["ETag"] for answer in answers})
    assert answers[0].headers["ETag"].startswith('W/"')
    plain, packed, deflated = (answer.data for answer in answers[3:])
    assert uncached(DETAIL).data == plain == gzip.decompress(packed) == zlib.decompress(deflated)


def test_another_list_link_or_entry_is_another_etag(client: FlaskClient) -> None:
    etags = [
        etag_of(client),
        etag_of(client, "/v2/demo/images"),
        etag_of(client, "/v2.1/demo/images/detail"),
        etag_of(client, BROTHER),
        etag_of(client, Host="another.example"),
    ]
    assert len(etags) == len(set(etags))


def test_a_page_link_is_in_the_etag_and_in_each_requests_own_words(client: FlaskClient) -> None:
    one, other = f"{BROTHER}&name=x&name=y", f"{DETAIL}?name=x&limit=2&name=y"
    for path in (BROTHER, f"{DETAIL}?limit=2&unknown=1", one, other, BROTHER):
        assert uncached(path).data == client.get(path).data


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("{etag}", 304),
        ('"other", {etag}', 304),
        ("{strong}", 304),  # the comparison is weak
        ("*", 304),
        ('"other"', 200),
        ("nonsense", 200),
        ('W/"', 200),
        ("", 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_client_that_has_the_list_gets_304(
    sent: str, status: int, method: str, client: FlaskClient
) -> None:
    etag = etag_of(client)
    sent = sent.format(etag=etag, strong=etag.removeprefix("W/"))
    headers = {"If-None-Match": sent, "Accept-Encoding": "gzip"}
    answer = client.open(DETAIL, method=method, headers=headers)
    assert (status, etag) == (answer.status_code, answer.headers["ETag"])
    assert "private, no-cache" == answer.headers["Cache-Control"]
    assert {"X-Auth-Token", "Accept-Encoding"} == set(answer.headers["Vary"].split(", "))
    if status == 304:
        assert (b"", None) == (answer.data, answer.headers.get("Content-Type"))
        assert "Content-Encoding" not in answer.headers


def test_a_changed_list_has_another_etag(client: FlaskClient) -> None:
    etag = etag_of(client)
    own = next(image["id"] for image in Asked().images if image["owner"] == "demo")
    client.put(f"/v2/demo/images/{own}/metadata/a", json={"meta": {"a": "b"}})
    assert 200 == client.get(DETAIL, headers={"If-None-Match": etag}).status_code


def test_an_invalid_token_gets_no_304(client: FlaskClient) -> None:
    headers = {"If-None-Match": etag_of(client)} | token("unknown")
    assert 401 == client.get(DETAIL, headers=headers).status_code


def test_a_cached_list_is_compressed_and_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[str] = []

    def pack(pieces: Any, coding: str) -> bytes:
        packed.append(coding)
        return gzip.compress(b"".join(pieces))

    monkeypatch.setattr(bodies, "packed", pack)
    client = Cached(settings=Settings(cache_seconds=60)).client()
    for _ in range(3):
        client.get(DETAIL, headers={"Accept-Encoding": "gzip"})
    assert ["gzip"] == packed


def test_bodies_count_in_the_bound_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    cached = Cached(settings=Settings(cache_seconds=60))
    client = cached.client()
    plain = client.get(DETAIL).data
    pages = cached.lists._cached.currsize - len(plain)
    packed = client.get(DETAIL, headers={"Accept-Encoding": "gzip"}).data
    assert 0 < pages < len(plain)
    assert pages + len(plain) + len(packed) == cached.lists._cached.currsize


def test_a_list_that_grows_beyond_the_bound_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(uncached(DETAIL).data)
    monkeypatch.setattr("nova_image_shim.lists.cache._MAX_BYTES", size + size // 2)
    cached = Cached(settings=Settings(cache_seconds=60))
    client = cached.client()
    for _ in range(2):
        assert uncached(DETAIL).data == client.get(DETAIL).data
    assert ["demo", "demo"] == cached.service.asked
    assert 0 == cached.lists._cached.currsize
