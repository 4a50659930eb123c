"""A real Prometheus scrapes both shims behind the proxies and counts their clients."""

import contextlib
import time
from collections.abc import Iterator

import pytest
import requests
import yaml
from support.prometheus_server import PROMETHEUS, prometheus, query

from .conftest import Deployment
from .fronts import DEPLOY, Front, environ_of

LISTS = 12
COUNT = 'nova_image_shim_requests_total{call="images.detail", status="200", client="fog"}'


@pytest.fixture(scope="module")
def server(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a Prometheus that scrapes both shims."""
    if PROMETHEUS is None:
        pytest.skip("Prometheus is not installed; run `apt-get install prometheus`")
    with prometheus(tmp_path_factory.mktemp("prometheus"), *deployment.metrics) as url:
        yield url


def values(server: str, expression: str = COUNT) -> dict[str, float]:
    """Return Prometheus's value for each instance, by default the lists that it has served."""
    with contextlib.suppress(requests.ConnectionError):  # it is starting
        samples = query(server, expression)
        return {each["metric"]["instance"]: float(each["value"][1]) for each in samples}
    return {}


def test_the_shipped_scrape_finds_the_shipped_settings() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (scrape,) = config["scrape_configs"]
    settings = environ_of((DEPLOY / "systemd" / "settings.env").read_text())
    assert settings["SHIM_METRICS_BIND"] in scrape["static_configs"][0]["targets"]


def test_what_is_deployed_raises_no_alert(deployment: Deployment, server: str) -> None:
    """The shims have the shipped settings, Prometheus the shipped scrape and alerts."""
    deadline = time.monotonic() + 30
    while len(up := values(server, "up")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert dict.fromkeys(deployment.metrics, 1.0) == up
    assert {} == values(server, "ALERTS")


def test_prometheus_counts_requests_through_each_proxy(
    front: Front, deployment: Deployment, stocked: list[str], server: str
) -> None:
    time.sleep(2)  # after two scrapes, all earlier requests are counted
    before = sum(values(server).values())
    session = deployment.session()
    session.headers["User-Agent"] = "fog/1.45.0"
    address = f"/v2/{deployment.cloud.projects['demo']}/images/detail"
    for number in range(LISTS):
        url = front.https if number % 2 else front.http
        answer = session.get(url + address, timeout=60)
        assert stocked == [image["id"] for image in answer.json()["images"]]
    deadline = time.monotonic() + 30
    while sum((found := values(server)).values()) < before + LISTS:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
    assert before + LISTS == sum(found.values())
    assert set(deployment.metrics) == set(found)
