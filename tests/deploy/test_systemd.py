"""The systemd unit is valid and sandboxed, and its settings start the service."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.settings import setting_names

from nova_image_shim.settings import Settings

from .fronts import DEPLOY, GUIDE, environ_of, rendered

UNIT = DEPLOY / "systemd" / "nova-image-shim.service"
SETTINGS = (DEPLOY / "systemd" / "settings.env").read_text()
ANALYZE = shutil.which("systemd-analyze")
WORST_EXPOSURE = 15  # in tenths, of 100; a unit without sandboxing has 96

needs_systemd = pytest.mark.skipif(
    not ANALYZE, reason="systemd is not installed; run `apt-get install systemd`"
)


def analyze(*arguments: str) -> str:
    done = subprocess.run(
        [str(ANALYZE), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert (0, "") == (done.returncode, done.stderr), done.stdout
    return done.stdout


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Return the unit with the paths of this test environment."""
    program = Path(sys.executable).parent / "nova-image-shim"
    assert program.exists()
    file = tmp_path / UNIT.name
    place = "/opt/nova-image-shim/bin/nova-image-shim"
    file.write_text(rendered(UNIT.read_text(), {place: str(program)}))
    return file


@needs_systemd
def test_the_unit_is_valid(unit: Path) -> None:
    assert "" == analyze("verify", "--man=no", str(unit))


@needs_systemd
def test_the_unit_is_sandboxed(unit: Path) -> None:
    exposed = analyze(
        "security", "--offline=yes", f"--threshold={WORST_EXPOSURE}", "--no-pager", str(unit)
    )
    assert "Overall exposure level" in exposed


def test_the_settings_are_valid_and_known() -> None:
    environ = environ_of(SETTINGS)
    assert [] == sorted(environ.keys() - set(setting_names()))
    settings = Settings.from_environ(environ)
    assert ("glance", 1) == (settings.backend, settings.trusted_proxies)


def test_the_settings_are_edited_and_checked_before_the_service_starts() -> None:
    assert "OS_PASSWORD=change-me" in SETTINGS
    steps = GUIDE.read_text()
    words = ["settings.env /etc/", "and the password in", "nova-image-shim check", "enable --now"]
    assert sorted(map(steps.index, words)) == [steps.index(word) for word in words]
