"""Requests read from the logs of clients' calls: which lines count, and as what."""

import gzip
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from nova_image_shim.compare.logged import requests_in
from nova_image_shim.compare.plan import Plan, odd, spread
from nova_image_shim.compare.sides import CannotCompareError

P = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
TARGET = f"/v2/{P}/images/detail?name=a%20b&limit=10"
LINES = {
    name: line.replace("<target>", TARGET).replace("<project>", P)
    for name, line in yaml.safe_load(
        Path(__file__).with_name("logs.yaml").read_text(encoding="utf-8")
    ).items()
}
TARGETS = {
    f"GET /v2/{P}/images": ("read", f"GET /v2/{P}/images"),
    f"HEAD /v2.1/{P}/images/a": ("read", f"HEAD /v2.1/{P}/images/a"),
    "GET /v2.1/images/detail": ("read", "GET /v2.1/images/detail"),
    f"GET /v1.1/{P}/images.json?limit=1": ("read", f"GET /v1.1/{P}/images.json?limit=1"),
    f"GET /v2/{P}/images/a/metadata/k": ("read", f"GET /v2/{P}/images/a/metadata/k"),
    rf"GET /v2/{P}/images?name=\x22\xC3\xA9": ("read", f"GET /v2/{P}/images?name=%22%C3%A9"),
    f"POST /v2/{P}/images/a/metadata": ("writes", None),
    f"PUT /v2/{P}/images/a/metadata/k": ("writes", None),
    f"DELETE /v2/{P}/images/a": ("writes", None),
    f"DELETE /v2/{OTHER}/images/a": ("writes", None),
    f"GET /v2/{OTHER}/images": ("other projects", None),
    f"GET /v2.1/{OTHER}/images/a": ("other projects", None),
    f"GET /v2/{P}/servers/detail": ("other calls", None),
    f"POST /v2/{P}/servers": ("other calls", None),
    "GET /v2/": ("other calls", None),
    "GET http://[": ("other calls", None),
    f"GET /v2/{P}/images?name=aaaa...": ("cut short", None),
    f"GET /v2/{P}/images?name=***": ("cut short", None),
}


def read(path: Path, *lines: str) -> tuple[list[str], dict[str, int]]:
    path.write_text("".join(f"{line}\n" for line in lines))
    counts: Counter[str] = Counter()
    return list(requests_in([str(path)], P, counts)), dict(counts)


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_each_format_is_read(line: str, tmp_path: Path) -> None:
    assert ([f"GET {TARGET}"], {"read": 1}) == read(tmp_path / "log", line)


@pytest.mark.parametrize(("request_", "expected"), TARGETS.items())
def test_only_reads_of_the_projects_images_count(
    request_: str, expected: tuple[str, str | None], tmp_path: Path
) -> None:
    what, sent = expected
    line = f'192.0.2.1 - - [t] "{request_} HTTP/1.1" 200 2'
    assert ([sent] if sent else [], {"read": 0, what: 1}) == read(tmp_path / "log", line)


@pytest.mark.parametrize(
    "line", ["", "no request", "\0" * 100, '"GET ', f'"GET {"/" * 9000} HTTP/1.1"', '"<BADREQ>"']
)
def test_any_other_line_is_passed_over(line: str, tmp_path: Path) -> None:
    assert ([], {"read": 0}) == read(tmp_path / "log", line)


def test_a_log_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    packed = tmp_path / "log.zst"
    packed.write_bytes(b"\x28\xb5\x2f\xfd")
    for log, reason in {
        tmp_path / "none": "No such file or directory",
        packed: f"must be unpacked first: zstd -dc {packed}",
    }.items():
        with pytest.raises(CannotCompareError, match=re.escape(f"{log}: {reason}")):
            list(requests_in([str(log)], P, Counter()))


def test_a_request_is_sent_once_however_often_and_wherever_it_is_logged(tmp_path: Path) -> None:
    log, packed = tmp_path / "log", tmp_path / "log.1.gz"
    log.write_text(LINES["nginx"] + "\n" + LINES["HAProxy"] + "\n")
    packed.write_bytes(gzip.compress(log.read_bytes()))
    counts: Counter[str] = Counter()
    assert [f"GET {TARGET}"] == list(requests_in(map(str, (log, packed, log)), P, counts))
    assert {"read": 1, "repeated": 3} == counts


def test_the_requests_of_a_log_come_after_the_first_lists(tmp_path: Path) -> None:
    plan = Plan("v2", P, logged=[f"GET {TARGET}", f"GET /v2/{P}/images"])
    planned = [plan.pop() for _ in range(len(plan))]
    assert ["versions"] * 3 + ["lists"] * 2 + ["logged"] == [each.kind for each in planned]
    assert f"GET {TARGET}" == planned[-1].request


def test_a_sample_is_spread_over_all_images() -> None:
    assert [0, 3, 6, 9] == spread(list(range(10)), 4)
    assert ([0], [0, 1], []) == (spread([0, 1], 1), spread([0, 1], 5), spread([], 3))


def test_a_name_stands_for_others_with_the_same_odd_characters() -> None:
    names = ["a", "b-1", "c d", "e f", "g:h", "д", "日本", "💾", "a b-c", ""]
    assert ["a", "b-1", "c d", "g:h", "д", "a b-c"] == list(odd(names))
