"""Any query string: 200 or a 400 with a known message, and the same from both adapters."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from flask import Flask, Request
from hypothesis import given
from hypothesis import strategies as st
from keystoneauth1.token_endpoint import Token
from support.fakes import FakeGlance, serve, token_of
from support.images import load_images

from nova_image_shim import create_app
from nova_image_shim.adapters.glance.service import GlanceImageService, GlanceOptions
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.auth.caller import Caller
from nova_image_shim.fakecloud.image_file import complete
from nova_image_shim.settings import Settings

KNOWN = [
    r"Invalid input received: (limit|page_size|minRam|minDisk) must be an integer",
    r"Invalid input received: (limit|page_size|minRam|minDisk) must be >= 0",
    r"Unrecognized changes-since value",
    r"No image found with ID [\s\S]*",
    r"Query string is not UTF-8 encoded",
]
IMAGES = [
    *load_images(),
    complete({"id": "a:b", "name": "in:a,b", "min_ram": 5, "os": "x", "owner": "demo"}),
    complete({"id": "c", "name": "", "status": "queued", "size_min": "5", "owner": "demo"}),
    complete({"id": "d", "name": "Café", "instance_uuid": "s", "owner": "other"}),
]
IDS = [image["id"] for image in IMAGES]

words = st.sampled_from(
    [
        *("limit", "page_size", "marker", "minRam", "minDisk", "changes-since", "name", "status"),
        *("type", "server", "property-os", "property-", "property-name", "property-size_min"),
        *("property-limit", "property-instance_uuid", "is_public", "sort_key", "visibility"),
    ]
)
usual = st.sampled_from(
    [
        *IDS[:3],
        *("a:b", "0", "1", "2", "-1", "+1", " 3 ", "٣", "9" * 30, "active", "SAVING", "in:a,b"),
        *("gte:1", "eq:", "2011-01-01T00:00:00Z", "2011-01-01T00:00:00 09:00", "0001", "x", ""),
        *("http://h/servers/s?x", "/s/", "Café", "in:", 'in:"', "neq:x", "\x00", "%", "5000"),
    ]
)
quoted = st.sampled_from([quote, quote_plus, lambda text: text.replace("&", "").replace("#", "")])
pairs = st.builds(
    lambda name, value, quoting: f"{quoting(name)}={quoting(value)}",
    words | st.text(max_size=8),
    usual | st.text(max_size=8),
    quoted,
)
queries = st.lists(pairs, max_size=5).map("&".join)
raw_queries = st.binary(max_size=30).map(lambda data: data.decode("latin-1"))


@pytest.fixture(scope="module")
def apps() -> Iterator[tuple[Flask, Flask]]:
    """Return the application over the embedded store, and over Glance's adapter on a wire."""
    settings = Settings(glance_link_prefix="http://glance", glance_page_size=2)

    def authenticate(_request: Request, _project_id: str | None) -> Caller:
        return Caller("u", "demo", Token("http://unused", token_of("demo")))

    fake = FakeGlance(service=MemoryImageService(IMAGES))
    with serve(fake) as fake.url:
        glance = GlanceImageService(GlanceOptions(endpoint=fake.url))
        yield (
            create_app(settings, MemoryImageService(IMAGES), authenticate),
            create_app(settings, glance, authenticate),
        )


def ask(app: Flask, query: str) -> tuple[int, Any]:
    answer = app.test_client().get(
        "/v2/demo/images", environ_overrides={"QUERY_STRING": query, "RAW_URI": "/v2/demo/images"}
    )
    return answer.status_code, answer.json


@given(query=queries | raw_queries)
def test_any_query_is_answered_alike_by_both_adapters(
    query: str, apps: tuple[Flask, Flask], count: Callable[[], None]
) -> None:
    count()
    query = query.encode().decode("latin-1") if not query.isascii() else query
    memory, glance = (ask(app, query) for app in apps)
    assert memory == glance
    status, body = memory
    if status != 200:
        fault = body["badRequest"]
        assert (400, 400) == (status, fault["code"])
        assert any(re.fullmatch(text, fault["message"]) for text in KNOWN), fault
