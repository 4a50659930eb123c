"""A Keystone for each test of this folder."""

from collections.abc import Iterator

import pytest
from support.fakes import FakeGlance, serve

from auth.over_keystone import MoodyKeystone


@pytest.fixture(scope="module")
def door() -> Iterator[tuple[str, list[MoodyKeystone]]]:
    """Serve the last of some Keystones, so that each test has its own at one address."""
    keystones: list[MoodyKeystone] = []
    with serve(lambda *call: keystones[-1](*call)) as url:  # noqa: PLW0108 - the last one later
        yield url, keystones


@pytest.fixture
def moody(door: tuple[str, list[MoodyKeystone]], glance: FakeGlance) -> MoodyKeystone:
    url, keystones = door
    keystones.append(MoodyKeystone(url=url, glance_url=glance.url))
    return keystones[-1]
