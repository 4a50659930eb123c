"""Describe a client and run its program."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from support.live import clean_environ

from .install import CLIENTS as FOLDER
from .install import PROGRAMS
from .world import Task

TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Client:
    """A client and its program.

    Args:
        name: name and version.
        language: the language it is written in.
        piece: the entry of `install.PIECES` that installs it.
        program: the command, separated by spaces; `{args}` stands for the file with the task and
            the file for the results.
        environ: the environment variables that configure it.
        steps: as in `judge.Judge`.
    """

    name: str
    language: str
    piece: str
    program: str
    environ: Mapping[str, str]
    steps: Mapping[str, Any]

    @property
    def speaks_v3(self) -> bool:
        """Return whether it logs in with identity v3, the only version that Keystone still has."""
        return self.environ.get("OS_AUTH_URL", "").endswith("/v3")

    def command(self, task: Path, seen: Path) -> list[str]:
        """Return the command that runs the program."""
        words = {
            "python": sys.executable,
            "programs": PROGRAMS,
            "piece": FOLDER / self.piece,
            "args": f"{task} {seen}",
        }
        return self.program.format(**words).split()


@dataclass(frozen=True)
class Login:
    """The credentials to log in with; the project has the user's name.

    Args:
        identity: the base URL of `v3` and `v2.0`.
        user, password: the user's name and password.
    """

    identity: str
    user: str
    password: str

    def environ(self, client: Client) -> dict[str, str]:
        """Return the client's variables."""
        return {name: value.format(**asdict(self)) for name, value in client.environ.items()}


class ClientError(AssertionError):
    """The client's program failed."""


def drive(client: Client, login: Login, task: Task, folder: Path) -> list[dict[str, Any]]:
    """Run a client's program and return its results by step.

    Args:
        client: the client to run.
        login: its credentials.
        task: its task.
        folder: the folder for the files of this run.

    Raises:
        ClientError: the program failed; the text has its output.
    """
    task_file, seen_file = folder / "task.json", folder / "seen"
    task_file.write_text(json.dumps(asdict(task)))
    environ = _plain_environ() | {"HOME": str(folder)} | login.environ(client)
    done = subprocess.run(
        client.command(task_file, seen_file),
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    seen = seen_file.read_text().splitlines() if seen_file.exists() else []
    if done.returncode != 0:
        steps = [json.loads(line)["step"] for line in seen]
        raise ClientError(f"{client.name} failed after {steps}:\n{done.stdout}{done.stderr}")
    return [json.loads(line) for line in seen]


def _plain_environ() -> dict[str, str]:
    """Return an environment without proxy and OpenStack variables."""
    proxies = {"http_proxy", "https_proxy", "all_proxy"}
    environ = {key: v for key, v in clean_environ().items() if key.lower() not in proxies}
    return environ | {"LC_ALL": "C.UTF-8", "PYTHONWARNINGS": "ignore"}
