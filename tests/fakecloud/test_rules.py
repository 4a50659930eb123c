"""Fault rules: which are refused, which requests they match, and how often they act."""

from typing import Any

import pytest
from werkzeug.datastructures import Headers

from nova_image_shim.fakecloud.control.rules import Asked, Rules
from nova_image_shim.web.errors import HTTPError

EFFECTS = "a rule needs one of status, latency_seconds, body, close"
PATTERN = "Length must be between 1 and 255."
NO_STRING, NO_NUMBER = "Not a valid string.", "Not a valid number."
NO_INTEGER = "Not a valid integer."
STATUS = "status: Must be an HTTP status of 400 or more."
RETRY_AFTER = "retry_after: Must be seconds, or a text for the header."
BETWEEN = "Must be greater than or equal to {} and less than or equal to {}."
LATENCY = f"latency_seconds: {BETWEEN.format(0, 60)}"
CLOSED = "close: A closed connection has no response: leave out status and body."
SEED = f"seed: {BETWEEN.format(0, 2**53)}"
TIMES = f"times: {BETWEEN.format(1, 10**9)}"


@pytest.mark.parametrize(
    "rule",
    [
        {"status": 400},
        {"status": 511, "retry_after": "Fri, 31 Dec 1999 23:59:59 GMT"},
        {"status": 503, "retry_after": "no date"},
        {"status": 503, "body": "garbage"},
        {"status": 503, "body": "cut", "latency_seconds": 60},
        {"latency_seconds": 0.001},
        {"body": "cut"},
        {"close": True, "latency_seconds": 2},
        {"method": "PUT", "path": "/v2/*", "user_agent": "*libcloud*", "status": 500},
        {"status": 500, "probability": 0.5, "seed": 2**53, "times": 1},
        {"status": 500, "skip": 0, "query": "*marker=*", "project": "demo"},
        {"status": 500, "skip": 1, "query": {"marker": "*"}, "headers": {"X-Id": "a*"}},
    ],
)
def test_a_rule_is_shown_as_added(rule: dict[str, Any]) -> None:
    rules = Rules()
    expected = {"id": 1, **rule, "hits": 0}
    assert expected == rules.add(rule)
    assert [expected] == rules.all()


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ([], "Invalid input type."),
        (None, "Invalid input type."),
        ({}, EFFECTS),
        ({"path": "/v2/*", "times": 1}, EFFECTS),
        ({"status": 503, "delay": 2}, "delay: Unknown field."),
        ({"status": 200}, STATUS),
        ({"status": 499}, STATUS),
        ({"status": 600}, STATUS),
        ({"status": "503"}, "status: Not a valid integer."),
        ({"status": None}, "status: Field may not be null."),
        ({"status": 503, "method": "get"}, "method: Must be a method such as GET."),
        ({"status": 503, "method": 1}, "method: Not a valid string."),
        ({"status": 503, "path": ""}, f"path: {PATTERN}"),
        ({"status": 503, "path": "x" * 256}, f"path: {PATTERN}"),
        ({"status": 503, "user_agent": ""}, f"user_agent: {PATTERN}"),
        ({"status": 503, "retry_after": ""}, RETRY_AFTER),
        ({"status": 503, "retry_after": "1\r\nX: y"}, RETRY_AFTER),
        ({"status": 503, "retry_after": True}, f"retry_after: {NO_STRING}"),
        ({"status": 503, "retry_after": 1.5}, f"retry_after: {NO_STRING}"),
        ({"body": "cut", "retry_after": 1}, "retry_after: Only allowed with status."),
        ({"latency_seconds": -1}, LATENCY),
        ({"latency_seconds": 60.1}, LATENCY),
        ({"latency_seconds": "1"}, f"latency_seconds: {NO_NUMBER}"),
        ({"latency_seconds": float("nan")}, f"latency_seconds: {NO_NUMBER}"),
        ({"body": "half"}, "body: Must be one of: cut, garbage."),
        ({"close": False}, "close: Must be true."),
        ({"close": "yes"}, "close: Must be true."),
        ({"close": True, "status": 503}, CLOSED),
        ({"close": True, "body": "cut"}, CLOSED),
        ({"status": 503, "probability": 1.1}, f"probability: {BETWEEN.format(0, 1)}"),
        ({"status": 503, "probability": 1, "seed": -1}, SEED),
        ({"status": 503, "probability": 1, "seed": 0.5}, f"seed: {NO_INTEGER}"),
        ({"status": 503, "seed": 1}, "seed: Only allowed with probability."),
        ({"status": 503, "times": 0}, TIMES),
        ({"status": 503, "times": 10**9 + 1}, TIMES),
        ({"status": 200, "times": 0}, f"{STATUS}; {TIMES}"),
        ({"status": 503, "skip": -1}, f"skip: {BETWEEN.format(0, 10**9)}"),
        ({"status": 503, "skip": True}, f"skip: {NO_INTEGER}"),
        ({"status": 503, "project": ""}, f"project: {PATTERN}"),
        ({"status": 503, "query": ""}, f"query: {PATTERN}"),
        ({"status": 503, "query": 1}, f"query: {NO_STRING}"),
        ({"status": 503, "query": {}}, "query: Length must be between 1 and 20."),
        ({"status": 503, "query": {"limit": 1}}, f"query.limit: {NO_STRING}"),
        ({"status": 503, "headers": "X-Id: a"}, "headers: Not a valid mapping type."),
        ({"status": 503, "headers": {"X-Id": ""}}, f"headers.X-Id: {PATTERN}"),
        ({"status": 503, "headers": {"X-Id": None}}, "headers.X-Id: Field may not be null."),
    ],
)
def test_an_invalid_rule_is_refused_with_every_error(rule: Any, text: str) -> None:
    rules = Rules()
    with pytest.raises(HTTPError) as caught:
        rules.add(rule)
    assert (400, text) == (caught.value.status, str(caught.value))
    assert [] == rules.all()


