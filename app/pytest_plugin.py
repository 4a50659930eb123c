"""pytest's fixture `legacy_cloud`, a fake cloud to test a client against.

pytest imports this module in every run, so the cloud itself is imported only on first use.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from nova_image_shim.fakecloud.testing import GivenSeed, LegacyCloud


@pytest.fixture(scope="session")
def legacy_cloud_seed() -> "GivenSeed":
    """Return the path of the cloud's seed file, or its content; override it in `conftest.py`."""
    return None


@pytest.fixture(scope="session")
def legacy_cloud_server(legacy_cloud_seed: "GivenSeed") -> "Iterator[LegacyCloud]":
    """Serve one cloud for the whole session; tests use `legacy_cloud`."""
    try:
        from nova_image_shim.fakecloud.testing import serve_legacy_cloud  # noqa: PLC0415
    except ModuleNotFoundError as error:
        pytest.fail(f"{error}: run pip install 'nova-image-shim[fake]'", pytrace=False)
    with serve_legacy_cloud(legacy_cloud_seed) as cloud:
        yield cloud


@pytest.fixture
def legacy_cloud(legacy_cloud_server: "LegacyCloud") -> "LegacyCloud":
    """Return a running fake cloud in the state of its seed, with `url`, `auth_url` and a login."""
    legacy_cloud_server.reset()
    return legacy_cloud_server
