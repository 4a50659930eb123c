"""Who may ask, according to Keystone, by way of keystonemiddleware."""

from __future__ import annotations

import hashlib
import re
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from cachetools import TTLCache
from keystoneauth1 import access, loading
from keystoneauth1.identity.access import AccessInfoPlugin
from keystonemiddleware import auth_token
from keystonemiddleware.auth_token._request import _AuthTokenRequest
from oslo_config import cfg

from nova_image_shim.adapters.transport import BoundedTransport
from nova_image_shim.context import Caller
from nova_image_shim.errors import KeystoneUnavailable, Unauthenticated

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from flask import Request
    from keystoneauth1.session import Session

    from nova_image_shim.settings import Settings

_TOKEN = re.compile(r"[\x21-\x7e]+")  # what Keystone could have made, and a header can carry
_GROUP = "keystone_authtoken"
_CACHE_KEY = "nova_image_shim.token_cache"
_READ = "REQUEST_METHOD SCRIPT_NAME PATH_INFO HTTP_X_AUTH_TOKEN HTTP_X_SERVICE_TOKEN".split()
_CACHED_TOKENS = 4096
_KEYSTONE_ANSWER_BYTES = 4 * 2**20  # a token with the largest catalog is far below


class KeystoneAuthenticate:
    """Ask Keystone, through keystonemiddleware's `auth_token`, who a token stands for.

    Identity headers of the request count nowhere: what is returned is made of Keystone's answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._protocol = _OneAtATime(settings)

    def __call__(self, request: Request) -> Caller:
        """Return the caller.

        Raises:
            Unauthenticated: there is no token, or Keystone does not know it.
            KeystoneUnavailable: Keystone did not say, whatever the reason.
        """
        if not _TOKEN.fullmatch(request.headers.get("X-Auth-Token", "").strip()):
            raise Unauthenticated
        try:
            valid = self._protocol.validated(request.environ)
        except Exception as error:
            # keystoneauth's exceptions, Keystone's answers in no known shape: all the same here.
            self._protocol.forget_discovery()
            raise KeystoneUnavailable(f"{type(error).__name__}: {error}") from error
        if valid is None:
            raise Unauthenticated
        token: access.AccessInfo = valid.token_auth.user
        # A plugin of our own: auth_token's would send the service user's token along to Glance.
        return Caller(
            token.user_id or "-",
            token.project_id,
            AccessInfoPlugin(token),
            roles=frozenset(token.role_names or ()),
            token=valid.token_info["token"],
        )


class _OneAtATime(auth_token.AuthProtocol):  # type: ignore[misc] # the library has no types
    """`auth_token` over a bounded transport, where a burst of one new token is one question."""

    def __init__(self, settings: Settings) -> None:
        self._transport = BoundedTransport(
            max_bytes=_KEYSTONE_ANSWER_BYTES,
            total_seconds=settings.keystone_timeout_seconds,
            pool_maxsize=settings.threads,
        )
        self._seconds = settings.keystone_timeout_seconds
        self._flights: dict[tuple[str, bool], Future[Any]] = {}
        self._guard = threading.Lock()
        super().__init__(None, {"oslo_config_config": _oslo_config(settings)})
        self._token_cache.initialize({_CACHE_KEY: _token_cache(settings)})

    def validated(self, environ: WSGIEnvironment) -> _AuthTokenRequest | None:
        """Return a request's token as auth_token takes it, None where it is not good.

        The tokens and access rules are judged by the library. What is left out is its way of
        handing on what it knows, headers for an application behind it: two thirds of the time.
        """
        request = _AuthTokenRequest({name: environ[name] for name in _READ if name in environ})
        auth_token.BaseAuthProtocol.process_request(self, request)
        good = request.user_token_valid
        if request.service_token:  # which lets a token pass that has just expired
            good = good and request.service_token_valid
        return request if good else None

    def _create_session(self, **kwargs: Any) -> Session:
        # The option `http_connect_timeout` of auth_token knows no fractions.
        session: Session = super()._create_session(**kwargs | {"timeout": self._seconds})
        session.redirect = False  # a token is sent to Keystone and to no other host
        session.session.mount("http://", self._transport)
        session.session.mount("https://", self._transport)
        return session

    def _create_identity_server(self) -> Any:
        server: Any = super()._create_identity_server()
        ask = server.verify_token

        def verify_token(*args: Any, **kwargs: Any) -> Any:
            # Logging in first: auth_token takes a 404 at the login for an unknown token.
            self._auth.get_access(self._session)
            data = ask(*args, **kwargs)
            _require_whole(access.create(body=data))
            return data

        server.verify_token = verify_token
        return server

    def forget_discovery(self) -> None:
        """Forget where Keystone's versions are: what was found may have been an outage's page."""
        self._session._discovery_cache.clear()  # noqa: SLF001 - no other way, short of a new plugin
        self._auth._discovery_cache.clear()  # noqa: SLF001

    def fetch_token(self, token: str, allow_expired: bool = False) -> Any:
        """Return the token's data; who comes while it is being asked for gets the same answer."""
        key = (hashlib.sha256(token.encode()).hexdigest(), allow_expired)
        with self._guard:
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if leads:
            self._fetch_into(flight, key, token)
        return flight.result()

    def _fetch_into(self, flight: Future[Any], key: tuple[str, bool], token: str) -> None:
        try:
            flight.set_result(super().fetch_token(token, allow_expired=key[1]))
        except BaseException as error:  # noqa: BLE001 - raised again from result() in every thread
            flight.set_exception(error)
        finally:
            with self._guard:
                del self._flights[key]


