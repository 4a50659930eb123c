"""Install the clients that the client tests drive, under `.clients/`.

Run `python tests/clients/install.py` from the root of the repository; the argument `more` adds
`MORE_PIECES`. It needs only the standard library, and uses PyPI, npm and Debian. Clients without a
tool chain on this machine are reported and left out, and their tests are skipped. If the stamps of
an earlier run are current, it does nothing.
"""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
CLIENTS = HERE.parents[1] / ".clients"

# Debian's golang-go finds Debian's libraries in this folder.
GO_ENVIRON = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": ""}

_apt = threading.Lock()


class InstallError(Exception):
    """An installation failed; the text is one line for the user."""


class Piece(Protocol):
    """Something to install that one or more clients need."""

    def fingerprint(self) -> str:
        """Return text that changes when the piece has to be reinstalled."""

    def install(self, folder: Path) -> None:
        """Install into an empty folder, or on the system.

        Raises:
            InstallError: the installation failed.
        """


@dataclass(frozen=True)
class Venv:
    """PyPI packages in a venv; the pins are in `constraints/NAME.txt`.

    Args:
        name: the name of the file with the pins.
        pythons: supported Python versions, best first.
        packages: the packages for pip to install.
    """

    name: str
    pythons: tuple[str, ...]
    packages: tuple[str, ...]

    @property
    def _constraints(self) -> Path:
        return HERE / "constraints" / f"{self.name}.txt"

    def fingerprint(self) -> str:
        return "\n".join([*self.pythons, *self.packages, self._constraints.read_text()])

    def install(self, folder: Path) -> None:
        python = find_python(self.pythons)
        if self.pythons == ("2.7",):
            _run([_virtualenv(), "--quiet", "--python", python, str(folder)])
        else:
            _run([python, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "pip"), "install", "-qq", "--disable-pip-version-check"]
        # Old packages import pkg_resources, which later versions of setuptools lack.
        tools = [] if self.pythons == ("2.7",) else ["setuptools<70", "wheel"]
        _run([*pip, *tools, *self.packages, "-c", str(self._constraints)])


@dataclass(frozen=True)
class Npm:
    """npm packages.

    Args:
        packages: packages with versions; if empty, those in `npm/package-lock.json`.
    """

    packages: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        return "\n".join(self.packages) or (HERE / "npm" / "package-lock.json").read_text()

    def install(self, folder: Path) -> None:
        if shutil.which("npm") is None or shutil.which("node") is None:
            raise InstallError("node and npm are not on PATH: install them")
        options = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
        if self.packages:
            _run(["npm", "install", *options, "--prefix", str(folder), *self.packages])
        else:
            shutil.copytree(HERE / "npm", folder)
            _run(["npm", "ci", *options], cwd=folder)


@dataclass(frozen=True)
class Debian:
    """Debian packages on the system itself, and a Go program to build with them.

    Args:
        packages: package names.
        go_program: a file in `programs/`, if there is one.
    """

    packages: tuple[str, ...]
    go_program: str | None = None

    def fingerprint(self) -> str:
        program = (PROGRAMS / self.go_program).read_text() if self.go_program else ""
        return "\n".join([*self.packages, program])

    def install(self, folder: Path) -> None:
        with _apt:
            if not all(map(_has_debian_package, self.packages)):
                _apt_install(self.packages)
        folder.mkdir()
        if self.go_program:
            environ = {**os.environ, **GO_ENVIRON, "GOCACHE": str(CLIENTS / "go-cache")}
            build = ["go", "build", "-o", str(folder / "program"), str(PROGRAMS / self.go_program)]
            _run(build, environ)


PIECES: dict[str, Piece] = {
    "novaclient-2.6.10": Venv("novaclient-2.6.10", ("2.7",), ("python-novaclient==2.6.10",)),
    "novaclient-2.23.3": Venv("novaclient-2.23.3", ("2.7",), ("python-novaclient==2.23.3",)),
    "novaclient-7.1.2": Venv("novaclient-7.1.2", ("3.10",), ("python-novaclient==7.1.2",)),
    "modern": Venv(
        "modern", ("3.12", "3.13", "3.11"), ("apache-libcloud==3.9.1", "openstacksdk==4.22.0")
    ),
    "novaclient-6.0.2": Venv("novaclient-6.0.2", ("3.10",), ("python-novaclient==6.0.2",)),
    "libcloud-0.20.1": Venv("libcloud-0.20.1", ("2.7",), ("apache-libcloud==0.20.1",)),
    "pyrax-1.9.8": Venv("pyrax-1.9.8", ("2.7",), ("pyrax==1.9.8",)),
    "vaporize-0.3.2": Venv("vaporize-0.3.2", ("2.7",), ("vaporize==0.3.2",)),
    "npm": Npm(),
    "openclient": Npm(("openclient@1.7.10",)),
    "gophercloud": Debian(
        ("golang-go", "golang-github-gophercloud-gophercloud-dev"), "gophercloud.go"
    ),
    "goose": Debian(("golang-go", "golang-gopkg-goose.v1-dev"), "goose.go"),
    "fog-openstack": Debian(("ruby", "ruby-fog-openstack")),
    "fog-rackspace": Debian(("ruby", "ruby-fog-rackspace")),
    "ruby-openstack": Debian(("ruby", "ruby-openstack")),
    "rex": Debian(("rex",)),
}

