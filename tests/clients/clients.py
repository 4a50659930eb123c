"""The clients: how each is run, what it reads from its environment, and what it must see."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fakes import clean_environ

from .install import CLIENTS as FOLDER
from .install import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .world import Task

REGION = "RegionOne"
TIMEOUT_SECONDS = 120

_TIMES = ["created", "updated"]
_PLAIN = ["id", "name", "status", "progress", *_TIMES]
_FULL = [*_PLAIN, "minDisk", "minRam", "metadata"]
_BRIEF = ["id", "name", "links"]
_DONE: list[str] = []  # a step of which nothing more need be said


V3 = {
    "OS_AUTH_URL": "{identity}/v3",
    "OS_USERNAME": "{user}",
    "OS_PASSWORD": "{password}",
    "OS_PROJECT_NAME": "{user}",
    "OS_USER_DOMAIN_NAME": "Default",
    "OS_PROJECT_DOMAIN_NAME": "Default",
    "OS_IDENTITY_API_VERSION": "3",
    "OS_REGION_NAME": REGION,
}
V2 = {
    "OS_AUTH_URL": "{identity}/v2.0",
    "OS_USERNAME": "{user}",
    "OS_PASSWORD": "{password}",
    "OS_TENANT_NAME": "{user}",
    "OS_REGION_NAME": REGION,
}
RACKSPACE = {
    "RACKSPACE_AUTH_URL": "{identity}/v2.0",
    "RACKSPACE_USERNAME": "{user}",
    "RACKSPACE_API_KEY": "{password}",
    "RACKSPACE_REGION": REGION,
}


@dataclass(frozen=True)
class Client:
    """A client and its program.

    Args:
        name: and version.
        language: that it is written in.
        piece: of `install.PIECES`, by which it runs.
        program: the command, its words parted by spaces; `{args}` are the file with the task and
            the file for what is seen.
        environ: the variables it reads, or that its users name its options after.
        steps: as `judge.Judge` takes them.
    """

    name: str
    language: str
    piece: str
    program: str
    environ: Mapping[str, str]
    steps: Mapping[str, Any]

    @property
    def speaks_v3(self) -> bool:
        """Tell whether it logs in by identity v3, the only one that Keystone still has."""
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
    """Where and as whom to log in; a project of the user's name is meant.

    Args:
        identity: the address below which are `v3` and `v2.0`.
        user: and password.
    """

    identity: str
    user: str
    password: str

    def environ(self, client: Client) -> dict[str, str]:
        """Return the client's variables."""
        return {name: value.format(**asdict(self)) for name, value in client.environ.items()}


class ClientError(AssertionError):
    """The client's program did not come to its end."""


def drive(client: Client, login: Login, task: Task, folder: Path) -> list[dict[str, Any]]:
    """Run a client's program and return what it saw, step by step.

    Args:
        client: which.
        login: where it is to log in.
        task: what it is to do.
        folder: for files of this run.

    Raises:
        ClientError: it failed; with what it said.
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
    """Return an environment without proxies and without a word of OpenStack."""
    proxies = {"http_proxy", "https_proxy", "all_proxy"}
    environ = {key: v for key, v in clean_environ().items() if key.lower() not in proxies}
    return environ | {"LC_ALL": "C.UTF-8", "PYTHONWARNINGS": "ignore"}


_NOVA_CLI = {
    "list": ["id", "name", "status"],
    "filter": _DONE,
    "show": _FULL,
    "missing": "ERROR (CommandError): No image with a name or ID of '{unknown}' exists.",
    "metadata": _DONE,
    "delete": _DONE,
}
_NOVACLIENT = {
    "list": [*_FULL, "links"],
    "brief": _BRIEF,
    "page": _DONE,
    "filter": _DONE,
    "show": [*_FULL, "links"],
    "missing": "NotFound 404: Image not found.",
    "bad marker": "BadRequest 400: No image found with ID {unknown}",
    "metadata": _DONE,
    "delete": _DONE,
}
_LIBCLOUD = {
    "list": _FULL,
    "filter": _DONE,
    "show": _FULL,
    "missing": "BaseHTTPError 404: 404 NOT FOUND Image not found.",
    "delete": _DONE,
}
_SDK = {
    "list": [*_FULL, "links"],
    "brief": _BRIEF,
    "page": _DONE,
    "filter": _DONE,
    "show": [*_FULL, "links"],
    "missing": "NotFoundException 404: Image not found.",
    "metadata": _DONE,
    "delete": _DONE,
}
_PKGCLOUD = {
    "list": _PLAIN,
    "show": _PLAIN,
    "missing": '404: {"itemNotFound":{"code":404,"message":"Image not found."}}',
    "version": "v2.0",
    "metadata": _DONE,
    "delete": _DONE,
}
_GOPHERCLOUD = {
    "list": _FULL,
    "page": _DONE,
    "filter": _DONE,
    "show": _FULL,
    "missing": "gophercloud.ErrDefault404 404: "
    '{"itemNotFound":{"code":404,"message":"Image not found."}}',
    "delete": _DONE,
}
_FOG_RACKSPACE = {
    "list": [*_FULL, "links"],
    "brief": _BRIEF,
    "page": _DONE,
    "filter": _DONE,
    "show": [*_FULL, "links"],
    "missing": "nil",
    "metadata": _DONE,
    "delete": _DONE,
}

CLIENTS = (
    Client(
        "novaclient-2.23.3",
        "Python",
        "novaclient-2.23.3",
        "{python} {programs}/novaclient_cli.py {args} {piece}/bin/nova",
        V2,
        _NOVA_CLI,
    ),
    Client(
        "novaclient-7.1.2",
        "Python",
        "novaclient-7.1.2",
        "{piece}/bin/python {programs}/novaclient_api.py {args}",
        V3,
        _NOVACLIENT,
    ),
    Client(
        "libcloud-3.9.1",
        "Python",
        "modern",
        "{piece}/bin/python {programs}/libcloud_images.py {args} 3.x_password",
        V3,
        _LIBCLOUD,
    ),
    Client(
        "openstacksdk-4.22.0",
        "Python",
        "modern",
        "{piece}/bin/python {programs}/openstacksdk_images.py {args}",
        V3,
        _SDK,
    ),
    Client(
        "pkgcloud-2.2.0",
        "Node",
        "npm",
        "node {programs}/pkgcloud.js {args} {piece} v3",
        V3,
        _PKGCLOUD,
    ),
    Client(
        "gophercloud-0.12",
        "Go",
        "gophercloud",
        "{piece}/program {args}",
        V3 | {"OS_DOMAIN_NAME": "Default"},
        _GOPHERCLOUD,
    ),
    Client(
        "fog-rackspace-0.1.6",
        "Ruby",
        "fog-rackspace",
        "ruby {programs}/fog_rackspace.rb {args}",
        RACKSPACE,
        _FOG_RACKSPACE,
    ),
)
