"""Keystone as the service user calls it: one session, one login, one validation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from keystoneauth1 import access
from keystoneauth1.exceptions import ClientException

from nova_image_shim.adapters.http.session import open_session
from nova_image_shim.adapters.http.transport import BoundedTransport, Record
from nova_image_shim.adapters.keystone.errors import KeystoneUnavailable, reason_of
from nova_image_shim.adapters.keystone.login import load_plugin, v3_url

_MAX_ANSWER_BYTES = 4 * 2**20  # a token with the largest catalog is far below
_ACCESS_RULES = {"OpenStack-Identity-Access-Rules": "1.0"}  # we apply them


@dataclass(frozen=True, slots=True)
class KeystoneOptions:
    """Where Keystone is, who the service user is, and how long a call may take.

    Args:
        credentials: as `load_plugin` takes them.
        interface, region_name: which endpoint of the catalog validates tokens.
        timeout_seconds: for a whole call.
        connections: how many are kept open.
        cacert: the path of a CA bundle; None for the default ones.
        trust_env: whether proxies and CA bundles of the environment apply.
    """

    credentials: Mapping[str, str] = field(repr=False)
    interface: str = "public"
    region_name: str | None = None
    timeout_seconds: float = 5
    connections: int = 1
    cacert: str | None = None
    trust_env: bool = True


class KeystoneSession:
    """The service user's session.

    Args:
        options: see there.
        record: called with method, status and seconds of each call; see `BoundedTransport`.
    """

    def __init__(self, options: KeystoneOptions, record: Record | None = None) -> None:
        self._options = options
        self._transport = BoundedTransport(
            max_bytes=_MAX_ANSWER_BYTES,
            total_seconds=options.timeout_seconds,
            pool_maxsize=options.connections,
            record=record,
        )
        self.session = open_session(
            self._transport,
            cacert=options.cacert,
            trust_env=options.trust_env,
            timeout_seconds=options.timeout_seconds,
        )
        self.plugin = load_plugin(options.credentials)

    def log_in(self) -> access.AccessInfo:
        """Return the service user's token; one that is valid is used again.

        Raises:
            ClientException: keystoneauth's, where Keystone issues none.
        """
        token: access.AccessInfo = self.plugin.get_access(self.session)  # type: ignore[attr-defined]
        return token

    def validate(self, token: str, *, allow_expired: bool = False) -> dict[str, Any] | None:
        """Return what Keystone says about a token, `{"token": {...}}`; None if it is not valid.

        Args:
            token: any token.
            allow_expired: accept one that has expired recently.

        Raises:
            KeystoneUnavailable: Keystone did not answer, or not with a token.
        """
        try:
            answer = self.ask_about(token, allow_expired=allow_expired)
        except ClientException as error:
            raise self.unavailable(reason_of(error)) from error
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise self.unavailable(f"Keystone answered {answer.status_code}")
        try:
            data: dict[str, Any] = answer.json()
            _require_complete(access.create(body=data))
        except Exception as error:  # whatever keystoneauth raises on an answer of another shape
            raise self.unavailable(f"{type(error).__name__}: {error}") from error
        return data

    def ask_about(self, token: str, *, allow_expired: bool = False) -> requests.Response:
        """Return Keystone's answer about a token, whatever its status.

        Raises:
            ClientException: there is no login, no endpoint or no answer.
        """
        answer: requests.Response = self.session.get(
            f"{self.validating_endpoint()}/auth/tokens",
            auth=self.plugin,
            headers={"Accept": "application/json", "X-Subject-Token": token, **_ACCESS_RULES},
            params={"allow_expired": "1"} if allow_expired else {},
            raise_exc=False,
        )
        return answer

    def validating_endpoint(self) -> str:
        """Return the v3 address that the catalog of the service user's token has for Keystone.

        Raises:
            EndpointNotFound: it has none; the token is forgotten, since a new one may have it.
        """
        options = self._options
        try:
            url = self.log_in().service_catalog.url_for(
                service_type="identity",
                interface=options.interface,
                region_name=options.region_name,
            )
        except ClientException:
            self.plugin.invalidate()
            raise
        return v3_url(str(url))

    def unavailable(self, reason: str) -> KeystoneUnavailable:
        """Return the error, with when to retry where Keystone is known to be away."""
        return KeystoneUnavailable(
            reason, retry_after="1" if self._transport.breaker.is_open else None
        )


def _require_complete(token: access.AccessInfo) -> None:
    """Read everything that is read of a token later, so that no answer without it is cached.

    Raises:
        KeyError, TypeError, ValueError: it lacks some of it.
    """
    _ = (token.user_id, token.project_id, token.role_names, token.will_expire_soon())
