"""The page at `/docs`, as somebody uses it in a browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests
from support.browser import IS_THERE, MISSING, chromium, look
from support.openapi import METHODS
from support.swagger_page import SwaggerPage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver import Chrome

    from nova_image_shim.fakecloud.testing import LegacyCloud

pytestmark = [pytest.mark.live, pytest.mark.skipif(not IS_THERE, reason=MISSING)]


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    with chromium() as driver:
        yield driver


@pytest.fixture
def page(driver: Chrome, memory_shim: str) -> SwaggerPage:
    look(driver, 1200, 900)
    return SwaggerPage(driver, memory_shim)


def test_it_shows_every_operation_and_asks_no_other_host(
    page: SwaggerPage, memory_shim: str
) -> None:
    assert "nova-image-shim" == page.driver.title
    told = requests.get(f"{memory_shim}/openapi.json", timeout=10).json()
    methods = [name for item in told["paths"].values() for name in item if name in METHODS]
    assert len(methods) == len(page.operations())
    hosts = {f"http://{urlsplit(address).netloc}" for address in page.loaded()}
    assert ({memory_shim}, []) == (hosts, page.complaints())


def test_the_first_execute_works_as_it_stands(page: SwaggerPage, memory_shim: str) -> None:
    block = page.operation("listImages")
    status, body = page.execute(block)
    headers = {"X-Auth-Token": "demo"}
    asked = requests.get(f"{memory_shim}/v2/demo/images?limit=2", headers=headers, timeout=10)
    assert (200, asked.json()) == (status, json.loads(body))
    assert ["tenant_id", "limit", "marker"] == page.parameters(block)[:3]
    assert [] == page.complaints()


WRITES = [
    "addImageMetadata",
    "replaceImageMetadata",
    "setImageMetadataItem",
    "deleteImageMetadataItem",
    "deleteImage",
]
READS = ["listImagesDetail", "showImage", "listImageMetadata", "showImageMetadataItem"]


def test_every_call_of_an_image_works_as_it_stands(
    driver: Chrome, legacy_cloud: LegacyCloud
) -> None:
    page = SwaggerPage(driver, legacy_cloud.url)
    statuses = [page.execute(page.operation(each))[0] for each in (*READS, *WRITES)]
    assert [200] * 7 + [204] * 2 == statuses


@pytest.mark.parametrize("mount", ["v1.1", "v2", "v2.1"])
def test_a_call_is_tried_on_a_mount(mount: str, page: SwaggerPage, memory_shim: str) -> None:
    page.choose_server(f"./{mount}")
    status, body = page.execute(page.operation("listImages"))
    headers = {"X-Auth-Token": "demo"}
    asked = requests.get(f"{memory_shim}/{mount}/demo/images?limit=2", headers=headers, timeout=10)
    assert (200, asked.json()) == (status, json.loads(body))
    assert [] == page.complaints()
