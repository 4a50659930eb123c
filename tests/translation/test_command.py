"""Run the `translate` command with the translator's cases."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, StringIO, TextIOWrapper
from typing import Any
from unittest.mock import patch

import pytest
from support.paths import CASES

from nova_image_shim.cli import main
from nova_image_shim.translation.links import Links
from nova_image_shim.translation.translator import Translator

TRANSLATION = json.loads((CASES / "translation.json").read_text())
LINKS = Links.under(
    "http://localhost:8774", "v2", "demo", "http://localhost:8774", project_in_alternate=True
)
IMAGE = {"id": "a", "name": "é", "status": "active", "owner": "me", "min_ram": 5, "os_distro": "x"}


def run(text: str | bytes, *arguments: str) -> tuple[int, str, str]:
    """Run the command in this process and return its exit status, output and error output."""
    data = text.encode() if isinstance(text, str) else text
    with (
        patch("sys.stdin", TextIOWrapper(BytesIO(data))),
        redirect_stdout(StringIO()) as out,
        redirect_stderr(StringIO()) as err,
    ):
        status = main(["translate", *arguments])
    assert out.getvalue().isascii()
    return status, out.getvalue(), err.getvalue()


def translated(value: Any, *arguments: str) -> Any:
    status, out, err = run(json.dumps(value), *arguments)
    assert (0, "") == (status, err)
    return json.loads(out)


def test_every_translation_case_passes() -> None:
    legacy = [case["legacy"] for case in TRANSLATION]
    options = ("--base-url", "http://shim.example", "--glance-url", "http://glance.example:9292")
    project = ("--project", "6f70656e737461636b20342065766572")
    assert {"images": legacy} == translated(
        [case["glance"] for case in TRANSLATION], *options, *project
    )


def test_the_command_as_installed_reads_its_standard_input() -> None:
    program = "from nova_image_shim.cli import main; raise SystemExit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "translate"],
        input=json.dumps(IMAGE).encode(),
        capture_output=True,
        check=False,
    )
    assert (0, b"") == (done.returncode, done.stderr)
    assert {"image": Translator(LINKS).full(IMAGE)} == json.loads(done.stdout)  # type: ignore[arg-type]


def test_an_image_becomes_a_legacy_one() -> None:
    assert {"image": Translator(LINKS).full(IMAGE)} == translated(IMAGE)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrap", [lambda images: {"images": images}, lambda images: images])
def test_a_list_is_translated(wrap: Any) -> None:
    images = [IMAGE, IMAGE | {"id": "b", "name": None, "size": 5}]
    full = [Translator(LINKS).full(image) for image in images]  # type: ignore[arg-type]
    assert {"images": full} == translated(wrap(images))
    brief = [Translator(LINKS).brief(image) for image in images]  # type: ignore[arg-type]
    assert {"images": brief} == translated(wrap(images), "--brief")
    assert {"images": []} == translated(wrap([]))


def test_links_follow_the_options() -> None:
    links = Links.under(
        "https://nova.example/x", "v2.1", "p 1", "https://glance.example", project_in_alternate=True
    )
    assert {"image": Translator(links).full(IMAGE)} == translated(  # type: ignore[arg-type]
        IMAGE,
        *("--base-url", "https://nova.example/x/", "--mount", "v2.1", "--project", "p 1"),
        *("--glance-url", "https://glance.example/"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "standard input is not valid JSON: "),
        ("{", "standard input is not valid JSON: "),
        (b"\xff", "standard input is not valid JSON: "),
        ("[" * 100_000, "standard input is not valid JSON: "),
        ("null", "image 1 is not an object with an `id`\n"),
        ("{}", "image 1 is not an object with an `id`\n"),
        ('{"images": [{"id": "a"}, {"id": 5}]}', "image 2 is not an object with an `id`\n"),
        ('[{"id": "a"}, 5]', "image 2 is not an object with an `id`\n"),
    ],
)
def test_invalid_input_is_reported(text: str | bytes, message: str) -> None:
    status, out, err = run(text)
    assert (2, "") == (status, out)
    assert err.startswith(f"nova-image-shim translate: {message}")
    assert 1 == len(err.splitlines())