# Intermediate releases and similar clients: more evidence, but no new behaviour.
MORE_PIECES: dict[str, Piece] = {
    "novaclient-2.6.10": Venv("novaclient-2.6.10", ("2.7",), ("python-novaclient==2.6.10",)),
    "novaclient-2.17.0": Venv("novaclient-2.17.0", ("2.7",), ("python-novaclient==2.17.0",)),
    "novaclient-3.3.0": Venv("novaclient-3.3.0", ("2.7",), ("python-novaclient==3.3.0",)),
    "libcloud-1.5.0": Venv("libcloud-1.5.0", ("2.7",), ("apache-libcloud==1.5.0",)),
    "libcloud-2.8.3": Venv("libcloud-2.8.3", ("3.8",), ("apache-libcloud==2.8.3",)),
    "openstacksdk-0.17.2": Venv("openstacksdk-0.17.2", ("3.8",), ("openstacksdk==0.17.2",)),
    "openstacksdk-1.5.0": Venv("openstacksdk-1.5.0", ("3.10",), ("openstacksdk==1.5.0",)),
    "pkgcloud-0.9.6": Npm(("pkgcloud@0.9.6",)),
    "pkgcloud-1.7.0": Npm(("pkgcloud@1.7.0",)),
    "openstack-wrapper": Npm(("openstack-wrapper@2.2.0",)),
}


def why_missing(name: str) -> str | None:
    """Return why a piece is missing, as a reason to skip its tests, or None if it is installed."""
    if _stamp(name).is_file() and _stamp(name).read_text() == _digest(name):
        return None
    reason = _reason(name)
    target = "test-clients" if name in PIECES else "test-more-clients"
    return reason.read_text() if reason.is_file() else f"`make {target}` installs it"


def _stamp(name: str) -> Path:
    return CLIENTS / name / "stamp"


def _reason(name: str) -> Path:
    return CLIENTS / f"{name}.missing"


def _digest(name: str) -> str:
    return hashlib.sha256(_piece(name).fingerprint().encode()).hexdigest()


def _piece(name: str) -> Piece:
    return (PIECES | MORE_PIECES)[name]


def find_python(versions: tuple[str, ...]) -> str:
    """Return the first interpreter of these versions in pyenv or on PATH.

    Raises:
        InstallError: there is none.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for version in versions:
        own = sorted(pyenv.glob(f"{version}.*/bin/python"))
        found = [*map(str, own), shutil.which(f"python{version}", path="/usr/local/bin:/usr/bin")]
        if python := next(filter(None, found), None):
            return python
    raise InstallError(f"no Python {' or '.join(versions)}: install one with pyenv")


@functools.cache
def _virtualenv() -> str:
    """Install the last virtualenv that supports Python 2.7, and return its command."""
    folder = CLIENTS / "virtualenv"
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    _run([str(folder / "bin" / "pip"), "install", "-qq", "virtualenv==20.21.1"])
    return str(folder / "bin" / "virtualenv")


def _has_debian_package(name: str) -> bool:
    command = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", name]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return False
    return answer.stdout == "installed"


def _apt_install(packages: tuple[str, ...]) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise InstallError(f"needs Debian's {', '.join(packages)}: install them")
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    install = [*apt, "install", "--no-install-recommends", *packages]
    try:
        _run(install, environ)
    except InstallError:  # the usual reason is missing or outdated package lists
        _run([*apt, "update"], environ)
        _run(install, environ)


def _run(command: list[str], env: dict[str, str] | None = None, cwd: Path | None = None) -> None:
    try:
        done = subprocess.run(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise InstallError(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        output = (done.stderr or done.stdout).strip().splitlines()[-8:]
        raise InstallError("\n".join([f"failed: {' '.join(command)}", *output]))


def install(name: str) -> str:
    """Install a piece if it is missing, and return a line with the result."""
    if why_missing(name) is None:
        return f"{name}: installed"
    folder = CLIENTS / name
    shutil.rmtree(folder, ignore_errors=True)
    _reason(name).unlink(missing_ok=True)
    try:
        _piece(name).install(folder)
    except InstallError as error:
        _reason(name).write_text(str(error))
        return f"{name}: NOT installed: {error}"
    _stamp(name).write_text(_digest(name))
    return f"{name}: installed now"


def main(*arguments: str) -> None:
    """Install what is missing and print a line for each piece.

    Args:
        arguments: `more` to include `MORE_PIECES`.
    """
    CLIENTS.mkdir(exist_ok=True)
    (CLIENTS / ".gitignore").write_text("*\n")
    names = [*PIECES, *(MORE_PIECES if "more" in arguments else ())]
    with ThreadPoolExecutor(3) as pool:  # most of the time is spent waiting for the registries
        for line in pool.map(install, names):
            print(line, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
