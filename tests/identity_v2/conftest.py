"""Identity v2.0 in front of a Keystone v3: the embedded cloud's, over HTTP, with its answers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.fakes import Fake, serve
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from nova_image_shim.fakecloud import create_cloud_app
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.seed import Seed
from nova_image_shim.realcloud import create_glance_app
from nova_image_shim.settings import Settings


@dataclass
class EmbeddedKeystone(Fake):
    """The embedded cloud as a Keystone that records calls; scripted answers come first."""

    app: Flask = field(default_factory=lambda: Flask("none"))
    url: str = ""

    def validations(self) -> int:
        """Return the number of token validations."""
        return sum(seen.method == "GET" and seen.path.endswith("/tokens") for seen in self.seen)

    def usual(self, request: Request) -> Response:
        return Client(self.app, Response).open(
            request.full_path,
            method=request.method,
            base_url=request.host_url,
            headers=dict(request.headers),
            data=request.get_data(),
        )


@pytest.fixture(scope="session")
def v3_keystone(seed: Seed) -> Iterator[EmbeddedKeystone]:
    """Return a Keystone that speaks v3, at `/identity/v3`."""
    keystone = EmbeddedKeystone(
        app=create_cloud_app(Settings(backend="memory", fake_open=True), FakeCloud(seed))
    )
    with serve(keystone) as keystone.url:
        yield keystone


Front = Callable[..., FlaskClient]


@pytest.fixture(scope="session")
def fronts(v3_keystone: EmbeddedKeystone) -> Callable[..., Flask]:
    """Return a function that returns the service in front of that Keystone, built once."""

    @cache
    def build(**environ: str) -> Flask:
        return create_glance_app(settings_of(v3_keystone, **environ))

    return build


@pytest.fixture
def front(fronts: Callable[..., Flask], v3_keystone: EmbeddedKeystone) -> Iterator[Front]:
    """Return a function that returns a client of the service with some settings."""
    yield lambda **environ: fronts(**environ).test_client()
    v3_keystone.reset()


def settings_of(keystone: EmbeddedKeystone, **environ: str) -> Settings:
    usual: dict[str, Any] = {
        "OS_AUTH_URL": f"{keystone.url}/identity/v3",
        "OS_USERNAME": "demo",
        "OS_PASSWORD": "demo",
        "OS_PROJECT_NAME": "demo",
        "OS_DEFAULT_DOMAIN": "default",
        "SHIM_IDENTITY_V2": "1",
    }
    return Settings.from_environ(usual | environ)
