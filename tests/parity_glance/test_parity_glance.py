"""The data of `make parity-glance`; these tests need no Glance."""

from collections.abc import Iterator
from typing import Any

from parity.exchange import Request, fill, load_requests
from parity.report import assert_reasons, load_differences
from parity.world import load_recipes as load_read

from parity_glance.sides import HERE, INTENDED_FILES, TOKENS, load_recipes, steps

REQUESTS = load_requests(HERE / "requests")
NAMES = dict.fromkeys(["demo", "alt", "third", "admin", "project", "image"], "id")


def every_step() -> Iterator[Request]:
    yield from REQUESTS
    for name in load_recipes():
        yield from steps(name)


def test_at_least_400_requests_are_sent_in_every_role() -> None:
    assert len(REQUESTS) >= 400
    assert set(TOKENS) == {request.as_ for request in REQUESTS}


def test_every_placeholder_and_recipe_exists() -> None:
    names = NAMES | dict.fromkeys(load_read()["read"], "id")
    for request in every_step():
        fill([request.target, dict(request.headers), request.json], names)
    used = {request.image for request in REQUESTS} - {None}
    inner = {step for recipe in load_recipes().values() for step in recipe if isinstance(step, str)}
    assert used | inner == load_recipes().keys()


def test_every_intended_difference_belongs_to_a_request() -> None:
    differences = load_differences(INTENDED_FILES[1], "glance")
    assert set() == {key.request for key in differences} - {r.id for r in REQUESTS}


def test_each_reason_is_a_whole_row_and_explains_something() -> None:
    assert_reasons(INTENDED_FILES, "glance")


def test_a_recipe_may_include_another() -> None:
    calls: list[Any] = [(step.as_, step.request) for step in steps("deactivated")]
    assert [
        ("demo", "POST /v2/images"),
        ("demo", "PUT /v2/images/{image}/file"),
        ("admin", "POST /v2/images/{image}/actions/deactivate"),
    ] == calls
