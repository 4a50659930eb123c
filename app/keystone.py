"""Who may ask, according to Keystone, by way of keystonemiddleware."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
import uuid
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from cachetools import TTLCache
from keystoneauth1 import access, loading
from keystoneauth1.exceptions import ClientException, EndpointNotFound, HttpError
from keystoneauth1.identity.access import AccessInfoPlugin
from keystoneauth1.plugin import BaseAuthPlugin
from keystoneauth1.service_token import ServiceTokenAuthWrapper
from keystonemiddleware import auth_token
from keystonemiddleware.auth_token._exceptions import InvalidToken, ServiceError
from keystonemiddleware.auth_token._request import _AuthTokenRequest
from oslo_config import cfg

from nova_image_shim.adapters.gate import Gate, NoPlaceError
from nova_image_shim.adapters.port import Context
from nova_image_shim.adapters.transport import BoundedTransport
from nova_image_shim.context import Caller
from nova_image_shim.errors import KeystoneUnavailable, Unauthenticated
from nova_image_shim.kept_list import shared_secret
from nova_image_shim.memcached_tokens import MemcachedTokens
from nova_image_shim.telemetry import CURRENT, count_keystone_call

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from flask import Request
    from keystoneauth1.session import Session
    from requests import PreparedRequest

    from nova_image_shim.adapters.memcached import Memcached
    from nova_image_shim.settings import Settings

_TOKEN = re.compile(r"[\x21-\x7e]+")  # what Keystone could have made, and a header can carry
_GROUP = "keystone_authtoken"
_LOG_NAME = "nova_image_shim.auth_token"
_CACHE_KEY = "nova_image_shim.token_cache"
_READ = "REQUEST_METHOD SCRIPT_NAME PATH_INFO HTTP_X_AUTH_TOKEN HTTP_X_SERVICE_TOKEN".split()
_CACHED_TOKENS = 4096
_KEYSTONE_ANSWER_BYTES = 4 * 2**20  # a token with the largest catalog is far below


class KeystoneAuthenticate:
    """Ask Keystone, through keystonemiddleware's `auth_token`, who a token stands for.

    Identity headers of the request count nowhere: what is returned is made of Keystone's answer.

    Args:
        settings: the service user, and how long Keystone is waited for.
        memcached: where validated tokens are kept; None for this process.
    """

    def __init__(self, settings: Settings, memcached: Memcached | None = None) -> None:
        self._protocol = _OneAtATime(settings, memcached)
        self._seconds = settings.keystone_timeout_seconds
        self._service_auth = (
            _ServiceAuth(self._protocol.keystone_session, settings)
            if settings.send_service_token
            else None
        )

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
        except _NoAnswer as error:
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
            raise _NoAnswer(_reason(error)) from error

    def own_context(self) -> Context:
        """Return the context of the service user itself.

        Raises:
            Exception: there is no token and none can be had; see `check`.
        """
        try:
            token = self._protocol.own_token()
        except ClientException as error:
            raise _NoAnswer(_reason(error)) from error
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


class _TracedTransport(BoundedTransport):
    """A bounded transport whose calls the log and the metrics tell of."""

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Send a request, return its answer, and take note of both."""
        started, status = time.monotonic(), 0
        try:
            answer = super().send(request, *args, **kwargs)
            status = answer.status_code
            return answer
        finally:
            count_keystone_call(request.method or "", status, time.monotonic() - started)


