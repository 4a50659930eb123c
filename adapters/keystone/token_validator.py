"""Tokens validated by the rules of keystonemiddleware, with our bounds, cache and session."""

import hashlib
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson
from keystoneauth1.access import AccessInfo
from keystonemiddleware import auth_token
from keystonemiddleware.auth_token._exceptions import InvalidToken  # what fetch_token has to raise

from nova_image_shim.adapters.keystone.errors import KeystoneUnavailable
from nova_image_shim.adapters.keystone.login import SharedLogin
from nova_image_shim.adapters.keystone.session import KeystoneSession
from nova_image_shim.adapters.limits.limiter import Limiter, LimitExceeded
from nova_image_shim.adapters.limits.single_flight import SingleFlight
from nova_image_shim.adapters.stores.process import Store

_SERVICE_TYPE = "compute"  # the service that access rules of application credentials name
_SERVICE_ROLES = ["service"]
_BINDING = "strict"  # a token bound to anything is not valid, since nothing here can verify it
_PATH_SAFE = "/~!$&'()*+,;=:@"


class ValidToken(NamedTuple):
    """A valid token: keystoneauth's view of it, and `{"user": {...}, "project": {...}, ...}`."""

    access: AccessInfo
    data: dict[str, Any]


class TokenValidator(auth_token.BaseAuthProtocol):  # type: ignore[misc] # the library has no types
    """Validates the tokens of requests by keystonemiddleware's rules.

    The library decides about expiry, access rules, binding and service tokens. We supply the data:
    from the cache, or with one call to Keystone for all requests with the same token.

    The store has Keystone's answers for `cache_seconds`; 0 turns the cache off. Its keys are
    digests, so it contains no token. The limiter bounds the calls to Keystone and those waiting.
    """

    def __init__(
        self, keystone: KeystoneSession, store: Store, cache_seconds: int, limiter: Limiter
    ) -> None:
        log = logging.getLogger(f"{__name__}.keystonemiddleware")
        log.setLevel(logging.CRITICAL + 1)  # it writes several lines about each refusal
        super().__init__(  # every option that guards, since defaults differ between releases
            None,
            log=log,
            enforce_token_bind=_BINDING,
            service_token_roles=_SERVICE_ROLES,
            service_token_roles_required=True,
            service_type=_SERVICE_TYPE,
        )
        self._keystone = keystone
        self._store = store
        self._cache_seconds = cache_seconds
        self._limiter = limiter
        self._login = SharedLogin(keystone.plugin, keystone.own_token, limiter.waiting)
        self._flights: SingleFlight[dict[str, Any]] = SingleFlight(limiter.waiting, joins=True)

    def validate(self, environ: Mapping[str, str]) -> ValidToken | None:
        """Return the token of a request, None if it is not valid.

        A token that has just expired is valid together with a valid service token.

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
        if not request.user_token_valid or (
            request.service_token and not request.service_token_valid
        ):
            return None
        return ValidToken(request.token_auth.user, request.token_info["token"])

    def fetch_token(self, token: str, allow_expired: bool = False) -> dict[str, Any]:
        """Return what Keystone says about a token, `{"token": {...}}`: the library's hook.

        Raises:
            InvalidToken: the token is not valid.
            LimitExceeded: too many requests wait for Keystone.
            KeystoneUnavailable: Keystone did not answer.
        """
        key = self._key(token)
        if self._cache_seconds and (known := self._store.get(key)):
            return orjson.loads(known)  # type: ignore[no-any-return]

        def fetch() -> dict[str, Any]:
            self._login.token()
            with self._limiter.slot():
                data = self._keystone.validate(token, allow_expired=allow_expired)
            if data is None:
                raise InvalidToken
            if self._cache_seconds:
                self._store.set(key, orjson.dumps(data), self._cache_seconds)
            return data

        return self._flights.do((key, allow_expired), fetch)[0]

    def forget(self, token: str) -> None:
        """Have Keystone validate a token again, since it was revoked."""
        if self._cache_seconds:
            self._store.set(self._key(token), b"", self._cache_seconds)  # counts as not cached

    def _key(self, token: str) -> str:
        # The seconds are in the key, because another process may believe tokens for longer.
        return f"tokens/{self._cache_seconds}/{hashlib.sha256(token.encode()).hexdigest()}"


class _Request:
    """The parts of a request that the library reads and writes."""

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
