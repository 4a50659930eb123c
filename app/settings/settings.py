"""Every setting, read once from the environment into frozen dataclasses.

A field declares the whole setting: name, default, allowed values. All problems are reported
together, so that an operator starts the service once and not once for each.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Self

from nova_image_shim.adapters.address import Address, Server, UnixSocket, is_loopback
from nova_image_shim.settings import values
from nova_image_shim.settings.brownout import Brownout
from nova_image_shim.settings.catalog import CatalogEntry, parse_entries
from nova_image_shim.settings.environment import refused, unknown, without_effect
from nova_image_shim.settings.fields import Problem, SettingsError, read, setting
from nova_image_shim.settings.given import Given
from nova_image_shim.settings.keystone import Keystone
from nova_image_shim.settings.sources import SOURCES, Sources, read_sources

MOUNTS = ("v1.1", "v2", "v2.1")
COMPAT = (
    "no-previous-links",
    "no-image-size",
    "no-disk-config",
    "no-alternate-project",
    "raw-block-device-mapping",
    "no-compression",
    "v2-current",
    "v2-deprecated",
)
_HINT = "`nova-image-shim fake` serves an embedded cloud and needs no settings"
# With SHIM_THREADS, which call Glance, these serve requests. A process has 9 more: the main thread,
# pages, metrics, the log and readiness. So it has SHIM_THREADS + 48.
_KEYSTONE_THREADS = 5
_WAITING_THREADS = 31
_WAITING_LOGINS = 11  # with SHIM_IDENTITY_V2, which calls Keystone by 5 more threads
_SPARE_THREADS = 3
_IDLE_CONNECTIONS = 1000
_OTHER_FILES = 64  # logs, metrics, memcached, listeners, modules being imported
_STOP_MARGIN_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Settings:
    """The service's own settings; docs/reference/settings.md describes them."""

    backend: str = setting("SHIM_BACKEND", "glance", values.choice("glance", "memory"))
    bind: Address | UnixSocket = setting("SHIM_BIND", Address("127.0.0.1", 8774), values.bind)
    allow_public: bool = setting("SHIM_ALLOW_PUBLIC", default=False, parse=values.flag)
    workers: int = setting("WEB_CONCURRENCY", 0, values.integer(1, 128))
    threads: int = setting("SHIM_THREADS", 16, values.integer(1, 256))
    queue_seconds: float = setting("SHIM_QUEUE_SECONDS", 1.0, values.seconds(60))
    client_timeout_seconds: float = setting("SHIM_CLIENT_TIMEOUT", 30.0, values.seconds(3600))
    memory_images: Path | None = setting("SHIM_MEMORY_IMAGES", None, values.existing_file)
    fake_open: bool = setting("SHIM_FAKE_OPEN", default=False, parse=values.flag)
    fake_hosts: tuple[str, ...] = setting("SHIM_FAKE_HOSTS", (), values.host_names)
    fake_max_image_bytes: int = setting(
        "SHIM_FAKE_MAX_IMAGE_BYTES", 2**30, values.integer(1, 2**40)
    )

    glance_endpoint: str | None = setting("SHIM_GLANCE_ENDPOINT", None, values.url)
    glance_page_size: int = setting("SHIM_GLANCE_PAGE_SIZE", 1000, values.integer(1, 10000))
    glance_connect_timeout_seconds: float = setting(
        "SHIM_GLANCE_CONNECT_TIMEOUT", 5.0, values.seconds(300)
    )
    glance_read_timeout_seconds: float = setting(
        "SHIM_GLANCE_READ_TIMEOUT", 30.0, values.seconds(3600)
    )
    request_timeout_seconds: float = setting("SHIM_REQUEST_TIMEOUT", 60.0, values.seconds(3600))
    max_list_bytes: int = setting("SHIM_MAX_LIST_BYTES", 2**26, values.integer(2**10, 2**31))
    trust_env: bool = setting("SHIM_TRUST_ENV", default=True, parse=values.flag)

    keystone_timeout_seconds: float = setting("SHIM_KEYSTONE_TIMEOUT", 5.0, values.seconds(300))
    token_cache_seconds: int = setting("SHIM_TOKEN_CACHE_SECONDS", 300, values.integer(0, 86400))
    shared_lists: int = setting("SHIM_SHARED_LISTS", 2, values.integer(0, 16))
    cache_seconds: int = setting("SHIM_CACHE_SECONDS", 0, values.integer(0, 3600))
    memcached_servers: tuple[Server, ...] = setting("SHIM_MEMCACHED_SERVERS", (), values.servers)
    www_authenticate_uri: str | None = setting("SHIM_WWW_AUTHENTICATE_URI", None, values.url)
    identity_v2: bool = setting("SHIM_IDENTITY_V2", default=False, parse=values.flag)
    identity_v2_domain_id: str = setting("SHIM_IDENTITY_V2_DOMAIN_ID", "default", values.id_)
    identity_v2_catalog: tuple[CatalogEntry, ...] = setting(
        "SHIM_IDENTITY_V2_CATALOG", (), parse_entries
    )

    mounts: tuple[str, ...] = setting("SHIM_MOUNTS", MOUNTS, values.words(*MOUNTS))
    metadata_limit: int = setting("SHIM_METADATA_LIMIT", 128, values.integer(-1, 10**6))
    max_body_bytes: int = setting("SHIM_MAX_BODY_BYTES", 114688, values.integer(2**10, 2**26))
    max_limit: int | None = setting("SHIM_MAX_LIMIT", None, values.integer(1, 10**9))
    compat: tuple[str, ...] = setting("SHIM_COMPAT", (), values.words(*COMPAT))
    compute_link_prefix: str | None = setting("SHIM_COMPUTE_LINK_PREFIX", None, values.url)
    glance_link_prefix: str | None = setting("SHIM_GLANCE_LINK_PREFIX", None, values.url)
    docs: bool | None = setting("SHIM_DOCS", None, values.flag)
    trusted_proxies: int = setting("SHIM_TRUSTED_PROXIES", 0, values.integer(0, 16))
    log_level: str = setting(
        "SHIM_LOG_LEVEL", "INFO", values.choice("DEBUG", "INFO", "WARNING", "ERROR")
    )
    log_format: str = setting("SHIM_LOG_FORMAT", "text", values.choice("text", "json"))
    metrics_bind: Address | None = setting("SHIM_METRICS_BIND", None, values.address)
    healthcheck_disable_file: Path | None = setting("SHIM_HEALTHCHECK_DISABLE_FILE", None, Path)
    deprecation: datetime | None = setting("SHIM_DEPRECATION", None, values.moment)
    sunset: datetime | None = setting("SHIM_SUNSET", None, values.moment)
    deprecation_link: str | None = setting("SHIM_DEPRECATION_LINK", None, values.link)
    brownout: Brownout | None = setting("SHIM_BROWNOUT", None, Brownout.parse)
    send_service_token: bool = setting("SHIM_SEND_SERVICE_TOKEN", default=False, parse=values.flag)
    config_file: Path | None = setting("SHIM_CONFIG_FILE", None, values.existing_file)
    keystone: Keystone = field(default_factory=Keystone)
    service_user: Keystone | None = None  # sends the service token, if another user does
    files: tuple[Path, ...] = ()  # the ones that settings were read from
    notes: tuple[str, ...] = ()  # which options and variables are ignored
    unknown: tuple[Problem, ...] = ()  # variables that are misspelt, or of another release

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings that an environment holds; an empty variable counts as unset.

        Raises:
            SettingsError: some are wrong or missing; it has all problems.
        """
        if environ.get("SHIM_BACKEND", "").strip() == "memory":
            # The variables of a client must not disturb the embedded cloud.
            environ = {name: environ[name] for name in environ if not name.startswith("OS_")}
        sources, known = read_sources(environ), _names()
        problems = [*refused(environ), *sources.problems]
        settings = read(cls, sources.given, problems)
        if settings.backend == "glance":
            keystone, service_user = _logins(settings, sources, problems)
            settings = replace(settings, keystone=keystone, service_user=service_user)
        problems += _conflicts(settings)
        notes = (*sources.given.notes, *without_effect(environ, known))
        others = tuple(unknown(environ, known))
        if problems:
            raise SettingsError([*others, *problems], notes)
        return replace(settings, files=sources.files, notes=notes, unknown=others)

    @property
    def secrets(self) -> list[str]:
        """Return the texts that must never be logged."""
        logins = [self.keystone, self.service_user or Keystone()]
        found = [(login.password, login.application_credential_secret) for login in logins]
        return [secret for pair in found for secret in pair if secret]

    @property
    def drain_seconds(self) -> int:
        """Return how long gunicorn lets requests end after TERM: as long as one may take."""
        return math.ceil(self.request_timeout_seconds + self.client_timeout_seconds)

    @property
    def stop_seconds(self) -> int:
        """Return how long whoever stops the service waits before KILL: longer than it drains."""
        return self.drain_seconds + _STOP_MARGIN_SECONDS

    @property
    def worker_count(self) -> int:
        """Return the number of processes: as set, or two; one for the embedded cloud."""
        return self.workers or (1 if self.backend == "memory" else 2)

    @property
    def keystone_threads(self) -> int:
        """Return how many requests may call Keystone at the same time."""
        return _KEYSTONE_THREADS

    @property
    def most_waiting(self) -> int:
        """Return how many requests may wait for Keystone, Glance or another request."""
        return _WAITING_THREADS

    @property
    def most_waiting_logins(self) -> int:
        """Return how many logins by identity v2.0 may wait, beside these."""
        return _WAITING_LOGINS

    @property
    def pool_size(self) -> int:
        """Return the threads of a process: all calls, those that wait, and some that do neither."""
        if self.backend == "memory":
            return self.threads
        logins = _KEYSTONE_THREADS + _WAITING_LOGINS if self.identity_v2 else 0
        return self.threads + _KEYSTONE_THREADS + _WAITING_THREADS + _SPARE_THREADS + logins

    @property
    def most_connections(self) -> int:
        """Return how many clients a process may be connected to; most of them are idle."""
        return _IDLE_CONNECTIONS + self.pool_size

    @property
    def reserved_files(self) -> int:
        """Return the files that a process may open besides its clients' connections.

        Each thread may wait with one for its client, and call Glance and Keystone.
        """
        return self.pool_size + 2 * self.threads + _OTHER_FILES

    @property
    def serves_docs(self) -> bool:
        """Tell whether `/docs` is served: as set, or for the embedded cloud only."""
        return self.backend == "memory" if self.docs is None else self.docs

    @property
    def v2_status(self) -> str:
        """Return the status of v2.0 in the version documents."""
        statuses = {"v2-current": "CURRENT", "v2-deprecated": "DEPRECATED"}
        return next((statuses[word] for word in self.compat if word in statuses), "SUPPORTED")

    @property
    def login_url(self) -> str | None:
        """Return the Keystone that a 401 names; None for the embedded identity."""
        return self.www_authenticate_uri or self.keystone.auth_url


def _names() -> frozenset[str]:
    declared = (*fields(Settings), *fields(Keystone))
    return frozenset(item.metadata["name"] for item in declared if item.metadata)


def _logins(
    settings: Settings, sources: Sources, problems: list[Problem]
) -> tuple[Keystone, Keystone | None]:
    """Return the service user, and the file's `[service_user]` where its token is sent."""
    keystone = Keystone.read(sources.given, problems)
    wrong = {problem.name for problem in problems}
    if wrong.isdisjoint(SOURCES):  # what an unreadable source holds is not missing
        problems += keystone.missing(wrong, hint=_HINT)
    if not (settings.send_service_token and sources.service_user.texts):
        return keystone, None
    shared = Given({"OS_AUTH_URL": keystone.auth_url or ""}, {"OS_AUTH_URL": "OS_AUTH_URL"})
    other = Keystone.read(sources.service_user.above(shared), problems)
    problems += other.missing(origin=f"[service_user] of {settings.config_file}")
    return keystone, other.beside(keystone)


