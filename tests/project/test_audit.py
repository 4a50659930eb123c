"""An audit without data is skipped, never passed, and CI ends with its result."""

import json

import pytest
from support.paths import ROOT
from tools.audit import report

GOOD = {"name": "flask", "version": "3.1.2", "vulns": []}
BAD = {"name": "jinja2", "version": "1", "vulns": [{"id": "CVE-1"}, {"id": "CVE-2"}]}
UNKNOWN = {"name": "attrs", "skip_reason": "not on PyPI"}
FAILED = ["jinja2 1: CVE-1, CVE-2", "make audit: failed: 1 of 3 dependencies are vulnerable"]
SKIPPED = "make audit: skipped, not passed: "


@pytest.mark.parametrize(
    ("dependencies", "lines"),
    [
        ([GOOD], ["make audit: passed: none of 1 dependencies is vulnerable"]),
        ([GOOD, BAD, UNKNOWN], FAILED),
        ([GOOD, UNKNOWN], [f"{SKIPPED}no data about 1 of 2 dependencies: not on PyPI"]),
        ([], [f"{SKIPPED}no data about 0 of 0 dependencies: none was found"]),
    ],
)
def test_the_last_line_is_the_result(dependencies: list[object], lines: list[str]) -> None:
    assert lines == report(json.dumps({"dependencies": dependencies}), "")


@pytest.mark.parametrize(
    ("output", "errors", "reason"),
    [
        ("", "Traceback\nConnectionError: pypi.org", "ConnectionError: pypi.org"),
        ("[]", "", "pip-audit printed nothing"),
        ("{}", "", "pip-audit printed nothing"),
    ],
)
def test_an_audit_that_could_not_run_is_skipped(output: str, errors: str, reason: str) -> None:
    assert [SKIPPED + reason] == report(output, errors)


def test_ci_ends_with_the_result() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert 'trap \'tail -n 1 "$audit"; rm "$audit"\' EXIT' in script
    assert 'make audit | tee "$audit"\n' in script