def _require_whole(token: access.AccessInfo) -> None:
    """Read what is read of every token, so that none that lacks it is kept in the cache.

    Raises:
        KeyError, TypeError, ValueError: it lacks some of it.
    """
    _ = (token.user_id, token.project_id, token.role_names, token.will_expire_soon())


class _NoCache:
    """A token cache that forgets at once."""

    def get(self, _key: str) -> None:
        """Return nothing."""

    def set(self, _key: str, _value: bytes, **_kwargs: object) -> None:
        """Keep nothing."""


class _ProcessCache:
    """A token cache in this process: bounded, and one for all threads, unlike auth_token's own."""

    def __init__(self, seconds: int) -> None:
        self._tokens: TTLCache[str, bytes] = TTLCache(_CACHED_TOKENS, seconds)
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """Return what was kept under a key, as memcached's client would."""
        with self._lock:
            return self._tokens.get(key)

    def set(self, key: str, value: bytes, **_kwargs: object) -> None:
        """Keep a value for the time that the cache was made with."""
        with self._lock:
            self._tokens[key] = value


def _token_cache(settings: Settings) -> _ProcessCache | _NoCache | None:
    """Return the cache that auth_token finds in the request, None to have it use memcached."""
    if not settings.token_cache_seconds:
        return _NoCache()
    if settings.memcached_servers:
        return None
    return _ProcessCache(settings.token_cache_seconds)


def _oslo_config(settings: Settings) -> cfg.ConfigOpts:
    """Return a private configuration for auth_token, so that no file and no flag changes it."""
    conf = cfg.ConfigOpts()
    conf([], project="nova-image-shim", default_config_files=[], default_config_dirs=[])
    credentials = settings.keystone.credentials()
    loading.register_auth_conf_options(conf, _GROUP)
    plugin: Any = loading.get_plugin_loader(credentials["auth_type"])
    conf.register_opts(loading.get_auth_plugin_conf_options(plugin), group=_GROUP)
    for group, options in auth_token.list_opts():
        conf.register_opts(options, group=group)
    options = credentials | {
        "www_authenticate_uri": settings.www_authenticate_uri,
        "interface": settings.keystone.interface,
        "region_name": settings.keystone.region_name,
        "cafile": settings.keystone.cacert and str(settings.keystone.cacert),
        "http_request_max_retries": 0,
        "token_cache_time": settings.token_cache_seconds,
        "memcached_servers": list(settings.memcached_servers) or None,
        "cache": _CACHE_KEY,
        "service_type": "compute",  # the service that access rules of credentials are about
    }
    for name, value in options.items():
        if value is not None:
            conf.set_override(name, value, group=_GROUP)
    return conf
