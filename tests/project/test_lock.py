"""requirements.lock holds all that is depended on, each with its hashes."""

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.paths import ROOT

ENTRY = re.compile(
    r"^([A-Za-z0-9._-]+)==([^\s;]+)[^\n]*\\\n((?:    --hash=[^\n]+\n)+)", re.MULTILINE
)


def locked() -> dict[str, str]:
    text = (ROOT / "requirements.lock").read_text()
    assert text.count("==") == len(ENTRY.findall(text)), "an entry without a hash"
    return {canonicalize_name(name): version for name, version, _ in ENTRY.findall(text)}


def test_every_dependency_is_locked_at_a_version_that_is_allowed() -> None:
    found = locked()
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    declared = pyproject["project"]["dependencies"]
    declared += pyproject["project"]["optional-dependencies"]["fake"]
    declared += pyproject["build-system"]["requires"]
    for requirement in map(Requirement, declared):
        version = found[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} is locked at {version}"
