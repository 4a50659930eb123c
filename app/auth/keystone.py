"""Who may ask, according to Keystone, by way of keystonemiddleware."""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING, Any

from keystoneauth1 import loading
from keystoneauth1.exceptions import ClientException
from keystoneauth1.identity.access import AccessInfoPlugin
from keystoneauth1.plugin import BaseAuthPlugin
from keystoneauth1.service_token import ServiceTokenAuthWrapper

from nova_image_shim.adapters.image_port import Context
from nova_image_shim.adapters.keystone.errors import KeystoneUnavailable
from nova_image_shim.adapters.keystone.token_validator import AuthToken, NoAnswer, reason_of
from nova_image_shim.adapters.limits.limiter import NoPlaceError
from nova_image_shim.auth.caller import Caller
from nova_image_shim.auth.errors import Unauthenticated
from nova_image_shim.observability.trace import CURRENT

if TYPE_CHECKING:
    from flask import Request
    from keystoneauth1 import access
    from keystoneauth1.session import Session

    from nova_image_shim.adapters.stores.memcached import Memcached
    from nova_image_shim.settings import Settings

_TOKEN = re.compile(r"[\x21-\x7e]+")  # what Keystone could have made, and a header can carry


class KeystoneAuthenticate:
    """Ask Keystone, through keystonemiddleware's `auth_token`, who a token stands for.

    Identity headers of the request count nowhere: what is returned is made of Keystone's answer.

    Args:
        settings: the service user, and how long Keystone is waited for.
        memcached: where validated tokens are kept; None for this process.
    """

    def __init__(self, settings: Settings, memcached: Memcached | None = None) -> None:
        self._protocol = AuthToken(settings, memcached)
        self._seconds = settings.keystone_timeout_seconds
        self._service_auth = (
            _ServiceAuth(self._protocol.keystone_session, settings)
            if settings.send_service_token
            else None
        )

    def __call__(self, request: Request, _project_id: str | None = None, /) -> Caller:
        """Return the caller.

        Raises:
            Unauthenticated: there is no token, or Keystone does not know it.
            KeystoneUnavailable: Keystone did not say, whatever the reason.
        """
        if not _TOKEN.fullmatch(request.headers.get("X-Auth-Token", "").strip()):
            raise Unauthenticated
        try:
            valid = self._protocol.validated(request.environ)
        except NoAnswer as error:
            raise self._protocol.unavailable(str(error)) from error
        except NoPlaceError as error:
            raise KeystoneUnavailable(str(error), retry_after=error.retry_after) from error
        except Exception as error:
            # keystoneauth's exceptions, Keystone's answers in no known shape: all the same here.
            raise self._protocol.unavailable(f"{type(error).__name__}: {error}") from error
        finally:
            trace = CURRENT.get()
            trace.token_cached = not trace.keystone_calls  # one that another asks for counts, too
        if valid is None:
            raise Unauthenticated
        token: access.AccessInfo = valid.token_auth.user
        return Caller(
            token.user_id or "-",
            token.project_id,
            self._plugin_of(token),
            roles=frozenset(token.role_names or ()),
            token=valid.token_info["token"],
        )

    def _plugin_of(self, token: access.AccessInfo) -> BaseAuthPlugin:
        """Return what goes along to Glance; auth_token's would always send two tokens."""
        plugin = AccessInfoPlugin(token)
        return ServiceTokenAuthWrapper(plugin, self._service_auth) if self._service_auth else plugin

    def check(self) -> None:
        """Have Keystone validate the service user's own token, as it validates a client's.

        Raises:
            Exception: it did not. No word of Keystone's is in it, who may say what it was sent.
        """
        try:
            self._protocol.validate_own_token()
        except Exception as error:
            self._protocol.forget_discovery()
            raise NoAnswer(reason_of(error)) from error

    def own_context(self) -> Context:
        """Return the context of the service user itself.

        Raises:
            Exception: there is no token and none can be had; see `check`.
        """
        try:
            token = self._protocol.own_token()
        except ClientException as error:
            raise NoAnswer(reason_of(error)) from error
        deadline = time.monotonic() + self._seconds
        request_id = f"req-{uuid.uuid4()}"
        return Context(token.project_id or "", request_id, AccessInfoPlugin(token), deadline)


class _ServiceAuth(BaseAuthPlugin):
    """The service user's token, logged in for within Keystone's bounds and not within Glance's."""

    def __init__(self, session: Session, settings: Settings) -> None:
        super().__init__()
        options = (settings.service_user or settings.keystone).credentials()
        kind: Any = loading.get_plugin_loader(options.pop("auth_type"))
        self._plugin = kind.load_from_options(**options)
        self._session = session

    def get_token(self, _session: Session) -> str | None:
        """Return the token; the session is the one that calls Glance."""
        token: str | None = self._plugin.get_token(self._session)
        return token

    def invalidate(self) -> bool:
        """Forget the token, which Glance no longer takes."""
        return bool(self._plugin.invalidate())
