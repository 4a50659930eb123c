"""Fixtures that several packages share: fake services, applications, and live processes."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, request_finished
from flask.testing import FlaskClient
from support import canary
from support.fakes import FakeGlance, FakeKeystone, serve
from support.figures import (
    count,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
    tell,
)
from support.images import load_images
from support.live import glance_environ, shim

from nova_image_shim import create_app
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.auth.any_token import accept_any_token
from nova_image_shim.fakecloud import create_cloud_app
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.seed import Seed, load_seed
from nova_image_shim.settings import Settings

request_finished.connect(canary.note_answer)

__all__ = [  # pytest looks for them here
    "count",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
    "tell",
]


@pytest.fixture(scope="session")
def shipped_images() -> list[dict[str, Any]]:
    """Return the images that ship with the service."""
    return load_images()


@pytest.fixture(scope="session")
def shared_app() -> tuple[Flask, MemoryImageService]:
    """Return an application with the default settings, and its store: building one takes long."""
    store = MemoryImageService()
    return create_app(Settings(backend="memory"), store, accept_any_token), store


@pytest.fixture
def client(
    shared_app: tuple[Flask, MemoryImageService], shipped_images: list[dict[str, Any]]
) -> FlaskClient:
    """Return a client of the application over the images that ship with it."""
    app, store = shared_app
    store.store.load(shipped_images)
    client = app.test_client()
    client.environ_base["HTTP_X_AUTH_TOKEN"] = "demo"
    return client


@pytest.fixture(scope="session")
def glance() -> Iterator[FakeGlance]:
    fake = FakeGlance()
    with serve(fake) as fake.url:
        yield fake


@pytest.fixture(scope="session")
def keystone(glance: FakeGlance) -> Iterator[FakeKeystone]:
    fake = FakeKeystone(glance_url=glance.url)
    with serve(fake) as fake.url:
        yield fake


@pytest.fixture(scope="session")
def glance_shim(keystone: FakeKeystone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of this worker's live service over the fake Keystone and Glance."""
    settings = {"SHIM_GLANCE_LINK_PREFIX": "http://glance.example:9292"}
    log = tmp_path_factory.mktemp("shim") / "log"
    with shim(log, **glance_environ(keystone), **settings) as url:
        yield url


@pytest.fixture(scope="session")
def memory_shim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of this worker's live embedded cloud."""
    with shim(tmp_path_factory.mktemp("shim") / "log", SHIM_BACKEND="memory") as url:
        yield url


@pytest.fixture(autouse=True)
def _forget(request: pytest.FixtureRequest) -> Iterator[None]:
    """Reset the fakes after each test that used them."""
    yield
    for name in ("glance", "keystone"):
        if name in request.fixturenames:
            request.getfixturevalue(name).reset()


@pytest.fixture(scope="session")
def seed() -> Seed:
    """Return the seed that ships with the embedded cloud."""
    return load_seed()


@pytest.fixture(scope="session")
def cloud_app(seed: Seed) -> Flask:
    """Return the application of an embedded cloud; use `cloud_client`, which resets it."""
    return create_cloud_app(Settings(backend="memory"), FakeCloud(seed))


@pytest.fixture
def fake_cloud(cloud_app: Flask) -> FakeCloud:
    """Return an embedded cloud in the state of its default seed."""
    cloud: FakeCloud = cloud_app.extensions["fake_cloud"]
    cloud.reset()
    return cloud


@pytest.fixture
def cloud_client(cloud_app: Flask, fake_cloud: FakeCloud) -> FlaskClient:
    """Return a client of the embedded cloud; it sends no token of its own."""
    return cloud_app.test_client()
