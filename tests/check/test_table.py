"""What `check` says: for each input of table.yaml the lines that are not `ok`, and the exit status.

A line that ends with `…` may go on: the rest is a library's.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from nova_image_shim.cli import main

from .world import filled, world

ROWS = yaml.safe_load(Path(__file__).with_name("table.yaml").read_text(encoding="utf-8"))
SECRETS = ("service-user-password", "-token-0123456789abcdef", "proxy-password")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def params() -> list[Any]:
    """Return the rows; those with TLS need a package of the live tests."""
    live = pytest.mark.live
    return [pytest.param(row, id=row["input"], marks=[live] * ("tls" in row)) for row in ROWS]


def said(out: str, expected: list[str]) -> list[str]:
    """Return the lines that are not ok, each cut where the expected one is."""
    lines = [" ".join(line.split()) for line in out.splitlines() if not line.startswith("ok ")]
    ends = [len(line) - 1 if line.endswith("…") else None for line in expected]
    ends += [None] * (len(lines) - len(ends))
    return [line[:end] + "…" * bool(end) for line, end in zip(lines, ends, strict=False)]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
@pytest.mark.parametrize("row", params())
def test_check_says_what_is_wrong(
    row: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in (*PROXIES, *map(str.upper, PROXIES)):
        monkeypatch.delenv(name, raising=False)
    with world(row, tmp_path) as names:
        for name, value in names.items():
            monkeypatch.setenv(name, value)
        status = main(["check", *filled(row.get("arguments", []), names)])
    out, err = capsys.readouterr()
    expected = filled(row["says"], names)
    assert (expected, row["status"], "") == (said(out, expected), status, err)
    assert [] == [secret for secret in SECRETS if secret in out]