def _conflicts(settings: Settings) -> Iterator[Problem]:
    """Yield a problem for each setting that does not fit another."""
    since, end = settings.deprecation, settings.sunset
    if since and end and end < since:
        yield Problem("SHIM_SUNSET", "SHIM_SUNSET must not be before SHIM_DEPRECATION")
    if settings.deprecation_link and not (since or end):
        name = "SHIM_DEPRECATION_LINK"
        yield Problem(name, f"{name} needs SHIM_DEPRECATION or SHIM_SUNSET")
    if {"v2-current", "v2-deprecated"} <= set(settings.compat):
        name = "SHIM_COMPAT"
        yield Problem(name, f"{name} must have only one of v2-current and v2-deprecated")
    if settings.backend == "memory":
        yield from _conflicts_with_memory(settings)


def _conflicts_with_memory(settings: Settings) -> Iterator[Problem]:
    if settings.workers > 1:
        yield _conflict("WEB_CONCURRENCY", settings.workers, "1", "runs in one process")
    if settings.cache_seconds:
        yield _conflict("SHIM_CACHE_SECONDS", settings.cache_seconds, "0", "has no lists to cache")
    if settings.identity_v2:
        yield _conflict("SHIM_IDENTITY_V2", 1, "0", "always has identity v2.0")
    if not (settings.allow_public or is_loopback(settings.bind.host)):
        why = "is not secure; SHIM_ALLOW_PUBLIC=1 allows any address"
        yield _conflict("SHIM_BIND", settings.bind, "a loopback address", why)


def _conflict(name: str, value: object, allowed: str, why: str) -> Problem:
    return Problem(name, f"{name}='{value}' must be {allowed}: SHIM_BACKEND=memory {why}")
