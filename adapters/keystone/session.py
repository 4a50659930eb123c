"""Keystone as the service user calls it: one session, one login, one validation."""

from collections.abc import Mapping
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


class KeystoneSession:
    """The service user's session.

    Args:
        credentials: as `load_plugin` takes them.
        interface, region_name: which endpoint of the catalog validates tokens.
        timeout_seconds: for a whole call.
        connections: how many are kept open.
        cacert, trust_env: see `open_session`.
        record: see `BoundedTransport`.
    """

    def __init__(
        self,
        credentials: Mapping[str, str],
        *,
        interface: str,
        region_name: str | None,
        timeout_seconds: float,
        connections: int,
        cacert: str | None,
        trust_env: bool,
        record: Record | None,
    ) -> None:
        self._endpoint_filter = {"interface": interface, "region_name": region_name}
        self._transport = BoundedTransport(
            max_bytes=_MAX_ANSWER_BYTES,
            total_seconds=timeout_seconds,
            pool_maxsize=connections,
            record=record,
        )
        self.session = open_session(
            self._transport, cacert=cacert, trust_env=trust_env, timeout_seconds=timeout_seconds
        )
        self.plugin = load_plugin(credentials)

    def log_in(self) -> access.AccessInfo:
        """Return the service user's token; one that is valid is used again.

        Raises:
            ClientException: Keystone issues none.
        """
        token: access.AccessInfo = self.plugin.get_access(self.session)  # type: ignore[attr-defined]
        return token

    def own_token(self) -> access.AccessInfo:
        """Return the same as `log_in`, with an error that does not repeat Keystone's text.

        Raises:
            KeystoneUnavailable: Keystone issues none.
        """
        try:
            return self.log_in()
        except ClientException as error:
            raise self._unavailable(reason_of(error)) from error

    def validate(self, token: str, *, allow_expired: bool = False) -> dict[str, Any] | None:
        """Return what Keystone says about a token, `{"token": {...}}`; None if it is not valid.

        With `allow_expired` a token that has expired recently is valid.

        Raises:
            KeystoneUnavailable: Keystone did not answer, or not with a token.
        """
        try:
            answer = self.ask_about(token, allow_expired=allow_expired)
        except ClientException as error:
            raise self._unavailable(reason_of(error)) from error
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise self._unavailable(f"Keystone answered {answer.status_code}")
        try:
            data: dict[str, Any] = answer.json()
            _require_complete(access.create(body=data))
        except Exception as error:  # whatever keystoneauth raises on an answer of another shape
            raise self._unavailable(f"{type(error).__name__}: {error}") from error
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

    def validate_own_token(self) -> None:
        """Have Keystone validate the service user's own token, as it validates a client's.

        Raises:
            KeystoneUnavailable: it did not.
        """
        for _ in range(2):  # a token that was revoked meanwhile is renewed once
            if self.validate(str(self.own_token().auth_token)):
                return
            self.plugin.invalidate()
        raise KeystoneUnavailable("Keystone does not know the token that it has just issued")

    def validating_endpoint(self) -> str:
        """Return the v3 address that the catalog of the service user's token has for Keystone.

        Raises:
            ClientException: it has none; the token is forgotten, since a new one may have it.
        """
        catalog = self.log_in().service_catalog
        try:
            url = catalog.url_for(service_type="identity", **self._endpoint_filter)
        except ClientException:
            self.plugin.invalidate()
            raise
        return v3_url(str(url))

    def _unavailable(self, reason: str) -> KeystoneUnavailable:
        is_away = self._transport.breaker.is_open
        return KeystoneUnavailable(reason, retry_after="1" if is_away else None)


def _require_complete(token: access.AccessInfo) -> None:
    """Read everything that is read of a token later, so that no other answer is cached."""
    token.will_expire_soon()
    for text in (token.user_id, token.project_id, *(token.role_names or ())):
        if not isinstance(text, str | None):
            raise TypeError(f"{text!r} is not text")
