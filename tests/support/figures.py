"""Figures that tests collect, printed at the end of the run, of parallel workers, too."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from support import canary

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


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand a parallel worker's figures to the process that prints them."""
    stash = session.config.stash
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["figures"] = {
            "lines": stash.get(_LINES, []),
            "inputs": dict(stash.get(_INPUTS, {})),
            "searched": dict(canary.SEARCHED),
        }


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add a worker's figures to those of this process."""
    if figures := getattr(node, "workeroutput", {}).get("figures"):
        stash = node.config.stash
        stash.setdefault(_LINES, []).extend(figures["lines"])
        stash.setdefault(_INPUTS, Counter()).update(figures["inputs"])
        canary.SEARCHED.update(figures["searched"])


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
