"""The parts of `make parity`, which compares the service with Nova; these tests need no Nova."""

import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from project.test_reference import calls

from nova_image_shim.compare.differences import ABSENT, TIME, Answer, differences, normal
from nova_image_shim.compare.intended import load_intended
from parity.exchange import Request, fill, load_requests
from parity.report import (
    INTENDED_FILES,
    Comparison,
    Intended,
    Key,
    assert_reasons,
    dump,
    judge,
    load_differences,
    report,
    set_aside,
)
from parity.world import load_recipes

ROOT = Path(__file__).parents[2]
DIFFERENCES = load_differences(INTENDED_FILES[1])
REQUEST_ID = "req-11111111-2222-4333-8444-555555555555"
HEADERS = [
    ("Content-Type", "application/json"),
    ("X-Compute-Request-Id", REQUEST_ID),
    ("X-OpenStack-Request-Id", REQUEST_ID),
]
LINKS = [
    {"rel": "self", "href": "http://127.0.0.1:1/v2/p/images/a"},
    {"rel": "bookmark", "href": "http://127.0.0.1:1/p/images/a"},
]
IMAGE = {
    "id": "a",
    "name": "one",
    "minRam": 0,
    "metadata": {"k1": "v1"},
    "updated": "2024-01-01T00:00:00Z",
    "links": LINKS,
}
OTHER = {**IMAGE, "id": "b"}
NEXT = {"rel": "next", "href": "http://127.0.0.1:1/v2/p/images?limit=2&limit=1&marker=b&name=x"}
NEXT_IN_ANOTHER_ORDER = "http://127.0.0.1:1/v2/p/images?name=x&limit=2&marker=b&limit=1"
WITH_ANOTHER_LIMIT = NEXT["href"].replace("2&limit=1", "1&limit=2")
LIST = {"images": [IMAGE, OTHER], "images_links": [NEXT]}


def answer(body: Any, status: int = 200, headers: list[tuple[str, str]] | None = None) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, HEADERS if headers is None else headers, data)


def between(one: Answer, other: Answer, *, times: bool = True) -> dict[str, Any]:
    names = dict.fromkeys(("http://127.0.0.1:1", "http://127.0.0.1:2"), "http://compute")
    return differences(normal(one, names, times=times), normal(other, names, times=times))


def with_image(**fields: Any) -> Any:
    return {**LIST, "images": [{**IMAGE, **fields}, OTHER]}


@pytest.mark.parametrize(
    "other",
    [
        answer(LIST),
        answer(json.dumps(LIST, indent=1, sort_keys=True).encode()),
        answer(json.dumps(LIST).replace("127.0.0.1:1", "127.0.0.1:2").encode()),
        answer({**LIST, "images_links": [{**NEXT, "href": NEXT_IN_ANOTHER_ORDER}]}),
        answer(
            LIST,
            headers=[*HEADERS[:1], *((name, REQUEST_ID[:-1] + "6") for name, _ in HEADERS[1:])],
        ),
        answer(LIST, headers=[*HEADERS, ("Server", "another"), ("Date", "now")]),
        answer(LIST, headers=[(name.upper(), value) for name, value in HEADERS]),
    ],
)
def test_expected_variations_are_not_differences(other: Answer) -> None:
    assert {} == between(answer(LIST), other)


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (answer(LIST, 203), {"status": (200, 203)}),
        (answer(with_image(name="two")), {"body/images/a/name": ("one", "two")}),
        (answer(with_image(minRam="0")), {"body/images/a/minRam": (0, "0")}),
        (answer(with_image(minRam=False)), {"body/images/a/minRam": (0, False)}),
        (answer(with_image(minRam=0.0)), {"body/images/a/minRam": (0, 0.0)}),
        (answer(with_image(extra=None)), {"body/images/a/extra": (ABSENT, None)}),
        (
            answer(with_image(updated="2024-01-01T00:00:01Z")),
            {"body/images/a/updated": ("2024-01-01T00:00:00Z", "2024-01-01T00:00:01Z")},
        ),
        (
            answer(with_image(metadata={"k1": "v1", "k2": "v2"})),
            {"body/images/a/metadata/k2": (ABSENT, "v2")},
        ),
        (answer(with_image(metadata={})), {"body/images/a/metadata": ({"k1": "v1"}, {})}),
        (
            answer(with_image(links=LINKS[::-1])),
            {"body/images/a/links": (["self", "bookmark"], ["bookmark", "self"])},
        ),
        (
            answer(with_image(links=[{**LINKS[0], "href": "http://x"}, LINKS[1]])),
            {"body/images/a/links/self/href": ("http://compute/v2/p/images/a", "http://x")},
        ),
        (
            answer({**LIST, "images": [OTHER, IMAGE]}),
            {"body/images": (["a", "b"], ["b", "a"])},
        ),
        (
            answer({**LIST, "images": [{**IMAGE, "name": "two"}]}),
            {"body/images": (["a", "b"], ["a"]), "body/images/a/name": ("one", "two")},
        ),
        (
            answer({**LIST, "images": [IMAGE, OTHER, OTHER]}),
            {"body/images": ([IMAGE, OTHER], [IMAGE, OTHER, OTHER])},
        ),
        (answer({"images": LIST["images"]}), {"body/images_links": ([NEXT], ABSENT)}),
        (
            answer({**LIST, "images_links": [{**NEXT, "href": WITH_ANOTHER_LIMIT}]}),
            {"body/images_links/next/href": (NEXT["href"], WITH_ANOTHER_LIMIT)},
        ),
        (
            answer({"itemNotFound": {"code": 404}}),
            {"body": (LIST, {"itemNotFound": {"code": 404}})},
        ),
        (answer(b"{"), {"body": (LIST, "{")}),
        (answer(b""), {"body": (LIST, "")}),
        (
            answer(
                LIST, headers=[("Content-Type", "application/json; charset=UTF-8"), *HEADERS[1:]]
            ),
            {"header/Content-Type": ("application/json", "application/json; charset=UTF-8")},
        ),
        (
            answer(LIST, headers=HEADERS[:2]),
            {
                "header/X-OpenStack-Request-Id": ("(request id)", ABSENT),
                "header/request ids are one": (ABSENT, False),
            },
        ),
        (
            answer(LIST, headers=[*HEADERS[:2], (HEADERS[2][0], REQUEST_ID[:-1] + "6")]),
            {"header/request ids are one": (ABSENT, False)},
        ),
        (
            answer(LIST, headers=[*HEADERS[:1], *((name, "req-x") for name, _ in HEADERS[1:])]),
            {
                "header/X-Compute-Request-Id": ("(request id)", "req-x"),
                "header/X-OpenStack-Request-Id": ("(request id)", "req-x"),
            },
        ),
        (answer(LIST, headers=[*HEADERS, ("Vary", "Accept")]), {"header/Vary": (ABSENT, "Accept")}),
    ],
)
def test_every_other_difference_is_found(other: Answer, found: dict[str, Any]) -> None:
    expected = json.dumps(found, sort_keys=True).replace("http://127.0.0.1:1", "http://compute")
    actual = between(answer(LIST), other)
    assert expected == json.dumps(actual, sort_keys=True)  # JSON distinguishes 0 from false