class _OneAtATime(auth_token.AuthProtocol):  # type: ignore[misc] # the library has no types
    """`auth_token` over a bounded transport, where a burst of one new token is one question."""

    def __init__(self, settings: Settings, memcached: Memcached | None) -> None:
        self._transport = _TracedTransport(
            max_bytes=_KEYSTONE_ANSWER_BYTES,
            total_seconds=settings.keystone_timeout_seconds,
            pool_maxsize=settings.threads,
        )
        self._seconds = settings.keystone_timeout_seconds
        self._trust_env = settings.trust_env
        self._flights: dict[tuple[str, bool], Future[Any]] = {}
        self._guard = threading.Lock()
        threads, queue = settings.threads, settings.queue_length
        self._room = Gate("Keystone", places=threads + queue, queue=0, seconds=0)
        self._gate = Gate("Keystone", places=threads, queue=queue, seconds=settings.queue_seconds)
        # auth_token tells of a failure in up to five lines, with all that Keystone said.
        logging.getLogger(_LOG_NAME).setLevel(logging.CRITICAL + 1)
        options = {"oslo_config_config": _oslo_config(settings), "log_name": _LOG_NAME}
        super().__init__(None, options)
        self._token_cache.initialize({_CACHE_KEY: _token_cache(settings, memcached)})

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
        session.session.trust_env = self._trust_env
        session.session.mount("http://", self._transport)
        session.session.mount("https://", self._transport)
        return session

    def _create_identity_server(self) -> Any:
        server: Any = super()._create_identity_server()
        ask = server.verify_token

        def verify_token(*args: Any, **kwargs: Any) -> Any:
            # Logging in first: auth_token takes a 404 at the login for an unknown token.
            try:
                self._auth.get_access(self._session)
                data = ask(*args, **kwargs)
            except EndpointNotFound:  # for which auth_token forgets its catalog
                raise
            except (ClientException, ServiceError) as error:
                raise _NoAnswer(_reason(error)) from error
            _require_whole(access.create(body=data))
            return data

        server.verify_token = verify_token
        return server

    @property
    def keystone_session(self) -> Session:
        """Return the session that Keystone is asked over."""
        session: Session = self._session
        return session

    def own_token(self) -> access.AccessInfo:
        """Return the service user's token, logged in for if there is none."""
        token: access.AccessInfo = self._auth.get_access(self._session)
        return token

    def validate_own_token(self) -> None:
        """Ask Keystone about the service user's own token, with that token."""
        try:
            self._identity_server.verify_token(self.own_token().auth_token)
        except InvalidToken:  # it was revoked meanwhile
            self._auth.invalidate()
            self._identity_server.verify_token(self.own_token().auth_token)

    def unavailable(self, reason: str) -> KeystoneUnavailable:
        """Return the error that says so, and forget where Keystone's versions are.

        What was found of them may have been an outage's page.
        """
        self.forget_discovery()
        retry_after = "1" if self._transport.breaker.is_open else None
        return KeystoneUnavailable(reason, retry_after=retry_after)

    def forget_discovery(self) -> None:
        """Forget where Keystone's versions are."""
        self._session._discovery_cache.clear()  # noqa: SLF001 - no other way, short of a new plugin
        self._auth._discovery_cache.clear()  # noqa: SLF001

    def fetch_token(self, token: str, allow_expired: bool = False) -> Any:
        """Return the token's data, from the cache or from Keystone.

        Raises:
            NoPlaceError: it is in no cache, and too many wait for Keystone already.
        """
        if known := self._token_cache.get(token):
            return known
        with self._room.enter():
            return self._fetch_once(token, allow_expired)

    def _fetch_once(self, token: str, allow_expired: bool) -> Any:
        """Ask Keystone; who comes while it is being asked gets the same answer."""
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
            with self._gate.enter():
                data = super().fetch_token(token, allow_expired=key[1])
            flight.set_result(data)
        except BaseException as error:  # noqa: BLE001 - raised again from result() in every thread
            flight.set_exception(error)
        finally:
            with self._guard:
                del self._flights[key]


class _NoAnswer(Exception):
    """Keystone did not say; unlike auth_token's own errors it reaches the one line of our log."""


def _reason(error: Exception) -> str:
    """Return what went wrong; of an answer that is its status, which auth_token only logs."""
    cause = error.__context__ if isinstance(error, ServiceError) else error
    if isinstance(cause, HttpError):
        return f"Keystone answered {cause.http_status}"
    return f"{type(error).__name__}: {error}"


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


def _token_cache(
    settings: Settings, memcached: Memcached | None
) -> _ProcessCache | _NoCache | MemcachedTokens:
    """Return the cache that auth_token finds in the request."""
    if not settings.token_cache_seconds:
        return _NoCache()
    if memcached:
        return MemcachedTokens(memcached, shared_secret(settings.keystone))
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
        "cache": _CACHE_KEY,
        "service_type": "compute",  # the service that access rules of credentials are about
    }
    for name, value in options.items():
        if value is not None:
            conf.set_override(name, value, group=_GROUP)
    return conf
