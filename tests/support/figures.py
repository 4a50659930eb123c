"""Figures that tests have seen, printed at the end of the run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from support import canary

if TYPE_CHECKING:
    from collections.abc import Callable

_LINES = pytest.StashKey[list[str]]()
_INPUTS = pytest.StashKey[Counter[str]]()


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return what takes a line that is printed at the end."""
    return request.config.stash.setdefault(_LINES, []).append


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Callable[[], None]:
    """Return what counts one random input of this test."""
    inputs = request.config.stash.setdefault(_INPUTS, Counter())
    name = request.node.name

    def one() -> None:
        inputs[name] += 1

    return one


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the lines, and how many inputs there were with the seed that makes them again."""
    for line in filter(None, [*config.stash.get(_LINES, []), canary.told()]):
        terminalreporter.write_line(line)
    inputs = config.stash.get(_INPUTS, Counter())
    for name, number in inputs.items():
        terminalreporter.write_line(f"fuzz: {number} inputs to {name}")
    if inputs:
        seed = config.getoption("--hypothesis-seed") or "hypothesis's own"
        terminalreporter.write_line(f"fuzz: {inputs.total()} inputs in all, seed {seed}")
