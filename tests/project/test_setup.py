"""What a newcomer meets first: an environment is created, or one command says what to install."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

SCRIPT = ROOT / "tests" / "tools" / "venv.sh"
TOOLS = ["sh", "id", "rm", "tail"]

# Pythons as shell scripts: each changes something in a real one before it runs the given code.
REAL = f'exec {sys.executable} -c "{{}}; exec(__import__(\'sys\').argv[2])" "$@"\n'
OLD = REAL.format("import sys; sys.version_info = (3, 9, 6)")
NO_ENSUREPIP = REAL.format("import sys; sys.modules['ensurepip'] = None")
ENVIRONMENT = 'mkdir -p "$4/bin" && exec touch "$4/pyvenv.cfg" "$4/bin/pip"'
USABLE = f'[ "$1" = -m ] && {ENVIRONMENT}\nexec {sys.executable} "$@"\n'
FAILING = f'[ "$1" = -m ] && mkdir "$4" && exit 1\nexec {sys.executable} "$@"\n'
SHIM = 'echo "pyenv: python3: command not found"; echo "try pyenv global" >&2; exit 127\n'
NOISY = f"echo loading; echo loading >&2\n{USABLE}"
LISTS_3_11 = '[ "$*" = "show python3.11-venv" ]\n'
APT, DNF, BREW = {"apt-get": ""}, {"dnf": ""}, {"brew": ""}
UV = "curl -LsSf https://astral.sh/uv/install.sh | sh && ~/.local/bin/uv python install 3.13"
DNF_LINE, BREW_LINE = "dnf install --assumeyes python3.12", "brew install python@3.13"


def apt_line(package: str) -> str:
    return f"apt-get update && apt-get install --yes {package}"


def run(
    folder: Path, programs: dict[str, str], python: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the script as root where only these programs are on PATH."""
    programs = {"id": "echo 0\n"} | programs
    path = folder / "path"
    path.mkdir()
    for tool in set(TOOLS) - set(programs):
        (path / tool).symlink_to(str(shutil.which(tool)))
    for name, text in programs.items():
        (path / name).write_text(f"#!{shutil.which('sh')}\nPATH={os.environ['PATH']}\n{text}")
        (path / name).chmod(stat.S_IRWXU)
    text = SCRIPT.read_text().replace("/usr/bin/python3", str(path / "system-python3"))
    return subprocess.run(
        [str(path / "sh"), "-c", text, "venv.sh", "made", python],
        cwd=folder,
        env={"PATH": str(path), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("programs", "reason", "line"),
    [
        (APT, "and python3 does not run", apt_line("python3-venv")),
        (APT | {"python3": SHIM}, "and python3 does not run", apt_line("python3-venv")),
        (DNF, "and python3 does not run", DNF_LINE),
        (BREW, "and python3 does not run", BREW_LINE),
        ({}, "and python3 does not run", UV),
        (APT | {"python3": NO_ENSUREPIP}, "python3 cannot create", apt_line("python3-venv")),
        (
            APT | {"python3": OLD, "python3.12": NO_ENSUREPIP},
            "python3.12 cannot create",
            apt_line("python3.12-venv"),
        ),
        (
            APT | {"python3": OLD, "apt-cache": LISTS_3_11},
            "and python3 is 3.9",
            apt_line("python3.11-venv"),
        ),
        (APT | {"python3": OLD, "apt-cache": "exit 100\n"}, "and python3 is 3.9", UV),
        (DNF | {"python3": OLD}, "and python3 is 3.9", DNF_LINE),
        (BREW | {"python3": OLD}, "and python3 is 3.9", BREW_LINE),
        (
            APT | {"id": "echo 1000\n", "python3": NO_ENSUREPIP},
            "python3 cannot create",
            "sudo apt-get update && sudo apt-get install --yes python3-venv",
        ),
    ],
)
def test_one_command_installs_what_is_missing(
    programs: dict[str, str], reason: str, line: str, tmp_path: Path
) -> None:
    done = run(tmp_path, programs)
    assert (1, "") == (done.returncode, done.stdout)
    first, second, *rest = done.stderr.splitlines()
    assert reason in first
    assert ["Install what is missing, then run make again:", "", f"    {line}", ""] == [
        second,
        *rest,
    ]
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "programs",
    [
        {"python3": USABLE},
        {"python3": NOISY},
        {"python3": OLD, "python3.13": USABLE},
        {"python3": SHIM, "python3.13": SHIM, "python3.11": USABLE},
        {"python3": NO_ENSUREPIP, "system-python3": USABLE},
    ],
)
def test_the_first_usable_python_is_taken(programs: dict[str, str], tmp_path: Path) -> None:
    done = run(tmp_path, programs)
    assert (0, "") == (done.returncode, done.stderr.replace("loading\n", ""))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"Creating made with Python {version} ...\n" == done.stdout.replace("loading\n", "")
    assert (tmp_path / "made" / "bin" / "pip").exists()


def test_a_chosen_python_is_not_replaced_by_another(tmp_path: Path) -> None:
    done = run(tmp_path, APT | {"python3": USABLE, "my python": OLD}, "my python")
    assert done.stderr.startswith("Python 3.11 or later is required, and my python is 3.9.\n")


def test_a_failure_leaves_no_folder(tmp_path: Path) -> None:
    done = run(tmp_path, {"python3": FAILING})
    assert 1 == done.returncode
    assert not (tmp_path / "made").exists()


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "thesis.txt").touch()
    done = run(tmp_path, {"python3": USABLE})
    assert (1, "made exists and is not a virtual environment: move it away\n") == (
        done.returncode,
        done.stderr,
    )
    assert (tmp_path / "made" / "thesis.txt").exists()
