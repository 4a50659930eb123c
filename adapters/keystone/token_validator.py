"""keystonemiddleware's `auth_token`, bounded: what the service asks Keystone, and how often."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from keystoneauth1 import access, loading
from keystoneauth1.exceptions import ClientException, EndpointNotFound, HttpError
from keystonemiddleware import auth_token
from keystonemiddleware.auth_token._exceptions import InvalidToken, ServiceError
from keystonemiddleware.auth_token._request import _AuthTokenRequest
from oslo_config import cfg

from nova_image_shim.adapters.http.transport import BoundedTransport
from nova_image_shim.adapters.keystone.errors import KeystoneUnavailable
from nova_image_shim.adapters.keystone.token_cache import make_token_cache
from nova_image_shim.adapters.limits.limiter import Gate
from nova_image_shim.observability.trace import count_keystone_call

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from keystoneauth1.session import Session
    from requests import PreparedRequest

    from nova_image_shim.adapters.stores.memcached import Memcached
    from nova_image_shim.settings import Settings

_GROUP = "keystone_authtoken"
_LOG_NAME = "nova_image_shim.adapters.keystone.token_validator"
_CACHE_KEY = "nova_image_shim.adapters.keystone.token_cache"
_READ = "REQUEST_METHOD SCRIPT_NAME PATH_INFO HTTP_X_AUTH_TOKEN HTTP_X_SERVICE_TOKEN".split()
_KEYSTONE_ANSWER_BYTES = 4 * 2**20  # a token with the largest catalog is far below


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


class AuthToken(auth_token.AuthProtocol):  # type: ignore[misc] # the library has no types
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
        self._token_cache.initialize({_CACHE_KEY: make_token_cache(settings, memcached)})

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
                raise NoAnswer(reason_of(error)) from error
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


class NoAnswer(Exception):
    """Keystone did not say; unlike auth_token's own errors it reaches the one line of our log."""


def reason_of(error: Exception) -> str:
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
        "www_authenticate_uri": settings.login_url,
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
