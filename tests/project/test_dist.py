"""What is published: a wheel and an sdist, whole, valid, and able to start on their own."""

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.live import clean_environ, free_port
from support.paths import ROOT

READY = "nova-image-shim ready: "

pytestmark = pytest.mark.wheel

PACKAGE = {  # the folders of the repository that the package is made of
    "app/": "nova_image_shim/",
    "adapters/": "nova_image_shim/adapters/",
}


def run(*command: str | Path, **options: Any) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        **options,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the sdist, and with the wheel that was made of it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    return folder


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def tracked() -> set[str]:
    """Return every file of the repository."""
    return set(run("git", "ls-files", cwd=ROOT).splitlines())


def test_both_are_fit_to_be_published(dist: Path) -> None:
    files = sorted(dist.iterdir())
    assert [".whl", ".gz"] == [file.suffix for file in files]
    said = run(sys.executable, "-m", "twine", "check", "--strict", *files)
    assert 2 == said.count("PASSED")


def test_the_sdist_holds_the_repository(dist: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("needs the repository, to tell what is in it")
    with tarfile.open(only(dist, "*.tar.gz")) as archive:
        held = {each.name.partition("/")[2] for each in archive if not each.isdir()}
    assert set() == tracked() - held
    others = held - tracked() - {"PKG-INFO", "setup.cfg"}
    assert {"nova_image_shim.egg-info"} == {name.partition("/")[0] for name in others}


def test_the_wheel_holds_the_package_and_no_other_top_level(dist: Path) -> None:
    with zipfile.ZipFile(only(dist, "*.whl")) as archive:
        held = set(archive.namelist())
    source = {
        package + name.removeprefix(folder)
        for folder, package in PACKAGE.items()
        for name in tracked()
        if name.startswith(folder)
    }
    assert "nova_image_shim/py.typed" in source
    assert source == {name for name in held if ".dist-info/" not in name}
    assert {"METADATA", "entry_points.txt", "licenses/LICENSE"} <= {
        name.partition(".dist-info/")[2] for name in held
    }


@pytest.fixture(scope="module", params=["*.whl", "*.tar.gz"])
def installed(
    request: pytest.FixtureRequest, dist: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the programs of an environment that holds the package and what it depends on."""
    venv = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", venv)
    pip = (venv / "bin" / "python", "-m", "pip", "--disable-pip-version-check")
    run(*pip, "install", "--quiet", f"{only(dist, request.param)}[fake]")
    run(*pip, "check")
    return venv / "bin"


@pytest.fixture
def served(installed: Path, tmp_path: Path) -> Iterator[str]:
    """Return the address that the program says on standard output; it runs meanwhile."""
    environ = clean_environ() | {"SHIM_BACKEND": "memory", "SHIM_BIND": f"127.0.0.1:{free_port()}"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [installed / "nova-image-shim", "fake"],
            cwd=tmp_path,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout
        lines = iter(process.stdout.readline, "")
        yield next(line for line in lines if line.startswith(READY)).removeprefix(READY).strip()
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_it_starts_and_answers(served: str) -> None:
    headers = {"X-Auth-Token": "demo"}
    answers = [
        requests.get(served + path, headers=headers, timeout=10)
        for path in ("/v2/demo/images/detail", "/openapi.json", "/docs", "/docs/api-docs.js")
    ]
    assert [200] * 4 == [answer.status_code for answer in answers]


def test_it_tells_its_commands(installed: Path) -> None:
    environ = {"PATH": os.defpath}
    assert "serve" in run(installed / "nova-image-shim", "--help", env=environ)
