"""What the service's calls got on the wire: the last answer, and every failure in words.

A step of the check runs the service's own code. If that raises, the words come from here: they
name the address, the proxy on the way, and what was answered or raised.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import requests
from keystoneauth1.session import Session
from requests.utils import select_proxy

from nova_image_shim.check.failures import (
    flaw_in,
    public_address,
    raised_on_the_wire,
    without_users,
    words_for,
)
from nova_image_shim.check.findings import Finding, Level

_LONGEST_TEXT = 300
_TITLE = re.compile(rb"<title>([^<]{1,200})", re.IGNORECASE)
_MARKUP = re.compile(r"<[^>]*>")  # in the errors of Glance


class Step(NamedTuple):
    """A call of the service, and what its failure means.

    Args:
        failed: what cannot be done: `The service user NAME cannot log in`.
        server: who answers, for a person.
        address: the server's, as the settings or the catalog have it.
        origin: what has the address.
        expected: what the answer should be.
        session: makes the call.
        advise: returns the fix for a status and the server's own text; empty if there is none.
    """

    failed: str
    server: str
    address: str
    origin: str
    expected: str
    session: Session
    advise: Callable[[int, str], str]


class Wire:
    """The step at hand and the last answer to it; secrets are never shown."""

    step: Step
    answer: requests.Response | None = None

    def __init__(self, secrets: list[str]) -> None:
        self._secrets = secrets

    def begin(self, step: Step) -> None:
        """Begin a step: forget the last answer, and note those to come."""
        self.step, self.answer = step, None
        hooks = step.session.session.hooks["response"]
        if self._note not in hooks:
            hooks.append(self._note)

    @property
    def last(self) -> requests.Response:
        """Return the answer, where a step that has succeeded must have had one."""
        assert self.answer is not None
        return self.answer

    def _note(self, answer: requests.Response, **_kwargs: Any) -> None:
        self.answer = answer

    def failure(self, error: Exception) -> Finding:
        """Return the finding about what the service's code has raised in this step."""
        step, raised = self.step, raised_on_the_wire(error)
        if flaw := flaw_in(step.address):
            address = f"the address {public_address(step.address)!r} of {step.server}"
            return self._finding(f"{address} {flaw}", f"Correct {step.origin}.")
        if raised is None:
            answered = self.answer is not None
            return self._answered(error) if answered else self._finding(self._shown(error), "")
        request = getattr(raised, "request", None)
        url = str(request.url) if request else step.address
        words, fix = words_for(error, step.session, url, step.origin, self._proxy(url))
        return self._finding(f"{self.server_at(url)} {self._shown(words)}", fix)

    def _finding(self, text: str, fix: str) -> Finding:
        return Finding(Level.ERROR, f"{self.step.failed}: {text}.", fix)

    def server_at(self, url: str) -> str:
        """Return the server, an address of it that was called, and the proxy on the way."""
        proxy = self._proxy(url)
        through = f" through the proxy {public_address(proxy)}" if proxy else ""
        return f"{self.step.server} at {public_address(url)}{through}"

    def _proxy(self, url: str) -> str:
        merged = self.step.session.session.merge_environment_settings(url, {}, None, None, None)
        return select_proxy(url, merged["proxies"]) or ""

    def _answered(self, error: Exception) -> Finding:
        answer = self.last
        status, said, url = answer.status_code, self.said(answer), str(answer.url)
        proxy, target = self._proxy(url), answer.headers.get("Location", "")
        words = f"returns {status}{f': {said}' if said else f' with {self._kind(answer)}'}"
        fix = "" if proxy else self.step.advise(status, said)
        if status < 300:
            words += f", which is not {self.step.expected} ({self._shown(error)})"
        elif status < 400 and target:
            target = self._shown(public_address(target))
            words = f"redirects to {target} ({status}), and the service follows no redirects"
        elif status == 407 and proxy:
            fix = "Put user and password into the proxy's address, or add the host to no_proxy."
        elif status >= 500:
            fix = f"See the logs of {self.step.server} and of the proxies on the way."
        return self._finding(f"{self.server_at(url)} {words}", fix)

    def said(self, answer: requests.Response) -> str:
        """Return the text of an OpenStack service's error, empty if the answer has none."""
        if "Openstack-Auth-Receipt" in answer.headers:
            return "more than one method of authentication is required (Openstack-Auth-Receipt)"
        try:
            body = answer.json()
            text = (body.get("error") or body)["message"]
        except Exception:  # noqa: BLE001 - not JSON, of another shape, or nested too deeply
            return ""
        return self._shown(_MARKUP.sub(" ", text)) if isinstance(text, str) else ""

    def _kind(self, answer: requests.Response) -> str:
        kind = answer.headers.get("Content-Type", "").partition(";")[0] or "no content type"
        title = _TITLE.search(answer.content)
        text = f"{kind} {title[1].decode(errors='replace').strip()!r}" if title else kind
        return self._shown(text)

    def _shown(self, text: object) -> str:
        """Return what a server may have written: in one line, short, and without a secret."""
        words = " ".join(without_users(str(text)).split())
        if any(secret in words for secret in (*self._secrets, *self._tokens())):
            return "(a text that repeats a secret)"
        return words[:_LONGEST_TEXT].rstrip(".")

    def _tokens(self) -> list[str]:
        if self.answer is None:
            return []
        headers = [*self.answer.request.headers.items(), *self.answer.headers.items()]
        return [value for name, value in headers if value and name.lower().endswith("-token")]
