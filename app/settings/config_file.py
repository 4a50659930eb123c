"""An operator's nova.conf or glance-api.conf, read for the settings that it already holds.

oslo.config parses it, so that `$name`, `$$`, quotes and `[DEFAULT]` have their usual meaning. Only
options in the file count, never the defaults of Nova or Glance.
"""

import codecs
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple

from oslo_config import cfg

from nova_image_shim.settings.keystone import LOGIN_OPTIONS

_DEFAULT = "DEFAULT"
# Option to setting; the first option present wins where several have the same setting.
_LOGIN = {option: f"OS_{option.upper()}" for option in LOGIN_OPTIONS} | {
    "user_name": "OS_USERNAME",
    "tenant_name": "OS_PROJECT_NAME",
    "tenant_id": "OS_PROJECT_ID",
}
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
    "keystone_authtoken": {
        "www_authenticate_uri": "SHIM_WWW_AUTHENTICATE_URI",
        "auth_uri": "SHIM_WWW_AUTHENTICATE_URI",
        "memcached_servers": "SHIM_MEMCACHED_SERVERS",
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
_SWITCHES = {"1": "1", "true": "1", "yes": "1", "on": "1"} | dict.fromkeys(
    ("0", "false", "no", "off"), "0"
)
_NO_CACHE = "-1"  # keystonemiddleware's value; ours is 0
# A setting in the environment hides its alternatives in the file.
_OTHER_LOGINS = {"OS_AUTH_TYPE", "OS_APPLICATION_CREDENTIAL_ID"}
_HIDES = {
    "OS_USERNAME": {"OS_USER_ID", *_OTHER_LOGINS},
    "OS_USER_ID": {"OS_USERNAME", *_OTHER_LOGINS},
    "OS_PROJECT_NAME": {"OS_PROJECT_ID"},
    "OS_PROJECT_ID": {"OS_PROJECT_NAME"},
    "OS_USER_DOMAIN_NAME": {"OS_USER_DOMAIN_ID"},
    "OS_USER_DOMAIN_ID": {"OS_USER_DOMAIN_NAME"},
    "OS_PROJECT_DOMAIN_NAME": {"OS_PROJECT_DOMAIN_ID"},
    "OS_PROJECT_DOMAIN_ID": {"OS_PROJECT_DOMAIN_NAME"},
    "OS_APPLICATION_CREDENTIAL_ID": {"OS_AUTH_TYPE"},
}


class ConfigFileError(Exception):
    """The file cannot be read; the text says why and quotes no value."""


class ConfigFile(NamedTuple):
    """A file's options, by the names of our settings.

    Args:
        settings: setting to text.
        origins: setting to `[group] option of FILE`.
        service_user: setting to text, for the login of `[service_user]`; empty if it has none.
        notes: the options that are ignored, a sentence each, for the log.
    """

    settings: dict[str, str]
    origins: dict[str, str]
    service_user: dict[str, str]
    notes: list[str]

    def below(self, environ: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the settings of both, the environment first, and the origins of the file's."""
        given = {name: text for name, text in environ.items() if text.strip()}
        left = self.settings.keys() - given.keys()
        left -= set().union(*(_HIDES.get(name, ()) for name in given))
        settings = {name: self.settings[name] for name in left} | given
        return settings, {name: self.origins[name] for name in left}


class _File:
    """The file in a private configuration, which no flag and no variable changes."""

    def __init__(self, path: Path) -> None:
        self._sections: dict[str, dict[str, list[str]]] = {}
        self._conf = cfg.ConfigOpts()
        try:
            with _without_byte_order_mark(path) as plain:
                cfg.ConfigParser(plain, self._sections).parse()
                self._conf(
                    [],
                    project="nova-image-shim",
                    default_config_files=[plain],
                    default_config_dirs=[],
                    use_env=False,
                )
        except cfg.ParseError as error:
            raise ConfigFileError(f"line {error.lineno} is not `option = value`") from error
        except (cfg.Error, OSError, ValueError) as error:
            raise ConfigFileError(f"cannot be read ({type(error).__name__})") from error
        for section, options in self._sections.items():
            group = None if section == _DEFAULT else section
            for option in options:  # all of them: a `$` in another may refer to any
                self._conf.register_opt(cfg.StrOpt(option), group=group)

    def login_group(self, group: str) -> str:
        """Return the group that holds a login: the one that `auth_section` names, if set."""
        return self.text(group, "auth_section") or group

    def options(self, group: str, table: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
        """Yield option, setting and text of each option of a table that the file has."""
        for option, setting in table.items():
            if text := self.text(group, option):
                yield option, setting, text

    def text(self, group: str, option: str) -> str:
        """Return an option's text, empty if the file does not have it."""
        if option not in self._sections.get(group, {}):
            return ""
        options = self._conf if group == _DEFAULT else self._conf[group]
        try:
            return str(options[option]).strip()
        except (cfg.Error, ValueError) as error:
            wrong = f"[{group}] {option} has a $ that refers to nothing; write $$ for a $"
            raise ConfigFileError(wrong) from error


@contextmanager
def _without_byte_order_mark(path: Path) -> Iterator[str]:
    """Yield the path, or that of a private copy without the mark, which oslo.config rejects."""
    data = path.read_bytes()
    if not data.startswith(codecs.BOM_UTF8):
        yield str(path)
        return
    with NamedTemporaryFile() as copy:
        copy.write(data.removeprefix(codecs.BOM_UTF8))
        copy.flush()
        yield copy.name


def read_config_file(path: Path) -> ConfigFile:
    """Read a nova.conf or glance-api.conf.

    Raises:
        ConfigFileError: it cannot be read.
    """
    file = _File(path)
    settings: dict[str, str] = {}
    origins: dict[str, str] = {}
    notes: list[str] = []
    for group, table in [*_TABLES.items(), (file.login_group("keystone_authtoken"), _LOGIN)]:
        for option, setting, text in file.options(group, table):
            origin, value = f"[{group}] {option} of {path}", _ours(setting, text)
            if setting not in settings:
                settings[setting], origins[setting] = value, origin
            elif value != settings[setting]:
                notes.append(f"{origin} is ignored: {origins[setting]} takes precedence.")
    return ConfigFile(settings, origins, _service_user(file), [*notes, *_notes(file, path)])


def _ours(setting: str, text: str) -> str:
    """Return a value in the form of our setting."""
    if setting in _LISTS:
        text = text.partition(",")[0].strip()
    if setting == "SHIM_SEND_SERVICE_TOKEN":
        return _SWITCHES.get(text.lower(), text)
    if setting == "SHIM_TOKEN_CACHE_SECONDS" and text == _NO_CACHE:
        return "0"
    return text


def _notes(file: _File, path: Path) -> Iterator[str]:
    for group, option in (("api", "max_limit"), (_DEFAULT, "osapi_max_limit")):
        if file.text(group, option):
            yield (
                f"[{group}] {option} of {path} is ignored, as Nova ignored it for lists of images. "
                "Set SHIM_MAX_LIMIT to limit them."
            )
    for group in ("keystone_authtoken", "glance"):
        if _SWITCHES.get(file.text(group, "insecure").lower()) == "1":
            yield (
                f"[{group}] insecure of {path} is ignored: certificates are always verified. "
                "Set OS_CACERT to trust another authority."
            )


def _service_user(file: _File) -> dict[str, str]:
    login: dict[str, str] = {}
    for _, setting, text in file.options(file.login_group("service_user"), _LOGIN):
        login.setdefault(setting, text)
    own = login.keys() & {"OS_USERNAME", "OS_USER_ID", "OS_APPLICATION_CREDENTIAL_ID"}
    return login if own else {}
