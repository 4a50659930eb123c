"""Rules that no setting can check by itself: removed and missing ones. Pure."""

from collections.abc import Iterator, Mapping, Set

from nova_image_shim.settings.fields import Problem
from nova_image_shim.settings.keystone import Keystone

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
