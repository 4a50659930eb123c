"""The application over a real cloud: Keystone, Glance and memcached, put together."""

import logging
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from flask import Flask
from keystoneauth1.identity.access import AccessInfoPlugin
from keystoneauth1.plugin import BaseAuthPlugin

from nova_image_shim.adapters.glance.service import GlanceImageService, GlanceOptions
from nova_image_shim.adapters.image_port import Context
from nova_image_shim.adapters.keystone.login import (
    ServiceTokenAuth,
    SharedLogin,
    load_plugin,
    log_in,
)
from nova_image_shim.adapters.keystone.session import KeystoneSession
from nova_image_shim.adapters.keystone.token_validator import TokenValidator
from nova_image_shim.adapters.limits.limiter import Limiter, Room, Waiting
from nova_image_shim.adapters.stores.memcached import Memcached
from nova_image_shim.adapters.stores.process import ProcessStore, Store
from nova_image_shim.adapters.stores.signed import SignedStore, shared_secret
from nova_image_shim.api.errors import fault_response
from nova_image_shim.application import create_app
from nova_image_shim.auth.keystone import KeystoneAuthenticate, open_keystone
from nova_image_shim.lists.cache import Lists
from nova_image_shim.observability.trace import count_keystone_call
from nova_image_shim.settings import Settings
from nova_image_shim.web.errors import register_errors, render_by_path

if TYPE_CHECKING:  # importing it has an effect
    from nova_image_shim.adapters.identity_port import IdentityService
    from nova_image_shim.observability.metrics import Metrics

_log = logging.getLogger(__name__)


class Cloud(NamedTuple):
    """The service's ways to a cloud: all calls to Keystone and Glance are made by these."""

    keystone: KeystoneSession
    glance: GlanceImageService
    authenticate: KeystoneAuthenticate


def open_cloud(
    settings: Settings, shared: Store | None = None, waiting: Waiting | None = None
) -> Cloud:
    """Return the ways to the cloud of the settings; the store is for tokens."""
    keystone = open_keystone(settings, count_keystone_call)
    waiting = waiting or Waiting(settings.most_waiting)
    return Cloud(keystone, _glance(settings), _authenticate(settings, keystone, shared, waiting))


def create_glance_app(settings: Settings, metrics: "Metrics | None" = None) -> Flask:
    """Return the application over the Keystone and Glance of the settings."""
    shared = _shared_store(settings)
    waiting = Waiting(settings.most_waiting)
    keystone, glance, authenticate = open_cloud(settings, shared, waiting)
    seconds = settings.queue_seconds
    lists = Lists(
        glance,
        shared_fetches=settings.shared_lists,
        cache_seconds=settings.cache_seconds,
        markers=shared,
        waiting=waiting,
    )

    def call_glance() -> None:
        auth = AccessInfoPlugin(keystone.own_token())
        list_one_image(glance, auth, settings.keystone_timeout_seconds)

    app = create_app(
        settings,
        glance,
        authenticate,
        lists=lists,
        limiter=Limiter("Glance", slots=settings.threads, seconds=seconds, waiting=waiting),
        room=Room(settings.max_list_bytes, seconds=seconds, waiting=waiting),
        metrics=metrics,
        checks={"keystone": keystone.validate_own_token, "glance": call_glance},
    )
    if settings.identity_v2:
        _add_identity_v2(app, settings, open_identity(settings, keystone, authenticate))
    return app


def open_identity(
    settings: Settings, keystone: KeystoneSession, authenticate: KeystoneAuthenticate
) -> "IdentityService":
    """Return identity v2.0's way to Keystone."""
    from nova_image_shim.adapters.keystone.identity import KeystoneIdentity  # noqa: PLC0415

    return KeystoneIdentity(
        keystone.session,
        str(settings.keystone.auth_url),
        settings.identity_v2_domain_id,
        Limiter(
            "Keystone for logins by v2.0",
            slots=settings.keystone_threads,
            seconds=settings.queue_seconds,
            waiting=Waiting(settings.most_waiting_logins),
        ),
        authenticate.validator.forget,
    )


def _add_identity_v2(app: Flask, settings: Settings, service: "IdentityService") -> None:
    from nova_image_shim import identity_v2  # noqa: PLC0415 - few clouds need it
    from nova_image_shim.identity_v2.responses import keystone_error  # noqa: PLC0415

    identity_v2.register_identity_v2(app, service)
    renderers = dict.fromkeys(identity_v2.PATHS, keystone_error)
    register_errors(app, render_by_path(renderers, fault_response))
    for problem, _fix in identity_v2.problems(settings):
        _log.warning("%s", problem)


def list_one_image(glance: GlanceImageService, auth: BaseAuthPlugin | None, seconds: float) -> None:
    """List one image as the owner of a token.

    Raises:
        ImageServiceError: Glance returns no list within that time.
    """
    context = Context("", f"req-{uuid.uuid4()}", auth, time.monotonic() + seconds)
    glance.list_page(context, {}, limit=1)


def _glance(settings: Settings) -> GlanceImageService:
    keystone = settings.keystone
    options = GlanceOptions(
        endpoint=settings.glance_endpoint,
        region_name=keystone.region_name,
        interface=keystone.interface,
        connect_timeout_seconds=settings.glance_connect_timeout_seconds,
        read_timeout_seconds=settings.glance_read_timeout_seconds,
        max_answer_bytes=settings.max_list_bytes,
        threads=settings.threads,
        trust_env=settings.trust_env,
        cacert=str(keystone.cacert) if keystone.cacert else None,
    )
    return GlanceImageService(options)


def _authenticate(
    settings: Settings, keystone: KeystoneSession, shared: Store | None, waiting: Waiting
) -> KeystoneAuthenticate:
    slots, seconds = settings.keystone_threads, settings.queue_seconds
    limiter = Limiter("Keystone", slots=slots, seconds=seconds, waiting=waiting)
    store = shared or ProcessStore()
    validator = TokenValidator(keystone, store, settings.token_cache_seconds, limiter)
    if not settings.send_service_token:
        return KeystoneAuthenticate(validator)
    plugin = load_plugin((settings.service_user or settings.keystone).credentials())
    login = SharedLogin(plugin, partial(log_in, plugin, keystone.session), waiting)
    return KeystoneAuthenticate(validator, ServiceTokenAuth(login))


def _shared_store(settings: Settings) -> Store | None:
    """Return the store that all processes share, None without memcached."""
    if settings.memcached_servers:
        return SignedStore(Memcached(settings.memcached_servers), _secret(settings))
    if settings.cache_seconds and settings.worker_count > 1:
        _log.warning(
            "SHIM_CACHE_SECONDS=%d without SHIM_MEMCACHED_SERVERS and with %d workers: a change "
            "made through one worker is seen by the others only after that time; use memcached "
            "or WEB_CONCURRENCY=1",
            settings.cache_seconds,
            settings.worker_count,
        )
    return None


def _secret(settings: Settings) -> bytes:
    """Return the secret of all instances that run with the same service user."""
    user = settings.keystone
    password = user.application_credential_secret or user.password or ""
    name = user.application_credential_id or user.user_id or user.username
    return shared_secret(password, user.auth_url, name)
