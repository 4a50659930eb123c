"""The two services, as one client with one token calls them: read only, slowly, within bounds."""

import re
import time
from collections.abc import Callable
from urllib.parse import quote

import requests

from nova_image_shim.adapters.http.session import open_session
from nova_image_shim.adapters.http.transport import BoundedTransport
from nova_image_shim.check.failures import flaw_in, public_address, reason_of
from nova_image_shim.compare.differences import NO_ANSWER, Answer

METHODS = ("GET", "HEAD")
_ADDRESS = re.compile(
    r"(https?://[^?#@\s]+?)/(v2(?:\.1)?)/(?:[%$]\((?:tenant|project)_id\)s|([\w.-]+))/?", re.ASCII
)
_MAX_BYTES = 2**26
_ASCII = "".join(map(chr, range(0x21, 0x7F)))


class CannotCompareError(Exception):
    """The comparison cannot be carried out; the text says why."""


def parse_address(text: str) -> tuple[str, str, str]:
    """Return the base, the version and the project; `%(tenant_id)s` is an empty project.

    Raises:
        CannotCompareError: it has another form than `http://host:8774/v2/PROJECT`.
    """
    found = _ADDRESS.fullmatch(text)
    if flaw_in(text) or not found:
        words = "is not of the form http://HOST:PORT/v2/%(tenant_id)s"
        raise CannotCompareError(f"the address {public_address(text)!r} {words}")
    base, mount, project = found.groups(default="")
    return base, mount, project


class Side:
    """One of the two services.

    Args:
        name: for people.
        base: its address up to the version.
        token: the value of `X-Auth-Token`.
        rate: the most requests in a second.
        timeout_seconds: for one request.
        cacert: the path of a CA bundle; None for the default ones.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        name: str,
        base: str,
        token: str,
        *,
        rate: float,
        timeout_seconds: float,
        cacert: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self.base = base
        self.requests = 0
        self.failures = 0  # in a row: no answer, or 5xx
        self.failure = ""  # the last of them
        transport = BoundedTransport(
            max_bytes=_MAX_BYTES, total_seconds=timeout_seconds, pool_maxsize=1, repeat_get=True
        )
        self._session = open_session(transport, cacert=cacert, timeout_seconds=timeout_seconds)
        self._headers = {
            "X-Auth-Token": token,
            "Accept": "application/json",
            "User-Agent": "nova-image-shim-compare",
        }
        self._interval = 1 / rate
        self._next = 0.0
        self._sleep = sleep

    def ask(self, request: str) -> tuple[Answer, float]:
        """Send a request, `GET /v2/...`, and return the answer and the seconds that it took.

        If the last one was sent just now, it waits first.

        Raises:
            ValueError: its method could change something.
        """
        method, _, target = request.partition(" ")
        if method not in METHODS:
            raise ValueError(f"{method} is not a method that only reads")
        self._sleep(max(0.0, self._next - time.monotonic()))
        started = time.monotonic()
        self._next = started + self._interval
        self.requests += 1
        try:
            answer = self._send(method, target)
            self.failure = f"status {answer.status}" if answer.status >= 500 else ""
        except Exception as error:  # noqa: BLE001 - whatever a service sends, it must not end this
            answer, self.failure = Answer(NO_ANSWER, [], b""), f"no answer: {reason_of(error)}"
        self.failures = self.failures + 1 if self.failure else 0
        return answer, time.monotonic() - started

    def fails(self, words: str) -> CannotCompareError:
        """Return an error about it, with the last failure if there is one."""
        return CannotCompareError(
            f"{self.name} at {self.base} {words}: {self.failure}".rstrip(": ")
        )

    def _send(self, method: str, target: str) -> Answer:
        """Send a target as it is; keystoneauth and requests would rewrite some."""
        http = self._session.session
        prepared = requests.Request(method, self.base, headers=self._headers).prepare()
        prepared.url = self.base + quote(target, safe=_ASCII.replace("#", ""))
        environment = http.merge_environment_settings(
            self.base, {}, None, self._session.verify, None
        )
        timeout = self._session.timeout
        got = http.send(prepared, timeout=timeout, allow_redirects=False, **environment)
        # The body is decoded; nothing compressed was requested.
        headers = [pair for pair in got.headers.items() if pair[0].lower() != "content-encoding"]
        return Answer(got.status_code, headers, got.content)
