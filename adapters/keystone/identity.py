"""The identity port over Keystone v3: every call is made with what the client sent.

Source: keystone at 30.0.0, keystone/auth/schema.py and keystone/api/auth.py.
"""

import ipaddress
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

import requests
from keystoneauth1 import access
from keystoneauth1.session import Session

from nova_image_shim.adapters.identity_port import (
    API_KEY,
    TOKEN,
    Asker,
    IdentityError,
    IdentityService,
    IssuedToken,
    Login,
    Named,
)
from nova_image_shim.adapters.keystone.errors import KeystoneUnavailable, reason_of
from nova_image_shim.adapters.keystone.login import require_complete, v3_url
from nova_image_shim.adapters.limits.limiter import Limiter, LimitExceeded

_log = logging.getLogger(__name__)

_TOKEN = re.compile(r"[\x21-\x7e]+")  # what a header can carry
_RECEIPT = "Openstack-Auth-Receipt"
_EXPIRED = "The password is expired and needs to be changed."
_RECEIVED = (
    "More than one method of authentication is required for this user; identity v2.0 has only one."
)
_INVALID = "The identity service does not accept an id, a name or a password of this form."
_NOT_FOUND = "Failed to validate token"
_MESSAGES = {400: _INVALID, 403: "You are not authorized to perform the requested action."}


