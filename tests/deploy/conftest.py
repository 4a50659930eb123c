"""Fixtures: two shims that share a memcached, with a real Keystone, Glance and proxies."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests
from real.cloud import NotInstalledError, RealCloud
from real.conftest import real_environ
from real.processes import free_ports
from support.fakes import Fake, serve
from support.live import shim
from werkzeug.wrappers import Response

from .fronts import (
    DEPLOY,
    PROXIES,
    Backends,
    Front,
    environ_of,
    front_of,
    is_installed,
    rendered,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    import trustme
    from werkzeug.wrappers import Request


# Set in continuous integration, where skips count as failures, except for what no Debian package
# provides and what root may not do in a container.
REQUIRED = bool(os.environ.get("REQUIRE_DEPLOY"))
OPTIONAL = ("kubectl", "mount namespaces")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "deploy" in item.path.parent.name:
            item.add_marker("deploy")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Turn skips into failures if all tests are required to run."""
    report = yield
    optional = any(word in str(report.longrepr) for word in OPTIONAL)
    if REQUIRED and report.skipped and not optional:
        report.outcome = "failed"
        report.longrepr = f"skipped although it is required: {report.longrepr}"
    return report


@dataclass
class NovaApi(Fake):
    """A stand-in for nova-api that answers every call with 299 and the request it received."""

    def usual(self, request: Request) -> Response:
        asked = {
            "method": request.method,
            "target": request.environ["RAW_URI"],
            "headers": {name.lower(): value for name, value in request.headers.items()},
        }
        version = {"id": "v2.0", "status": "SUPPORTED", "version": "", "min_version": ""}
        body = {"nova": asked, "version": {**version, "links": []}}  # clients look for the latter
        return Response(json.dumps(body), 299, content_type="application/json")


@dataclass
class Deployment:
    """A cloud, two shims, a stand-in for nova-api, and the installed proxies.

    Args:
        cloud: Keystone, Glance and memcached.
        ca: the file with the certificate of the authority that signed the proxies' certificates.
        nova: the stand-in.
        logs: the logs of the two shims.
        metrics: `host:port` of each shim's metrics.
        fronts: the proxies by name.
    """

    cloud: RealCloud
    ca: Path
    nova: NovaApi
    logs: list[Path] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    fronts: dict[str, Front] = field(default_factory=dict)

    def session(self, user: str | None = "demo") -> requests.Session:
        """Return a session that trusts the proxies and has a new token of the user."""
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.ca)
        if user:
            session.headers["X-Auth-Token"] = self.cloud.token(user)
        return session


def shim_environ(cloud: RealCloud, bind: str, metrics: str) -> dict[str, str]:
    """Return the shipped settings of the unit with addresses and a login of these tests."""
    places = {
        "192.0.2.11:8774": bind,
        "192.0.2.11:9774": metrics,
        "192.0.2.31:11211": cloud.memcached,
        "https://identity.example:5000/v3": cloud.auth_url,
    }
    shipped = rendered((DEPLOY / "systemd" / "settings.env").read_text(), places)
    return environ_of(shipped) | real_environ(cloud) | {"SHIM_IDENTITY_V2": "1"}


@pytest.fixture(scope="session")
def cloud() -> Iterator[RealCloud]:
    try:
        cloud = RealCloud()
        cloud.__enter__()
    except NotInstalledError as error:
        pytest.skip(f"{error}; run `python tests/real/install.py`")
    try:
        yield cloud
    finally:
        cloud.__exit__()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, trustme.LeafCert]:
    """Return the file with an authority's certificate, and one that it signed for loopback."""
    trustme = pytest.importorskip(
        "trustme", reason="trustme is not installed; run `make test-deploy`"
    )
    authority = trustme.CA()
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return file, authority.issue_cert("127.0.0.1")


@pytest.fixture(scope="session")
def deployment(
    cloud: RealCloud,
    certificate: tuple[Path, trustme.LeafCert],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    found = Deployment(cloud, certificate[0], NovaApi())
    with contextlib.ExitStack() as stack:
        nova = urlsplit(stack.enter_context(serve(found.nova))).netloc
        found.logs = [tmp_path_factory.mktemp("shim") / "log" for _ in range(2)]
        found.metrics = [f"127.0.0.1:{port}" for port in free_ports(2)]
        here, there = (f"127.0.0.1:{port}" for port in free_ports(2))
        for log, bind, metrics in zip(found.logs, (here, there), found.metrics, strict=True):
            stack.enter_context(shim(log, **shim_environ(cloud, bind, metrics)))
        for name in filter(is_installed, PROXIES):
            found.fronts[name] = stack.enter_context(
                front_of(
                    name,
                    tmp_path_factory.mktemp(name),
                    Backends((here, there), nova),
                    certificate[1],
                )
            )
        yield found


@pytest.fixture(params=PROXIES)
def front(request: pytest.FixtureRequest, deployment: Deployment) -> Front:
    """Return each of the proxies."""
    if request.param not in deployment.fronts:
        pytest.skip(f"{request.param} is not installed; run `apt-get install {request.param}`")
    deployment.nova.reset()
    return deployment.fronts[request.param]


@pytest.fixture(params=["http", "https"])
def url(request: pytest.FixtureRequest, front: Front) -> str:
    """Return each address of each of the proxies."""
    return front.url(request.param)


@pytest.fixture
def stocked(deployment: Deployment) -> list[str]:
    """Return the ids of seven images of the user `demo`, newest first."""
    deployment.cloud.purge_images()
    return deployment.cloud.insert_images("demo", 7, prefix="front")[::-1]
