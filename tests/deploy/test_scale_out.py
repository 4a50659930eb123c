"""Two instances share only memcached; one can be stopped under load."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest
from real.processes import free_ports
from support.live import shim, until

from .conftest import shim_environ
from .fronts import PROXIES, Backends, Front, front_of
from .load import Load

if TYPE_CHECKING:
    from pathlib import Path

    import trustme
    from real.cloud import RealCloud

    from .conftest import Deployment


@pytest.mark.parametrize("name", PROXIES)
def test_restarting_an_instance_under_load_fails_no_request(
    name: str,
    cloud: RealCloud,
    certificate: tuple[Path, trustme.LeafCert],
    tmp_path: Path,
) -> None:
    cloud.purge_images()
    image_ids = cloud.insert_images("demo", 50, prefix="load")[:3]
    here, there, *metrics = (f"127.0.0.1:{port}" for port in free_ports(4))
    one = shim_environ(cloud, here, metrics[0])
    other = shim_environ(cloud, there, metrics[1])
    with contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(contextlib.ExitStack()) for _ in range(2))
        first.enter_context(shim(tmp_path / "one", **one))
        second.enter_context(shim(tmp_path / "other", **other))
        backends = Backends((here, there))
        front = stack.enter_context(front_of(name, tmp_path, backends, certificate[1]))
        images = f"{front.https}/v2/{cloud.projects['demo']}/images"
        load = stack.enter_context(
            Load(images, image_ids, cloud.token("demo"), str(certificate[0]))
        )
        load.wait_for(100)
        first.close()  # sends TERM, and the instance finishes its requests
        load.wait_for(100)
        first.enter_context(shim(tmp_path / "one", **one))
        time.sleep(6)  # the proxies probe it again
        seen = (tmp_path / "one").read_text().count('"GET /v2/')
        load.wait_for(100)
        assert seen < (tmp_path / "one").read_text().count('"GET /v2/')
        second.close()
        load.wait_for(100)
    assert Load.GOOD == set(load.outcomes), load.outcomes


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

    def both_have_answered() -> bool:
        after = [log.read_text().count("/images ") for log in deployment.logs]
        return all(now > then for now, then in zip(after, before, strict=True))

    until(both_have_answered)
    validations = [call for call in counted.keystone if call.method == "GET"]
    assert 2 >= len(validations), counted.keystone  # one from the shims, one from Glance
