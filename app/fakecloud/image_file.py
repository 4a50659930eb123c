"""The file that fills the embedded store: YAML or JSON, a list of Glance v2 images."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import iso8601
import yaml
from yaml.constructor import ConstructorError

from nova_image_shim.fakecloud.items import ImageFileError, load_items
from nova_image_shim.fakecloud.schemas import ImageSchema

__all__ = ["ImageFileError", "check_images", "complete", "load_document", "load_images"]

_MAX_BYTES = 64 * 2**20
_EARLIEST = "1970-01-01T00:00:00Z"
_IMAGE = ImageSchema()


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


def load_images(path: Path | None = None) -> list[dict[str, Any]]:
    """Return the complete images of a file, by default of the one in this package.

    The file holds a list of Glance v2 images, or an object with that list as `images`, as in
    Glance's own response. Only `id` is required. `members` maps the ids of the projects that an
    image is shared with to `pending`, `accepted` or `rejected`. An image without owner and
    visibility is public.

    Raises:
        ImageFileError: the file cannot be read, or an image in it is invalid.
    """
    name, document = load_document(path)
    images = document.get("images") if isinstance(document, dict) else document
    if not isinstance(images, list):
        raise ImageFileError(f"{name}: must be a list of images, or an object with `images`")
    check_images(images, f"{name}: ")
    return [complete(image) for image in images]


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


def check_images(images: list[Any], prefix: str = "") -> None:
    """Check images before they are completed.

    Raises:
        ImageFileError: an image is invalid or repeats an id; the text, after the prefix, names
            the image and the field.
    """
    load_items("image", images, _IMAGE, prefix, unique=("id",))


def complete(image: dict[str, Any]) -> dict[str, Any]:
    """Return a checked image with every attribute that Glance always returns."""
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
