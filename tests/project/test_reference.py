"""The reference pages against the program: calls, parameters, settings, commands, the fixture."""

import inspect
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from support.openapi import calls_of
from tools import reference

from nova_image_shim.api.schemas import list_query as schemas
from nova_image_shim.cli import main
from nova_image_shim.fakecloud.seed import load_seed
from nova_image_shim.fakecloud.testing import LegacyCloud
from nova_image_shim.observability.client_families import FAMILIES
from nova_image_shim.settings import Keystone, Settings
from nova_image_shim.settings.settings import COMPAT

CODE = re.compile(r"`([^`]+)`")


def page(name: str) -> str:
    return (reference.REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def table(name: str, heading: str) -> list[list[str]]:
    """Return the rows of the page's table whose first column has this heading."""
    lines = page(name).split("\n")
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    rows: list[list[str]] = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            return rows
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


@pytest.mark.parametrize("path", reference.FILES, ids=lambda path: path.name)
def test_a_generated_file_is_up_to_date(path: Path) -> None:
    hint = "run `PYTHONPATH=tests python -m tools.reference`"
    assert reference.updated(path) == path.read_text(encoding="utf-8"), hint


def test_the_sample_has_every_setting_with_its_default_or_a_valid_example() -> None:
    text = reference.SAMPLE.read_text(encoding="utf-8")
    sample = dict(re.findall(r"^#([A-Z0-9_]+)=(.+)$", text, re.MULTILINE))
    declared = [item for item in (*fields(Settings), *fields(Keystone)) if item.metadata]
    assert sorted(sample) == sorted(item.metadata["name"] for item in declared)
    for item in declared:
        value = sample[item.metadata["name"]]
        if not value.startswith("/"):  # this machine need not have the file
            parsed, name = item.metadata["parse"](value), item.metadata["name"]
            assert item.default in (parsed, None, ()) or name == "WEB_CONCURRENCY", name


def test_every_word_of_shim_compat_is_in_the_table() -> None:
    rows = table("settings", "word in `SHIM_COMPAT`")
    assert set(COMPAT) == {CODE.findall(row[0])[0] for row in rows}


def calls(app: Flask) -> set[str]:
    """Return the calls that the application routes, with `/v2` for every version.

    The files of the page at `/docs`, and paths with a final slash, are left out.
    """
    left_out = re.compile(r"\w+ (/v(1\.1|2\.1)(/.*)?|/v2/|/docs/.*)")
    return {call for call in calls_of(app) if not left_out.fullmatch(call)}


def test_every_call_is_in_the_table(client: FlaskClient) -> None:
    assert calls(client.application) == {CODE.findall(row[0])[0] for row in table("calls", "call")}


def test_every_query_parameter_is_in_the_table() -> None:
    schema = schemas.ListQuerySchema()
    known = {field.data_key or name for name, field in schema.fields.items()} - {"properties"}
    listed = {name for row in table("calls", "query parameter") for name in CODE.findall(row[0])}
    assert known | {"property-NAME"} == listed


def test_the_example_has_the_response_of_the_service(memory_shim: str) -> None:
    found = re.search(
        r"\$ curl -H 'X-Auth-Token: demo' '(.+?)'\n(\{.+?)\n```", page("calls"), re.DOTALL
    )
    assert found
    address, shown = found[1], found[2].replace("\n", "")
    usual = "http://127.0.0.1:8774"
    response = requests.get(
        address.replace(usual, memory_shim), headers={"X-Auth-Token": "demo"}, timeout=10
    )
    assert json.loads(shown) == json.loads(response.text.replace(memory_shim, usual))


def test_every_family_of_clients_is_in_the_table() -> None:
    listed = [name for row in table("metrics", "family") for name in CODE.findall(row[0])]
    assert sorted(FAMILIES) == sorted(listed)


def test_every_command_and_option_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    def help_of(*command: str) -> str:
        with pytest.raises(SystemExit):
            main([*command, "--help"])
        return capsys.readouterr().out

    commands = re.findall(r"^    ([a-z]+)\b", help_of(), re.MULTILINE)
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page("commands"), re.M | re.S))
    assert commands == list(sections)
    for command in commands:
        options = re.findall(r"^  (--[a-z-]+)", help_of(command), re.MULTILINE)
        assert options == re.findall(r"^\| `(--[a-z-]+)", sections[command], re.MULTILINE), command


def test_every_part_of_the_fixture_is_documented() -> None:
    methods = [CODE.findall(row[0])[0] for row in table("pytest-fixture", "method")]
    attributes = [n for row in table("pytest-fixture", "attribute") for n in CODE.findall(row[0])]
    cloud: Any = LegacyCloud(load_seed(), "http://x")
    parts = {"seed", "clock", "files", "image_service", "identity", "journal", "fault_rules"}
    offered = {name for name in dir(cloud) if name[0] != "_"}
    assert offered - parts == {method.partition("(")[0] for method in methods} | set(attributes)
    for method in methods:
        name, _, given = method.rstrip(")").partition("(")
        signature = inspect.signature(getattr(cloud, name))
        documented = [part.partition("=")[0].lstrip("*") for part in given.split(", ")]
        expected = [text for text in documented if text not in {"", "/"}]
        assert list(signature.parameters)[: len(expected)] == expected, method
