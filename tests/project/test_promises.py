"""SECURITY.md names tests that exist."""

import ast
import re

import pytest
from support.paths import ROOT

SECURITY = (ROOT / "SECURITY.md").read_text()
NODE = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def promises() -> list[tuple[str, str]]:
    """Return the rows of SECURITY.md: a promise, and what holds it."""
    rows = [line.strip("| ").split(" | ") for line in SECURITY.splitlines() if line[:2] == "| "]
    return [(promise, held_by) for promise, held_by in rows[2:]]


@pytest.mark.parametrize(("promise", "held_by"), promises())
def test_every_promise_is_held_by_tests_that_are_there(promise: str, held_by: str) -> None:
    named = NODE.findall(held_by)
    assert len(named) == held_by.count("`") // 2 > 0, promise
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text())
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
