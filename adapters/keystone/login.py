"""The service user's login: from its credentials to a keystoneauth plugin."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from keystoneauth1 import loading
from keystoneauth1.access import AccessInfo
from keystoneauth1.exceptions import ClientException
from keystoneauth1.plugin import BaseAuthPlugin
from keystoneauth1.session import Session

from nova_image_shim.adapters.address import without_version
from nova_image_shim.adapters.limits.single_flight import SingleFlight

_V3_PLUGINS = {"password": "v3password"}


def load_plugin(credentials: Mapping[str, str]) -> BaseAuthPlugin:
    """Return the plugin that logs in with credentials, at Keystone's v3 API.

    Every value reaches Keystone unchanged. Versions are not discovered, because the result
    during an outage would be remembered. The credentials are `auth_type`,
    and the plugin's options by keystoneauth's names.
    """
    options: dict[str, Any] = {**credentials, "auth_url": v3_url(credentials["auth_url"])}
    auth_type = options.pop("auth_type")
    loader: Any = loading.get_plugin_loader(_V3_PLUGINS.get(auth_type, auth_type))
    plugin: BaseAuthPlugin = loader.load_from_options(**options)
    return plugin


def log_in(plugin: Any, session: Session) -> AccessInfo:
    """Return the token of a login; one that is valid is used again.

    Raises:
        ClientException: Keystone issues none, or its answer is not a token.
    """
    with forgetting(plugin):
        token: AccessInfo = plugin.get_access(session)
        require_complete(token)
        if not token.auth_token:
            raise ValueError("X-Subject-Token is empty")
    return token


@contextmanager
def forgetting(plugin: BaseAuthPlugin) -> Iterator[None]:
    """Forget the token of a login where it is of no use, since a new one may be.

    Raises:
        ClientException: whatever keystoneauth raises on an answer of another shape.
    """
    try:
        yield
    except Exception as error:
        plugin.invalidate()
        if isinstance(error, ClientException):
            raise
        raise ClientException(f"{type(error).__name__}: {error}") from error


def require_complete(token: AccessInfo) -> None:
    """Read everything that is read of a token later, so that no other answer is kept."""
    token.will_expire_soon()
    for text in (token.user_id, token.project_id, *(token.role_names or ())):
        if not isinstance(text, str | None):
            raise TypeError(f"{text!r} is not text")


def v3_url(url: str) -> str:
    """Return the address of Keystone's v3 API: `http://host/identity/v3` for any of its forms."""
    return f"{without_version(url)}/v3"


class SharedLogin:
    """A login for which all requests that need it at the same time make one call to Keystone.

    Request it before acquiring a slot, so that those that wait for the call hold none.

    Args:
        plugin: has the token.
        log_in: makes the call; see `log_in`.
        waiting: bounds how many requests wait for it.
    """

    def __init__(
        self,
        plugin: Any,
        log_in: Callable[[], AccessInfo],
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.plugin = plugin
        self._log_in = log_in
        self._flights: SingleFlight[AccessInfo] = SingleFlight(waiting, joins=True)

    def token(self) -> AccessInfo:
        """Return the token; one that is valid is used again.

        Raises:
            LimitExceeded: too many requests wait for it.
            Exception: what `log_in` raised.
        """
        known: AccessInfo | None = self.plugin.auth_ref
        if known and not known.will_expire_soon(self.plugin.MIN_TOKEN_LIFE_SECONDS):
            return known
        return self._flights.do("login", self._log_in)[0]


class ServiceTokenAuth(BaseAuthPlugin):
    """The token of a service user, obtained over Keystone's own session.

    The session passed to a plugin is the one that calls Glance, with Glance's time-outs.
    """

    def __init__(self, login: SharedLogin) -> None:
        super().__init__()
        self._login = login

    def get_token(self, _session: Session) -> str | None:
        """Return the token; see `SharedLogin.token`."""
        return self._login.token().auth_token

    def invalidate(self) -> bool:
        """Forget the token, which Glance no longer accepts."""
        return bool(self._login.plugin.invalidate())
