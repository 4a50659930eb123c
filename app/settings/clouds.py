"""The cloud of a clouds.yaml that OS_CLOUD names, read for the service user's login.

openstacksdk reads more: vendors' profiles, secure.yaml, and settings of other services.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nova_image_shim.settings.given import VERIFIED, Given, SourceError
from nova_image_shim.settings.keystone import LOGIN_OPTIONS
from nova_image_shim.settings.values import is_file, is_off

_OPTIONS = LOGIN_OPTIONS | {
    "region_name": "OS_REGION_NAME",
    "interface": "OS_INTERFACE",
    "cacert": "OS_CACERT",
}
_VERIFYING = ("verify", "insecure")
_MISTAGGED = (ValueError, LookupError, AttributeError, RecursionError)  # what PyYAML lets through
_NOT_TEXT = (":merge", ":null")


class _Loader(yaml.SafeLoader):
    """YAML in which every value is text as it is written: a password of digits keeps its zeros."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag.endswith(_NOT_TEXT)]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def find_clouds_file(environ: Mapping[str, str]) -> Path:
    """Return the path of the clouds.yaml that openstacksdk would read.

    Raises:
        SourceError: there is none.
    """
    if named := environ.get("OS_CLIENT_CONFIG_FILE", "").strip():
        return Path(named)
    home = environ.get("XDG_CONFIG_HOME") or f"{environ.get('HOME', '')}/.config"
    folders = [Path.cwd(), Path(home, "openstack"), Path("/etc/openstack")]
    paths = [folder / f"clouds.{suffix}" for folder in folders for suffix in ("yaml", "yml")]
    if not (found := [path for path in paths if is_file(path)]):
        raise SourceError(f"no clouds.yaml is in {', '.join(map(str, folders))}")
    return found[0]


def read_cloud(name: str, path: Path) -> Given:
    """Return the settings in a cloud's entry, with notes on what has no effect.

    Raises:
        SourceError: the file cannot be read, or has no such cloud.
    """
    clouds = _clouds(path)
    entry = clouds.get(name)
    if not isinstance(entry, dict):
        raise SourceError(f"{path} has only the clouds {', '.join(map(str, clouds)) or '(none)'}")
    given, unused = Given(), []
    for option, value in _options(entry):
        origin = f"{option} of the cloud {name!r} in {path}"
        if option in _OPTIONS and isinstance(value, str):
            given.add(_OPTIONS[option], value, origin)
        elif option not in _VERIFYING:
            unused.append(option)
        elif is_off(str(value)) == (option == "verify"):
            given.notes.append(f"{origin} is ignored: {VERIFIED}.")
    if unused:
        names = ", ".join(sorted(unused))
        given.notes.append(f"The cloud {name!r} in {path} has options without effect: {names}.")
    return given


def _options(entry: dict[Any, Any]) -> list[tuple[str, Any]]:
    """Return an entry's options, those of the login first; a dash is an underscore."""
    auth = entry.get("auth")
    login = auth if isinstance(auth, dict) else {}
    rest = {key: value for key, value in entry.items() if value is not auth}
    found = [*login.items(), *rest.items()]
    return [(str(key).replace("-", "_"), value) for key, value in found if value is not None]


def _clouds(path: Path) -> dict[Any, Any]:
    try:
        content = yaml.load(path.read_bytes(), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SourceError(f"{path} is not YAML in line {line}") from error
    except (OSError, yaml.YAMLError, *_MISTAGGED) as error:
        raise SourceError(f"{path} cannot be read ({type(error).__name__})") from error
    clouds = content.get("clouds") if isinstance(content, dict) else None
    return clouds if isinstance(clouds, dict) else {}
