"""Fixtures for the tests marked `real`: a real cloud, and shims in front of it."""

import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from support.live import shim

from .cloud import NotInstalledError, RealCloud

# Set by `make test-real`, where a skipped test counts as a failure.
REQUIRED = bool(os.environ.get("REQUIRE_REAL"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "real" in item.path.parent.name:
            item.add_marker("real")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Turn skips into failures if the real services are required."""
    report = yield
    if REQUIRED and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped although the real services are required: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def cloud() -> Iterator[RealCloud]:
    """Return a running Keystone, Glance and memcached."""
    try:
        cloud = RealCloud()
    except NotInstalledError as error:
        pytest.skip(f"{error}; run `python tests/real/install.py`")
    with cloud:
        yield cloud


def real_environ(cloud: RealCloud) -> dict[str, str]:
    """Return the settings of a shim in front of the cloud."""
    return {
        "SHIM_BACKEND": "glance",
        "WEB_CONCURRENCY": "1",
        "OS_AUTH_URL": cloud.auth_url,
        "OS_USERNAME": cloud.service_user,
        "OS_PASSWORD": cloud.service_password,
        "OS_PROJECT_NAME": cloud.service_project,
        "OS_USER_DOMAIN_NAME": cloud.user_domain_name,
        "OS_PROJECT_DOMAIN_NAME": cloud.project_domain_name,
        "OS_REGION_NAME": cloud.region,
    }


@pytest.fixture(scope="session")
def real_shim(cloud: RealCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a shim as an operator runs it: two workers, tokens in memcached."""
    settings = {"WEB_CONCURRENCY": "2", "SHIM_MEMCACHED_SERVERS": cloud.memcached}
    log = tmp_path_factory.mktemp("real") / "log"
    with shim(log, **real_environ(cloud) | settings) as url:
        yield url
