"""The operations of a PATCH: how each is written in both media types, and what it does.

Source: glance at 33.0.0, glance/api/v2/images.py, RequestDeserializer.update and
ImagesController.update; glance/domain/__init__.py, Image; glance/quota/__init__.py.
"""

import re
from typing import Any, NamedTuple, cast

from flask import request
from webob import exc

from nova_image_shim.adapters.image_port import Image
from nova_image_shim.adapters.memory.policy import is_admin, is_visible
from nova_image_shim.adapters.memory.service import require_storable
from nova_image_shim.adapters.memory.store import StoredImage
from nova_image_shim.fakecloud.image.access import require, require_visibility
from nova_image_shim.fakecloud.image.bodies import load_body
from nova_image_shim.fakecloud.image.schema import PROPERTIES, require_valid
from nova_image_shim.web.current import make_context

QUOTA = 128  # of properties, of tags and of members
READ_ONLY = """
    created_at updated_at status checksum size virtual_size direct_url self file schema id
    os_hash_algo os_hash_value
""".split()
_RESERVED = {"location", "deleted", "deleted_at"}
_RESERVED_PREFIX = "os_glance"
_OPERATIONS = ("add", "remove", "replace")
_DRAFT_4 = "application/openstack-images-v2.0-json-patch"
_TYPES = [_DRAFT_4, "application/openstack-images-v2.1-json-patch"]
_LARGEST = 2**31 - 1


class Change(NamedTuple):
    """One operation on an attribute or a property."""

    operation: str
    name: str
    value: Any
    is_draft_4: bool


def read_changes() -> list[Change]:
    """Return the operations of the request.

    Raises:
        HTTPUnsupportedMediaType, HTTPBadRequest, HTTPForbidden: one cannot be read, or names an
            attribute that nobody may change.
    """
    if request.mimetype not in _TYPES:
        allowed = ", ".join(_TYPES)
        raise exc.HTTPUnsupportedMediaType(
            f"Image PATCH expects Content-Type one of: {allowed}", headers={"Accept-Patch": allowed}
        )
    body = load_body()
    if not isinstance(body, list):
        raise _bad("Request body must be a JSON array of operation objects.")
    return [_read(change) for change in body]


def _read(raw: Any) -> Change:
    if not isinstance(raw, dict):
        raise _bad("Operations must be JSON objects.")
    is_draft_4 = request.mimetype == _DRAFT_4
    operation, pointer = _draft_4(raw) if is_draft_4 else _draft_10(raw)
    path = _path(pointer)
    length = (1 if operation == "replace" else 2) if path[0] == "locations" else 1
    if len(path) != length:
        raise _bad(f"Invalid JSON pointer for this resource: '/{'/'.join(path)}'")
    if operation != "remove" and "value" not in raw:
        raise _bad(f'Operation "{operation}" requires a member named "value".')
    if path[0] in READ_ONLY:
        raise exc.HTTPForbidden(explanation=f"Attribute '{path[0]}' is read-only.")
    if is_reserved(path[0]):
        raise exc.HTTPForbidden(explanation=f"Attribute '{path[0]}' is reserved.")
    if operation != "remove":
        require_valid({path[0]: [raw["value"]] if length == 2 else raw["value"]})
    return Change(operation, path[0], raw.get("value"), is_draft_4)


def is_reserved(name: str) -> bool:
    """Tell whether Glance keeps the name of a property for itself."""
    return name in _RESERVED or name.startswith(_RESERVED_PREFIX)


def _draft_10(raw: dict[str, Any]) -> tuple[str, Any]:
    operation, allowed = raw.get("op"), ", ".join(_OPERATIONS)
    if operation is None:
        raise _bad(
            "Unable to find `op` in JSON Schema change. "
            f"It must be one of the following: {allowed}."
        )
    if operation not in _OPERATIONS:
        raise _bad(f"Invalid operation: `{operation}`. It must be one of the following: {allowed}.")
    if "path" not in raw:
        raise _bad("Unable to find 'path' in JSON Schema change")
    return operation, raw["path"]


def _draft_4(raw: dict[str, Any]) -> tuple[str, Any]:
    found = [operation for operation in _OPERATIONS if operation in raw]
    if len(found) != 1:
        how_many = "only" if found else "exactly"
        names = 'one member named "add", "remove", or "replace".'
        raise _bad(f"Operation objects must contain {how_many} {names}")
    return found[0], raw[found[0]]


