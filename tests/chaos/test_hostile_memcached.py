"""Someone who can write to memcached rewrites every value, over and over, while clients ask."""

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import unquote

import requests
from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheError
from support.fakes import FakeGlance, FakeKeystone, serve, token_of
from support.live import Live, glance_environ, live_shim
from support.memcached import real_memcached
from werkzeug.wrappers import Request, Response

from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.fakecloud.image_file import complete

SECONDS = float(os.environ.get("LOAD_SECONDS", "60"))
CACHE_SECONDS = 2
TOKEN_SECONDS = 2
PROJECTS = ("demo", "alt", "third")
SLACK_SECONDS = 1.0


class DatedGlance(FakeGlance):
    """A Glance whose image is named after the moment at which it was asked."""

    def usual(self, request: Request) -> Response:
        images = [
            complete({"id": f"i-{project}", "owner": project, "name": str(time.monotonic())})
            for project in PROJECTS
        ]
        self.service = MemoryImageService(images)
        return super().usual(request)


class RevokingKeystone(FakeKeystone):
    """A Keystone that forgets a token when it is told to."""

    revoked: frozenset[str] = frozenset()

    def _validate(self, token: str) -> Response:
        return super()._validate("revoked" if token in self.revoked else token)


class Vandal:
    """What rewrites, touches, replays, swaps, truncates and grows every value it finds."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._over = threading.Event()
        self._kept: dict[str, list[bytes]] = {}
        self._thread = threading.Thread(target=self._run)
        self.rounds = 0

    def __enter__(self) -> "Vandal":
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        chance = random.Random(0)
        with closing(Client(self._address, default_noreply=False, timeout=5)) as client:
            while not self._over.is_set():
                keys = self._keys(client)
                for key in keys:
                    self._spoil(client, key, keys, chance)
                self.rounds += bool(keys)
                time.sleep(0.01)

    def _keys(self, client: Client) -> list[str]:
        """Return every key, as memcached's crawler lists them."""
        answer = client.raw_command("lru_crawler metadump all", b"END\r\n")
        fields = [line.split()[0] for line in answer.splitlines() if line.startswith(b"key=")]
        return [unquote(field[4:].decode()) for field in fields]

    def _spoil(self, client: Client, key: str, keys: list[str], chance: random.Random) -> None:
        value = client.get(key)
        if value is None:
            return
        kept = self._kept.setdefault(key, [])
        if value not in kept:
            kept.append(value)
        other = chance.choice(keys)
        deeds = {
            "touch": lambda: client.touch(key, 600),
            "rewrite": lambda: client.set(key, b"\0" * len(value), 600),
            "replay": lambda: client.set(key, chance.choice(kept), 600),
            "swap": lambda: client.set(key, client.get(other) or b"", 600),
            "truncate": lambda: client.set(key, value[: chance.randrange(len(value) + 1)], 600),
            "grow": lambda: client.set(key, value * 20, 600),
        }
        try:
            deeds[chance.choice(list(deeds))]()
        except MemcacheError:
            client.close()  # too large, for example


def ask(live: Live, project: str, token: str) -> tuple[int, float | None, float]:
    """Return the status, the age of the list in seconds, and how long the answer took."""
    url, headers = f"{live.url}/v2/{project}/images/detail", {"X-Auth-Token": token}
    started = time.monotonic()
    answer = requests.get(url, headers=headers, timeout=20)
    took = time.monotonic() - started
    if answer.status_code != 200:
        return answer.status_code, None, took
    (image,) = answer.json()["images"]
    assert image["id"] == f"i-{project}"
    return 200, started - float(image["name"]), took


@contextmanager
def attacked(tmp_path: Path) -> Iterator[tuple[Live, DatedGlance, RevokingKeystone, Vandal]]:
    glance, keystone = DatedGlance(), RevokingKeystone()
    with ExitStack() as stack:
        glance.url = stack.enter_context(serve(glance))
        keystone.url = stack.enter_context(serve(keystone))
        keystone.glance_url = glance.url
        memcached = stack.enter_context(real_memcached())
        environ = glance_environ(keystone) | {
            "WEB_CONCURRENCY": "2",
            "SHIM_MEMCACHED_SERVERS": memcached,
            "SHIM_CACHE_SECONDS": str(CACHE_SECONDS),
            "SHIM_TOKEN_CACHE_SECONDS": str(TOKEN_SECONDS),
        }
        live = stack.enter_context(live_shim(tmp_path / "log", **environ))
        yield live, glance, keystone, stack.enter_context(Vandal(memcached))


def test_a_hostile_writer_forges_no_token_and_delays_and_ages_no_list(tmp_path: Path) -> None:
    forged = [f"{project}-token-forged" for project in PROJECTS]
    asked, statuses = 0, set()
    ages: list[float] = []
    longest = 0.0
    with attacked(tmp_path) as (live, glance, keystone, vandal):
        over = time.monotonic() + SECONDS
        while time.monotonic() < over:
            for project, wrong in zip(PROJECTS, forged, strict=True):
                status, age, took = ask(live, project, token_of(project))
                asked, longest = asked + 1, max(longest, took)
                statuses.add(status)
                ages.append(age or 0)
                assert 401 == ask(live, project, wrong)[0]
        calls = len(glance.seen)
        keystone.revoked = frozenset({token_of("alt")})
        time.sleep(TOKEN_SECONDS + SLACK_SECONDS)
        revoked = {ask(live, "alt", token_of("alt"))[0] for _ in range(20)}
        rounds = vandal.rounds
    assert ({200}, {401}) == (statuses, revoked)
    assert max(ages) < CACHE_SECONDS + SLACK_SECONDS
    assert longest < SLACK_SECONDS
    assert calls <= asked
    assert rounds > SECONDS
    assert "Traceback" not in live.log.read_text()
    print(f"{asked} lists, {calls} calls of Glance, longest {longest:.2f} s, {rounds} rounds")
