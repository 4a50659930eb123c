"""Two services for `compare`: the embedded application twice, once behind a front."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.fakes import serve, token_of
from support.front import Front

from nova_image_shim.cli import main

PROJECT = "demo"
TOKEN = token_of(PROJECT)
Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def nova(client: FlaskClient) -> Iterator[Front]:
    """Return the front of the service that plays Nova; its address is `nova.url`."""
    front = Front(client.application)
    with serve(front) as front.url:
        yield front


@pytest.fixture
def shim(client: FlaskClient) -> Iterator[Front]:
    """Return the front of the service; its address is `shim.url`."""
    front = Front(client.application)
    with serve(front) as front.url:
        yield front


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    return file


@pytest.fixture
def program(
    nova: Front, shim: Front, token_file: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return the command, which gives its exit status, its output and its error output.

    It shows one image only, unless it is given another number.
    """

    def run(*arguments: object, **addresses: str) -> tuple[int, str, str]:
        found = {"nova": nova.url, "shim": shim.url} | addresses
        given = ["--token-file", token_file, "--rate", 1000, "--images", 1, *arguments]
        given += [
            word for name, url in found.items() for word in (f"--{name}", f"{url}/v2/{PROJECT}")
        ]
        status = main(["compare", *map(str, given)])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def compare(program: Callable[..., tuple[int, str, str]]) -> Run:
    """Return the command, which gives its exit status and its JSON."""

    def run(*arguments: object) -> tuple[int, dict[str, Any]]:
        status, out, err = program("--format", "json", *arguments)
        assert "" == err
        found: dict[str, Any] = json.loads(out)
        return status, found

    return run
