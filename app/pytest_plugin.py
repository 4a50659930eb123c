"""pytest's fixture `legacy_cloud`, a fake cloud to test a client against.

pytest imports it in every run, so it imports nothing of the cloud before a test asks for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nova_image_shim.fakecloud.testing import LegacyCloud


@pytest.fixture(scope="session")
def legacy_cloud_seed() -> Path | None:
    """Return the seed file of the cloud; override it in `conftest.py` to have your own."""
    return None


@pytest.fixture(scope="session")
def legacy_cloud_server(legacy_cloud_seed: Path | None) -> Iterator[LegacyCloud]:
    """Serve one cloud for the whole session; a test asks for `legacy_cloud`."""
    from nova_image_shim.fakecloud.testing import serve_legacy_cloud  # noqa: PLC0415

    with serve_legacy_cloud(legacy_cloud_seed) as cloud:
        yield cloud


@pytest.fixture
def legacy_cloud(legacy_cloud_server: LegacyCloud) -> LegacyCloud:
    """Return a running fake cloud as its seed has it, with `url`, `auth_url` and credentials."""
    legacy_cloud_server.reset()
    return legacy_cloud_server
