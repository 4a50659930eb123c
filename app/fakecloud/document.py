"""A seed file, YAML or JSON: its content, and errors that name item, field and line."""

import gc
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from marshmallow import Schema, ValidationError, fields
from yaml.constructor import ConstructorError

from nova_image_shim.web.errors import first_error

NOT_TEXT = "Not a valid string."
_MAX_BYTES = 64 * 2**20
_TAG = "tag:yaml.org,2002:"
_TEXT_KEYS = (f"{_TAG}str", f"{_TAG}merge")
# What PyYAML raises for a bad file: besides its own errors, those of converting a value.
_YAML_ERRORS = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError)


class ImageFileError(Exception):
    """The file cannot be used; the text names the file, the line or the item, and the reason.

    `path` leads to the value in question: the keys and indexes above it.
    """

    def __init__(self, text: str, path: Sequence[Any] = ()) -> None:
        super().__init__(text)
        self.path = path


class Date(str):
    """A date or time without quotes: where an id or a name must be, it is probably a mistake."""

    __slots__ = ()


class Document(NamedTuple):
    """The content of a file: `text` is empty unless it is YAML."""

    name: str
    content: Any
    text: str = ""

    @contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Add to the errors of a block the file's name, and where quotes are missing."""
        try:
            yield
        except ImageFileError as error:
            hint = self._missing_quotes(error)
            raise ImageFileError(f"{self.name}: {error}{hint}") from error

    def _missing_quotes(self, error: ImageFileError) -> str:
        """Return ` (line 4, column 10: write it in quotes)` if that is the mistake, or nothing."""
        root = None
        with suppress(yaml.YAMLError):  # the loader in Python may read what the other does not
            root = yaml.compose(self.text, Loader=_FastLoader)
        node, is_key = _find(root, error.path)
        is_plain = isinstance(node, yaml.ScalarNode) and not node.style
        if not is_plain or not (is_key or str(error).endswith(NOT_TEXT)):
            return ""
        mark = node.start_mark
        return f" (line {mark.line + 1}, column {mark.column + 1}: write it in quotes)"


def _find(node: Any, path: Sequence[Any]) -> tuple[Any, bool]:
    """Return the node of a value, or the key above it that is not text; and whether it is a key."""
    for step in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
        elif isinstance(node, yaml.MappingNode):
            odd_keys = [key for key, _ in node.value if key.tag not in _TEXT_KEYS]
            if not isinstance(step, str) or step in [key.value for key in odd_keys]:
                return next(iter(odd_keys), None), True
            node = next((value for key, value in node.value if key.value == step), None)
    return node, False


def load_document(path: Path | None = None) -> Document:
    """Return a file, by default the one with the images in this package.

    Raises:
        ImageFileError: the file cannot be read, or is neither YAML nor JSON.
    """
    name, text = str(path or "images.yaml"), _read(path)
    try:
        if name.endswith(".json"):
            return Document(name, json.loads(text))
        return Document(name, _load_yaml(text), text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ImageFileError(f"{name}: {where}{error.problem}") from error
    except _YAML_ERRORS as error:
        raise ImageFileError(f"{name}: {error}") from error


@cache
def load_data(package: str, name: str) -> Any:
    """Return the content of a YAML file beside the modules of a package."""
    return yaml.safe_load(resources.files(package).joinpath(name).read_text(encoding="utf-8"))


def _read(path: Path | None) -> str:
    try:
        if path is None:
            return resources.files(__package__).joinpath("images.yaml").read_text(encoding="utf-8")
        if path.stat().st_size > _MAX_BYTES:
            raise ImageFileError(f"{path}: is larger than {_MAX_BYTES} bytes")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ImageFileError(f"{path}: cannot be read: {error}; save it as UTF-8") from error
    except OSError as error:
        raise ImageFileError(f"{path}: cannot be read: {error}") from error


class _Loader(yaml.SafeLoader):
    """The loader in Python: slow, and its errors name the line and the reason."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct a value; one that does not fit its explicit tag is an error with a line."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:
            problem = f"{node.value!r} is not a {node.tag}"
            raise ConstructorError(None, None, problem, node.start_mark) from error


# The loader in C, where PyYAML has one.
_FastLoader: Any = type("_FastLoader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
for _loader in (_Loader, _FastLoader):
    _loader.add_constructor(f"{_TAG}timestamp", lambda _loader, node: Date(node.value))


def _load_yaml(text: str) -> Any:
    is_enabled = gc.isenabled()
    gc.disable()  # a large file makes a million objects, and no garbage
    try:
        return yaml.load(text, Loader=_FastLoader)  # noqa: S506 - a SafeLoader
    except _YAML_ERRORS:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    finally:
        if is_enabled:
            gc.enable()


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
