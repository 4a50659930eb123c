"""Every setting, read once from the environment into frozen dataclasses.

A field declares the whole setting: name, default, allowed values. All problems are reported
together, so that an operator starts the service once and not once for each.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Self

from nova_image_shim.adapters.address import Address, is_loopback
from nova_image_shim.settings import values
from nova_image_shim.settings.brownout import Brownout
from nova_image_shim.settings.config_file import ConfigFile, ConfigFileError, read_config_file
from nova_image_shim.settings.fields import Problem, SettingsError, read, setting
from nova_image_shim.settings.keystone import Keystone

MOUNTS = ("v1.1", "v2", "v2.1")
COMPAT = (
    "no-previous-links",
    "no-image-size",
    "no-disk-config",
    "no-alternate-project",
    "raw-block-device-mapping",
)
_HINT = "`nova-image-shim fake` serves an embedded cloud and needs no settings"
_SPARE_THREADS = 4
_REMOVED = {
    "SHIM_PREVIOUS_LINKS": "SHIM_COMPAT=no-previous-links replaces the value 0",
    "SHIM_ALTERNATE_LINK_PROJECT": "SHIM_COMPAT=no-alternate-project replaces the value 0",
    "SHIM_SHOW_IMAGE_SIZE": "SHIM_COMPAT=no-image-size replaces the value 0",
    "SHIM_SHOW_DISK_CONFIG": "SHIM_COMPAT=no-disk-config replaces the value 0",
    "SHIM_GLANCE_MAX_ANSWER_BYTES": "SHIM_MAX_LIST_BYTES replaces it, for a whole list",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The service's own settings; README.md has the table."""

    backend: str = setting("SHIM_BACKEND", "glance", values.choice("glance", "memory"))
    bind: Address = setting("SHIM_BIND", Address("127.0.0.1", 8774), values.bind)
    allow_public: bool = setting("SHIM_ALLOW_PUBLIC", default=False, parse=values.flag)
    workers: int = setting("WEB_CONCURRENCY", 0, values.integer(1, 128))
    threads: int = setting("SHIM_THREADS", 16, values.integer(1, 256))
    queue_seconds: float = setting("SHIM_QUEUE_SECONDS", 1.0, values.seconds(60))
    client_timeout_seconds: float = setting("SHIM_CLIENT_TIMEOUT", 30.0, values.seconds(3600))
    memory_images: Path | None = setting("SHIM_MEMORY_IMAGES", None, values.existing_file)
    fake_open: bool = setting("SHIM_FAKE_OPEN", default=False, parse=values.flag)

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
    cache_seconds: int = setting("SHIM_CACHE_SECONDS", 0, values.integer(0, 3600))
    memcached_servers: tuple[Address, ...] = setting("SHIM_MEMCACHED_SERVERS", (), values.servers)
    www_authenticate_uri: str | None = setting("SHIM_WWW_AUTHENTICATE_URI", None, values.url)

    mounts: tuple[str, ...] = setting("SHIM_MOUNTS", MOUNTS, values.words(*MOUNTS))
    metadata_limit: int = setting("SHIM_METADATA_LIMIT", 128, values.integer(-1, 10**6))
    max_body_bytes: int = setting("SHIM_MAX_BODY_BYTES", 114688, values.integer(2**10, 2**26))
    max_limit: int | None = setting("SHIM_MAX_LIMIT", None, values.integer(1, 10**9))
    compat: tuple[str, ...] = setting("SHIM_COMPAT", (), values.words(*COMPAT))
    compute_link_prefix: str | None = setting("SHIM_COMPUTE_LINK_PREFIX", None, values.url)
    glance_link_prefix: str | None = setting("SHIM_GLANCE_LINK_PREFIX", None, values.url)
    v2_status: str = setting(
        "SHIM_V2_STATUS", "SUPPORTED", values.choice("CURRENT", "SUPPORTED", "DEPRECATED")
    )
    compress: bool = setting("SHIM_COMPRESS", default=True, parse=values.flag)
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
    notes: tuple[str, ...] = ()  # which options of the configuration file are ignored

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings that an environment holds; an empty variable counts as unset.

        Raises:
            SettingsError: some are wrong or missing; it has all problems.
        """
        problems = list(_removed(environ))
        file = _config_file(environ, problems)
        given, origins = file.below(environ)
        settings = read(cls, given, problems, origins)
        if settings.backend == "glance":  # a client's OS_* must not disturb the embedded cloud
            keystone = read(Keystone, given, problems, origins)
            settings = replace(settings, keystone=keystone)
            problems += keystone.missing({problem.name for problem in problems}, hint=_HINT)
        problems += _conflicts(settings)
        service_user = _service_user(settings, file, problems)
        if problems:
            raise SettingsError(problems)
        return replace(settings, notes=tuple(file.notes), service_user=service_user)

    @property
    def secrets(self) -> list[str]:
        """Return the texts that must never be logged."""
        logins = [self.keystone, self.service_user or Keystone()]
        found = [(login.password, login.application_credential_secret) for login in logins]
        return [secret for pair in found for secret in pair if secret]

    @property
    def worker_count(self) -> int:
        """Return the number of processes: as set, or two; one for the embedded cloud."""
        return self.workers or (1 if self.backend == "memory" else 2)

    @property
    def queue_length(self) -> int:
        """Return how many requests may wait for Glance, and how many for Keystone."""
        return 2 * self.threads

    @property
    def pool_size(self) -> int:
        """Return the threads of a process: all calls, both queues, and some that need neither."""
        if self.backend == "memory":
            return self.threads
        return 2 * (self.threads + self.queue_length) + _SPARE_THREADS

    @property
    def serves_docs(self) -> bool:
        """Tell whether `/docs` is served: as set, or for the embedded cloud only."""
        return self.backend == "memory" if self.docs is None else self.docs

    @property
    def login_url(self) -> str | None:
        """Return the Keystone that a 401 names; None for the embedded identity."""
        return self.www_authenticate_uri or self.keystone.auth_url


def _removed(environ: Mapping[str, str]) -> Iterator[Problem]:
    """Yield a problem for each setting that an earlier release had."""
    for name, instead in _REMOVED.items():
        if environ.get(name, "").strip():
            yield Problem(name, f"{name} was removed: {instead}")


def _config_file(environ: Mapping[str, str], problems: list[Problem]) -> ConfigFile:
    """Read the file that SHIM_CONFIG_FILE names."""
    name = "SHIM_CONFIG_FILE"
    path = Path(environ.get(name, "").strip())
    try:
        if path.is_file():  # unset, or reported as any other path
            return read_config_file(path)
    except ConfigFileError as error:
        problems.append(Problem(name, f"{name}={str(path)!r}: {error}"))
    return ConfigFile({}, {}, {}, [])


def _service_user(settings: Settings, file: ConfigFile, problems: list[Problem]) -> Keystone | None:
    """Return the login of the file's `[service_user]`, where it has one and it is used."""
    used = settings.backend == "glance" and settings.send_service_token
    if not (used and file.service_user):
        return None
    login = {"OS_AUTH_URL": settings.keystone.auth_url or ""} | file.service_user
    origin = f"[service_user] of {settings.config_file}"
    keystone = read(Keystone, login, problems, dict.fromkeys(login, origin))
    problems += keystone.missing(origin=origin)
    return keystone