def test_at_most_100_rules_are_allowed() -> None:
    rules = Rules()
    for _ in range(100):
        rules.add({"status": 503})
    with pytest.raises(HTTPError, match=r"^at most 100 rules are allowed: delete some first$"):
        rules.add({"status": 503})


@pytest.mark.parametrize(
    ("rule", "acts"),
    [
        ({}, True),
        ({"method": "GET"}, True),
        ({"method": "HEAD"}, False),
        ({"path": "/v2/demo/images/one two"}, True),
        ({"path": "/v2/*"}, True),
        ({"path": "/v2/*/images/*"}, True),
        ({"path": "/v2/*/images/*/metadata"}, False),
        ({"path": "/v?/demo/images/*"}, True),
        ({"path": "/v[13]/*"}, False),
        ({"path": "/v2/demo"}, False),
        ({"path": "/V2/*"}, False),
        ({"path": "v2"}, False),
        ({"user_agent": "*libcloud*"}, True),
        ({"user_agent": "libcloud"}, False),
        ({"path": "/v2/*", "user_agent": "fog*"}, False),
    ],
)
def test_a_pattern_matches_the_whole_text(rule: dict[str, str], acts: bool) -> None:
    rules = Rules()
    rules.add({"status": 503, **rule})
    found = rules.take(Asked("GET", "/v2/demo/images/one two", "apache-libcloud/3.8"))
    assert acts == (found is not None)
    assert [int(acts)] == [shown["hits"] for shown in rules.all()]


SECOND_PAGE = Asked(
    "GET",
    "/v2/p1/images",
    query="limit=2&marker=a%20b&marker=c&empty=",
    headers=Headers([("Accept", "application/json"), ("X-Id", "one"), ("X-Id", "two")]),
    projects=("p1", "Team A"),
)


