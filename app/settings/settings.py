"""Every setting, read once from the environment into frozen dataclasses.

A field declares all there is to say of its setting: name, default, what is allowed. All
mistakes are reported together, so that nobody has to start the service once for each.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nova_image_shim.settings import values
from nova_image_shim.settings.fields import SettingsError, read, setting
from nova_image_shim.settings.keystone import Keystone

if TYPE_CHECKING:
    from collections.abc import Mapping, Set
    from datetime import datetime

    from nova_image_shim.settings.brownout import Brownout
    from nova_image_shim.settings.config_file import ConfigFile

_SPARE_THREADS = 4
_REMOVED = {
    "SHIM_PREVIOUS_LINKS": "SHIM_COMPAT=no-previous-links replaces the value 0",
    "SHIM_ALTERNATE_LINK_PROJECT": "SHIM_COMPAT=no-alternate-project replaces the value 0",
    "SHIM_SHOW_IMAGE_SIZE": "SHIM_COMPAT=no-image-size replaces the value 0",
    "SHIM_SHOW_DISK_CONFIG": "SHIM_COMPAT=no-disk-config replaces the value 0",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The service's own settings; README.md has the table."""

    backend: str = setting("SHIM_BACKEND", "memory", values.choice("memory", "glance"))
    bind: str = setting("SHIM_BIND", "127.0.0.1:8774", values.bind)
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
    glance_max_answer_bytes: int = setting(
        "SHIM_GLANCE_MAX_ANSWER_BYTES", 2**26, values.integer(2**10, 2**31)
    )
    trust_env: bool = setting("SHIM_TRUST_ENV", default=True, parse=values.flag)

    keystone_timeout_seconds: float = setting("SHIM_KEYSTONE_TIMEOUT", 5.0, values.seconds(300))
    token_cache_seconds: int = setting("SHIM_TOKEN_CACHE_SECONDS", 300, values.integer(0, 86400))
    cache_seconds: int = setting("SHIM_CACHE_SECONDS", 0, values.integer(0, 3600))
    memcached_servers: tuple[str, ...] = setting("SHIM_MEMCACHED_SERVERS", (), values.servers)
    public_keystone: str | None = setting("SHIM_WWW_AUTHENTICATE_URI", None, values.url)

    mounts: tuple[str, ...] = setting("SHIM_MOUNTS", values.MOUNTS, values.mounts)
    metadata_limit: int = setting("SHIM_METADATA_LIMIT", 128, values.limit_or_none)
    max_body_bytes: int = setting("SHIM_MAX_BODY_BYTES", 114688, values.integer(2**10, 2**26))
    max_limit: int | None = setting("SHIM_MAX_LIMIT", None, values.integer(1, 10**9))
    compat: frozenset[str] = setting("SHIM_COMPAT", frozenset(), values.compat)
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
    metrics_bind: str | None = setting("SHIM_METRICS_BIND", None, values.address)
    healthcheck_disable_file: Path | None = setting("SHIM_HEALTHCHECK_DISABLE_FILE", None, Path)
    deprecation: datetime | None = setting("SHIM_DEPRECATION", None, values.moment)
    sunset: datetime | None = setting("SHIM_SUNSET", None, values.moment)
    deprecation_link: str | None = setting("SHIM_DEPRECATION_LINK", None, values.link)
    brownout: Brownout | None = setting("SHIM_BROWNOUT", None, values.brownout)
    send_service_token: bool = setting("SHIM_SEND_SERVICE_TOKEN", default=False, parse=values.flag)
    config_file: Path | None = setting("SHIM_CONFIG_FILE", None, values.existing_file)
    keystone: Keystone = field(default_factory=Keystone)
    service_user: Keystone | None = None  # whose token goes along to Glance, if it is another's
    notes: tuple[str, ...] = ()  # what of the configuration file does not count

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Return the settings that an environment holds; an empty variable counts as unset.

        Raises:
            SettingsError: some are wrong; a line each, with name, value and what is allowed.
        """
        mistakes = [
            f"{name} was removed: {instead}"
            for name, instead in _REMOVED.items()
            if environ.get(name, "").strip()
        ]
        file = _config_file(environ, mistakes)
        given = file.below(environ) if file else environ
        settings = read(cls, given, mistakes)
        if settings.backend == "glance":  # the embedded store must not trip over a client's OS_*
            settings = replace(settings, keystone=read(Keystone, given, mistakes))
        refused = {mistake.partition("=")[0] for mistake in mistakes}
        mistakes += settings.mistakes(refused)
        if file:
            mistakes = [_with_origin(mistake, environ, file) for mistake in mistakes]
            settings = replace(settings, notes=tuple(file.notes))
            if settings.backend == "glance" and settings.send_service_token and file.service_user:
                login = {"OS_AUTH_URL": settings.keystone.auth_url or ""} | file.service_user
                settings = replace(settings, service_user=_service_user(login, mistakes))
        if mistakes:
            raise SettingsError("\n".join(mistakes))
        return settings

    def mistakes(self, refused: Set[str] = frozenset()) -> list[str]:
        """Return what is wrong with the settings taken together.

        Args:
            refused: the names of those whose values were bad already: they are not missing.
        """
        return self._mistakes_of_retirement() + self._mistakes_of_backend(refused)

    def _mistakes_of_retirement(self) -> list[str]:
        found = []
        if self.deprecation and self.sunset and self.sunset < self.deprecation:
            found.append(
                "SHIM_SUNSET is before SHIM_DEPRECATION: allowed is the same time or later"
            )
        if self.deprecation_link and not (self.deprecation or self.sunset):
            found.append(
                "SHIM_DEPRECATION_LINK is set alone: SHIM_DEPRECATION or SHIM_SUNSET says of what"
            )
        return found

    def _mistakes_of_backend(self, refused: Set[str]) -> list[str]:
        if self.backend == "glance":
            return [
                f"{' or '.join(names)} is not set: SHIM_BACKEND=glance needs it for the service "
                "user"
                for names in self.keystone.missing()
                if not refused & set(names)
            ]
        found = []
        if self.workers > 1:
            found.append(
                f"WEB_CONCURRENCY='{self.workers}': SHIM_BACKEND=memory lives in one process: "
                "allowed is 1"
            )
        if self.cache_seconds:
            found.append(
                f"SHIM_CACHE_SECONDS='{self.cache_seconds}': SHIM_BACKEND=memory has no Glance to "
                "spare: allowed is 0"
            )
        if not (self.allow_public or is_loopback(self.bind)):
            found.append(
                f"SHIM_BIND={self.bind!r}: SHIM_BACKEND=memory is no security: allowed is a "
                "loopback address, or any with SHIM_ALLOW_PUBLIC=1"
            )
        return found

    @property
    def secrets(self) -> list[str]:
        """Return what must never be logged."""
        logins = [self.keystone, *([self.service_user] if self.service_user else [])]
        return [
            secret
            for login in logins
            for secret in (login.password, login.application_credential_secret)
            if secret
        ]

    @property
    def worker_count(self) -> int:
        """Return how many processes serve: as set, else two; one over the embedded store."""
        return self.workers or (1 if self.backend == "memory" else 2)

    @property
    def queue_length(self) -> int:
        """Return how many requests may wait for a place at Glance, and as many at Keystone."""
        return 2 * self.threads

    @property
    def pool_size(self) -> int:
        """Return how many threads a process has.

        Enough for all who ask Glance and Keystone, for both queues, and a few for those who need
        neither.
        """
        if self.backend == "memory":
            return self.threads
        return 2 * (self.threads + self.queue_length) + _SPARE_THREADS

    @property
    def serves_docs(self) -> bool:
        """Tell whether `/docs` is there: as set, else over the embedded store only."""
        return self.backend == "memory" if self.docs is None else self.docs

    @property
    def www_authenticate_uri(self) -> str | None:
        """Return where a client is sent for a token; None for the embedded identity."""
        return self.public_keystone or self.keystone.auth_url


def _config_file(environ: Mapping[str, str], mistakes: list[str]) -> ConfigFile | None:
    """Return what the file that SHIM_CONFIG_FILE names says, and add what is wrong with it."""
    path = Path(environ.get("SHIM_CONFIG_FILE", "").strip())
    if not path.is_file():  # none is named, or that is told as of any other path
        return None
    from nova_image_shim.settings.config_file import ConfigFileError, read_config_file  # noqa: PLC0415

    try:
        return read_config_file(path)
    except ConfigFileError as error:
        mistakes.append(f"SHIM_CONFIG_FILE={str(path)!r}: {error}")
        return None


def _service_user(login: Mapping[str, str], mistakes: list[str]) -> Keystone:
    found: list[str] = []
    service_user = read(Keystone, login, found)
    found += [f"{' or '.join(names)} is not set" for names in service_user.missing()]
    mistakes += [f"[service_user] of the configuration file: {text}" for text in found]
    return service_user


def _with_origin(mistake: str, environ: Mapping[str, str], file: ConfigFile) -> str:
    """Add to a mistake where it stands, unless that is the environment."""
    name = mistake.partition("=")[0]
    elsewhere = name in file.origins and not environ.get(name, "").strip()
    return f"{mistake} ({file.origins[name]})" if elsewhere else mistake


def setting_names() -> list[str]:
    """Return the name of every setting, in the order in which they are declared."""
    declared = [*fields(Settings), *fields(Keystone)]
    return [item.metadata["name"] for item in declared if item.metadata]


def is_loopback(bind: str) -> bool:
    """Tell whether only this machine reaches an address."""
    host = bind.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
