"""Tokens validated by the rules of keystonemiddleware, with our bounds, cache and session."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from keystoneauth1.access import AccessInfo
from keystonemiddleware import auth_token
from keystonemiddleware.auth_token._exceptions import InvalidToken  # what fetch_token has to raise

from nova_image_shim.adapters.keystone.errors import KeystoneUnavailable
from nova_image_shim.adapters.keystone.session import KeystoneSession
from nova_image_shim.adapters.keystone.token_cache import TokenCache
from nova_image_shim.adapters.limits.limiter import Limiter, LimitExceeded
from nova_image_shim.adapters.limits.single_flight import SingleFlight

_SERVICE_TYPE = "compute"  # the service that access rules of application credentials name
_SERVICE_ROLES = ["service"]
_PATH_SAFE = "/~!$&'()*+,;=:@"


@dataclass(slots=True)
class ValidToken:
    """A valid token.

    Args:
        access: the token by keystoneauth.
        data: what Keystone returned, `{"id": ..., "project": ..., "roles": ...}` and more.
    """

    access: AccessInfo
    data: dict[str, Any]


class TokenValidator(auth_token.BaseAuthProtocol):  # type: ignore[misc] # the library has no types
    """The tokens of requests, judged as keystonemiddleware judges them.

    The library decides about expiry, access rules, binding and service tokens; where its data
    comes from is ours: the cache, or one call to Keystone for all who send the same token.

    Args:
        keystone: validates a token.
        tokens: what it answered before.
        limiter: bounds who calls Keystone and who waits for it.
    """

    def __init__(self, keystone: KeystoneSession, tokens: TokenCache, limiter: Limiter) -> None:
        log = logging.getLogger(f"{__name__}.library")
        log.setLevel(logging.CRITICAL + 1)  # it writes several lines about each refusal
        super().__init__(
            None,
            log=log,
            service_token_roles=_SERVICE_ROLES,
            service_token_roles_required=True,
            service_type=_SERVICE_TYPE,
        )
        self._keystone = keystone
        self._tokens = tokens
        self._limiter = limiter
        self._flights: SingleFlight[dict[str, Any]] = SingleFlight(limiter.waiting)

    def validate(self, environ: Mapping[str, str]) -> ValidToken | None:
        """Return the token of a request, None if it is not valid.

        A token that has just expired is valid together with a valid service token.

        Args:
            environ: the request's, by WSGI.

        Raises:
            KeystoneUnavailable: Keystone did not answer, or too many requests wait for it.
        """
        request = _Request(environ)
        try:
            self.process_request(request)
        except LimitExceeded as error:
            raise KeystoneUnavailable(str(error), retry_after=error.retry_after) from error
        except KeystoneUnavailable:
            raise
        except Exception as error:  # the library's, on a token of another shape
            raise KeystoneUnavailable(f"{type(error).__name__}: {error}") from error
        is_valid = request.user_token_valid
        if request.service_token:
            is_valid = is_valid and request.service_token_valid
        return (
            ValidToken(request.token_auth.user, request.token_info["token"]) if is_valid else None
        )

    def fetch_token(self, token: str, allow_expired: bool = False) -> dict[str, Any]:
        """Return what Keystone says about a token, `{"token": {...}}`: the library's hook.

        Raises:
            InvalidToken: the token is not valid.
            LimitExceeded: too many requests wait for Keystone.
            KeystoneUnavailable: Keystone did not answer.
        """
        if known := self._tokens.get(token):
            return known
        data, _ = self._flights.do(
            (token, allow_expired), lambda: self._fetch(token, allow_expired=allow_expired)
        )
        return data

    def _fetch(self, token: str, *, allow_expired: bool) -> dict[str, Any]:
        with self._limiter.slot():
            data = self._keystone.validate(token, allow_expired=allow_expired)
        if data is None:
            raise InvalidToken
        self._tokens.set(token, data)
        return data


class _Request:
    """As much of a request as the library reads, and what it writes into it."""

    auth_type = remote_user = None  # no web server in front has authenticated anybody

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.method = environ["REQUEST_METHOD"]
        self.user_token = environ.get("HTTP_X_AUTH_TOKEN")
        self.service_token = environ.get("HTTP_X_SERVICE_TOKEN")
        self.user_token_valid = False
        self.service_token_valid = False
        self.token_info: dict[str, Any] = {}
        self.token_auth: Any = None

    @property
    def path(self) -> str:
        """Return the path in the form that access rules have, percent-encoded."""
        path = self._environ.get("SCRIPT_NAME", "") + self._environ.get("PATH_INFO", "")
        return quote(path.encode("latin-1"), safe=_PATH_SAFE)
