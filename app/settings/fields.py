"""Settings as dataclass fields: how one is declared, and how an environment fills them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import field, fields
from typing import Any, NamedTuple, TypeVar

from nova_image_shim.settings.given import Given

_T = TypeVar("_T")
_SECRETS = ("PASSWORD", "SECRET")
_USER_IN_ADDRESS = re.compile(r"//[^/]*@")


class Problem(NamedTuple):
    """What is wrong with one setting.

    Args:
        name: the setting's.
        text: what is wrong, a sentence without its full stop.
        origin: `[group] option of FILE`, empty for the environment.
        hint: another way out, where there is one; without its full stop as well.
    """

    name: str
    text: str
    origin: str = ""
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.text} ({self.origin})" if self.origin else self.text


class SettingsError(Exception):
    """One or more settings are wrong; the text has a line for each, with hints and notes below."""

    def __init__(self, problems: Sequence[Problem], notes: Sequence[str] = ()) -> None:
        self.problems = problems
        self.notes = notes
        hints = [problem.hint for problem in problems if problem.hint]
        super().__init__("\n".join([*map(str, problems), *hints, *notes]))


def setting(name: str, default: Any, parse: Callable[[str], Any] = str) -> Any:
    """Return the field of a setting, which `repr` leaves out where it is a secret.

    Args:
        name: the environment variable.
        default: its value when the variable is unset or empty.
        parse: from text to value; raises `ValueError` with a text that begins with "must".
    """
    shown = not any(word in name for word in _SECRETS)
    return field(default=default, repr=shown, metadata={"name": name, "parse": parse})


def read(cls: type[_T], given: Given, problems: list[Problem]) -> _T:
    """Return the dataclass that given settings fill.

    Blanks around a value are removed, unless any text is allowed: that reaches Keystone unchanged.

    Args:
        cls: has fields made by `setting`.
        given: the settings by name; an empty text counts as unset.
        problems: gets one for each value that cannot be used.
    """
    found: dict[str, Any] = {}
    for item in fields(cls):  # type: ignore[arg-type] # both are dataclasses
        name = item.metadata.get("name")
        if not name or not given.texts.get(name, "").strip():
            continue
        parse = item.metadata["parse"]
        text = given.texts[name] if parse is str else given.texts[name].strip()
        try:
            found[item.name] = parse(_utf8(text))
        except ValueError as error:
            shown = repr(_USER_IN_ADDRESS.sub("//***@", text)) if item.repr else "***"
            problems.append(Problem(name, f"{name}={shown} {error}", given.origins.get(name, "")))
    return cls(**found)


def _utf8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("must be UTF-8 text") from error
    return text
