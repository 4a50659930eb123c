"""Every setting, read once from the environment into frozen dataclasses.

A field declares all there is to say of its setting: name, default, what is allowed. All
mistakes are reported together, so that nobody has to start the service once for each.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Set

_T = TypeVar("_T")
_SECRETS = ("PASSWORD", "SECRET")
_USER_IN_ADDRESS = re.compile(r"//[^/]*@")
_PORTS = range(1, 65536)
_MOUNTS = ("v1.1", "v2", "v2.1")


class SettingsError(Exception):
    """One or more settings are wrong; the text has a line for each."""


class _Wrong(ValueError):
    """A value is not allowed; the text says what is."""


def _setting(name: str, default: Any, parse: Callable[[str], Any] = str) -> Any:
    shown = not _is_secret(name)
    return field(default=default, repr=shown, metadata={"name": name, "parse": parse})


def _is_secret(name: str) -> bool:
    return any(word in name for word in _SECRETS)


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,18}", text, re.ASCII) or not low <= int(text) <= high:
            raise _Wrong(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _seconds(high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII) or not 0 < float(text) <= high:
            raise _Wrong(f"seconds, more than 0 and at most {high:g}")
        return float(text)

    return parse


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise _Wrong(f"one of {', '.join(allowed)}")
        return text

    return parse


def _interface(text: str) -> str:
    return _choice("public", "internal", "admin")(text.removesuffix("URL"))


def _flag(text: str) -> bool:
    if text not in {"0", "1"}:
        raise _Wrong("1 for on or 0 for off")
    return text == "1"


def _url(text: str) -> str:
    """Return an http address without its final slashes."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or re.search(r"[\s\"\\?#@]", text):
        raise _Wrong("an address as http://host:port/path, without user, query and fragment")
    return text.rstrip("/")


def _limit(text: str) -> int:
    if text == "-1":
        return -1
    try:
        return _integer(0, 10**6)(text)
    except _Wrong as error:
        raise _Wrong(f"{error}, or -1 for none") from error


def _mounts(text: str) -> tuple[str, ...]:
    """Return the mounts named, in the order of their versions."""
    named = {name.strip() for name in text.split(",")}
    if not named <= set(_MOUNTS):
        raise _Wrong(f"one or more of {', '.join(_MOUNTS)}, with commas between them")
    return tuple(name for name in _MOUNTS if name in named)


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise _Wrong("the path of a file that exists")
    return path


def _servers(text: str) -> tuple[str, ...]:
    servers = tuple(server.strip() for server in text.split(","))
    if not all(map(_host_and_port, servers)):
        raise _Wrong("host:port, several with commas between them")
    return servers


def _bind(text: str) -> str:
    # Port 0 has the system choose one; the line that says that we are ready tells which.
    if not _host_and_port(re.sub(r":0\Z", ":1", text)):
        raise _Wrong("host:port, an IPv6 address in brackets")
    return text


def _host_and_port(text: str) -> bool:
    match = re.fullmatch(r"(?:[A-Za-z0-9._-]+|\[(.+)\]):(\d{1,5})", text, re.ASCII)
    if not match or int(match[2]) not in _PORTS:
        return False
    try:
        return match[1] is None or bool(ipaddress.IPv6Address(match[1]))
    except ValueError:
        return False


_USER = ("username", "user_id", "password", "user_domain_name", "user_domain_id")
_PROJECT = ("project_name", "project_id", "project_domain_name", "project_domain_id")
_CREDENTIAL = ("application_credential_id", "application_credential_secret")
_PLUGIN_OPTIONS = {
    "password": _USER + _PROJECT,
    "v3password": _USER + _PROJECT,
    "v3applicationcredential": _CREDENTIAL,
}
_auth_type = _choice(*_PLUGIN_OPTIONS)


