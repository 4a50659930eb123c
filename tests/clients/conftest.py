"""Fixtures: a real cloud that has the service in its catalog."""

from collections.abc import Iterator

import pytest
from real.cloud import NotInstalledError, RealCloud
from real.conftest import real_environ
from support.live import shim


@pytest.fixture(scope="session")
def real_compute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCloud]:
    """Return a running Keystone and Glance with the live service as compute in the catalog."""
    cloud = RealCloud()
    settings = real_environ(cloud) | {"SHIM_IDENTITY_V2": "1"}
    with shim(tmp_path_factory.mktemp("shim") / "log", **settings) as url:
        cloud.compute_url = f"{url}/v2/%(tenant_id)s"
        try:
            cloud.__enter__()
        except NotInstalledError as error:
            pytest.skip(f"{error}; run `make test-clients`")
        try:
            set_default_project(cloud, "demo")
            yield cloud
        finally:
            cloud.__exit__()


def set_default_project(cloud: RealCloud, user: str) -> None:
    """Give a user the default project that a login with an API key is for."""
    url = f"{cloud.auth_url}/users/{cloud.session(user).get_user_id()}"
    changes = {"default_project_id": cloud.projects[user]}
    cloud.session("admin").patch(url, json={"user": changes})


@pytest.fixture(scope="session")
def identity_v2(real_compute: RealCloud) -> str:
    """Return the base of the service's own identity v2.0, in front of the real Keystone."""
    return real_compute.compute_url.replace("/v2/%(tenant_id)s", "/identity")
