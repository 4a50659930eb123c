"""Check that the contestants answer the same; otherwise their times are not comparable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.contestants import Contestant
    from bench.stage import Stage

SAME = ("floor", "bare floor", "alone", "models")  # as the shim's response, in every key


class UnequalError(Exception):
    """Two contestants' responses differ."""


def require_same_answers(
    stage: Stage, contestants: Sequence[Contestant], page_sets: Sequence[str]
) -> None:
    """Compare every list from every contestant.

    Raises:
        UnequalError: an entry differs, or Nova's ids or their order differ.
    """
    by_name = {one.name: one for one in contestants}
    for images in page_sets:
        expected = stage.ask(by_name["shim"], images)["images"]
        if len(expected) != len(stage.page_sets[images].images):
            raise UnequalError(f"{images}: the shim lists {len(expected)} images")
        for name in SAME:
            if name in by_name:
                _compare(name, images, expected, stage.ask(by_name[name], images)["images"])
        if "nova" in by_name:
            found = stage.ask(by_name["nova"], images)["images"]
            _compare("nova", images, _ids(expected), _ids(found))


def _ids(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["id"] for entry in entries]


def _compare(name: str, images: str, expected: list[Any], found: list[Any]) -> None:
    if expected == found:
        return
    pairs = zip(expected, found, strict=False)
    first = next(((one, other) for one, other in pairs if one != other), None)
    raise UnequalError(f"{name}, {images}: {len(expected)} and {len(found)} entries, {first}")
