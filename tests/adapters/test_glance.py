"""The Glance adapter keeps the port's promises over HTTP, and costs the calls that it must."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import requests
from keystoneauth1.token_endpoint import Token
from support.contract import ImageServiceContract
from support.fakes import FakeGlance, token_of
from support.peers import hears, scripted, sends

from adapters.test_memory import stocked
from adapters.timing import Clock
from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.glance.addresses import Addresses
from nova_image_shim.adapters.glance.errors import port_error
from nova_image_shim.adapters.glance.service import GlanceImageService, GlanceOptions
from nova_image_shim.adapters.image_port import Context, ImageService


class TestGlanceImageService(ImageServiceContract):
    @pytest.fixture(autouse=True)
    def _glance(self, glance: FakeGlance) -> Iterator[None]:
        self.glance = glance
        usual = glance.service
        yield
        glance.service = usual

    def stock(self, *images: dict[str, Any]) -> ImageService:
        self.glance.service = stocked(images)
        return GlanceImageService(GlanceOptions(endpoint=f"{self.glance.url}/v2/"))

    def context(self, project: str) -> Context:
        return Context(project, "req-test", auth=Token(self.glance.url, token_of(project)))

    def calls(self) -> list[tuple[str, str]]:
        return [(seen.method, seen.path) for seen in self.glance.seen]

    def test_each_call_of_the_port_is_one_call_of_glance(self) -> None:
        service, image_id = self.owned()
        context = self.context("demo")
        service.list_page(context, {"name": "one"}, limit=5)
        service.get(context, image_id)
        service.update(context, image_id, port.Changes({"c": "3"}, {"a": "2"}, ["b"]))
        service.delete(context, image_id)
        one = f"/v2/images/{image_id}"
        assert [
            ("GET", "/v2/images"),
            ("GET", one),
            ("PATCH", one),
            ("DELETE", one),
        ] == self.calls()
        done = [("list", 200), ("get", 200), ("update", 200), ("delete", 204)]
        assert done == [(call.operation, call.status) for call in context.calls]
        assert all(0 < call.seconds < 60 for call in context.calls)

    def test_a_write_is_one_json_patch_of_what_changes(self) -> None:
        service, image_id = self.owned()
        service.update(
            self.context("demo"), image_id, port.Changes({"c/d~": "3"}, {"a": "2"}, ["b"])
        )
        (seen,) = self.glance.seen
        assert "application/openstack-images-v2.1-json-patch" == seen.headers["content-type"]
        assert (
            b'[{"op":"add","path":"/c~1d~0","value":"3"},'
            b'{"op":"replace","path":"/a","value":"2"},{"op":"remove","path":"/b"}]'
        ) == seen.body

    def test_the_callers_token_and_request_id_go_along(self) -> None:
        service, image_id = self.owned()
        service.get(self.context("demo"), image_id)
        self.listed(service)
        for seen in self.glance.seen:
            headers = [seen.headers[name] for name in ("x-auth-token", "x-openstack-request-id")]
            assert [token_of("demo"), "req-test"] == headers

    @pytest.mark.parametrize("image_id", ["a/b", "a?b=c", "%2e%2e", "é\x00"])
    def test_an_id_is_quoted_whole(self, image_id: str) -> None:
        service = self.stock()
        with pytest.raises(port.ImageNotFound, match="Glance answered 404"):
            service.get(self.context("demo"), image_id)
        assert ("GET", f"/v2/images/{image_id}") == self.calls()[0]


def test_an_address_is_asked_once_a_minute_however_many_want_to_know() -> None:
    clock, asked = Clock(), Counter[str]()
    addresses = Addresses(clock)
    start = threading.Barrier(8)

    def list_one(address: str) -> None:
        asked[address] += 1
        if address == "wrong":
            raise port.ImageServiceFailed("Glance answered 404", retry_after="7")

    def require(address: str) -> tuple[str, str | None] | None:
        start.wait(5)
        try:
            addresses.require_glance(address, partial(list_one, address))
        except port.ImageServiceFailed as error:
            return error.text, error.retry_after
        return None

    with ThreadPoolExecutor(8) as pool:
        for seconds in (0, 59, 1):
            clock.now += seconds
            found = list(pool.map(require, ["right", "wrong"] * 4))
            assert [None, ("Glance answered 404", "7")] * 4 == found
    assert {"right": 2, "wrong": 2} == asked


TOKENS = {"X-Auth-Token": "callers-token", "X-Service-Token": "services-token"}


@pytest.mark.parametrize("location", ["http://[bad", "\xff"])
def test_a_malformed_redirect_is_a_failure_of_glance(location: str) -> None:
    head = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    with scripted([hears, sends(head.encode("latin-1"))]) as server:
        glance = GlanceImageService(GlanceOptions(endpoint=server.url))
        context = Context("demo", "req-test", auth=Token(server.url, token_of("demo")))
        with pytest.raises(port.ImageServiceFailed, match="Glance answered 302"):
            glance.list_page(context, {}, limit=1)


@pytest.mark.parametrize(
    "options", [{"endpoint": "https://[bad"}, {"endpoint": "https://a", "cacert": "/nothing.pem"}]
)
def test_an_address_or_a_ca_bundle_of_no_use_is_a_failure_of_glance(
    options: dict[str, Any],
) -> None:
    context = Context("demo", "req-test", auth=Token("http://a", token_of("demo")))
    with pytest.raises(port.ImageServiceUnavailable):
        GlanceImageService(GlanceOptions(**options)).list_page(context, {}, limit=1)


@pytest.mark.parametrize(
    ("status", "text"),
    [(400, "{}"), (403, "{}"), (503, "Glance answered 503: {}"), (500, "Glance answered 500: {}")],
)
@pytest.mark.parametrize("page", ['{"message": "%s"}', "<h1>x</h1>%s"], ids=["JSON", "HTML"])
def test_an_error_repeats_no_token_that_was_sent(status: int, text: str, page: str) -> None:
    answer = requests.Response()
    answer.status_code = status
    answer.request = requests.Request("GET", "http://glance", TOKENS).prepare()
    answer._content = (page % "sent callers-token and services-token").encode()
    assert text.format("sent *** and ***") == port_error(answer).text
