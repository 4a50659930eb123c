"""Test that the judge reports each error, and nothing for a correct client."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from .judge import Judge
from .world import glance_images, make_task, nova_image

GLANCE_IMAGES = [{"id": f"id-{n:02}", **image} for n, image in enumerate(glance_images())]
IMAGES = [nova_image(image) for image in reversed(GLANCE_IMAGES)]
IDS = [image["id"] for image in IMAGES]
TASK = make_task(GLANCE_IMAGES)
STEPS = {
    "list": ["id", "name", "status", "minRam", "metadata"],
    "brief": ["id", "name", "links"],
    "page": [],
    "filter": [],
    "show": ["id", "updated"],
    "missing": "No image {unknown}",
    "metadata": [],
    "delete": [],
    "version": "v2.0",
}
BEFORE = {"kept": "as it is"}


def links(image_id: str) -> list[dict[str, str]]:
    return [
        {"rel": rel, "href": f"http://a/{image_id}"} for rel in ("self", "bookmark", "alternate")
    ]


def all_well() -> dict[str, dict[str, Any]]:
    """Return the results of a correct client by step."""
    active = [image["id"] for image in IMAGES if image["status"] == "ACTIVE"]
    steps: dict[str, dict[str, Any]] = {
        "list": {"images": [{**image, "minRam": str(image["minRam"])} for image in IMAGES]},
        "brief": {"images": [{**image, "links": links(image["id"])} for image in IMAGES]},
        "page": {"ids": IDS, "calls": 7},
        "filter": {"by": {"status": "ACTIVE"}, "ids": active},
        "show": {"images": [i for id_ in TASK.show for i in IMAGES if i["id"] == id_]},
        "missing": {"error": f"No image {TASK.unknown}"},
        "metadata": {
            "before": BEFORE,
            "after_set": {**BEFORE, **TASK.set},
            "after_delete": dict(BEFORE),
        },
        "delete": {"left": [id_ for id_ in IDS if id_ != TASK.delete]},
        "version": {"version": "v2.0"},
    }
    return {name: {"step": name, **copy.deepcopy(step)} for name, step in steps.items()}


def complaints(seen: dict[str, dict[str, Any]]) -> list[str]:
    return Judge(IMAGES, TASK, STEPS).complaints(list(seen.values()))


def test_a_correct_client_gets_no_complaint() -> None:
    assert [] == complaints(all_well())


@pytest.mark.parametrize("step", STEPS)
def test_a_missing_step_is_reported(step: str) -> None:
    seen = all_well()
    del seen[step]
    assert [f"steps: {sorted(STEPS.keys() - {step})} instead of {sorted(STEPS)}"] == complaints(
        seen
    )


SPOILT: dict[str, tuple[Callable[[dict[str, dict[str, Any]]], object], str]] = {
    "an image is not listed": (
        lambda seen: seen["list"]["images"].pop(),
        "list: 38 ids instead of 39; missing ['id-00'], unexpected []",
    ),
    "an image is listed twice": (
        lambda seen: seen["brief"]["images"].append(seen["brief"]["images"][0]),
        "brief: 40 ids instead of 39; missing [], unexpected []",
    ),
    "a field is missing": (
        lambda seen: seen["list"]["images"][-1].pop("status"),
        "list: plain: status is None, not 'ACTIVE'",
    ),
    "a field is wrong": (
        lambda seen: seen["list"]["images"][-2].update(minRam=0),
        "list: debian 12 (bookworm): minRam is 0, not 512",
    ),
    "a link is missing": (
        lambda seen: seen["brief"]["images"][0]["links"].pop(),
        "brief: ['self', 'bookmark'] instead of ['self', 'bookmark', 'alternate']",
    ),
    "pages come in another order": (
        lambda seen: seen["page"]["ids"].reverse(),
        f"page: {IDS[::-1]!r} instead of {IDS!r}",
    ),
    "the pages were none": (
        lambda seen: seen["page"].update(calls=1),
        "page: only 1 calls",
    ),
    "a filter finds what does not match": (
        lambda seen: seen["filter"]["ids"].append("id-04"),
        "filter: by {'status': 'ACTIVE'}: 39 ids instead of 38; missing [], unexpected ['id-04']",
    ),
    "an unknown image is no error": (
        lambda seen: seen["missing"].update(error="none"),
        f"missing: 'none' instead of 'No image {TASK.unknown}'",
    ),
    "deleted metadata is still there": (
        lambda seen: seen["metadata"]["after_delete"].update(colour="blue"),
        "metadata: {'kept': 'as it is', 'colour': 'blue'} instead of {'kept': 'as it is'}",
    ),
    "a deleted image is still there": (
        lambda seen: seen["delete"]["left"].append(TASK.delete),
        "delete: 39 ids instead of 38; missing [], unexpected ['id-38']",
    ),
    "another version": (
        lambda seen: seen["version"].update(version="v2.1"),
        "version: 'v2.1' instead of 'v2.0'",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_each_error_is_reported(name: str) -> None:
    spoil, expected = SPOILT[name]
    seen = all_well()
    spoil(seen)
    assert [expected] == complaints(seen)
