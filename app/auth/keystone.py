"""Authentication by Keystone: from a request's token to a `Caller`."""

import re

from flask import Request
from keystoneauth1.identity.access import AccessInfoPlugin
from keystoneauth1.plugin import BaseAuthPlugin
from keystoneauth1.service_token import ServiceTokenAuthWrapper

from nova_image_shim.adapters.http.transport import Record
from nova_image_shim.adapters.keystone.login import ServiceTokenAuth
from nova_image_shim.adapters.keystone.session import KeystoneSession
from nova_image_shim.adapters.keystone.token_validator import TokenValidator
from nova_image_shim.auth.caller import Caller, Unauthenticated
from nova_image_shim.observability.trace import CURRENT
from nova_image_shim.settings import Settings

_TOKEN = re.compile(r"[\x21-\x7e]+")  # what Keystone could have issued and a header can carry


class KeystoneAuthenticate:
    """Make a caller of what Keystone says about a request's token; ignore its identity headers.

    The token of `service_auth`, if there is one, is sent to Glance beside the caller's.
    """

    def __init__(
        self, validator: TokenValidator, service_auth: ServiceTokenAuth | None = None
    ) -> None:
        self.validator = validator
        self._service_auth = service_auth

    def __call__(self, request: Request, _project_id: str | None) -> Caller:
        """Return the caller; see `Authenticate`."""
        if not _TOKEN.fullmatch(request.headers.get("X-Auth-Token", "").strip()):
            raise Unauthenticated
        try:
            valid = self.validator.validate(request.environ)
        finally:
            trace = CURRENT.get()
            trace.token_cached = not trace.keystone_calls  # also where another request called
        if valid is None:
            raise Unauthenticated
        token = valid.access
        trace.token = token.auth_token or ""
        auth: BaseAuthPlugin = AccessInfoPlugin(token)
        if self._service_auth:
            auth = ServiceTokenAuthWrapper(auth, self._service_auth)
        roles = frozenset(filter(None, token.role_names or ()))
        return Caller(token.user_id or "-", token.project_id, auth, roles, valid.data)


def open_keystone(settings: Settings, record: Record | None = None) -> KeystoneSession:
    """Return the service user's session with Keystone; `record` is that of `BoundedTransport`."""
    keystone = settings.keystone
    return KeystoneSession(
        keystone.credentials(),
        interface=keystone.interface,
        region_name=keystone.region_name,
        timeout_seconds=settings.keystone_timeout_seconds,
        connections=2 * settings.keystone_threads,  # for tokens and for logins
        cacert=str(keystone.cacert) if keystone.cacert else None,
        trust_env=settings.trust_env,
        record=record,
    )
