"""The environment: old names of OpenStack's variables, and variables that are not settings."""

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from nova_image_shim.settings.fields import Problem
from nova_image_shim.settings.given import VERIFIED, Given
from nova_image_shim.settings.keystone import DEFAULT_DOMAINS, OLD_OPTIONS
from nova_image_shim.settings.values import is_off

_PREFIX = "SHIM_"
_OLD_NAMES = {f"OS_{option.upper()}": setting for option, setting in OLD_OPTIONS.items()}
_REMOVED = {
    "SHIM_PREVIOUS_LINKS": "SHIM_COMPAT=no-previous-links replaces the value 0",
    "SHIM_ALTERNATE_LINK_PROJECT": "SHIM_COMPAT=no-alternate-project replaces the value 0",
    "SHIM_SHOW_IMAGE_SIZE": "SHIM_COMPAT=no-image-size replaces the value 0",
    "SHIM_SHOW_DISK_CONFIG": "SHIM_COMPAT=no-disk-config replaces the value 0",
    "SHIM_COMPRESS": "SHIM_COMPAT=no-compression replaces the value 0",
    "SHIM_V2_STATUS": "SHIM_COMPAT=v2-current or v2-deprecated replaces it",
    "SHIM_GLANCE_MAX_ANSWER_BYTES": "SHIM_MAX_LIST_BYTES replaces it, for a whole list",
}
# What Kubernetes adds to SERVICE_ in the names of the variables that describe a Service.
_INJECTED = re.compile(
    r"SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?", re.ASCII
)


def given_in(environ: Mapping[str, str]) -> Given:
    """Return the settings of an environment; an empty variable counts as unset.

    OpenStack's old names stand for the new ones, which take precedence.
    """
    new, old = Given({name: text for name, text in environ.items() if text.strip()}), Given()
    for name, setting in _OLD_NAMES.items():
        if text := new.texts.get(name):
            old.add(setting, text.removesuffix("URL") if setting == "OS_INTERFACE" else text, name)
    return new.above(old)


def refused(environ: Mapping[str, str]) -> Iterator[Problem]:
    """Yield a problem for each variable that the service cannot ignore safely."""
    for name, instead in _REMOVED.items():
        if environ.get(name, "").strip():
            yield Problem(name, f"{name} was removed: {instead}")
    text = environ.get("OS_INSECURE", "").strip()
    if text and not is_off(text):
        yield Problem("OS_INSECURE", f"OS_INSECURE={text!r} is refused: {VERIFIED}")


def unknown(environ: Mapping[str, str], known: Collection[str]) -> Iterator[Problem]:
    """Yield a problem for each `SHIM_*` variable that is not a setting, with the nearest one."""
    for name in sorted(environ.keys() - known - _REMOVED.keys()):
        is_ours = name.upper().startswith(_PREFIX) and environ[name].strip()
        if is_ours and not _is_injected(name, environ):
            yield Problem(name, f"{name} is not a setting{_nearest(name, known)}")


def _is_injected(name: str, environ: Mapping[str, str]) -> bool:
    """Tell whether Kubernetes has set a variable, to describe a Service."""
    hosts = [other for other in environ if other.endswith("_SERVICE_HOST")]
    services = [host.removesuffix("SERVICE_HOST") for host in hosts]
    return any(
        name.startswith(service) and _INJECTED.fullmatch(name.removeprefix(service))
        for service in services
    )


def _nearest(name: str, known: Collection[str]) -> str:
    words = [other.removeprefix(_PREFIX) for other in known if other.startswith(_PREFIX)]
    near = get_close_matches(name.upper().removeprefix(_PREFIX), words, n=1)
    return f"; the nearest one is {_PREFIX}{near[0]}" if near else ""


def without_effect(environ: Mapping[str, str], known: Collection[str]) -> Iterator[str]:
    """Yield a note on the `OS_*` variables that are not used."""
    used = {*known, *_OLD_NAMES, *DEFAULT_DOMAINS, "OS_INSECURE"}
    if not environ.get("OS_CLOUD", "").strip():
        used -= {"OS_CLIENT_CONFIG_FILE"}
    names = [name for name in environ if name.startswith("OS_") and environ[name].strip()]
    if unused := sorted(set(names) - used):
        yield f"These variables have no effect: {', '.join(unused)}."
