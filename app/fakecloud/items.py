"""Read a seed file, YAML or JSON, and validate its items with errors that name item and field."""

import json
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from marshmallow import Schema, ValidationError
from marshmallow.exceptions import SCHEMA
from yaml.constructor import ConstructorError

_MAX_BYTES = 64 * 2**20
_STEPS_INTO_A_DICT = ("key", "value")


class ImageFileError(Exception):
    """The file cannot be used; the text names the file, the line or the item, and the reason."""


class _Loader(yaml.SafeLoader):
    """YAML that reads an image's times as text, not as dates."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct a value; one that does not fit its explicit tag is an error with a line."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:
            problem = f"{node.value!r} is not a {node.tag}"
            raise ConstructorError(None, None, problem, node.start_mark) from error


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if not tag.endswith(":timestamp")]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_document(path: Path | None = None) -> tuple[str, Any]:
    """Return the name and the content of a file, by default of the images in this package.

    Raises:
        ImageFileError: the file cannot be read, or is neither YAML nor JSON.
    """
    name = str(path or "images.yaml")
    return name, _parse(name, _read(path))


def _read(path: Path | None) -> str:
    try:
        if path is None:
            return resources.files(__package__).joinpath("images.yaml").read_text(encoding="utf-8")
        if path.stat().st_size > _MAX_BYTES:
            raise ImageFileError(f"{path}: is larger than {_MAX_BYTES} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ImageFileError(f"{path}: cannot be read: {error}") from error


def _parse(name: str, text: str) -> Any:
    try:
        if name.endswith(".json"):
            return json.loads(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ImageFileError(f"{name}: {where}{error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ImageFileError(f"{name}: {error}") from error


def load_items(
    kind: str, items: Iterable[Any], schema: Schema, prefix: str, unique: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return the items as the schema of one item loads them.

    `kind` is the word for an item in an error, which begins with the prefix. No two items may share
    a value of the unique fields, the last of which names an item in an error.

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