class KeystoneIdentity(IdentityService):
    """Identity v2.0's view of a Keystone that speaks v3.

    Args:
        session: makes the calls, without a login of its own.
        auth_url: Keystone's address.
        domain_id: where the names of users and projects are resolved.
        limiter: bounds the calls and those waiting.
        forget: called with a token that is no longer valid.
    """

    def __init__(
        self,
        session: Session,
        auth_url: str,
        domain_id: str,
        limiter: Limiter,
        forget: Callable[[str], None],
    ) -> None:
        self._session = session
        self._url = v3_url(auth_url)
        self._domain_id = domain_id
        self._limiter = limiter
        self._forget = forget

    def log_in(self, asker: Asker, login: Login) -> IssuedToken:
        """Return a new token, with one call to Keystone.

        Raises:
            IdentityError: 400, 401, 403 or 413.
            KeystoneUnavailable: Keystone does not answer, or not with a token.
        """
        body = {"auth": self._auth(login)}
        answer = self._call(Asker(address=asker.address), "POST", "auth/tokens", json=body)
        if answer.status_code == 404:  # a token that is not valid
            raise _refusal(answer, 401)
        token_id = answer.headers.get("X-Subject-Token", "")
        token = _token_in(answer, 201, token_id, is_rackspace=login.method == API_KEY)
        if token.is_rackspace and "project" not in token.data:
            _log.info(
                "the API key's token is unscoped: its user has no default project with a role"
            )
        return token

    def show(self, asker: Asker, token_id: str) -> IssuedToken:
        """Return a token that Keystone shows to the asker. Raises as `log_in`, and 404."""
        return _token_in(self._about(asker, "GET", token_id), 200, token_id)

    def revoke(self, asker: Asker, token_id: str) -> None:
        """Revoke a token, and forget it. Raises as `show`."""
        answer = self._about(asker, "DELETE", token_id)
        if answer.status_code in {204, 404}:
            self._forget(token_id)
        if answer.status_code != 204:
            raise _refusal(answer)

    def projects(self, asker: Asker) -> list[Mapping[str, Any]]:
        """Return the asker's projects in the domain. Raises as `log_in`."""
        answer = self._call(_with_token(asker), "GET", "auth/projects")
        if answer.status_code != 200:
            raise _refusal(answer)
        try:
            found = answer.json()["projects"]
            return [project for project in found if self._is_listed(project)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _nonsense(type(error).__name__) from error

    def _is_listed(self, project: Mapping[str, Any]) -> bool:
        return project["domain_id"] == self._domain_id and not project.get("is_domain")

    def _about(self, asker: Asker, method: str, token_id: str) -> requests.Response:
        asker = _with_token(asker)
        if not _TOKEN.fullmatch(token_id):
            raise IdentityError(404, _NOT_FOUND)
        return self._call(asker, method, "auth/tokens", {"X-Subject-Token": token_id})

    def _call(
        self,
        asker: Asker,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> requests.Response:
        """Call Keystone once; nothing of the call is logged, since it has secrets."""
        sent = {"Accept": "application/json", **_forwarded(asker.address), **(headers or {})}
        if asker.token:
            sent["X-Auth-Token"] = asker.token
        options |= {"headers": sent, "authenticated": False, "raise_exc": False, "log": False}
        try:
            with self._limiter.slot():
                return self._session.request(f"{self._url}/{path}", method, **options)
        except LimitExceeded as error:
            raise KeystoneUnavailable(str(error), retry_after=error.retry_after) from error
        except Exception as error:  # whatever keystoneauth raises on an answer of another shape
            raise KeystoneUnavailable(reason_of(error)) from error

    def _auth(self, login: Login) -> dict[str, Any]:
        """Return v3's `auth`: without a scope Keystone would take the user's default project."""
        if login.method == TOKEN:
            identity: dict[str, Any] = {"methods": ["token"], "token": {"id": login.secret}}
        else:
            user = {**self._named(login.user), "password": login.secret}
            identity = {"methods": ["password"], "password": {"user": user}}
        if login.project:
            return {"identity": identity, "scope": {"project": self._named(login.project)}}
        if login.method == API_KEY:
            return {"identity": identity}
        return {"identity": identity, "scope": "unscoped"}

    def _named(self, named: Named | None) -> dict[str, Any]:
        """Return a user or a project as v3 names it; an id is valid in every domain."""
        if named and named.name:
            return {"name": named.name, "domain": {"id": self._domain_id}}
        return {"id": (named and named.id) or ""}


def _with_token(asker: Asker) -> Asker:
    if not _TOKEN.fullmatch(asker.token):
        raise IdentityError(401)
    return asker


def _forwarded(address: str) -> dict[str, str]:
    """Return the headers that tell Keystone who calls, none without an IP address."""
    try:
        is_ipv6 = ipaddress.ip_address(address).version == 6
    except ValueError:
        return {}
    node = f'"[{address}]"' if is_ipv6 else address
    return {"X-Forwarded-For": address, "Forwarded": f"for={node}"}


def _token_in(
    answer: requests.Response, status: int, token_id: str, *, is_rackspace: bool = False
) -> IssuedToken:
    if answer.status_code != status:
        raise _refusal(answer)
    try:
        body = answer.json()
        require_complete(access.create(body=body))
        data = body["token"]
    except Exception as error:  # whatever keystoneauth raises on an answer of another shape
        raise _nonsense(type(error).__name__) from error
    if not _TOKEN.fullmatch(token_id):
        raise _nonsense("X-Subject-Token")
    return IssuedToken(token_id, data, is_rackspace)


def _nonsense(what: str) -> KeystoneUnavailable:
    return KeystoneUnavailable(f"Keystone's answer has another shape: {what}")


def _refusal(answer: requests.Response, status: int = 0) -> Exception:
    """Return the error for an answer; its text may repeat a password and is never passed on.

    An answer that is not in Keystone's form is that of something else at Keystone's address.
    """
    status = status or answer.status_code
    if status == 413:
        return IdentityError(413)
    if status == 401 and _RECEIPT in answer.headers:
        return IdentityError(401, _RECEIVED)
    message = _message_in(answer)
    if status in {400, 401, 403, 404} and message is not None:
        expired = status == 401 and "password is expired" in message
        texts = {**_MESSAGES, 401: _EXPIRED if expired else None, 404: _NOT_FOUND}
        return IdentityError(status, texts[status])
    reason = f"Keystone answered {answer.status_code}"
    return KeystoneUnavailable(reason, retry_after=answer.headers.get("Retry-After"))


def _message_in(answer: requests.Response) -> str | None:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return None
