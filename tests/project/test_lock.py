"""The lock files have every dependency, with its hashes, at versions that are allowed."""

import re
import tomllib
from itertools import chain
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.paths import ROOT

ENTRY = re.compile(
    r"^([A-Za-z0-9._-]+)==([^\s;]+)[^\n]*\\\n((?:    --hash=[^\n]+\n)+)", re.MULTILINE
)
RUNTIME, DEVELOPMENT = "requirements.lock", "requirements-dev.lock"
PRIVATE = {"gunicorn", "keystonemiddleware", "prometheus-client", "python-glanceclient", "requests"}


def locked(name: str) -> set[tuple[str, str]]:
    """Return names and versions; a name has several versions if they depend on the Python."""
    text = (ROOT / name).read_text()
    entries = ENTRY.findall(text)
    assert len(re.findall(r"^[^ #]", text, re.MULTILINE)) == len(entries), "an entry without a hash"
    return {(canonicalize_name(name), version) for name, version, _ in entries}


def pyproject() -> Any:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def declared(*extras: str) -> list[Requirement]:
    project = pyproject()["project"]
    optional = project["optional-dependencies"]
    lines = chain(
        project["dependencies"],
        pyproject()["build-system"]["requires"],
        *(optional[extra] for extra in extras or optional),
    )
    return [each for each in map(Requirement, lines) if each.name != project["name"]]


@pytest.mark.parametrize(
    ("lock", "requirements"), [(RUNTIME, declared("fake")), (DEVELOPMENT, declared())]
)
def test_every_dependency_is_locked_at_a_version_that_is_allowed(
    lock: str, requirements: list[Requirement]
) -> None:
    found = locked(lock)
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        versions = [version for each, version in found if each == name]
        assert versions, f"{requirement} is not locked; run `make lock`"
        assert versions == list(requirement.specifier.filter(versions)), requirement


def test_tests_run_with_the_versions_that_are_installed_elsewhere() -> None:
    assert set() == locked(RUNTIME) - locked(DEVELOPMENT)


def test_a_library_of_which_private_parts_are_used_has_an_upper_bound() -> None:
    bounded = {each.name for each in declared() if "<" in str(each.specifier)}
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    section = page.partition("\n## Private parts of libraries\n")[2].partition("\n## ")[0]
    table = set(re.findall(r"^\| ([a-z-]+) \| .*`", section, re.MULTILINE))
    assert PRIVATE == bounded == table


@pytest.mark.parametrize(
    ("file", "pattern"),
    [("deploy/kubernetes/kustomization.yaml", r"newTag: (\S+)")],
)
def test_the_version_elsewhere_is_that_of_pyproject(file: str, pattern: str) -> None:
    found = re.findall(pattern, (ROOT / file).read_text(encoding="utf-8"))
    assert [pyproject()["project"]["version"]] == found
