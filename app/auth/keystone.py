"""Authentication by Keystone: from a request's token to a `Caller`."""

import re
import time
import uuid

from flask import Request
from keystoneauth1.access import AccessInfo
from keystoneauth1.exceptions import ClientException
from keystoneauth1.identity.access import AccessInfoPlugin
from keystoneauth1.plugin import BaseAuthPlugin
from keystoneauth1.service_token import ServiceTokenAuthWrapper

from nova_image_shim.adapters.http.transport import Record
from nova_image_shim.adapters.image_port import Context
from nova_image_shim.adapters.keystone.errors import KeystoneUnavailable, reason_of
from nova_image_shim.adapters.keystone.login import ServiceTokenAuth
from nova_image_shim.adapters.keystone.session import KeystoneOptions, KeystoneSession
from nova_image_shim.adapters.keystone.token_validator import TokenValidator
from nova_image_shim.auth.caller import Caller
from nova_image_shim.auth.errors import Unauthenticated
from nova_image_shim.observability.trace import CURRENT
from nova_image_shim.settings import Settings

_TOKEN = re.compile(r"[\x21-\x7e]+")  # what Keystone could have issued and a header can carry


class KeystoneAuthenticate:
    """Make a caller of what Keystone says about a request's token.

    Identity headers of the request are ignored.

    Args:
        validator: validates tokens.
        service_auth: whose token is sent to Glance beside the caller's; None to send none.
    """

    def __init__(
        self, validator: TokenValidator, service_auth: ServiceTokenAuth | None = None
    ) -> None:
        self._validator = validator
        self._service_auth = service_auth

    def __call__(self, request: Request, _project_id: str | None, /) -> Caller:
        """Return the caller.

        Raises:
            Unauthenticated: there is no token, or Keystone does not know it.
            KeystoneUnavailable: Keystone did not answer.
        """
        if not _TOKEN.fullmatch(request.headers.get("X-Auth-Token", "").strip()):
            raise Unauthenticated
        try:
            valid = self._validator.validate(request.environ)
        finally:
            trace = CURRENT.get()
            trace.token_cached = not trace.keystone_calls  # also where another request called
        if valid is None:
            raise Unauthenticated
        token = valid.access
        return Caller(
            token.user_id or "-",
            token.project_id,
            self._glance_auth(token),
            roles=frozenset(token.role_names or ()),
            token=valid.data,
        )

    def _glance_auth(self, token: AccessInfo) -> BaseAuthPlugin:
        plugin = AccessInfoPlugin(token)
        return ServiceTokenAuthWrapper(plugin, self._service_auth) if self._service_auth else plugin


def open_keystone(settings: Settings, record: Record | None = None) -> KeystoneSession:
    """Return the service user's session with Keystone.

    Args:
        settings: the service user, and how long a call may take.
        record: see `KeystoneSession`.
    """
    keystone = settings.keystone
    return KeystoneSession(
        KeystoneOptions(
            keystone.credentials(),
            interface=keystone.interface,
            region_name=keystone.region_name,
            timeout_seconds=settings.keystone_timeout_seconds,
            connections=settings.threads,
            cacert=str(keystone.cacert) if keystone.cacert else None,
            trust_env=settings.trust_env,
        ),
        record,
    )


class KeystoneProbe:
    """What readiness asks of Keystone, as the service user.

    Args:
        keystone: the service user's session.
        seconds: how long Glance may take for the same user.
    """

    def __init__(self, keystone: KeystoneSession, seconds: float) -> None:
        self._keystone = keystone
        self._seconds = seconds

    def validate(self) -> None:
        """Have Keystone validate the service user's own token, as it validates a client's.

        Raises:
            KeystoneUnavailable: it did not. Keystone's text is not repeated, since it may hold
                the token.
        """
        for _ in range(2):  # a token that was revoked meanwhile is renewed once
            token = self._log_in()
            if self._keystone.validate(str(token.auth_token)):
                return
            self._keystone.plugin.invalidate()
        raise KeystoneUnavailable("Keystone does not know the token that it has just issued")

    def context(self) -> Context:
        """Return the context of the service user.

        Raises:
            KeystoneUnavailable: there is no token and none can be had.
        """
        token = self._log_in()
        deadline = time.monotonic() + self._seconds
        request_id = f"req-{uuid.uuid4()}"
        return Context(token.project_id or "", request_id, AccessInfoPlugin(token), deadline)

    def _log_in(self) -> AccessInfo:
        try:
            return self._keystone.log_in()
        except ClientException as error:
            raise self._keystone.unavailable(reason_of(error)) from error
