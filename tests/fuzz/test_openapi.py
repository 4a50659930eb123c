"""Requests made of the OpenAPI document, good and bad: never a 5xx, never what it does not say."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings
from support.live import shim

from nova_image_shim.api_docs import load_document

from .conftest import EXAMPLES

pytestmark = pytest.mark.live
REASON = "schemathesis is not installed; run `make fuzz`"
schemathesis = pytest.importorskip("schemathesis", reason=REASON)
checks = pytest.importorskip("schemathesis.specs.openapi.checks", reason=REASON)
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.status_code_conformance,
]
MOUNTS = ("v1.1", "v2", "v2.1")
DOCUMENT = load_document(MOUNTS)
schema = schemathesis.openapi.from_dict(DOCUMENT)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of an embedded cloud that takes any token."""
    log = tmp_path_factory.mktemp("openapi") / "log"
    with shim(log, SHIM_BACKEND="memory", SHIM_FAKE_OPEN="1", SHIM_LOG_LEVEL="WARNING") as url:
        yield url


@schema.parametrize()  # type: ignore[untyped-decorator]
@settings(max_examples=max(5, EXAMPLES // 6), deadline=None)
def test_the_service_answers_as_its_document_says(
    case: Any, url: str, count: Callable[[], None]
) -> None:
    count()
    (server, *_) = DOCUMENT["paths"][case.operation.path].get("servers", [{"url": "./v2"}])
    base = url + server["url"].removeprefix(".")
    case.headers["X-Auth-Token"] = "demo"
    if case.path_parameters.get("mount", "v2") in MOUNTS:
        case.call_and_validate(base_url=base, checks=CHECKS)
    else:  # another path altogether, of which the document says so much in words
        assert 404 == case.call(base_url=base).status_code
