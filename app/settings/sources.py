"""The sources of settings put together: the environment, clouds.yaml below it, nova.conf below."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from nova_image_shim.settings.config_file import read_config_file
from nova_image_shim.settings.environment import given_in
from nova_image_shim.settings.fields import Problem
from nova_image_shim.settings.given import Given, SourceError
from nova_image_shim.settings.values import is_file

_CONFIG_FILE, _CLOUD = "SHIM_CONFIG_FILE", "OS_CLOUD"
SOURCES = {_CONFIG_FILE, _CLOUD, "OS_CLIENT_CONFIG_FILE"}


class Sources(NamedTuple):
    """What is given, and by which files.

    Args:
        given: the settings of all sources.
        service_user: the login in the configuration file's `[service_user]`; empty without one.
        files: those that were read.
        problems: one for each source that cannot be read.
    """

    given: Given
    service_user: Given
    files: tuple[Path, ...]
    problems: list[Problem]


def read_sources(environ: Mapping[str, str]) -> Sources:
    """Read the files that an environment names, and put them below it."""
    sources = Sources(given_in(environ), Given(), (), [])
    for name, add in ((_CLOUD, _with_cloud), (_CONFIG_FILE, _with_config_file)):
        if text := environ.get(name, "").strip():
            try:
                sources = add(sources, text)
            except SourceError as error:
                sources.problems.append(Problem(name, f"{name}={text!r}: {error}"))
    return sources


def _with_cloud(sources: Sources, name: str) -> Sources:
    from nova_image_shim.settings.clouds import find_clouds_file, read_cloud  # noqa: PLC0415 - YAML

    path = find_clouds_file(sources.given.texts)
    if not is_file(path):  # reported as any other path is
        return sources
    given = sources.given.above(read_cloud(name, path))
    return sources._replace(given=given, files=(*sources.files, path))


def _with_config_file(sources: Sources, name: str) -> Sources:
    path = Path(name)
    if not is_file(path):  # reported, too
        return sources
    file = read_config_file(path)
    given, files = sources.given.above(file.given), (*sources.files, path)
    return sources._replace(given=given, files=files, service_user=file.service_user)
