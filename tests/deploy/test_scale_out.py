"""Two instances share only memcached; one can be stopped under load."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests
from real.processes import free_ports
from support.fakes import serve
from support.live import shim

from .conftest import NovaApi, shim_environ
from .fronts import PROXIES, Backends, Front, is_installed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import trustme
    from real.cloud import RealCloud

    from .conftest import Deployment

CLIENTS = 6


class Load:
    """Clients that continuously list images and write metadata, and their responses."""

    def __init__(self, url: str, image_id: str, token: str, ca: Path) -> None:
        self.outcomes: Counter[str] = Counter()
        self._base = url
        self._image = f"{url}/images/{image_id}/metadata"
        self._headers = {"X-Auth-Token": token}
        self._ca = ca
        self._over = threading.Event()
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run the clients while the context is open."""
        threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def answered(self) -> int:
        """Return the number of responses so far."""
        return self.outcomes.total()

    def _ask(self, number: int) -> None:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(self._ca)
            session.headers.update(self._headers)
            while not self._over.is_set():
                self._note(self._once(session, number))

    def _once(self, session: requests.Session, number: int) -> str:
        try:
            if number:
                answer = session.get(f"{self._base}/images/detail", timeout=60)
            else:
                body = {"metadata": {"colour": "blue"}}
                answer = session.post(self._image, json=body, timeout=60)
        except requests.RequestException as error:
            return f"{'GET' if number else 'POST'} {error!r}"
        return f"{answer.status_code}"

    def _note(self, outcome: str) -> None:
        with self._guard:
            self.outcomes[outcome] += 1


@pytest.mark.parametrize("name", PROXIES)
def test_restarting_an_instance_under_load_fails_no_request(
    name: str,
    cloud: RealCloud,
    certificate: tuple[Path, trustme.LeafCert],
    tmp_path: Path,
) -> None:
    if not is_installed(name):
        pytest.skip(f"{name} is not installed; run `apt-get install {name}`")
    cloud.purge_images()
    image_id = cloud.insert_images("demo", 50, prefix="load")[0]
    environ = shim_environ(cloud)
    with contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(contextlib.ExitStack()) for _ in range(2))
        here, there = (f"127.0.0.1:{port}" for port in free_ports(2))
        first.enter_context(shim(tmp_path / "one", **environ, SHIM_BIND=here))
        second.enter_context(shim(tmp_path / "two", **environ, SHIM_BIND=there))
        nova = stack.enter_context(serve(NovaApi()))
        backends = Backends((here, there), urlsplit(nova).netloc)
        daemon, front = PROXIES[name](tmp_path, backends, certificate[1])
        stack.callback(daemon.kill)
        daemon.start()
        load = Load(
            f"{front.https}/v2/{cloud.projects['demo']}",
            image_id,
            cloud.token("demo"),
            certificate[0],
        )
        with load.running():
            wait_for(load, 100)
            first.close()  # sends TERM, and the instance finishes its requests
            wait_for(load, 100)
            first.enter_context(shim(tmp_path / "one", **environ, SHIM_BIND=here))
            time.sleep(6)  # the proxies probe it again
            seen = (tmp_path / "one").read_text().count('"GET /v2/')
            wait_for(load, 100)
            assert seen < (tmp_path / "one").read_text().count('"GET /v2/')
            second.close()
            wait_for(load, 100)
    assert {"200"} == set(load.outcomes), load.outcomes


def wait_for(load: Load, count: int) -> None:
    """Wait for a number of further responses."""
    wanted, deadline = load.answered() + count, time.monotonic() + 60
    while load.answered() < wanted:
        assert time.monotonic() < deadline, load.outcomes
        time.sleep(0.05)


def test_instances_share_validated_tokens(
    deployment: Deployment, stocked: list[str], front: Front
) -> None:
    cloud = deployment.cloud
    session = deployment.session()
    address = f"{front.http}/v2/{cloud.projects['demo']}/images"
    before = [log.read_text().count("/images ") for log in deployment.logs]
    with cloud.counting() as counted:
        for _ in range(12):
            answer = session.get(address, timeout=60)
            assert stocked == [image["id"] for image in answer.json()["images"]]
    after = [log.read_text().count("/images ") for log in deployment.logs]
    assert [True, True] == [now > then for now, then in zip(after, before, strict=True)]
    subject = [call for call in counted.keystone if call.path == "/v3/auth/tokens"]
    assert 2 >= len(subject), counted.keystone  # one from the shims, one from Glance
