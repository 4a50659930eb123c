"""An operator's nova.conf or glance-api.conf, read for the settings that it already holds.

oslo.config parses it, so that `$name`, `$$`, quotes and `[DEFAULT]` have their usual meaning. Only
options in the file count, never the defaults of Nova or Glance.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from oslo_config import cfg
from oslo_config.iniparser import BaseParser

from nova_image_shim.settings.given import VERIFIED, Given, SourceError
from nova_image_shim.settings.keystone import LOGIN_OPTIONS
from nova_image_shim.settings.values import is_off

_DEFAULT = "DEFAULT"
_TOKENS = "keystone_authtoken"
# Option to setting; the first option present wins where several have the same setting.
_TABLES: dict[str, dict[str, str]] = {
    "api": {
        "compute_link_prefix": "SHIM_COMPUTE_LINK_PREFIX",
        "glance_link_prefix": "SHIM_GLANCE_LINK_PREFIX",
    },
    "glance": {
        "endpoint_override": "SHIM_GLANCE_ENDPOINT",
        "api_servers": "SHIM_GLANCE_ENDPOINT",
        "region_name": "OS_REGION_NAME",
        "valid_interfaces": "OS_INTERFACE",
        "cafile": "OS_CACERT",
    },
    _TOKENS: {
        "www_authenticate_uri": "SHIM_WWW_AUTHENTICATE_URI",
        "auth_uri": "SHIM_WWW_AUTHENTICATE_URI",
        "memcached_servers": "SHIM_MEMCACHED_SERVERS",
        "memcache_servers": "SHIM_MEMCACHED_SERVERS",
        "token_cache_time": "SHIM_TOKEN_CACHE_SECONDS",
        "http_connect_timeout": "SHIM_KEYSTONE_TIMEOUT",
        "region_name": "OS_REGION_NAME",
        "interface": "OS_INTERFACE",
        "cafile": "OS_CACERT",
    },
    "service_user": {"send_service_user_token": "SHIM_SEND_SERVICE_TOKEN"},
    # Their names until 2017.
    _DEFAULT: {
        "osapi_compute_link_prefix": "SHIM_COMPUTE_LINK_PREFIX",
        "osapi_glance_link_prefix": "SHIM_GLANCE_LINK_PREFIX",
    },
}
_LISTS = {"SHIM_GLANCE_ENDPOINT", "OS_INTERFACE"}  # their first item is used
_NO_CACHE = "-1"  # keystonemiddleware's value; ours is 0

_NO_LIMIT = ", as Nova ignored it for lists of images. Set SHIM_MAX_LIMIT to limit them."
_VERIFIED = f": {VERIFIED}."
_NO_CERTIFICATE = ": the service has no client certificate."
_PLAIN = ": memcached is called without TLS and without a password. Tokens in it are signed."
_PROXIES = "; its setting here is SHIM_TRUSTED_PROXIES, the number of proxies."
_ADDRESS = "; its setting here is OS_AUTH_URL."
# Options that are ignored, by group, and how their notes end.
_IGNORED: dict[str, dict[str, str]] = {
    _DEFAULT: {"osapi_max_limit": _NO_LIMIT, "secure_proxy_ssl_header": _PROXIES},
    "api": {"max_limit": _NO_LIMIT},
    "glance": {"insecure": _VERIFIED, "certfile": _NO_CERTIFICATE},
    "oslo_middleware": {"enable_proxy_headers_parsing": _PROXIES},
    "wsgi": {"secure_proxy_ssl_header": _PROXIES},
    _TOKENS: {
        "insecure": _VERIFIED,
        "certfile": _NO_CERTIFICATE,
        **{
            f"memcache_{option}": _PLAIN
            for option in (
                *("tls_enabled", "tls_cafile", "tls_certfile", "tls_keyfile"),
                *("tls_allowed_ciphers", "sasl_enabled", "username", "password"),
            )
        },
        # Logins were written so until Kilo.
        **dict.fromkeys(("identity_uri", "auth_protocol", "auth_host", "auth_port"), _ADDRESS),
        "admin_user": "; its settings here are OS_USERNAME and OS_USER_DOMAIN_NAME.",
        "admin_password": "; its setting here is OS_PASSWORD.",
        "admin_tenant_name": "; its settings here are OS_PROJECT_NAME and OS_PROJECT_DOMAIN_NAME.",
        "admin_token": "; its settings here are OS_USERNAME and OS_PASSWORD.",
    },
}


class ConfigFile(NamedTuple):
    """A file's options, by the names of our settings.

    Args:
        given: the settings, and notes on options that are ignored.
        service_user: the login of `[service_user]`; empty if it has none.
    """

    given: Given
    service_user: Given


class _File:
    """The file in a private configuration, which no flag and no variable changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sections: dict[str, dict[str, list[str]]] = {}
        self._conf = cfg.ConfigOpts()
        try:
            with path.open(encoding="utf-8-sig") as lines:
                BaseParser.parse(cfg.ConfigParser(str(path), self._sections), lines)
        except cfg.ParseError as error:
            raise SourceError(f"line {error.lineno} is not `option = value`") from error
        except (OSError, ValueError) as error:
            raise SourceError(f"cannot be read ({type(error).__name__})") from error
        for section, options in self._sections.items():
            group = None if section == _DEFAULT else section
            for option, texts in options.items():  # all: a `$` in another may refer to any
                self._conf.register_opt(cfg.StrOpt(option, default=texts[-1]), group=group)
        self._conf([], default_config_files=[], default_config_dirs=[], use_env=False)

    def login_group(self, group: str) -> str:
        """Return the group that holds a login: the one that `auth_section` names, if set."""
        return self.text(group, "auth_section").strip() or group

    def options(self, group: str, table: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
        """Yield origin, what the table has for it, and text of each option that the file has."""
        for option, meaning in table.items():
            if (text := self.text(group, option)).strip():
                yield f"[{group}] {option} of {self._path}", meaning, text

    def text(self, group: str, option: str) -> str:
        """Return an option's text, empty if the file does not have it."""
        if option not in self._sections.get(group, {}):
            return ""
        options = self._conf if group == _DEFAULT else self._conf[group]
        try:
            return str(options[option])
        except (cfg.Error, ValueError) as error:
            wrong = f"[{group}] {option} has a $ that refers to nothing; write $$ for a $"
            raise SourceError(wrong) from error


def read_config_file(path: Path) -> ConfigFile:
    """Read a nova.conf or glance-api.conf.

    Raises:
        SourceError: it cannot be read.
    """
    file, given = _File(path), Given()
    for group, table in [*_TABLES.items(), (file.login_group(_TOKENS), LOGIN_OPTIONS)]:
        for origin, setting, text in file.options(group, table):
            given.add(setting, _ours(setting, text), origin)
    given.notes.extend(_notes(file))
    return ConfigFile(given, _service_user(file))


def _ours(setting: str, text: str) -> str:
    """Return a value in the form of our setting."""
    if setting in _LISTS:
        return text.partition(",")[0]
    if setting == "SHIM_TOKEN_CACHE_SECONDS" and text.strip() == _NO_CACHE:
        return "0"
    return text


def _notes(file: _File) -> Iterator[str]:
    for group, table in _IGNORED.items():
        for origin, end, text in file.options(group, table):
            if not is_off(text):
                yield f"{origin} is ignored{end}"


def _service_user(file: _File) -> Given:
    login = Given()
    for origin, setting, text in file.options(file.login_group("service_user"), LOGIN_OPTIONS):
        login.add(setting, text, origin)
    own = login.texts.keys() & {"OS_USERNAME", "OS_USER_ID", "OS_APPLICATION_CREDENTIAL_ID"}
    return login if own else Given()