def _path(pointer: Any) -> list[str]:
    """Return the parts of a JSON pointer of which only a limited form is allowed."""
    if not isinstance(pointer, str):
        raise _bad("Pointer must be a string.")
    for is_wrong, text in (
        (not pointer.startswith("/"), 'does not start with "/".'),
        (re.search(r"/\s*?/", pointer[1:]), 'contains adjacent "/".'),
        (len(pointer) > 1 and pointer.endswith("/"), 'end with "/".'),
        (pointer[1:].strip() == "/", "does not contains valid token."),
        (
            re.search("~[^01]", pointer) or pointer.endswith("~"),
            'contains "~" not part of a recognized escape sequence.',
        ),
    ):
        if is_wrong:
            raise _bad(f"Pointer `{pointer}` {text}")
    parts = pointer.lstrip("/").split("/")
    return [part.replace("~1", "/").replace("~0", "~").strip() for part in parts]


def apply_changes(changes: list[Change], stored: StoredImage, now: str) -> StoredImage:
    """Return an image after all operations, or raise what Glance answers to one of them."""
    image = cast("dict[str, Any]", dict(stored.image))
    for change in changes:
        _require_allowed(change, stored, image)
        if change.operation == "remove":
            del image[change.name]
        else:
            image[change.name] = _checked(change, image)
    before = stored.image
    require_within_limits(image, has_new=bool(image.keys() - before.keys()))
    require_storable({key: image[key] for key in image if image[key] != before.get(key)})
    changed = stored._replace(image=cast("Image", {**image, "updated_at": now}))
    if not is_visible(make_context(), changed):
        text = f"Forbidding request, image {image['id']} not visible"
        raise exc.HTTPForbidden(explanation=text)
    return changed


def _require_allowed(change: Change, stored: StoredImage, image: dict[str, Any]) -> None:
    operation, name = change.operation, change.name
    if name == "locations":
        raise _locations(change, stored)
    if operation == "replace" and name == "owner" and not is_admin(make_context()):
        raise exc.HTTPForbidden("Owner can't be updated by non admin.")
    if name == "visibility":
        require_visibility(change.value, stored)
    require("modify_image", stored)
    is_known = name in PROPERTIES or name in image
    if operation == "remove" and name in PROPERTIES:
        raise exc.HTTPForbidden(f"Property {name} may not be removed.")
    if operation != "add" and not is_known:
        raise exc.HTTPConflict(f"Property {name} does not exist.")
    if operation == "add" and is_known and change.is_draft_4:
        raise exc.HTTPConflict(f"Property {name} already present.")


def _locations(change: Change, stored: StoredImage) -> exc.HTTPForbidden:
    """Return the refusal of a change of locations, which nobody sees."""
    if change.operation == "replace" and not change.value:
        return exc.HTTPForbidden("Cannot set locations to empty list.")
    is_removal = change.operation == "remove"
    require("delete_image_location" if is_removal else "set_image_location", stored)
    verb = "update" if change.operation == "replace" else change.operation
    text = f"It's not allowed to {verb} locations if locations are invisible."
    return exc.HTTPForbidden(explanation=text)


def _checked(change: Change, image: dict[str, Any]) -> Any:
    """Return the value to store."""
    name, value = change.name, change.value
    if name in {"disk_format", "container_format"} and image["status"] != "queued":
        text = f"Attribute {name} can be only replaced for a queued image."
        raise exc.HTTPForbidden(explanation=text)
    if name == "owner":
        return value or None
    return list(dict.fromkeys(value)) if name == "tags" else value


def require_within_limits(image: dict[str, Any], *, has_new: bool = True) -> None:
    """Refuse too many tags or properties, and numbers that are out of range.

    Args:
        image: the whole image as it would be.
        has_new: whether it has new properties; those that it had are not counted.
    """
    for name in ("min_disk", "min_ram"):
        if (image[name] or 0) < 0:
            text = f"Invalid value '{image[name]}' for parameter '{name}': "
            raise _bad(f"{text}Cannot be a negative value")
    require_quota("tags", len(image["tags"]))
    if has_new:
        require_quota("properties", len(image.keys() - PROPERTIES.keys()))
    for name in ("min_disk", "min_ram"):
        if (image[name] or 0) > _LARGEST:
            raise _bad(f"'{name}' value out of range, must not exceed {_LARGEST}.")


def require_quota(what: str, count: int, text: str = "{}") -> None:
    """Refuse more than 128 `tags`, `properties` or `members for this image`."""
    if count > QUOTA:
        reason = (
            f"The limit has been exceeded on the number of allowed image {what}. "
            f"Attempted: {count}, Maximum: {QUOTA}"
        )
        raise exc.HTTPRequestEntityTooLarge(explanation=text.format(reason))


def _bad(text: str) -> exc.HTTPBadRequest:
    return exc.HTTPBadRequest(explanation=text)
