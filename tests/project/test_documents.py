"""What the documentation says of the program, held to the program."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from support.paths import ROOT

from nova_image_shim.adapters.image_port import Image
from nova_image_shim.translation.filters import to_glance_query
from nova_image_shim.translation.links import Links
from nova_image_shim.translation.translator import Translator

DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`]+)`")


def rows(heading: str) -> Iterator[tuple[list[str], list[str]]]:
    """Return the code in both cells of each row of a table of the guide to retire the API."""
    page = (DOCS / "how-to" / "retire.md").read_text(encoding="utf-8")
    section = page.partition(f"\n### {heading}\n")[2].partition("\n##")[0]
    for line in section.splitlines()[3:]:
        if line.startswith("| "):
            legacy, glance = line.strip("| ").split(" | ")
            yield CODE.findall(legacy), CODE.findall(glance)


QUERIES = [
    (legacy, glance)
    for both in rows("By query")
    for legacy, glance in zip(*both, strict=False)
    if "=" in legacy
]


@pytest.mark.parametrize(("legacy", "native"), QUERIES)
def test_a_query_to_migrate_is_what_glance_is_asked_here(legacy: str, native: str) -> None:
    made_up = {"TIME": "2024-01-01T00:00:00Z", "=N": "=7", "NAME": "a-name", "ID": "an-id"}
    for word, value in made_up.items():
        legacy, native = legacy.replace(word, value), native.replace(word, value)
    asked = to_glance_query(dict(parse_qsl(legacy)))
    assert dict(parse_qsl(native)) == asked.params


def test_readme_is_short() -> None:
    assert 120 >= len(README.splitlines())


def test_readme_has_the_measured_times_of_a_list() -> None:
    (page,) = DOCS.rglob("performance.md")
    table = page.read_text(encoding="utf-8").partition("### CPU time per request")[2]
    rows = [line.strip("| ").split(" | ") for line in table.partition("\n### ")[0].splitlines()]
    times = {row[0]: [cell.split()[0] for cell in row[1:]] for row in rows if len(row) > 2}
    columns = [
        (times["25"][n], times["1000"][n]) for n in (-1, 0)
    ]  # Nova is the last, the shim the first
    (row,) = [line for line in README.splitlines() if "CPU time per list" in line]
    assert [f"{few} / {many} ms" for few, many in columns] == row.strip("| ").split(" | ")[1:]


PAGES = [
    *ROOT.glob("*.md"),
    *(page for folder in ("docs", "deploy", "examples") for page in (ROOT / folder).rglob("*.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [] == [link for link in links if not (page.parent / link).exists()]


def test_the_changelog_has_one_section_with_each_heading_once() -> None:
    page = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert ["Unreleased"] == re.findall("^## (.+)$", page, re.MULTILINE)
    found = re.findall("^### (.+)$", page, re.MULTILINE)
    assert found == [name for name in ("Added", "Changed", "Fixed", "Removed") if name in found]


IMAGE: Image = {"id": "an-id", "name": "a name", "status": "active", "min_ram": 1, "min_disk": 2}
PROPERTIES = {"size": 3, "instance_uuid": "a-server", "auto_disk_config": "True", "KEY": "value"}
TIMES = {"created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-02T00:00:00Z"}


def test_every_field_to_migrate_is_told_of() -> None:
    links = Links.under("http://a", "v2", "p", "http://b", project_in_alternate=True)
    source: Any = {**IMAGE, **PROPERTIES, **TIMES}
    shown = Translator(links).full(source)
    told = {
        re.split("[:,]? ", each)[0].strip(":") for legacy, _ in rows("By field") for each in legacy
    }
    assert shown.keys() == told - {"ERROR", "DELETED", "UNKNOWN"} | {"progress"}


@pytest.mark.parametrize(("name", "fewest"), [("request", 21), ("overview", 16)])
def test_the_picture_is_that_of_its_source(name: str, fewest: int) -> None:
    source = (DOCS / "images" / f"{name}.dot").read_text(encoding="utf-8")
    drawn = unescape((DOCS / "images" / f"{name}.svg").read_text(encoding="utf-8"))
    labels = re.findall(r'label="?([^"\];]+)"?', source)
    lines = [line.strip() for label in labels for line in label.split(r"\n")]
    assert len(lines) >= fewest
    assert [] == [line for line in lines if f"{line}</text>" not in drawn]


def test_the_picture_names_modules_that_there_are() -> None:
    source = (DOCS / "images" / "request.dot").read_text(encoding="utf-8")
    shim = source.partition("subgraph")[2].partition("  }")[0]
    named = re.findall(r'\[label="([a-z_., ]+)\\n', shim)
    modules = [name for each in named for name in each.split(", ")]
    assert 8 < len(modules)
    for module in modules:
        path = ROOT / ("" if module.startswith("adapters.") else "app") / module.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").exists(), module
