"""The composition root: environment, settings, a real adapter, the application."""

from __future__ import annotations

import logging
import os
import secrets
from contextlib import nullcontext
from typing import TYPE_CHECKING

from nova_image_shim.adapters.limits.limiter import Gate
from nova_image_shim.application import create_app
from nova_image_shim.lists.cache import ListCache
from nova_image_shim.lists.cached_list import shared_secret
from nova_image_shim.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from flask import Flask

    from nova_image_shim.adapters.glance.service import GlanceOptions
    from nova_image_shim.adapters.stores.memcached import Memcached
    from nova_image_shim.fakecloud.seed import Seed
    from nova_image_shim.observability.metrics import Metrics

_log = logging.getLogger(__name__)


def check(environ: Mapping[str, str]) -> Settings:
    """Return the settings of an environment that the service can start with.

    Raises:
        SystemExit: it cannot; the text says all that is wrong.
    """
    try:
        settings = Settings.from_environ(environ)
    except SettingsError as error:
        raise SystemExit(f"nova-image-shim cannot start:\n{error}") from error
    if settings.backend == "memory":
        _load_seed(settings)
    return settings


def _load_seed(settings: Settings) -> Seed:
    """Return the embedded cloud's seed; nothing of that cloud is imported without it."""
    from nova_image_shim.fakecloud.items import ImageFileError  # noqa: PLC0415
    from nova_image_shim.fakecloud.seed import load_seed  # noqa: PLC0415

    try:
        return load_seed(settings.memory_images)
    except ImageFileError as error:
        raise SystemExit(f"nova-image-shim cannot start:\n{error}") from error


def application() -> Flask:
    """Return the WSGI application that the process's environment asks for."""
    settings = check(os.environ)
    return _over_glance(settings) if settings.backend == "glance" else _over_memory(settings)


def _over_memory(settings: Settings) -> Flask:
    from nova_image_shim.fakecloud import create_cloud_app  # noqa: PLC0415
    from nova_image_shim.fakecloud.cloud import FakeCloud  # noqa: PLC0415

    seed = _load_seed(settings)
    _log.warning(
        "SHIM_BACKEND=memory: an embedded cloud of %d images, lost at the end; it is NO security: "
        "its passwords are known to all, and at /_fake/ anyone who reaches it changes everything%s",
        len(seed.images),
        "; SHIM_FAKE_OPEN=1: any token is taken" if settings.fake_open else "",
    )
    return create_cloud_app(settings, FakeCloud(seed), metrics=_metrics(settings))


def _metrics(settings: Settings) -> Metrics | None:
    if not settings.metrics_bind:
        return None
    from nova_image_shim.observability.metrics import Metrics  # noqa: PLC0415 - its import has an effect

    return Metrics(threads=settings.pool_size, backend=settings.backend)


def _over_glance(settings: Settings) -> Flask:
    from nova_image_shim.adapters.glance.guarded import GuardedImageService, Visits  # noqa: PLC0415
    from nova_image_shim.adapters.glance.service import GlanceImageService  # noqa: PLC0415
    from nova_image_shim.adapters.stores.memcached import Memcached  # noqa: PLC0415
    from nova_image_shim.auth.keystone import KeystoneAuthenticate  # noqa: PLC0415

    gate = Gate(
        "Glance",
        places=settings.threads,
        queue=settings.queue_length,
        seconds=settings.queue_seconds,
    )
    servers = settings.memcached_servers
    memcached = Memcached(servers) if servers else None  # one, which knows whether it is away
    authenticate = KeystoneAuthenticate(settings, memcached)
    glance = GlanceImageService(_glance_options(settings))
    guarded = GuardedImageService(glance, gate)
    checks = {
        "keystone": authenticate.check,
        "glance": lambda: glance.list_page(authenticate.own_context(), {}, limit=1),
    }
    app = create_app(
        settings,
        guarded,
        authenticate,
        metrics=_metrics(settings),
        checks=checks,
        list_cache=make_list_cache(settings, memcached, guarded.admit),
    )
    app.wsgi_app = Visits(app.wsgi_app, gate)  # type: ignore[method-assign]
    return app


def _glance_options(settings: Settings) -> GlanceOptions:
    from nova_image_shim.adapters.glance.service import GlanceOptions  # noqa: PLC0415

    keystone = settings.keystone
    return GlanceOptions(
        endpoint=settings.glance_endpoint,
        region_name=keystone.region_name,
        interface=keystone.interface,
        connect_timeout_seconds=settings.glance_connect_timeout_seconds,
        read_timeout_seconds=settings.glance_read_timeout_seconds,
        max_answer_bytes=settings.glance_max_answer_bytes,
        threads=settings.threads,
        trust_env=settings.trust_env,
        cacert=str(keystone.cacert) if keystone.cacert else None,
    )


def make_list_cache(
    settings: Settings,
    memcached: Memcached | None = None,
    admit: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> ListCache | None:
    """Return the cache of lists that the settings ask for; see `ListCache` for `admit`."""
    from nova_image_shim.adapters.stores.cache_store import MemcachedStore, ProcessStore  # noqa: PLC0415

    if not settings.cache_seconds:
        return None
    if memcached:
        shared = MemcachedStore(memcached)
        return ListCache(settings, shared, shared_secret(settings.keystone), admit)
    if settings.worker_count > 1:
        _log.warning(
            "SHIM_CACHE_SECONDS=%d without SHIM_MEMCACHED_SERVERS, and %d workers: a change is "
            "seen by the workers that did not make it only after that time; WEB_CONCURRENCY=1 "
            "or memcached mends that",
            settings.cache_seconds,
            settings.worker_count,
        )
    return ListCache(settings, ProcessStore(), secrets.token_bytes(), admit)
