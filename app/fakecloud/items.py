"""Validate the items of a seed file with errors that name item and field."""

from collections.abc import Iterable
from typing import Any

from marshmallow import Schema, ValidationError, fields

from nova_image_shim.fakecloud.document import Date, ImageFileError
from nova_image_shim.web.errors import first_error


class Text(fields.String):
    """An id or a name: text that does not look like a date either."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        if isinstance(value, Date):
            raise self.make_error("invalid")
        text: str = super()._deserialize(value, *args, **kwargs)
        return text


def load_items(
    kind: str, items: Iterable[Any], schema: Schema, unique: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return the items as the schema of one item loads them.

    `kind` is the word for an item in an error. No two items may share a value of the unique fields,
    the last of which names an item in an error.

    Raises:
        ImageFileError: an item is invalid, such as `image 2 (id a): size: Not a valid integer.`
    """
    loaded: list[dict[str, Any]] = []
    taken: set[tuple[str, Any]] = set()
    for number, item in enumerate(items, 1):
        where = f"{kind} {number}{_label(item, unique[-1])}"
        try:
            loaded.append(schema.load(item))
        except ValidationError as error:
            steps, _ = first_error(error)
            path = [f"{kind}s", number - 1, *steps]
            raise ImageFileError(f"{where}: {describe(error)}", path) from error
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
    return f"{'.'.join(map(str, path))}: {message}" if path else message
