"""A real Prometheus that scrapes what it is told to, as deploy/prometheus has it."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
import yaml

from support.live import free_port
from support.paths import ROOT

DEPLOY = ROOT / "deploy"
PROMETHEUS = shutil.which("prometheus")


@contextlib.contextmanager
def prometheus(folder: Path, *targets: str) -> Iterator[str]:
    """Run Prometheus as deploy/ says, but once a second, and give its address.

    Args:
        folder: for its data, its configuration and `prometheus.log`.
        targets: `host:port` of each service's metrics.
    """
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = list(targets)
    shutil.copy(DEPLOY / "prometheus/rules.yml", folder)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    bind = f"127.0.0.1:{free_port()}"
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(PROMETHEUS),
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address={bind}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield f"http://{bind}"
    finally:
        process.terminate()
        process.wait(20)


def query(url: str, expression: str) -> list[dict[str, Any]]:
    """Return the samples that an expression finds.

    Args:
        url: Prometheus's address.
        expression: in its language.
    """
    answer = requests.get(f"{url}/api/v1/query", params={"query": expression}, timeout=10).json()
    assert "success" == answer["status"], (expression, answer)
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found
