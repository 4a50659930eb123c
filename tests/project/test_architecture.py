"""Which way imports point, and that importing does nothing: rules of the design, as tests."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path
    for name in ("app", "adapters")
    for path in (ROOT / name).rglob("*.py")
    if path.name != "gunicorn.conf.py"  # a configuration file, no module
)

ADAPTERS = "nova_image_shim.adapters"
WEB = ("flask", "marshmallow", "werkzeug")
NETWORK = ("requests", "urllib3", "keystoneauth1", "glanceclient")
CONCRETE = tuple(f"{ADAPTERS}.{name}" for name in ("cache_store", "glance", "memory"))
# The composition root alone knows which adapters there are, and the embedded cloud its own.
COMPOSITION_ROOTS = ("app/wsgi.py", "app/fakecloud/cloud.py")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path) -> set[str]:
    """Return what a module imports, wherever in it, but for types only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: imports begin at the package's root"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def below(names: set[str], *packages: str) -> set[str]:
    return {name for name in names if any(f"{name}.".startswith(f"{p}.") for p in packages)}


@pytest.mark.parametrize("path", [p for p in MODULES if "adapters" in p.parts], ids=name_of)
def test_an_adapter_knows_nothing_of_the_web_side(path: Path) -> None:
    found = imports_of(path)
    ours = below(found, "nova_image_shim")
    assert (set(), set()) == (below(found, *WEB), ours - below(ours, ADAPTERS))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_composition_root_names_an_adapter(path: Path) -> None:
    named = below(imports_of(path), *CONCRETE)
    assert name_of(path) in COMPOSITION_ROOTS or set() == named


@pytest.mark.parametrize("module", ["translator", "settings", "times", "changes", "wire"])
def test_what_is_pure_knows_neither_the_web_nor_the_network(module: str) -> None:
    assert set() == below(imports_of(ROOT / "app" / f"{module}.py"), *WEB, *NETWORK)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    package = ADAPTERS if parts[0] == "adapters" else "nova_image_shim"
    return ".".join([package, *(part for part in parts[1:] if part != "__init__")])


PROGRAM = """
import importlib, os, socket, sys, threading

def refuse(*args, **kwargs):
    raise SystemExit("an import connects to something")

socket.socket.connect = refuse  # urllib3 binds one, to see whether there is IPv6
for name in sys.argv[1:]:
    importlib.import_module(name)
assert threading.active_count() == 1, threading.enumerate()
"""


def test_importing_connects_nowhere_starts_nothing_and_reads_no_setting() -> None:
    nonsense = {"SHIM_BACKEND": "nonsense", "SHIM_THREADS": "nonsense", "OS_AUTH_URL": "nonsense"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, *map(module_name, MODULES)],
        env=nonsense,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
