"""Fixtures: a real cloud that has the service in its catalog."""

from collections.abc import Iterator

import pytest
from real.cloud import NotInstalledError, RealCloud
from real.conftest import real_environ
from support.fakes import serve
from support.live import shim

from .authfront import AuthFront


@pytest.fixture(scope="session")
def real_compute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCloud]:
    """Return a running Keystone and Glance with the live service as compute in the catalog."""
    cloud = RealCloud()
    with shim(tmp_path_factory.mktemp("shim") / "log", **real_environ(cloud)) as url:
        cloud.compute_url = f"{url}/v2/%(tenant_id)s"
        try:
            cloud.__enter__()
        except NotInstalledError as error:
            pytest.skip(f"{error}; run `make test-clients`")
        try:
            yield cloud
        finally:
            cloud.__exit__()


@pytest.fixture(scope="session")
def auth_front(real_compute: RealCloud) -> Iterator[str]:
    """Return the URL of identity v2.0 in front of the real Keystone."""
    with serve(AuthFront(real_compute.auth_url)) as url:
        yield url
