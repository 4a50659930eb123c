"""Run real clients against fault rules of the embedded cloud."""

import subprocess
import time
from typing import Any

import pytest
from support.live import clean_environ

from nova_image_shim.fakecloud.testing import LegacyCloud

from .install import CLIENTS as FOLDER
from .install import PROGRAMS, why_missing

pytestmark = pytest.mark.clients

LISTS = {
    "openstacksdk": ("modern", f"bin/python {PROGRAMS}/list_images.py openstacksdk"),
    "libcloud": ("modern", f"bin/python {PROGRAMS}/list_images.py libcloud"),
    "novaclient": ("novaclient-2.23.3", "bin/nova image-list"),
}
UNAVAILABLE = "The server is currently unavailable. Please try again at a later time."
LOST = "Connection aborted.', RemoteDisconnected('Remote end closed connection without response'"
HALF = "Connection broken: IncompleteRead("

# The exit status of each client and the start of its error; status 0 means a complete list.
ENDS = {
    ("novaclient", "503"): (1, f"ERROR (ClientException): {UNAVAILABLE} (HTTP 503)"),
    ("libcloud", "503"): (1, f"BaseHTTPError: 503 SERVICE UNAVAILABLE {UNAVAILABLE}"),
    ("openstacksdk", "503"): (0, "Retriable status code 503. Retrying in 1.0s. 2 retries left"),
    ("novaclient", "late"): (0, ""),
    ("libcloud", "late"): (0, ""),
    ("openstacksdk", "late"): (0, ""),
    # This client from 2015 treats half a body as a whole one, which is not valid JSON.
    ("novaclient", "cut"): (1, "ERROR (TypeError): 'NoneType' object has no attribute"),
    ("libcloud", "cut"): (1, f"ChunkedEncodingError: ('{HALF}"),
    ("openstacksdk", "cut"): (1, f"UnknownConnectionError: Unexpected exception for URL: ('{HALF}"),
    ("novaclient", "closed"): (
        1,
        "ERROR (ConnectionRefused): Unable to establish connection to URL",
    ),
    ("libcloud", "closed"): (1, f"ConnectionError: ('{LOST})"),
    ("openstacksdk", "closed"): (
        1,
        f"ConnectFailure: Unable to establish connection to URL: ('{LOST})",
    ),
}
RULES: dict[str, dict[str, Any]] = {
    "503": {"status": 503, "retry_after": 1, "times": 2},
    "late": {"latency_seconds": 2},
    "cut": {"body": "cut"},
    "closed": {"close": True},
}


def list_images(client: str, cloud: LegacyCloud) -> tuple[int, str, str]:
    """Return the exit status, output and error of a client's program."""
    piece, command = LISTS[client]
    if reason := why_missing(piece):
        pytest.skip(f"{client} is not installed: {reason}; run `make test-clients`")
    done = subprocess.run(
        f"{FOLDER / piece}/{command}".split(),
        env={"PATH": clean_environ()["PATH"], **cloud.environ()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr.strip()


def statuses(cloud: LegacyCloud) -> list[int | None]:
    """Return the statuses of the list requests."""
    return [seen["status"] for seen in cloud.requests() if seen["path"].endswith("/images/detail")]


@pytest.mark.parametrize("fault", RULES)
@pytest.mark.parametrize("client", LISTS)
def test_a_client_reports_the_fault(client: str, fault: str, legacy_cloud: LegacyCloud) -> None:
    legacy_cloud.add_rule(RULES[fault], path="*/images/detail")
    started = time.monotonic()
    code, output, complaint = list_images(client, legacy_cloud)
    expected, beginning = ENDS[client, fault]
    url = f"{legacy_cloud.url}/v2/demo/images/detail"
    assert (expected, beginning) == (code, complaint.replace(url, "URL")[: len(beginning)])
    assert bool(beginning) == bool(complaint)
    assert (code == 0) == ("155d900f-4e14-4e4c-a73d-069cbf4541e6" in output)
    if fault == "late":
        assert time.monotonic() - started >= 2


@pytest.mark.parametrize("client", ["libcloud", "novaclient"])
def test_the_third_request_succeeds_after_two_503s(client: str, legacy_cloud: LegacyCloud) -> None:
    legacy_cloud.add_rule(RULES["503"], path="*/images/detail")
    codes = [list_images(client, legacy_cloud)[0] for _ in range(3)]
    assert [1, 1, 0] == codes
    assert [503, 503, 200] == statuses(legacy_cloud)


def test_a_client_that_retries_succeeds(legacy_cloud: LegacyCloud) -> None:
    legacy_cloud.add_rule(RULES["503"], path="*/images/detail")
    assert 0 == list_images("openstacksdk", legacy_cloud)[0]
    assert [503, 503, 200] == statuses(legacy_cloud)