def test_a_compressed_response_is_compared_by_its_content() -> None:
    packed = gzip.compress(json.dumps(with_image(name="two")).encode())
    other = answer(packed, headers=[*HEADERS, ("Content-Encoding", "gzip")])
    assert {
        "body/images/a/name": ("one", "two"),
        "header/Content-Encoding": (ABSENT, "gzip"),
    } == between(answer(LIST), other)


def test_times_are_compared_unless_switched_off() -> None:
    one, other = answer(LIST), answer(with_image(updated="2025-01-01T00:00:00Z"))
    assert {} == between(one, other, times=False)
    assert TIME == normal(one, {}, times=False)["body"]["images"][0]["updated"]
    no_time = answer(with_image(updated=None))
    assert {"body/images/a/updated": (TIME, None)} == between(one, no_time, times=False)


def test_two_services_that_do_not_answer_differ() -> None:
    silence = Answer(0, [], b"")
    assert {"status": (0, 0)} == between(silence, silence)


def comparison(request_id: str, **found: tuple[Any, Any]) -> Comparison:
    return Comparison(Request(request_id, "GET /"), dict(found), 200)


COMPARISONS = [
    comparison("same"),
    comparison("meant", status=(404, 405)),
    comparison("gone"),
    comparison("half", status=(404, 405), body=("a", {"y": 1, "x": 2})),
    comparison("otherwise", status=(404, 406)),
    comparison("new", status=(404, 405)),
]
INTENDED = {
    Key("meant", "status"): Intended(404, 405, "methods"),
    Key("gone", "status"): Intended(404, 405, "methods"),
    Key("half", "body"): Intended("a", {"x": 2, "y": 1}, "methods"),
    Key("otherwise", "status"): Intended(404, 405, "methods"),
    Key("not asked", "status"): Intended(404, 405, "methods"),
}


def test_only_an_intended_difference_that_is_found_is_accepted() -> None:
    assert [
        "unexpected: half  status\n  theirs  404\n    here  405",
        "differs from intended: otherwise  status\n  theirs  404\n    here  406",
        "unexpected: new  status\n  theirs  404\n    here  405",
        "intended, but no longer found: gone  status",
    ] == judge(COMPARISONS, INTENDED)


def test_what_is_intended_everywhere_is_set_aside_and_must_occur() -> None:
    left, unused = set_aside(COMPARISONS, [("status", (404, 405)), ("status", (404, 409))])
    assert ["half", "otherwise"] == [each.request.id for each in left if each.differences]
    assert {"body": ("a", {"y": 1, "x": 2})} == left[3].differences
    assert ["intended everywhere, found nowhere: ('status', (404, 409))"] == unused


