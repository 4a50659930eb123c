"""Validate lists of items by marshmallow, with errors that name the item and the field."""

from collections.abc import Iterable
from typing import Any

from marshmallow import Schema, ValidationError
from marshmallow.exceptions import SCHEMA

_STEPS_INTO_A_DICT = ("key", "value")


class ImageFileError(Exception):
    """The file cannot be used; the text names the file, the line or the item, and the reason."""


def load_items(
    kind: str, items: Iterable[Any], schema: Schema, prefix: str, unique: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return the items as a schema loads them.

    Args:
        kind: the word for an item in an error: `image`, `project` or `user`.
        items: what the file holds.
        schema: the schema of one item.
        prefix: the beginning of an error.
        unique: the fields that no two items may share.

    Raises:
        ImageFileError: an item is invalid, such as `image 2 (id a): size: Not a valid integer.`
    """
    loaded: list[dict[str, Any]] = []
    taken: set[tuple[str, Any]] = set()
    for number, item in enumerate(items, 1):
        where = f"{prefix}{kind} {number}{_label(item, unique[-1])}"
        try:
            loaded.append(schema.load(item))
        except ValidationError as error:
            raise ImageFileError(f"{where}: {describe(error)}") from error
        for field in unique:
            if (field, loaded[-1][field]) in taken:
                raise ImageFileError(f"{where}: {field}: already used by another {kind}")
            taken.add((field, loaded[-1][field]))
    return loaded


def _label(item: Any, field: str) -> str:
    known = item.get(field) if isinstance(item, dict) else None
    return f" ({field} {known})" if known else ""


def describe(error: ValidationError) -> str:
    """Return the first message after its field, such as `tags.1: Not a valid string`."""
    path, message = first_error(error)
    return f"{'.'.join(path)}: {message}" if path else message


def first_error(error: ValidationError) -> tuple[list[str], str]:
    """Return the path and the text of the first message."""
    messages: Any = error.messages
    path: list[str] = []
    while isinstance(messages, dict):
        step, messages = next(iter(messages.items()))
        if step != SCHEMA and not (path and step in _STEPS_INTO_A_DICT):
            path.append(str(step))
    return path, messages[0]
