"""README's tables against the program: every call, every parameter, every setting, the example."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import requests
from flask import Flask
from flask.testing import FlaskClient
from support.openapi import calls_of

from nova_image_shim.adapters.address import Address
from nova_image_shim.api.schemas import list_query as schemas
from nova_image_shim.settings import Keystone, Settings
from nova_image_shim.settings.settings import COMPAT

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`]+)`")

# Settings whose default is no plain value: what the table says of it.
TOLD_DEFAULTS = {
    "WEB_CONCURRENCY": "`2`, with `memory` `1`",
    "SHIM_DOCS": "`0`, with `memory` `1`",
    "SHIM_WWW_AUTHENTICATE_URI": "`OS_AUTH_URL`",
    "OS_AUTH_TYPE": "by what is set",
}


def table(heading: str) -> list[list[str]]:
    """Return the rows of the table whose first column is headed so."""
    lines = README.split("\n")
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    rows: list[list[str]] = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            return rows
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def told(value: Any) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, Address):
        value = str(value)
    if isinstance(value, tuple):
        value = ",".join(value)
    return f"`{int(value) if isinstance(value, bool) else value:{'g' * isinstance(value, float)}}`"


def test_every_setting_is_in_the_table_with_its_default() -> None:
    declared = [item for item in (*fields(Settings), *fields(Keystone)) if item.metadata]
    defaults = {item.metadata["name"]: told(item.default) for item in declared} | TOLD_DEFAULTS
    assert defaults == {CODE.findall(row[0])[0]: row[1] for row in table("setting")}


def test_every_word_of_shim_compat_is_in_the_table() -> None:
    assert set(COMPAT) == {CODE.findall(row[0])[0] for row in table("word in `SHIM_COMPAT`")}


def calls(app: Flask) -> set[str]:
    """Return the calls that the application routes, those of the mounts as of `/v2`.

    Left out is what a page is made of, and a path with a final slash beside the one without.
    """
    left_out = re.compile(r"\w+ (/v(1\.1|2\.1)(/.*)?|/v2/|/docs/.*)")
    return {call for call in calls_of(app) if not left_out.fullmatch(call)}


def test_every_call_is_in_the_table(client: FlaskClient) -> None:
    assert calls(client.application) == {CODE.findall(row[0])[0] for row in table("call")}


def test_every_query_parameter_is_in_the_table() -> None:
    schema = schemas.ListQuerySchema()
    known = {field.data_key or name for name, field in schema.fields.items()} - {"properties"}
    listed = {name for row in table("query parameter") for name in CODE.findall(row[0])}
    assert known | {"property-NAME"} == listed


def test_the_example_is_answered_so(memory_shim: str) -> None:
    match = re.search(r"\$ curl -H 'X-Auth-Token: demo' '(.+?)'\n(\{.+?)\n```", README, re.DOTALL)
    assert match
    address, shown = match[1], match[2].replace("\n", "")
    usual = "http://127.0.0.1:8774"
    answer = requests.get(
        address.replace(usual, memory_shim), headers={"X-Auth-Token": "demo"}, timeout=10
    )
    assert json.loads(shown) == json.loads(answer.text.replace(memory_shim, usual))
