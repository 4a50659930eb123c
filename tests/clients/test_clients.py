"""Run every image call of each real client against the service."""

import json
import os
import uuid
from pathlib import Path
from typing import Any

import pytest
from real.cloud import RealCloud
from real.state import USERS
from support.live import shim

from .clients import Client, Login, drive
from .install import why_missing
from .judge import Judge
from .table import CLIENTS, MORE_CLIENTS
from .world import glance_images, make_task, nova_image

pytestmark = pytest.mark.clients

# The minimum number of clients to run against each cloud, including one of each language. Otherwise
# a missing tool chain would look like a success.
REQUIRED = int(os.environ.get("REQUIRE_CLIENTS", "0"))
REQUIRED_LANGUAGES = {"Python", "Node", "Go"}

# If set, slow clients that show nothing new are tested as well.
MORE = MORE_CLIENTS if os.environ.get("MORE_CLIENTS") else ()

EVERY_CLIENT = pytest.mark.parametrize("client", [*CLIENTS, *MORE], ids=lambda client: client.name)


@pytest.fixture(scope="module")
def ran() -> dict[str, list[Client]]:
    """Return the clients that have finished, by cloud."""
    return {"embedded": [], "real": []}


def skip_unless_installed(client: Client) -> None:
    if reason := why_missing(client.piece):
        command = "make test-more-clients" if client in MORE_CLIENTS else "make test-clients"
        pytest.skip(f"{client.name} is not installed: {reason}; run `{command}`")


def check(client: Client, login: Login, images: list[dict[str, Any]], folder: Path) -> None:
    """Run a client, and fail with all differences from the expected results."""
    task = make_task(images)
    seen = drive(client, login, task, folder)
    newest_first = [nova_image(image) for image in reversed(images)]
    assert [] == Judge(newest_first, task, client.steps).complaints(seen)


@EVERY_CLIENT
def test_against_the_embedded_cloud(
    client: Client, tmp_path: Path, ran: dict[str, list[Client]]
) -> None:
    skip_unless_installed(client)
    images = [{"id": str(uuid.uuid4()), "owner": "demo", **image} for image in glance_images()]
    seed = tmp_path / "images.json"
    seed.write_text(json.dumps(images, default=lambda time: time.isoformat()))
    with shim(tmp_path / "log", SHIM_BACKEND="memory", SHIM_MEMORY_IMAGES=str(seed)) as url:
        shown = [{key: v for key, v in image.items() if key != "owner"} for image in images]
        check(client, Login(f"{url}/identity", "demo", "demo"), shown, tmp_path)
    ran["embedded"].append(client)


@EVERY_CLIENT
def test_against_a_real_keystone_and_glance(
    client: Client,
    real_compute: RealCloud,
    identity_v2: str,
    tmp_path: Path,
    ran: dict[str, list[Client]],
) -> None:
    skip_unless_installed(client)
    real_compute.purge_images()
    images = [
        {"id": real_compute.insert_images("demo", 1, prefix="", **image)[0], **image}
        for image in glance_images()
    ]
    identity = real_compute.keystone_url if client.speaks_v3 else identity_v2
    check(client, Login(identity, "demo", USERS["demo"].password), images, tmp_path)
    ran["real"].append(client)


@pytest.mark.skipif(
    not REQUIRED, reason="no minimum is set; run `make test-clients REQUIRE_CLIENTS=5`"
)
@pytest.mark.parametrize("cloud", ["embedded", "real"])
def test_enough_clients_have_run(cloud: str, ran: dict[str, list[Client]]) -> None:
    assert REQUIRED <= len(ran[cloud]), [client.name for client in ran[cloud]]
    assert set() == REQUIRED_LANGUAGES - {client.language for client in ran[cloud]}
