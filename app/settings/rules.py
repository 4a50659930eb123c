"""Rules that no setting can check by itself: removed, missing and conflicting ones. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nova_image_shim.adapters.address import is_loopback
from nova_image_shim.settings.fields import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Set

    from nova_image_shim.settings.keystone import Keystone
    from nova_image_shim.settings.settings import Settings

_REMOVED = {
    "SHIM_PREVIOUS_LINKS": "SHIM_COMPAT=no-previous-links replaces the value 0",
    "SHIM_ALTERNATE_LINK_PROJECT": "SHIM_COMPAT=no-alternate-project replaces the value 0",
    "SHIM_SHOW_IMAGE_SIZE": "SHIM_COMPAT=no-image-size replaces the value 0",
    "SHIM_SHOW_DISK_CONFIG": "SHIM_COMPAT=no-disk-config replaces the value 0",
}


def removed(environ: Mapping[str, str]) -> Iterator[Problem]:
    """Yield a problem for each setting that an earlier release had."""
    for name, instead in _REMOVED.items():
        if environ.get(name, "").strip():
            yield Problem(name, f"{name} was removed: {instead}")


def missing(
    keystone: Keystone, refused: Set[str] = frozenset(), origin: str = "", hint: str = ""
) -> list[Problem]:
    """Return a problem for each setting that a login lacks.

    Args:
        keystone: the login.
        refused: settings whose values cannot be used: they are not missing.
        origin: where the login is from, unless from the environment.
        hint: what to add to the last problem.
    """
    found = [
        Problem(
            names[0], f"{' or '.join(names)} is not set: the login to Keystone needs it", origin
        )
        for names in keystone.missing()
        if not refused & set(names)
    ]
    return [*found[:-1], *(last._replace(hint=hint) for last in found[-1:])]


def conflicts(settings: Settings) -> Iterator[Problem]:
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
