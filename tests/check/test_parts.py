"""Parts of the check by themselves: links, clocks, reasons of failures."""

import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import requests
from keystoneauth1 import access, fixture

from nova_image_shim.check.clock import clock_findings
from nova_image_shim.check.failures import reason_of
from nova_image_shim.check.findings import Finding, Level
from nova_image_shim.check.glance import link_findings
from nova_image_shim.settings import Settings

NOVA, GLANCE = "https://nova.example:8774/v2/p", "https://glance.example:9292"
PROXIES = (
    f"Links begin with http://, but clients use {NOVA}: the service does not know of the TLS in "
    "front of it."
)
NOT_PUBLIC = "`alternate` links show clients http://10.0.0.1, which is not Glance's public address."
INSECURE = (
    f"`alternate` links begin with http://glance.example, but Glance's public address is {GLANCE}."
)


NOVA_INSECURE = f"Links begin with http://nova.example, but clients use {NOVA}."
INSIDE = "http://10.0.0.1"
PROXY = {"trusted_proxies": 1}


@pytest.mark.parametrize(
    ("fields", "address", "texts"),
    [
        (PROXY, f"{GLANCE}/v2", []),
        ({"compute_link_prefix": "https://nova.example"}, GLANCE, []),
        ({}, GLANCE, [PROXIES]),
        ({"compute_link_prefix": "http://nova.example"}, GLANCE, [NOVA_INSECURE]),
        (PROXY, f"{INSIDE}/v2", [NOT_PUBLIC]),
        (PROXY | {"glance_link_prefix": "http://glance.example"}, INSIDE, [INSECURE]),
        (PROXY | {"glance_link_prefix": "https://other.example"}, INSIDE, []),
    ],
)
def test_links_that_clients_cannot_use_are_warnings(
    fields: dict[str, Any], address: str, texts: list[str]
) -> None:
    token = fixture.V3Token()
    token.add_service("compute").add_standard_endpoints(public=NOVA, region="R")
    token.add_service("image").add_standard_endpoints(public=f"{GLANCE}/v2", region="R")
    found = list(link_findings(Settings(**fields), access.create(body=token), address))
    assert [(Level.WARNING, text) for text in texts] == [(f.level, f.text) for f in found]


@pytest.mark.parametrize(
    ("seconds", "level", "text"),
    [
        (0, Level.OK, "Glance's clock agrees with this machine's."),
        (100, Level.WARNING, "seconds ahead of this machine's."),
        (-1000, Level.ERROR, "seconds behind this machine's."),
    ],
)
@pytest.mark.parametrize("zone", [UTC, None])
def test_clocks_are_compared(seconds: int, level: Level, text: str, zone: object) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    answer = requests.Response()
    answer.headers["Date"] = format_datetime(moment if zone else moment.replace(tzinfo=None))
    (finding,) = clock_findings(answer, "Glance")
    assert (level, True) == (finding.level, finding.text.endswith(text))


@pytest.mark.parametrize("date", [None, "", "soon", "Mon, 99 Foo 99999 99:99:99 +9999"])
def test_an_answer_without_a_date_says_nothing_about_clocks(date: str | None) -> None:
    answer = requests.Response()
    if date:
        answer.headers["Date"] = date
    assert [] == list(clock_findings(answer, "Glance"))


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (caused(OSError("outside"), ConnectionRefusedError(111, "Connection refused")), None),
        (OSError(ValueError("inside"), TimeoutError()), "no answer in time"),
        (caused(ValueError(), requests.ReadTimeout()), "no answer in time"),
        (TimeoutError(), "no answer in time"),
        (ValueError("read timed out after 5 s"), "no answer in time"),
        (ValueError(socket.gaierror(-2, "Name unknown")), "unknown host name (Name unknown)"),
        (caused(ValueError("outside"), KeyError("inside")), "'inside'"),
        (ConnectionResetError(), "ConnectionResetError()"),
    ],
)
def test_the_reason_of_a_failure_is_its_innermost_readable_one(
    error: BaseException, reason: str | None
) -> None:
    assert (reason or "Connection refused") == reason_of(error)


def test_a_finding_is_one_line_of_printable_characters() -> None:
    finding = Finding(Level.ERROR, "caf\u00e9\nok \x1b[31m \udcff\u2028", "Fix it.")
    assert "error   caf\u00e9\\nok \\x1b[31m \\udcff\\u2028 fix: Fix it." == str(finding)
