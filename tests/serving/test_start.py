"""What a worker over a real cloud imports, and what a clean start logs: the real process."""

from pathlib import Path

import pytest
import requests
from support.fakes import FakeKeystone, token_of
from support.live import glance_environ, live_shim

pytestmark = pytest.mark.live

NOT_FOR_PRODUCTION = (
    "nova_image_shim.fakecloud",
    "nova_image_shim.adapters.memory",
    "nova_image_shim.api_docs",
    "nova_image_shim.identity_v2",  # unless SHIM_IDENTITY_V2 turns it on
    "nova_image_shim.adapters.keystone.identity",
    "keystoneauth1.fixture",
    "fixtures",
    "flask_swagger_ui",
    "jsonschema",
    "matplotlib",
    "yaml",
)


@pytest.fixture
def used(keystone: FakeKeystone, tmp_path: Path) -> Path:
    """Run a service over Keystone and Glance, list images, and return the folder of its output."""
    environ = {"CANARY_MODULES": str(tmp_path / "modules")} | glance_environ(keystone)
    with live_shim(tmp_path / "log", **environ) as live:
        headers = {"X-Auth-Token": token_of("demo")}
        answer = requests.get(f"{live.url}/v2/demo/images/detail", headers=headers, timeout=20)
        assert 200 == answer.status_code
    return tmp_path


def test_a_worker_imports_nothing_of_the_embedded_cloud(used: Path) -> None:
    modules = (used / "modules").read_text().splitlines()
    assert "nova_image_shim.realcloud" in modules
    roots = tuple(f"{name}." for name in NOT_FOR_PRODUCTION)
    assert [] == [name for name in modules if f"{name}.".startswith(roots)]


def test_a_clean_start_logs_no_warning(used: Path) -> None:
    lines = (used / "log").read_text().splitlines()
    assert lines
    assert [] == [line for line in lines if " WARNING " in line or " ERROR " in line]
