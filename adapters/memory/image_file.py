"""The file that fills the embedded store: YAML or JSON, a list of Glance v2 images."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

import iso8601
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from yaml.constructor import ConstructorError

if TYPE_CHECKING:
    from pathlib import Path

    from jsonschema import ValidationError

_MAX_BYTES = 64 * 2**20
STATUSES = """
    queued saving active killed deleted uploading importing pending_delete deactivated
""".split()
VISIBILITIES = ["public", "private", "shared", "community"]
_COUNT = {"type": ["integer", "null"], "minimum": 0, "maximum": 2**63 - 1}
_SMALL_COUNT = {"type": ["integer", "null"], "minimum": 0, "maximum": 2**31 - 1}
_TEXT = {"type": ["string", "null"]}

_IMAGE = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string", "pattern": r"^[A-Za-z0-9_][A-Za-z0-9._~-]{0,254}\Z"},
        "name": {"type": ["string", "null"], "maxLength": 255},
        "status": {"enum": STATUSES},
        "visibility": {"enum": VISIBILITIES},
        "protected": {"type": "boolean"},
        "os_hidden": {"type": "boolean"},
        "owner": {"type": ["string", "null"], "maxLength": 255},
        "size": _COUNT,
        "virtual_size": _COUNT,
        "min_ram": _SMALL_COUNT,
        "min_disk": _SMALL_COUNT,
        "created_at": {**_TEXT, "format": "iso8601"},
        "updated_at": {**_TEXT, "format": "iso8601"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "locations": {"type": "array"},
        "members": {
            "type": "object",
            "propertyNames": {"type": "string"},
            "additionalProperties": {"enum": ["pending", "accepted", "rejected"]},
        },
    },
    "propertyNames": {"type": "string"},
    "additionalProperties": _TEXT,
}
_CHECKER = FormatChecker(formats=())
_EARLIEST = "1970-01-01T00:00:00Z"


class ImageFileError(Exception):
    """The file cannot be used; the text names the file and the line or the image."""


class _Loader(yaml.SafeLoader):
    """YAML without its own idea of times: an image's times are text."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct a value; one that is not of its explicit tag is an error with a line."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:
            problem = f"{node.value!r} is no {node.tag}"
            raise ConstructorError(None, None, problem, node.start_mark) from error


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if not tag.endswith(":timestamp")]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_images(path: Path | None = None) -> list[dict[str, Any]]:
    """Return the images of a file, each complete; without a path those that ship with us.

    The file holds a list of Glance v2 images, or an object with that list as `images` (as
    Glance's own answer is). Of an image only `id` must be there. Its key `members`, project ids
    to `pending`, `accepted` or `rejected`, says with whom it is shared. An image without owner
    and visibility is public.

    Raises:
        ImageFileError: it cannot be read, or an image in it is none.
    """
    name, document = load_document(path)
    images = document.get("images") if isinstance(document, dict) else document
    if not isinstance(images, list):
        raise ImageFileError(
            f"{name}: a list of images is wanted, or an object with it as `images`"
        )
    check_images(images, f"{name}: ")
    return [complete(image) for image in images]


def load_document(path: Path | None = None) -> tuple[str, Any]:
    """Return the name of a file and what is in it, of the images that ship with us without a path.

    Raises:
        ImageFileError: it cannot be read, or is neither YAML nor JSON.
    """
    name = str(path or "images.yaml")
    return name, _parse(name, _read(path))


def _read(path: Path | None) -> str:
    try:
        if path is None:
            return resources.files(__package__).joinpath("images.yaml").read_text(encoding="utf-8")
        if path.stat().st_size > _MAX_BYTES:
            raise ImageFileError(f"{path}: is over {_MAX_BYTES} bytes")
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
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        raise ImageFileError(f"{name}: {where}: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ImageFileError(f"{name}: {error}") from error


def check_images(images: list[Any], prefix: str = "") -> None:
    """Check images before `complete` is asked to complete them.

    Raises:
        ImageFileError: one is none, or has the id of another; the text, after the prefix, names
            the image and the field.
    """
    validator = Draft202012Validator(_IMAGE, format_checker=_CHECKER)
    seen: set[str] = set()
    for number, image in enumerate(images, 1):
        error: ValidationError | None = next(validator.iter_errors(image), None)
        if error is not None:
            field = ".".join(map(str, error.absolute_path)) or "the image"
            raise ImageFileError(f"{prefix}{_called(number, image)}: {field}: {error.message}")
        if image["id"] in seen:
            raise ImageFileError(f"{prefix}{_called(number, image)}: this id was there before")
        seen.add(image["id"])


def _called(number: int, image: Any) -> str:
    known = image.get("id") if isinstance(image, dict) else None
    return f"image {number} (id {known})" if known else f"image {number}"


def complete(image: dict[str, Any]) -> dict[str, Any]:
    """Return a checked image with every attribute that Glance always gives."""
    created = _utc(image.get("created_at")) or _EARLIEST
    owned = {"visibility": "shared" if image.get("owner") else "public", "owner": None}
    usual = {"name": None, "status": "active", "protected": False, "os_hidden": False}
    sizes = {"size": None, "min_ram": 0, "min_disk": 0}
    times = {"created_at": created, "updated_at": _utc(image.get("updated_at")) or created}
    return {**owned, **usual, **sizes, "tags": [], "members": {}, **image, **times}


def _utc(text: str | None) -> str | None:
    """Return a time in the one form that Glance writes, so that times compare as text."""
    moment = iso8601.parse_date(text) if text else None
    return moment.astimezone(iso8601.UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


@_CHECKER.checks("iso8601", raises=(iso8601.ParseError, OverflowError))
def _is_time(value: object) -> bool:
    if isinstance(value, str):
        iso8601.parse_date(value).astimezone(iso8601.UTC)
    return True