def _conflicts(settings: Settings) -> Iterator[Problem]:
    """Yield a problem for each setting that does not fit another."""
    since, end = settings.deprecation, settings.sunset
    if since and end and end < since:
        yield Problem("SHIM_SUNSET", "SHIM_SUNSET must not be before SHIM_DEPRECATION")
    if settings.deprecation_link and not (since or end):
        name = "SHIM_DEPRECATION_LINK"
        yield Problem(name, f"{name} needs SHIM_DEPRECATION or SHIM_SUNSET")
    if settings.backend == "memory":
        yield from _conflicts_with_memory(settings)


def _conflicts_with_memory(settings: Settings) -> Iterator[Problem]:
    if settings.workers > 1:
        yield _conflict("WEB_CONCURRENCY", settings.workers, "1", "runs in one process")
    if settings.cache_seconds:
        yield _conflict("SHIM_CACHE_SECONDS", settings.cache_seconds, "0", "has no lists to cache")
    if not (settings.allow_public or is_loopback(settings.bind.host)):
        why = "is not secure; SHIM_ALLOW_PUBLIC=1 allows any address"
        yield _conflict("SHIM_BIND", settings.bind, "a loopback address", why)


def _conflict(name: str, value: object, allowed: str, why: str) -> Problem:
    return Problem(name, f"{name}='{value}' must be {allowed}: SHIM_BACKEND=memory {why}")
