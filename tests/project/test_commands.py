"""The commands of the Makefile, the scripts of CI and what the documents say of them agree."""

import os
import re
import stat
import subprocess
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from clients.install import MORE_PIECES, PIECES, Debian
from support.paths import ROOT
from tools.pythons import supported

SCRIPTS = ["run", "nightly"]
ROW = re.compile(r"^\| `make ([a-z-]+)` \| .+ \| (.+) \|$", re.MULTILINE)
NAMED = re.compile(r"`(?:[A-Z_]+=\S+ )*make ([a-z-]+)")
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")]


def targets() -> set[str]:
    """Return the commands that `make help` explains."""
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def script(name: str) -> str:
    return (ROOT / ".ci" / name).read_text()


def run_by(name: str) -> list[str]:
    """Return the commands that a script of CI runs."""
    return re.findall(r"^(?:\w+=\S+ )?(?:try )?make ([a-z-]+)", script(name), re.MULTILINE)


@pytest.mark.parametrize("name", SCRIPTS)
def test_contributing_says_what_a_script_of_ci_runs(name: str) -> None:
    rows = ROW.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert run_by(name) == [command for command, where in rows if where == f"`.ci/{name}`"]


def test_every_test_is_run_by_a_script_of_ci() -> None:
    tests = {name for name in targets() if name.startswith(("test", "fuzz"))} - {"test-all"}
    assert set() == tests - set(chain(*map(run_by, SCRIPTS)))


def test_ci_begins_with_the_fast_tests() -> None:
    assert "test" == run_by("run")[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_command_in_a_document_exists(page: Path) -> None:
    assert set() == set(NAMED.findall(page.read_text(encoding="utf-8"))) - targets()


def test_make_alone_explains_the_commands() -> None:
    done = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True)
    assert sorted(targets()) == sorted(re.findall(r"^  make ([a-z-]+) ", done.stdout, re.MULTILINE))


@pytest.mark.parametrize(
    ("name", "failing", "ran", "last"),
    [
        ("run", "lint", ["test", "lint"], "== make lint: "),
        ("nightly", "fuzz", run_by("nightly"), "failed: make fuzz\n"),
    ],
)
def test_a_failure_ends_the_run_of_a_change_at_once_and_that_of_a_night_at_its_end(
    name: str, failing: str, ran: list[str], last: str, tmp_path: Path
) -> None:
    programs = {
        "make": f'echo "$1"; [ "$1" != {failing} ]',
        "dpkg-query": "echo installed",
        "apt-get": "exit 1",
    }
    for program, text in programs.items():
        (tmp_path / program).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / program).chmod(stat.S_IRWXU)
    done = subprocess.run(
        [ROOT / ".ci" / name],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode > 0
    assert ran == [line for line in done.stdout.splitlines() if line in targets()]
    assert last in done.stderr.splitlines(keepends=True)[-1]


# System packages


def packages() -> set[str]:
    lines = (ROOT / "bindep.txt").read_text().splitlines()
    entries = [line for line in lines if line and not line.startswith("#")]
    found = [re.fullmatch(r"(\S+) \[platform:dpkg (?:test|npm|bench)\]", line) for line in entries]
    assert None not in found, "an entry that .ci/common.sh does not read"
    return {match[1] for match in found if match}


def test_bindep_lists_every_package_that_tests_and_benchmarks_name() -> None:
    sources = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("bench/*.py")]
    text = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    hints = re.findall(r"run `apt-get install ([a-z0-9. -]+)`", text)
    installed = re.findall(r'install_debian\("[^"]+", ([^)]+)\)', text)
    pieces = [piece for piece in (PIECES | MORE_PIECES).values() if isinstance(piece, Debian)]
    named = set(" ".join(hints).split())
    named |= set(re.findall(r'"([^"]+)"', " ".join(installed)))
    named |= set(chain(*(piece.packages for piece in pieces)))
    assert len(named) > 10
    assert set() == named - packages()


def test_system_packages_come_from_bindep_only() -> None:
    assert not any("apt-get" in script(name) for name in SCRIPTS)
    assert all("\ninstall_system_packages\n" in script(name) for name in SCRIPTS)
    assert script("common.sh").count("bindep.txt)") == 1


# Workflows


def workflow(name: str) -> Any:
    return yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text())


@pytest.mark.parametrize(("name", "called"), [("ci", ".ci/run"), ("nightly", ".ci/nightly")])
def test_a_workflow_calls_the_script(name: str, called: str) -> None:
    steps = chain(*(job["steps"] for job in workflow(name)["jobs"].values()))
    assert 1 == sum(called in step.get("run", "") for step in steps)


def test_the_supported_pythons_are_those_of_the_workflow() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert f">={supported()[0]}" == pyproject["project"]["requires-python"]
    assert supported() == workflow("ci")["jobs"]["fast"]["strategy"]["matrix"]["python"]
