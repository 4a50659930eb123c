"""Prometheus itself scrapes the live service and evaluates every rule and every panel.

An expression that finds nothing is a mistake of name or label: the service is made to have
something for each. Needs Debian's package `prometheus`.
"""

import contextlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest
import requests
import yaml
from support.fakes import FakeGlance, FakeKeystone, says, token_of
from support.live import free_port, glance_environ, shim
from support.prometheus_server import DEPLOY, PROMETHEUS, prometheus, query

PROMTOOL = shutil.which("promtool")
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        PROMETHEUS is None or PROMTOOL is None,
        reason="Prometheus is not installed; run `apt-get install prometheus`",
    ),
]

RULES = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((DEPLOY / "grafana/nova-image-shim.json").read_text())
PANELS = {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
}
# What an alert compares; whether it fires is tested by promtool.
COMPARED = {rule["alert"]: re.sub(r"\s*(==|>|<)\s*[\d.]+\s*$", "", rule["expr"]) for rule in RULES}
AGENTS = ("python-novaclient", "libcloud/3.8.0", "fog/1.0")


def promtool(*arguments: str) -> None:
    done = subprocess.run([str(PROMTOOL), *arguments], capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr


def test_the_files_are_good_and_the_alerts_fire() -> None:
    promtool("check", "config", str(DEPLOY / "prometheus/prometheus.yml"))
    promtool("test", "rules", str(DEPLOY / "prometheus/rules.test.yml"))


def test_every_alert_has_a_case_that_fires() -> None:
    cases = yaml.safe_load((DEPLOY / "prometheus/rules.test.yml").read_text())["tests"]
    fire = {
        case["alertname"]
        for test in cases
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert {rule["alert"] for rule in RULES} == fire


def use(url: str, keystone: FakeKeystone, glance: FakeGlance) -> None:
    """Make a little of everything happen: good answers, bad ones, no answers, refusals."""
    for project in ("demo", "alt"):
        for agent in AGENTS:
            headers = {"X-Auth-Token": token_of(project), "User-Agent": agent}
            for path in ("images", "images/detail?limit=1", "images/no-such"):
                requests.get(f"{url}/v2/{project}/{path}", headers=headers, timeout=10)
    glance.answers.append(says(503))
    requests.get(f"{url}/v2/demo/images", headers={"X-Auth-Token": token_of("demo")}, timeout=10)
    keystone.answers.append(says(503))
    for number in range(3):
        headers = {"X-Auth-Token": f"unknown-{number}-{time.monotonic()}"}
        requests.get(f"{url}/v2/demo/images", headers=headers, timeout=10)


@pytest.fixture(scope="module")
def scraping(
    tmp_path_factory: pytest.TempPathFactory, keystone: FakeKeystone, glance: FakeGlance
) -> Iterator[str]:
    """Return the address of a Prometheus that has scraped a busy service several times."""
    folder = tmp_path_factory.mktemp("prometheus")
    bind = f"127.0.0.1:{free_port()}"
    environ = glance_environ(keystone) | {
        "WEB_CONCURRENCY": "2",
        "SHIM_METRICS_BIND": bind,
        "SHIM_BROWNOUT": "clients=fog",
    }
    with shim(folder / "log", **environ) as url:
        promtool_checks_metrics(bind, url, keystone, glance)
        with prometheus(folder, bind) as server:
            deadline = time.monotonic() + 40
            while not is_scraped(server):
                assert time.monotonic() < deadline, (folder / "prometheus.log").read_text()[-2000:]
                use(url, keystone, glance)
                time.sleep(0.3)
            yield server


def promtool_checks_metrics(
    bind: str, url: str, keystone: FakeKeystone, glance: FakeGlance
) -> None:
    """Hold names, types and help texts to Prometheus's conventions."""
    use(url, keystone, glance)
    text = requests.get(f"http://{bind}/metrics", timeout=10).content
    done = subprocess.run(
        [str(PROMTOOL), "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (0, b"", b"") == (done.returncode, done.stdout, done.stderr)


def is_scraped(server: str) -> bool:
    """Tell whether enough is there for rates: three scrapes with everything in them."""
    with contextlib.suppress(requests.ConnectionError):
        rate = 'rate(nova_image_shim_brownout_refusals_total{client="fog"}[1m]) > 0'
        many = 'count_over_time(up{job="nova-image-shim"}[1m]) >= 4'
        return bool(query(server, rate) and query(server, many))
    return False


@pytest.mark.parametrize("alert", COMPARED)
def test_an_alert_has_something_to_compare(alert: str, scraping: str) -> None:
    found = query(scraping, COMPARED[alert])
    assert [] != found
    assert all("NaN" != sample["value"][1] for sample in found)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_shows_something(panel: str, scraping: str) -> None:
    expression = PANELS[panel].replace("$__rate_interval", "1m").replace("$instance", ".*")
    assert "$" not in expression
    found = query(scraping, expression)
    assert [] != found
    assert any("NaN" != sample["value"][1] for sample in found)


def test_the_dashboards_variable_finds_the_service(scraping: str) -> None:
    (variable,) = [v for v in DASHBOARD["templating"]["list"] if v["type"] == "query"]
    name, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()  # type: ignore[union-attr]
    assert query(scraping, f'{name}{{{label}!=""}}')


def test_prometheus_has_taken_the_rules(scraping: str) -> None:
    groups = requests.get(f"{scraping}/api/v1/rules", timeout=10).json()["data"]["groups"]
    healths = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
    assert dict.fromkeys((rule["alert"] for rule in RULES), "ok") == healths


def test_every_metric_is_on_the_dashboard(scraping: str) -> None:
    names = requests.get(f"{scraping}/api/v1/label/__name__/values", timeout=10).json()["data"]
    ours = {re.sub(r"_(bucket|sum|count)$", "", n) for n in names if n.startswith("nova_image")}
    shown = " ".join(PANELS.values())
    assert set() == {name for name in ours if name not in shown}
