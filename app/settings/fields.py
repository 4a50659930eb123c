"""Settings as dataclass fields: how one is declared, and how an environment fills them."""

from __future__ import annotations

import re
from dataclasses import field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from nova_image_shim.settings.values import WrongValue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_T = TypeVar("_T")
_SECRETS = ("PASSWORD", "SECRET")
_USER_IN_ADDRESS = re.compile(r"//[^/]*@")


class SettingsError(Exception):
    """One or more settings are wrong; the text has a line for each."""


def setting(name: str, default: Any, parse: Callable[[str], Any] = str) -> Any:
    """Return the field of a setting, which `repr` leaves out where it is a secret.

    Args:
        name: of the environment variable.
        default: its value when the variable is unset or empty.
        parse: from text to value; raises `WrongValue`.
    """
    shown = not _is_secret(name)
    return field(default=default, repr=shown, metadata={"name": name, "parse": parse})


def _is_secret(name: str) -> bool:
    return any(word in name for word in _SECRETS)


def read(cls: type[_T], environ: Mapping[str, str], mistakes: list[str]) -> _T:
    """Return the dataclass that an environment fills, and add what is wrong to `mistakes`."""
    given: dict[str, Any] = {}
    for item in fields(cls):  # type: ignore[arg-type] # both are dataclasses
        name = item.metadata.get("name")
        if not name or not environ.get(name, "").strip():
            continue
        secret = _is_secret(name)
        text = environ[name] if secret else environ[name].strip()
        try:
            given[item.name] = item.metadata["parse"](text)
        except WrongValue as allowed:
            shown = "***" if secret else repr(_USER_IN_ADDRESS.sub("//***@", text))
            mistakes.append(f"{name}={shown}: allowed is {allowed}")
    return cls(**given)
