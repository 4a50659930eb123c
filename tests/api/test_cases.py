"""Every translation and query case, through the running service: gunicorn, fake Keystone, fake
Glance, real HTTP between them. Their form and settings are in cases/README.md."""

import json
from typing import Any

import pytest
import requests
from support.fakes import FakeGlance, says, token_of
from support.images import load_images
from support.paths import CASES

from nova_image_shim.adapters.memory.service import MemoryImageService

TENANT = "6f70656e737461636b20342065766572"


def cases(name: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in json.loads((CASES / name).read_text())]


def ask(base: str, path: str) -> requests.Response:
    headers = {"X-Auth-Token": token_of(TENANT), "Host": "shim.example"}
    return requests.get(f"{base}{path}", headers=headers, timeout=10)


@pytest.mark.parametrize("case", cases("translation.json"))
def test_an_image_is_translated(case: Any, glance: FakeGlance, glance_shim: str) -> None:
    image = case["glance"]
    glance.answers[:] = [says(200, {"images": [image]}), says(200, image)]
    listed = ask(glance_shim, f"/v2/{TENANT}/images/detail").json()
    shown = ask(glance_shim, f"/v2/{TENANT}/images/{image['id']}").json()
    assert ({"images": [case["legacy"]]}, {"image": case["legacy"]}) == (listed, shown)


@pytest.fixture(scope="module")
def many_images() -> MemoryImageService:
    """Return a store with more images than any page."""
    marker = {"id": "70a599e0-31e7-49b7-b260-868f441e862b", "created_at": "2030-01-01T00:00:00Z"}
    images = [{"id": f"{number:08}", "owner": TENANT} for number in range(1300)]
    return FilterFree([*complete(images), *complete([marker])])


def complete(images: list[dict[str, Any]]) -> list[dict[str, Any]]:
    usual = load_images()[0] | {"members": {}}
    return [{**usual, **image} for image in images]


class FilterFree(MemoryImageService):
    """Answers any filter with all images: what was asked is looked at, not what is found."""

    def list_page(self, context: Any, query: Any, **kwargs: Any) -> Any:
        return super().list_page(context, {}, **kwargs)


@pytest.mark.parametrize("case", cases("queries.json"))
def test_a_query_is_checked_and_passed_on(
    case: Any, glance: FakeGlance, many_images: MemoryImageService, glance_shim: str
) -> None:
    glance.service = many_images
    expect = case["expect"]
    if scripted := case.get("glance_response"):
        message = {"message": f"{scripted['explanation']}<br /><br />\n\n\n"}
        glance.answers.append(says(scripted["status"], message))
    path = case.get("path", f"/v2/{TENANT}/images/detail")
    answer = ask(glance_shim, f"{path}?{case['query']}")
    assert expect["status"] == answer.status_code, answer.text
    lists = [dict(seen.query) for seen in glance.seen if seen.path == "/v2/images"]
    forwards = [query for query in lists if "sort_key" not in query]
    if "message" in expect:
        assert {"badRequest": {"code": 400, "message": expect["message"]}} == answer.json()
        assert [] == lists
    elif "message_contains" in expect:
        assert expect["message_contains"] in answer.json()["badRequest"]["message"]
    elif expect["glance_query"] is None:
        assert ({"images": []}, []) == (answer.json(), lists)
    else:
        assert expect["glance_query"] == forwards[0]
        most = 0 if "client_filter" in expect else expect["effective_limit"] or 1301
        assert min(most, 1301 - ("marker" in forwards[0])) == len(answer.json()["images"])