@dataclass(frozen=True, slots=True)
class Keystone:
    """The service user and where it finds Keystone: the variables of every OpenStack client."""

    auth_url: str | None = _setting("OS_AUTH_URL", None, _url)
    auth_type: str | None = _setting("OS_AUTH_TYPE", None, _auth_type)
    username: str | None = _setting("OS_USERNAME", None)
    user_id: str | None = _setting("OS_USER_ID", None)
    password: str | None = _setting("OS_PASSWORD", None)
    project_name: str | None = _setting("OS_PROJECT_NAME", None)
    project_id: str | None = _setting("OS_PROJECT_ID", None)
    user_domain_name: str | None = _setting("OS_USER_DOMAIN_NAME", None)
    user_domain_id: str | None = _setting("OS_USER_DOMAIN_ID", None)
    project_domain_name: str | None = _setting("OS_PROJECT_DOMAIN_NAME", None)
    project_domain_id: str | None = _setting("OS_PROJECT_DOMAIN_ID", None)
    application_credential_id: str | None = _setting("OS_APPLICATION_CREDENTIAL_ID", None)
    application_credential_secret: str | None = _setting("OS_APPLICATION_CREDENTIAL_SECRET", None)
    region_name: str | None = _setting("OS_REGION_NAME", None)
    interface: str = _setting("OS_INTERFACE", "public", _interface)
    cacert: Path | None = _setting("OS_CACERT", None, _file)

    @property
    def plugin(self) -> str:
        """Return the keystoneauth plugin: an application credential goes before a password."""
        both = self.application_credential_id and self.application_credential_secret
        return self.auth_type or ("v3applicationcredential" if both else "password")

    def credentials(self) -> dict[str, str]:
        """Return the plugin's options by keystoneauth's names, only those that are its own.

        A stray OS_USERNAME beside an application credential must not reach the plugin.
        """
        names = ["auth_url", *_PLUGIN_OPTIONS[self.plugin]]
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return {"auth_type": self.plugin, **given}

    def missing(self) -> list[tuple[str, ...]]:
        """Return the names of what is missing for a login, alternatives together."""
        wanted: list[tuple[str, ...]] = [("OS_AUTH_URL",)]
        if "password" in self.plugin:
            wanted += [("OS_USERNAME", "OS_USER_ID"), ("OS_PASSWORD",)]
            wanted += [("OS_PROJECT_NAME", "OS_PROJECT_ID")]
            wanted += [("OS_USER_DOMAIN_NAME", "OS_USER_DOMAIN_ID")] if not self.user_id else []
            domain = ("OS_PROJECT_DOMAIN_NAME", "OS_PROJECT_DOMAIN_ID")
            wanted += [domain] if not self.project_id else []
        else:
            wanted += [("OS_APPLICATION_CREDENTIAL_ID",), ("OS_APPLICATION_CREDENTIAL_SECRET",)]
        return [
            names for names in wanted if not any(getattr(self, _ATTRIBUTES[name]) for name in names)
        ]


_ATTRIBUTES = {item.metadata["name"]: item.name for item in fields(Keystone)}


