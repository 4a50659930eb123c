"""Install the real Keystone, Glance and memcached that the real-service tests run, under `.real/`.

Run `python tests/real/install.py` once per machine, from the root of the repository; it needs only
the standard library. With the argument `nova` it also installs a real Nova for `tests/parity`. If
the stamps of an earlier run are current, it does nothing.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
REAL = (HERE.parents[1] / ".real").resolve()

# gunicorn serves them; oslo.cache and keystonemiddleware each import another memcache library.
PACKAGES = {
    "keystone": ("keystone==30.0.0", "gunicorn", "python-memcached", "pymemcache"),
    "glance": ("glance==33.0.0", "gunicorn", "python-memcached", "pymemcache"),
}

# Installed only if named as an argument.
OPTIONAL_PACKAGES = {
    "nova": ("nova==34.0.0", "gunicorn", "python-memcached", "pymemcache"),
}

# Keystone 30, Glance 33 and Nova 34 refuse 3.11, and their pins have no wheels for 3.14.
SUPPORTED_PYTHONS = ("3.12", "3.13")

POLICY_RC_D = Path("/usr/sbin/policy-rc.d")


class InstallError(Exception):
    """The installation failed; the text is one line for the user."""


def constraints(service: str) -> Path:
    """Return the file of pins of `service`, a key of `PACKAGES` or `OPTIONAL_PACKAGES`."""
    return HERE / f"constraints-{service}.txt"


def fingerprint(service: str) -> str:
    """Hash everything that determines the contents of the service's venv.

    This includes its path, because the scripts of a moved venv do not run.
    """
    content = "\n".join((str(REAL), *_packages(service))).encode()
    content += constraints(service).read_bytes()
    return hashlib.sha256(content).hexdigest()


def _packages(service: str) -> tuple[str, ...]:
    return (PACKAGES | OPTIONAL_PACKAGES)[service]


def is_installed(service: str) -> bool:
    """Return whether the service's venv is complete, has the current pins and a working Python."""
    stamp = REAL / service / "stamp"
    python = REAL / service / "bin" / "python"
    return stamp.is_file() and stamp.read_text() == fingerprint(service) and python.exists()


def find_python() -> str:
    """Find CPython 3.12 or 3.13: `REAL_PYTHON`, the current one, those on PATH or in pyenv.

    Raises:
        InstallError: there is none, or `REAL_PYTHON` is a different version.
    """
    chosen = os.environ.get("REAL_PYTHON")
    candidates = [chosen] if chosen else _candidate_pythons(SUPPORTED_PYTHONS)
    for candidate in candidates:
        if _is_one_of(SUPPORTED_PYTHONS, candidate):
            return candidate
    if chosen:
        raise InstallError(f"REAL_PYTHON={chosen} is not a working CPython 3.12 or 3.13")
    raise InstallError(
        "no CPython 3.12 or 3.13 on PATH or in pyenv: install one or set REAL_PYTHON"
    )


def python_of(version: str) -> str | None:
    """Return a CPython of this version, such as "3.12", that can create environments."""
    return next(
        (each for each in _candidate_pythons((version,)) if _is_one_of((version,), each)), None
    )


def _candidate_pythons(versions: tuple[str, ...]) -> Iterator[str]:
    yield sys.executable
    yield from (f"python{version}" for version in versions)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for version in versions:
        yield from map(str, sorted(pyenv.glob(f"versions/{version}*/bin/python3")))


def _is_one_of(versions: tuple[str, ...], python: str) -> bool:
    """Run the interpreter to check, since pyenv puts shims of inactive versions on PATH too."""
    question = "import sys, venv, ensurepip; print(sys.implementation.name, *sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [python, "-c", question], capture_output=True, text=True, check=False
        )
    except OSError:
        return False
    supported = [f"cpython {version.replace('.', ' ')}" for version in versions]
    return answer.returncode == 0 and answer.stdout.strip() in supported


def install_service(service: str, python: str) -> None:
    """Rebuild the venv of `service`, and stamp it last so that an incomplete one is never used.

    Raises:
        InstallError: the venv or the packages could not be installed.
    """
    venv = REAL / service
    shutil.rmtree(venv, ignore_errors=True)
    _run([python, "-m", "venv", str(venv)])
    arguments = [*_packages(service), "-c", str(constraints(service))]
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if uv is None or not _uv_installs(uv, venv, arguments):
        _run([str(venv / "bin" / "pip"), "install", "-qq", *arguments])
    (venv / "stamp").write_text(fingerprint(service))


def _uv_installs(uv: str, venv: Path, arguments: list[str]) -> bool:
    """Try uv, which is faster but ignores pip's configuration; pip may succeed where it fails."""
    command = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        str(venv / "bin" / "python"),
        *arguments,
    ]
    return subprocess.run(command, check=False).returncode == 0


def install_debian(command: str, *packages: str) -> None:
    """Install Debian packages without starting their daemons, unless a command is on PATH.

    Args:
        command: the command that the first package provides.
        packages: the names of the packages.

    Raises:
        InstallError: this is not root on Debian, or the packages could not be installed.
    """
    if shutil.which(command, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin") is None:
        names = " ".join(packages)
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise InstallError(
                f"{command} is not on PATH: install it (Debian: apt-get install {names})"
            )
        print(f"{command}: installing the Debian package", flush=True)
        _apt_get_install(packages)
    print(f"{command}: installed")


def _apt_get_install(packages: tuple[str, ...]) -> None:
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages]
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _no_daemons():
        if (
            subprocess.run(install, env=environ, stdout=subprocess.DEVNULL, check=False).returncode
            != 0
        ):
            # The usual reason is missing or outdated package lists.
            _run(["apt-get", "update", "--quiet"])
            _run(install, env=environ)


@contextmanager
def _no_daemons() -> Iterator[None]:
    """Prevent packages from starting daemons, and restore the old policy afterwards."""
    before = POLICY_RC_D.read_bytes() if POLICY_RC_D.exists() else None
    mode = POLICY_RC_D.stat().st_mode if before is not None else 0o755
    POLICY_RC_D.write_text("#!/bin/sh\nexit 101\n")
    POLICY_RC_D.chmod(0o755)
    try:
        yield
    finally:
        if before is None:
            POLICY_RC_D.unlink()
        else:
            POLICY_RC_D.write_bytes(before)
            POLICY_RC_D.chmod(mode)


def _run(command: list[str], env: dict[str, str] | None = None) -> None:
    try:
        code = subprocess.run(command, env=env, check=False).returncode
    except OSError as error:
        raise InstallError(f"{command[0]}: {error.strerror}") from error
    if code != 0:
        raise InstallError(f"failed with exit code {code}: {' '.join(command)}")


def main(*names: str) -> None:
    """Install what is missing and print a line for each service.

    Args:
        names: keys of `OPTIONAL_PACKAGES` to install in addition to `PACKAGES`.

    Raises:
        InstallError: a name is unknown, or an installation failed.
    """
    if unknown := set(names) - OPTIONAL_PACKAGES.keys():
        raise InstallError(f"unknown service: {', '.join(sorted(unknown))}")
    REAL.mkdir(exist_ok=True)
    (REAL / ".gitignore").write_text("*\n")
    services = [*PACKAGES, *dict.fromkeys(names)]
    missing = [service for service in services if not is_installed(service)]
    python = find_python() if missing else ""
    for service in services:
        if service in missing:
            print(f"{service}: installing under {REAL / service} with {python}", flush=True)
            install_service(service, python)
        print(f"{service}: installed")
    install_debian("memcached", "memcached")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except InstallError as error:
        sys.exit(f"install.py: {error}")
