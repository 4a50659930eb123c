"""A real Prometheus scrapes both shims behind the proxies and counts their clients."""

import contextlib
import time
from collections.abc import Iterator

import pytest
import requests
from support.prometheus_server import PROMETHEUS, prometheus, query

from .conftest import Deployment
from .fronts import Front

LISTS = 12
COUNT = 'nova_image_shim_requests_total{call="images.detail", status="200", client="fog"}'


@pytest.fixture(scope="module")
def server(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a Prometheus that scrapes both shims."""
    if PROMETHEUS is None:
        pytest.skip("Prometheus is not installed; run `apt-get install prometheus`")
    with prometheus(tmp_path_factory.mktemp("prometheus"), *deployment.metrics) as url:
        yield url


def counted(server: str) -> dict[str, float]:
    """Return the number of lists that each instance has served, as counted by Prometheus."""
    with contextlib.suppress(requests.ConnectionError):  # it is starting
        samples = query(server, COUNT)
        return {each["metric"]["instance"]: float(each["value"][1]) for each in samples}
    return {}


def test_prometheus_counts_requests_through_each_proxy(
    front: Front, deployment: Deployment, stocked: list[str], server: str
) -> None:
    time.sleep(2)  # after two scrapes, all earlier requests are counted
    before = sum(counted(server).values())
    session = deployment.session()
    session.headers["User-Agent"] = "fog/1.45.0"
    address = f"/v2/{deployment.cloud.projects['demo']}/images/detail"
    for number in range(LISTS):
        url = front.https if number % 2 else front.http
        answer = session.get(url + address, timeout=60)
        assert stocked == [image["id"] for image in answer.json()["images"]]
    deadline = time.monotonic() + 30
    while sum((found := counted(server)).values()) < before + LISTS:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
    assert before + LISTS == sum(found.values())
    assert set(deployment.metrics) == set(found)
