"""Stop times and limits in the shipped files fit the settings, and so each other."""

import re
from typing import Any

import pytest
import yaml

from nova_image_shim.settings import Settings

from .fronts import DEPLOY, environ_of

UNIT = environ_of((DEPLOY / "systemd" / "settings.env").read_text())
SETTINGS = Settings.from_environ(UNIT | {"SHIM_IDENTITY_V2": "1"})  # which needs most threads
MEBIBYTE = 2**20
# All lists of a process have at most 4 times the bytes of the largest one, as Glance sends them; in
# memory they take 2.5 times as much.
LISTS_BYTES = 10 * SETTINGS.max_list_bytes
REST_BYTES = 65 * MEBIBYTE
CACHE_BYTES = 64 * MEBIBYTE
WORKER_BYTES = REST_BYTES + LISTS_BYTES + CACHE_BYTES
CONNECTIONS = SETTINGS.most_connections


def text(name: str) -> str:
    return (DEPLOY / name).read_text()


def pod() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text("kubernetes/deployment.yaml"))["spec"]["template"]
    return found


def pod_seconds() -> int:
    """Return what the pod leaves to gunicorn, after the pause in which proxies notice its end."""
    (container,) = pod()["spec"]["containers"]
    pause: int = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    seconds: int = pod()["spec"]["terminationGracePeriodSeconds"]
    return seconds - pause


STOP_TIMES = [
    ("systemd/nova-image-shim.service", r"^TimeoutStopSec=(\d+)$"),
    ("haproxy/haproxy.cfg", r"^ +timeout server (\d+)s"),
    ("nginx/nova-image-shim.conf", r"proxy_read_timeout +(\d+)s;"),
    ("nginx/instances.conf", r"proxy_read_timeout +(\d+)s;"),
    ("kubernetes/identity-v2.yaml", r'proxy-read-timeout: "(\d+)"'),
    ("container/Containerfile", r"--stop-timeout (\d+)"),
    ("../docs/how-to/deploy.md", r"--stop-timeout (\d+)"),
]


@pytest.mark.parametrize(("file", "pattern"), STOP_TIMES)
def test_every_file_waits_a_little_longer_than_gunicorn(file: str, pattern: str) -> None:
    found = {float(seconds) for seconds in re.findall(pattern, text(file), re.MULTILINE)}
    assert {SETTINGS.stop_seconds} == found


def test_the_pod_waits_a_little_longer_than_gunicorn() -> None:
    assert SETTINGS.stop_seconds == pod_seconds()


def unit(name: str) -> int:
    file = text("systemd/nova-image-shim.service")
    (value,) = re.findall(rf"^{name}=(\d+)G?$", file, re.MULTILINE)
    return int(value)


def test_the_memory_limits_hold_the_lists_of_all_workers() -> None:
    workers = SETTINGS.worker_count * WORKER_BYTES
    assert unit("MemoryMax") * 2**30 >= workers
    spec = pod()["spec"]
    (memory,) = [volume["emptyDir"]["sizeLimit"] for volume in spec["volumes"]]
    assert "2Gi" == spec["containers"][0]["resources"]["limits"]["memory"]
    assert 2 * 2**30 >= workers + int(memory.removesuffix("Mi")) * MEBIBYTE


def test_the_units_limits_hold_all_connections_and_threads() -> None:
    calls = 6 * SETTINGS.pool_size  # to Glance, Keystone and memcached
    assert unit("LimitNOFILE") >= CONNECTIONS + calls
    threads = SETTINGS.threads + 48
    assert unit("TasksMax") >= 2 * SETTINGS.worker_count * threads + 2  # and those of a reload


def test_haproxy_takes_twice_the_connections_of_both_shims() -> None:
    (most,) = re.findall(r"^    maxconn (\d+)", text("haproxy/haproxy.cfg"), re.MULTILINE)
    assert int(most) >= 2 * 2 * SETTINGS.worker_count * CONNECTIONS
