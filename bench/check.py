"""Whether the contestants answer the same: else their times could not be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.contestants import Contestant
    from bench.stage import Stage

SAME = ("floor", "bare floor", "alone", "models")  # with the shim's own answer, to the last key


class UnequalError(Exception):
    """Two contestants answered differently."""


def require_same_answers(
    stage: Stage, contestants: Sequence[Contestant], page_sets: Sequence[str]
) -> None:
    """Ask everyone for every list.

    Raises:
        UnequalError: an entry differs, or Nova's has not the same ids in the same order.
    """
    by_name = {one.name: one for one in contestants}
    for images in page_sets:
        wanted = stage.ask(by_name["shim"], images)["images"]
        if len(wanted) != len(stage.page_sets[images].images):
            raise UnequalError(f"{images}: the shim answers {len(wanted)}")
        for name in SAME:
            if name in by_name:
                _compare(name, images, wanted, stage.ask(by_name[name], images)["images"])
        if "nova" in by_name:
            found = stage.ask(by_name["nova"], images)["images"]
            _compare("nova", images, _ids(wanted), _ids(found))


def _ids(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["id"] for entry in entries]


def _compare(name: str, images: str, wanted: list[Any], found: list[Any]) -> None:
    if wanted == found:
        return
    pairs = zip(wanted, found, strict=False)
    first = next(((one, other) for one, other in pairs if one != other), None)
    raise UnequalError(f"{name}, {images}: {len(wanted)} and {len(found)} entries, {first}")
