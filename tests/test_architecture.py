"""The layout of the packages and the direction of imports: rules of the design, as tests."""

import ast
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("app", "adapters")
PACKAGE = "nova_image_shim"
ADAPTERS = f"{PACKAGE}.adapters"

# From the top. A room imports only from rooms below its own floor; type-checking imports count.
FLOORS = [
    ["wsgi", "cli", "__init__", "__main__", "gunicorn.conf", "pytest_plugin"],
    ["compare"],
    ["check"],
    ["fakecloud", "realcloud"],
    ["application"],
    ["usage", "api_docs", "serving"],
    ["api", "identity_v2"],
    ["web"],
    ["lists"],
    ["auth"],
    ["settings"],
    ["observability"],
    ["translation"],
    ["adapters.glance", "adapters.memory", "adapters.keystone"],
    ["adapters.http", "adapters.stores"],
    ["adapters.limits"],
    ["adapters.image_port", "adapters.identity_port", "adapters.address", "adapters.__init__"],
]
WAYS_IN = FLOORS[0]  # which may import each other
MOST_MODULES_IN_APP = 8
WEB = ("flask", "marshmallow", "werkzeug")
NETWORK = ("requests", "urllib3", "keystoneauth1", "glanceclient")
# Only these name an image store; everything else is given one.
COMPOSITION = ("realcloud", "fakecloud", "adapters.glance", "adapters.memory")


@cache
def modules() -> dict[str, Path]:
    """Return the file of each module, by its name without the package: `api.images`."""
    return {
        name_of(path): path
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "__pycache__" not in path.parts
    }


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[-1] == "__init__" and len(parts) > 2:
        parts = parts[:-1]
    return ".".join(parts if parts[0] == "adapters" else parts[1:])


def room_of(module: str) -> str | None:
    """Return the room of the plan that a module belongs to, None for one without a room."""
    rooms = [room for floor in FLOORS for room in floor]
    return next((room for room in rooms if f"{module}.".startswith(f"{room}.")), None)


@cache
def imports_of(module: str) -> frozenset[str]:
    """Return everything that a module imports, wherever in it: `flask.Flask`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(modules()[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports begin at the package's root"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


@cache
def own_imports_of(module: str) -> frozenset[str]:
    """Return the modules of ours that a module imports, itself left out."""
    found = set()
    for name in imports_of(module):
        parts = name.removeprefix(f"{PACKAGE}.").split(".") if name.startswith(PACKAGE) else []
        prefixes = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
        found |= {next((prefix for prefix in prefixes if prefix in modules()), "")}
    return frozenset(found - {"", module})


def below(names: frozenset[str], *packages: str) -> set[str]:
    return {name for name in names if any(f"{name}.".startswith(f"{p}.") for p in packages)}


def test_every_module_has_a_room_and_few_are_directly_in_app() -> None:
    assert [] == [module for module in modules() if room_of(module) is None]
    assert len(list((ROOT / "app").glob("*.py"))) <= MOST_MODULES_IN_APP


@pytest.mark.parametrize("room", [room for floor in FLOORS for room in floor])
def test_every_room_of_the_plan_exists(room: str) -> None:
    assert any(f"{module}.".startswith(f"{room}.") for module in modules())


@pytest.mark.parametrize("module", sorted(modules()))
def test_imports_point_down(module: str) -> None:
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    room = str(room_of(module))
    imported = {str(room_of(name)) for name in own_imports_of(module)} - {room}
    allowed = {name for name in floor if floor[name] > floor[room]}
    assert set() == imported - allowed - set(WAYS_IN if room in WAYS_IN else ())


def test_no_modules_import_each_other() -> None:
    left = {module: set(own_imports_of(module)) & modules().keys() for module in modules()}
    while free := {module for module, imported in left.items() if not imported & left.keys()}:
        for module in free:
            del left[module]
    assert {} == left


def test_every_folder_is_packaged_with_its_data() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {path.parent for path in modules().values()}
    assert {package_of(folder) for folder in folders} == set(setuptools["packages"])
    data = {
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    packaged = {
        path
        for package, patterns in setuptools["package-data"].items()
        for pattern in patterns
        for path in folder_of(package).glob(pattern)
    }
    assert data == packaged - {ROOT / "app" / "gunicorn.conf.py"}


def package_of(folder: Path) -> str:
    parts = folder.relative_to(ROOT).parts
    return ".".join([PACKAGE, *(parts if parts[0] == "adapters" else parts[1:])])


def folder_of(package: str) -> Path:
    parts = package.split(".")[1:]
    return ROOT.joinpath(*parts) if parts[:1] == ["adapters"] else ROOT.joinpath("app", *parts)


@pytest.mark.parametrize("module", [name for name in sorted(modules()) if "adapters" in name])
def test_an_adapter_does_not_know_the_web_side(module: str) -> None:
    ours = below(imports_of(module), PACKAGE)
    assert (set(), set()) == (
        below(imports_of(module), *WEB),
        ours - below(imports_of(module), ADAPTERS),
    )


@pytest.mark.parametrize("module", sorted(modules()))
def test_only_the_composition_names_an_image_store(module: str) -> None:
    named = below(imports_of(module), f"{ADAPTERS}.glance", f"{ADAPTERS}.memory")
    assert set() == named or f"{module}.".startswith(tuple(f"{room}." for room in COMPOSITION))


@pytest.mark.parametrize("module", [m for m in sorted(modules()) if room_of(m) == "translation"])
def test_translation_knows_neither_the_web_nor_the_network(module: str) -> None:
    assert set() == below(imports_of(module), *WEB, *NETWORK)


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
    names = [f"{PACKAGE}.{name}" for name in modules() if name != "gunicorn.conf"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, *names],
        env=nonsense,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
