"""Run `make test` on every supported Python and the newest one here: `python -m tools.pythons`.

The classifiers of pyproject.toml name the supported versions. The table at the end names those that
this machine lacks.
"""

import os
import re
import subprocess
import sys
import tomllib

from real.install import python_of
from support.paths import ROOT

CLASSIFIER = re.compile(r"Programming Language :: Python :: (3\.\d+)$")
NEWER = 3  # how many versions after the last supported one are looked for


def supported() -> list[str]:
    """Return the versions in the classifiers, such as "3.11", the oldest first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [match[1] for each in project["classifiers"] if (match := CLASSIFIER.match(each))]


def newer_than(version: str) -> list[str]:
    """Return the versions that may follow this one."""
    major, minor = version.split(".")
    return [f"{major}.{int(minor) + step}" for step in range(1, NEWER + 1)]


def run(version: str, python: str) -> bool:
    """Run the tests in an environment for this version, and return whether they passed."""
    print(f"\n== Python {version}: {python}", flush=True)
    command = ["make", "test", f"VENV=.venv-{version}", f"PYTHON={python}"]
    environ = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    return subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode == 0


def main() -> int:
    """Run all versions and print a table; return 1 if one failed."""
    expected = supported()
    newest = [version for version in newer_than(expected[-1]) if python_of(version)][-1:]
    results = {}
    for version in expected + newest:
        python = python_of(version)
        passed = python and run(version, python)
        results[version] = "absent" if python is None else "passed" if passed else "FAILED"
    print()
    for version, result in results.items():
        print(f"Python {version}: {result}")
    if not newest:
        print(f"no Python newer than {expected[-1]} is here: {', '.join(newer_than(expected[-1]))}")
    return int("FAILED" in results.values())


if __name__ == "__main__":
    sys.exit(main())