@dataclass(frozen=True, slots=True)
class Settings:
    """The service's own settings; README.md has the table."""

    backend: str = _setting("SHIM_BACKEND", "memory", _choice("memory", "glance"))
    bind: str = _setting("SHIM_BIND", "127.0.0.1:8774", _bind)
    allow_public: bool = _setting("SHIM_ALLOW_PUBLIC", default=False, parse=_flag)
    workers: int = _setting("WEB_CONCURRENCY", 0, _integer(1, 128))
    threads: int = _setting("SHIM_THREADS", 16, _integer(1, 256))
    memory_images: Path | None = _setting("SHIM_MEMORY_IMAGES", None, _file)
    fake_open: bool = _setting("SHIM_FAKE_OPEN", default=False, parse=_flag)

    glance_endpoint: str | None = _setting("SHIM_GLANCE_ENDPOINT", None, _url)
    glance_page_size: int = _setting("SHIM_GLANCE_PAGE_SIZE", 1000, _integer(1, 10000))
    glance_connect_timeout_seconds: float = _setting(
        "SHIM_GLANCE_CONNECT_TIMEOUT", 5.0, _seconds(300)
    )
    glance_read_timeout_seconds: float = _setting("SHIM_GLANCE_READ_TIMEOUT", 30.0, _seconds(3600))
    request_timeout_seconds: float = _setting("SHIM_REQUEST_TIMEOUT", 60.0, _seconds(3600))
    glance_max_answer_bytes: int = _setting(
        "SHIM_GLANCE_MAX_ANSWER_BYTES", 2**26, _integer(2**10, 2**31)
    )

    keystone_timeout_seconds: float = _setting("SHIM_KEYSTONE_TIMEOUT", 5.0, _seconds(300))
    token_cache_seconds: int = _setting("SHIM_TOKEN_CACHE_SECONDS", 300, _integer(0, 86400))
    cache_seconds: int = _setting("SHIM_CACHE_SECONDS", 0, _integer(0, 3600))
    memcached_servers: tuple[str, ...] = _setting("SHIM_MEMCACHED_SERVERS", (), _servers)
    public_keystone: str | None = _setting("SHIM_WWW_AUTHENTICATE_URI", None, _url)

    mounts: tuple[str, ...] = _setting("SHIM_MOUNTS", _MOUNTS, _mounts)
    metadata_limit: int = _setting("SHIM_METADATA_LIMIT", 128, _limit)
    max_body_bytes: int = _setting("SHIM_MAX_BODY_BYTES", 114688, _integer(2**10, 2**26))
    max_limit: int | None = _setting("SHIM_MAX_LIMIT", None, _integer(1, 10**9))
    previous_links: bool = _setting("SHIM_PREVIOUS_LINKS", default=True, parse=_flag)
    alternate_link_project: bool = _setting(
        "SHIM_ALTERNATE_LINK_PROJECT", default=True, parse=_flag
    )
    compute_link_prefix: str | None = _setting("SHIM_COMPUTE_LINK_PREFIX", None, _url)
    glance_link_prefix: str | None = _setting("SHIM_GLANCE_LINK_PREFIX", None, _url)
    show_image_size: bool = _setting("SHIM_SHOW_IMAGE_SIZE", default=True, parse=_flag)
    show_disk_config: bool = _setting("SHIM_SHOW_DISK_CONFIG", default=True, parse=_flag)
    v2_status: str = _setting(
        "SHIM_V2_STATUS", "SUPPORTED", _choice("CURRENT", "SUPPORTED", "DEPRECATED")
    )
    compress: bool = _setting("SHIM_COMPRESS", default=True, parse=_flag)
    trusted_proxies: int = _setting("SHIM_TRUSTED_PROXIES", 0, _integer(0, 16))
    log_level: str = _setting(
        "SHIM_LOG_LEVEL", "INFO", _choice("DEBUG", "INFO", "WARNING", "ERROR")
    )
    keystone: Keystone = field(default_factory=Keystone)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Return the settings that an environment holds; an empty variable counts as unset.

        Raises:
            SettingsError: some are wrong; a line each, with name, value and what is allowed.
        """
        mistakes: list[str] = []
        settings = _read(cls, environ, mistakes)
        if settings.backend == "glance":  # the embedded store must not trip over a client's OS_*
            settings = replace(settings, keystone=_read(Keystone, environ, mistakes))
        refused = {mistake.partition("=")[0] for mistake in mistakes}
        mistakes += settings.mistakes(refused)
        if mistakes:
            raise SettingsError("\n".join(mistakes))
        return settings

    def mistakes(self, refused: Set[str] = frozenset()) -> list[str]:
        """Return what is wrong with the settings taken together.

        Args:
            refused: the names of those whose values were bad already: they are not missing.
        """
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
    def worker_count(self) -> int:
        """Return how many processes serve: as set, else two; one over the embedded store."""
        return self.workers or (1 if self.backend == "memory" else 2)

    @property
    def www_authenticate_uri(self) -> str | None:
        """Return where a client is sent for a token; None for the embedded identity."""
        return self.public_keystone or self.keystone.auth_url


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


def _read(cls: type[_T], environ: Mapping[str, str], mistakes: list[str]) -> _T:
    """Return the dataclass that an environment fills, and add what is wrong to `mistakes`."""
    values: dict[str, Any] = {}
    for item in fields(cls):  # type: ignore[arg-type] # both are dataclasses
        name = item.metadata.get("name")
        if not name or not environ.get(name, "").strip():
            continue
        secret = _is_secret(name)
        text = environ[name] if secret else environ[name].strip()
        try:
            values[item.name] = item.metadata["parse"](text)
        except _Wrong as allowed:
            shown = "***" if secret else repr(_USER_IN_ADDRESS.sub("//***@", text))
            mistakes.append(f"{name}={shown}: allowed is {allowed}")
    return cls(**values)