@pytest.mark.parametrize(
    ("rule", "acts"),
    [
        ({"query": "*marker=*"}, True),
        ({"query": "*marker=a%20b*"}, True),
        ({"query": "marker=*"}, False),
        ({"query": {"marker": "*"}}, True),
        ({"query": {"marker": "a b"}}, True),
        ({"query": {"marker": "c", "limit": "[12]"}}, True),
        ({"query": {"marker": "c", "limit": "1"}}, False),
        ({"query": {"empty": "*"}}, True),
        ({"query": {"other": "*"}}, False),
        ({"headers": {"accept": "*json"}}, True),
        ({"headers": {"X-Id": "two"}}, True),
        ({"headers": {"X-Id": "three"}}, False),
        ({"headers": {"X-Id": "*", "X-Other": "*"}}, False),
        ({"project": "p1"}, True),
        ({"project": "Team*"}, True),
        ({"project": "team a"}, False),
        ({"project": "p1", "method": "POST"}, False),
    ],
)
def test_query_headers_and_project_are_matched(rule: dict[str, Any], acts: bool) -> None:
    rules = Rules()
    rules.add({"status": 503, **rule})
    assert acts == (rules.take(SECOND_PAGE) is not None)
    assert rules.take(Asked("GET", "/v2/p1/images")) is None


def test_the_first_requests_that_match_can_be_skipped() -> None:
    rules = Rules()
    rules.add({"status": 503, "skip": 2, "times": 2, "path": "/a"})
    taken = [rules.take(Asked("GET", path)) is not None for path in "/a /b /a /b /a /a /a".split()]
    assert [False, False, False, False, True, True, False] == taken
    assert [2] == [shown["hits"] for shown in rules.all()]


def test_a_rule_that_skips_leaves_a_request_to_the_next() -> None:
    rules = Rules()
    rules.add({"status": 500, "skip": 1})
    rules.add({"status": 502})
    taken = [rules.take(Asked("GET", "/")) for _ in range(2)]
    assert [502, 500] == [rule.wanted["status"] for rule in taken if rule]


def test_only_the_first_matching_rule_acts() -> None:
    rules = Rules()
    rules.add({"status": 500, "path": "/v3/*"})
    rules.add({"status": 502, "times": 2})
    rules.add({"status": 503})
    taken = [rules.take(Asked("GET", "/v2")) for _ in range(4)]
    assert [502, 502, 503, 503] == [rule.wanted["status"] for rule in taken if rule]
    assert [0, 2, 2] == [shown["hits"] for shown in rules.all()]


def draws(rule: dict[str, Any]) -> list[bool]:
    rules = Rules()
    rules.add(rule)
    return [rules.take(Asked("GET", "/")) is not None for _ in range(1000)]


def test_a_probability_is_accurate_repeatable_and_limited() -> None:
    half = {"status": 503, "probability": 0.5}
    assert draws(half) == draws(half | {"seed": 0}) == draws(half)
    assert draws(half | {"seed": 1}) != draws(half)
    assert 450 < sum(draws(half)) < 550
    assert {True} == set(draws(half | {"probability": 1}))
    assert {False} == set(draws(half | {"probability": 0}))
    assert 3 == sum(draws({"status": 503, "probability": 0.1, "times": 3}))


def test_requests_that_do_not_match_do_not_change_the_random_sequence() -> None:
    rules, other = Rules(), Rules()
    for store in (rules, other):
        store.add({"status": 503, "probability": 0.5, "path": "/a"})
    acted = []
    for _ in range(100):
        rules.take(Asked("GET", "/b"))
        acted.append(rules.take(Asked("GET", "/a")) is not None)
    assert acted == [other.take(Asked("GET", "/a")) is not None for _ in range(100)]


def test_rules_can_be_deleted() -> None:
    rules = Rules()
    for status in (500, 502, 503):
        rules.add({"status": status})
    rules.remove(2)
    assert [1, 3] == [shown["id"] for shown in rules.all()]
    with pytest.raises(HTTPError, match=r"^rule 2 does not exist$"):
        rules.remove(2)
    rules.clear()
    assert [] == rules.all()
    assert rules.take(Asked("GET", "/")) is None
    assert 4 == rules.add({"status": 503})["id"]
