"""Measure how many updates Glance loses when several clients change one image at the same time.

Run `python tests/real/lost_updates.py` by hand, after `install.py`. All clients add a different
property with a PATCH at the same moment; an update is lost if Glance returned 200 and the property
is missing afterwards. Glance reads the image, applies the patch and writes all properties back, so
the later of two concurrent requests removes what the earlier one added.

This uses Glance 33 on sqlite, one process with eight threads. Unlike in the tests, writes run
concurrently; sqlite refuses some with a 500, which does not count as lost. The measurement is
repeated through the service, where each client sends one POST of metadata.
"""

import argparse
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from typing import NamedTuple

# A script cannot import its own package otherwise.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from collections.abc import Callable, Iterator

import requests
from support.live import shim

from real import services
from real.cloud import RealCloud
from real.processes import free_ports

CLIENTS = (2, 4, 8)
JSON_PATCH = "application/openstack-images-v2.1-json-patch"


class Round(NamedTuple):
    """The number of updates that were sent, answered with 200, and lost."""

    sent: int
    done: int
    lost: int


@contextmanager
def parallel_glance(cloud: RealCloud) -> Iterator[str]:
    """Run a second Glance on the cloud's database, with concurrent writes."""
    folder = cloud.folder / "parallel-glance"
    (port,) = free_ports(1)
    url = f"http://{services.HOST}:{port}"
    state = cloud.folder / "state"
    services.configure_glance(folder, state, url, cloud.keystone_url, cloud.memcached)
    daemon, _ = services.glance(folder, port, hooked=False)
    try:
        daemon.start()
        yield url
    finally:
        daemon.kill()


def measure(
    cloud: RealCloud, clients: int, rounds: int, send: Callable[[requests.Session, str, str], int]
) -> Round:
    """Let clients write at the same time, repeatedly, and count the results.

    Args:
        send: sends an update, given the image's id and a key, and returns the status.
    """
    sent = done = lost = 0
    sessions = [services.http() for _ in range(clients)]
    with ThreadPoolExecutor(clients) as pool:
        for _ in range(rounds):
            image_id = cloud.create_image("demo", name="contended", data=None)["id"]
            keys = [f"k{number}" for number in range(clients)]
            together = Barrier(clients)

            def write(session: requests.Session, key: str) -> int:
                together.wait()  # noqa: B023 # all threads of a round end within it
                return send(session, image_id, key)  # noqa: B023

            statuses = dict(zip(keys, pool.map(write, sessions, keys), strict=True))
            image = cloud.get_image("demo", image_id)
            answered = [key for key, status in statuses.items() if status == 200]
            sent += clients
            done += len(answered)
            lost += sum(key not in image for key in answered)
    return Round(sent, done, lost)


def to_glance(url: str, token: str) -> Callable[[requests.Session, str, str], int]:
    """Return a function that adds a property with Glance's API."""
    headers = {"X-Auth-Token": token, "Content-Type": JSON_PATCH}

    def send(session: requests.Session, image_id: str, key: str) -> int:
        patch = [{"op": "add", "path": f"/{key}", "value": str(uuid.uuid4())}]
        address = f"{url}/v2/images/{image_id}"
        return session.patch(address, json=patch, headers=headers, timeout=60).status_code

    return send


def to_shim(url: str, token: str, project: str) -> Callable[[requests.Session, str, str], int]:
    """Return a function that adds a metadata item with the legacy API."""
    headers = {"X-Auth-Token": token}

    def send(session: requests.Session, image_id: str, key: str) -> int:
        body = {"metadata": {key: str(uuid.uuid4())}}
        address = f"{url}/v2/{project}/images/{image_id}/metadata"
        return session.post(address, json=body, headers=headers, timeout=60).status_code

    return send


def main() -> None:
    """Measure Glance directly and through the service, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="images for each line")
    rounds = parser.parse_args().rounds
    with RealCloud() as cloud, parallel_glance(cloud) as glance:
        environ = {
            "SHIM_BACKEND": "glance",
            "SHIM_GLANCE_ENDPOINT": glance,
            "WEB_CONCURRENCY": "1",
            "OS_AUTH_URL": cloud.auth_url,
            "OS_USERNAME": cloud.service_user,
            "OS_PASSWORD": cloud.service_password,
            "OS_PROJECT_NAME": cloud.service_project,
            "OS_USER_DOMAIN_NAME": cloud.user_domain_name,
            "OS_PROJECT_DOMAIN_NAME": cloud.project_domain_name,
        }
        token = cloud.token("demo")
        with shim(cloud.folder / "shim.log", **environ) as service:
            ways = {
                "Glance alone": to_glance(glance, token),
                "through the service": to_shim(service, token, cloud.projects["demo"]),
            }
            print(f"{'':20} clients   sent  answered 200  of these lost")
            for name, send in ways.items():
                for clients in CLIENTS:
                    sent, done, lost = measure(cloud, clients, rounds, send)
                    share = 100 * lost / done if done else 0
                    print(f"{name:20} {clients:7} {sent:6} {done:13} {lost:6} ({share:.0f} %)")


if __name__ == "__main__":
    main()