def test_the_report_counts_requests() -> None:
    told = "their answers: 2xx 6\n6 requests: same 1 (17 %), intended 1, unexpected 4"
    assert told == report(COMPARISONS, INTENDED)


def test_a_dump_has_the_form_of_the_file() -> None:
    entries = yaml.safe_load(dump(COMPARISONS))
    assert {"request": "meant", "field": "status", "nova": 404, "here": 405} == entries[0]
    assert 5 == len(entries)


# Nova has none of these.
OUR_OWN = {
    *("GET /healthcheck", "GET /healthcheck/live", "GET /healthcheck/ready"),
    *("GET /docs", "GET /openapi.json"),
}


def test_at_least_200_requests_cover_every_call(client: Any) -> None:
    requests = load_requests()
    asked = {" ".join(template(request)) for request in requests}
    served = calls(client.application) - OUR_OWN
    assert len(requests) >= 200
    assert set() == {call for call in served if call.replace("{image_id}", "{}") not in asked}


def template(request: Request) -> tuple[str, str]:
    """Return a request's method and path in the form of the table of calls."""
    path = request.target.partition("?")[0].rstrip("/") or "/"
    path = re.sub(r"^/v2\.1/|^/v2/", "/v2/", path)
    path = re.sub(r"^/v2/\{project\}", "/v2/{tenant_id}", path)
    path = re.sub(r"(/metadata/).+", r"\1{key}", path)
    path = re.sub(r"(/images/)(?!detail\b)[^/]+", r"\1{}", path)
    return request.method, path


def test_every_placeholder_and_recipe_exists() -> None:
    recipes = load_recipes()
    projects = dict.fromkeys(("demo", "alt", "admin", "service", "project"), "id")
    for request in load_requests():
        assert request.image is None or request.image in recipes["write"]
        own = {"image": "id"} if request.image else {}
        names = projects | dict.fromkeys(recipes["read"], "id") | own
        fill([request.target, dict(request.headers), request.json], names)
    with pytest.raises(ValueError, match="unknown name"):
        fill("{nobody}", projects)


def test_every_intended_difference_belongs_to_a_request() -> None:
    asked = {request.id for request in load_requests()}
    assert set() == {key.request for key in DIFFERENCES} - asked


def test_each_reason_is_a_whole_row_and_explains_something() -> None:
    assert_reasons(INTENDED_FILES)


def test_a_difference_shown_elsewhere_is_tested_there() -> None:
    for reason in load_intended().reasons.values():
        if "elsewhere" in reason:
            file, test = reason["elsewhere"].split("::")
            assert f"def {test}(" in (ROOT / file).read_text()


# On its own, the brief list does not show that one of its images is broken.
NOT_EXPLAINED = {"list-broken-image"}


def test_the_rules_explain_each_difference_by_its_own_reason() -> None:
    intended = load_intended()
    for request in load_requests():
        found = {
            key.field: difference
            for key, difference in DIFFERENCES.items()
            if key.request == request.id
        }
        if found and is_like_a_logged_one(request) and request.id not in NOT_EXPLAINED:
            values = {field: (each.theirs, each.ours) for field, each in found.items()}
            line = re.sub(r"\{(project|demo|alt)\}", "0123456789abcdef", request.request)
            explained = intended.explain(line, statuses(request, found), values)
            headers = {field for field, _ in intended.everywhere}
            reasons = {f: each.reason for f, each in found.items() if f not in headers}
            assert reasons == {f: why for f, why in explained.items() if f not in headers}


def is_like_a_logged_one(request: Request) -> bool:
    """Tell whether a log shows everything that matters in a request: method and target."""
    unusual = request.headers or request.stopped or request.token not in {None, "none"}
    return request.method in {"GET", "HEAD"} and not unusual


def statuses(request: Request, found: Mapping[str, Intended]) -> tuple[int, int]:
    """Return the statuses of both answers, from what differs."""
    if "status" in found:
        return found["status"].theirs, found["status"].ours
    if request.method == "HEAD":
        return 404, 404
    codes = {"badRequest": 400, "itemNotFound": 404, "404 Not Found": 404, "forbidden": 403}
    text = json.dumps([(field, each.theirs) for field, each in found.items()])
    code = next((code for word, code in codes.items() if word in text), 200)
    return code, code


def test_the_rules_explain_nothing_else() -> None:
    intended = load_intended()
    for field, values in {
        "status": (200, 500),
        "body": ({"images": []}, {"computeFault": {"code": 500}}),
        "body/images": (["a", "b"], ["a"]),
        "body/image/name": ("a", "b"),
        "header/Content-Type": ("application/json", ABSENT),
        "header/Vary": (ABSENT, "Cookie"),
        "body/images_links": (["next"], ABSENT),
        "body/images_links/next/href": ("http://compute/a?marker=b", "http://compute/a?marker=c"),
        "body/image/links/alternate/href": ("http://glance/images/a", "http://glance/p/images/b"),
    }.items():
        found = intended.explain("GET /v2/p/images?limit=2&name=x", (200, 200), {field: values})
        assert {field: None} == found
