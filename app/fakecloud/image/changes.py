"""The operations of a PATCH: how each is written in both media types, and what it does.

Source: glance at 33.0.0, glance/api/v2/images.py, RequestDeserializer.update and
ImagesController.update; glance/domain/__init__.py, Image; glance/quota/__init__.py.
"""

import re
from typing import Any, NamedTuple, cast

from flask import request
from webob import exc

from nova_image_shim.adapters.memory.policy import is_admin, is_visible
from nova_image_shim.adapters.memory.service import require_storable
from nova_image_shim.adapters.memory.store import StoredImage
from nova_image_shim.fakecloud.image import access
from nova_image_shim.web.current import make_context

READ_ONLY = """
    created_at updated_at status checksum size virtual_size direct_url self file schema id
    os_hash_algo os_hash_value
""".split()
_OPERATIONS = ("add", "remove", "replace")
_ALLOWED = f"It must be one of the following: {', '.join(_OPERATIONS)}."
_DRAFT_4 = "application/openstack-images-v2.0-json-patch"
_TYPES = (_DRAFT_4, "application/openstack-images-v2.1-json-patch")
_LARGEST = 2**31 - 1
_POINTER_ERRORS = {
    r"(?!/).*": 'does not start with "/".',
    r".+/\s*?/.*": 'contains adjacent "/".',
    r".+/": 'end with "/".',
    r".*(~[^01].*|~)": 'contains "~" not part of a recognized escape sequence.',
}


class Change(NamedTuple):
    """One operation on an attribute or a property."""

    operation: str
    name: str
    value: Any
    is_draft_4: bool


def read_changes() -> list[Change]:
    """Return the operations of the request, or raise a 400, 403 or 415."""
    if request.mimetype not in _TYPES:
        allowed = ", ".join(_TYPES)
        detail = f"Image PATCH expects Content-Type one of: {allowed}"
        raise exc.HTTPUnsupportedMediaType(detail, headers={"Accept-Patch": allowed})
    body = access.load_body()
    if not isinstance(body, list):
        raise access.bad_request("Request body must be a JSON array of operation objects.")
    return [_read(change) for change in body]


def _read(raw: Any) -> Change:
    if not isinstance(raw, dict):
        raise access.bad_request("Operations must be JSON objects.")
    is_draft_4 = request.mimetype == _DRAFT_4
    operation, pointer = _draft_4(raw) if is_draft_4 else _draft_10(raw)
    name, *rest = path = _path(pointer)
    if len(rest) != (name == "locations" and operation != "replace"):
        raise access.bad_request(f"Invalid JSON pointer for this resource: '/{'/'.join(path)}'")
    if operation != "remove" and "value" not in raw:
        raise access.bad_request(f'Operation "{operation}" requires a member named "value".')
    if name in READ_ONLY:
        raise access.forbidden(f"Attribute '{name}' is read-only.")
    if is_reserved(name):
        raise access.forbidden(f"Attribute '{name}' is reserved.")
    if operation != "remove":
        access.require_valid({name: [raw["value"]] if rest else raw["value"]})
    return Change(operation, name, raw.get("value"), is_draft_4)


def is_reserved(name: str) -> bool:
    """Tell whether Glance keeps the name of a property for itself."""
    return name in {"location", "deleted", "deleted_at"} or name.startswith("os_glance")


def _draft_10(raw: dict[str, Any]) -> tuple[str, Any]:
    operation = raw.get("op")
    if operation is None:
        raise access.bad_request(f"Unable to find `op` in JSON Schema change. {_ALLOWED}")
    if operation not in _OPERATIONS:
        raise access.bad_request(f"Invalid operation: `{operation}`. {_ALLOWED}")
    if "path" not in raw:
        raise access.bad_request("Unable to find 'path' in JSON Schema change")
    return operation, raw["path"]


def _draft_4(raw: dict[str, Any]) -> tuple[str, Any]:
    found = [operation for operation in _OPERATIONS if operation in raw]
    if len(found) != 1:
        how_many = "only" if found else "exactly"
        names = 'one member named "add", "remove", or "replace".'
        raise access.bad_request(f"Operation objects must contain {how_many} {names}")
    return found[0], raw[found[0]]


def _path(pointer: Any) -> list[str]:
    """Return the parts of a JSON pointer of which only a limited form is allowed."""
    if not isinstance(pointer, str):
        raise access.bad_request("Pointer must be a string.")
    for pattern, text in _POINTER_ERRORS.items():
        if re.fullmatch(pattern, pointer, re.DOTALL):
            raise access.bad_request(f"Pointer `{pointer}` {text}")
    parts = pointer.lstrip("/").split("/")
    return [part.replace("~1", "/").replace("~0", "~").strip() for part in parts]


def apply_changes(stored: StoredImage, changes: list[Change], now: str) -> StoredImage:
    """Return an image after all operations, or raise what Glance answers to one of them."""
    before = cast("dict[str, Any]", stored.image)
    image = dict(before)
    for change in changes:
        _require_allowed(change, stored, image)
        if change.operation == "remove":
            del image[change.name]
        else:
            image[change.name] = _checked(change, image)
    require_within_limits(image, has_new=bool(image.keys() - before.keys()))
    require_storable({key: image[key] for key in image if image[key] != before.get(key)})
    changed = access.with_attributes(stored._replace(image=cast("Any", image)), now)
    if not is_visible(make_context(), changed):
        raise access.forbidden(f"Forbidding request, image {image['id']} not visible")
    return changed


def _require_allowed(change: Change, stored: StoredImage, image: dict[str, Any]) -> None:
    operation, name, value, is_draft_4 = change
    if name == "locations":
        _refuse_locations(operation, value, stored)
    if operation == "replace" and name == "owner" and not is_admin(make_context()):
        raise exc.HTTPForbidden("Owner can't be updated by non admin.")
    if name == "visibility":
        access.require_visibility(value, stored)
    access.require("modify_image", stored)
    if operation == "remove" and name in access.PROPERTIES:
        raise exc.HTTPForbidden(f"Property {name} may not be removed.")
    is_known = name in access.PROPERTIES or name in image
    if operation != "add" and not is_known:
        raise exc.HTTPConflict(f"Property {name} does not exist.")
    if operation == "add" and is_known and is_draft_4:
        raise exc.HTTPConflict(f"Property {name} already present.")


def _refuse_locations(operation: str, value: Any, stored: StoredImage) -> None:
    """Refuse to change locations, which nobody sees."""
    if operation == "replace" and not value:
        raise exc.HTTPForbidden("Cannot set locations to empty list.")
    access.require(
        "delete_image_location" if operation == "remove" else "set_image_location", stored
    )
    verb = operation.replace("replace", "update")
    raise access.forbidden(f"It's not allowed to {verb} locations if locations are invisible.")


def _checked(change: Change, image: dict[str, Any]) -> Any:
    """Return the value to store."""
    name, value = change.name, change.value
    if name in {"disk_format", "container_format"} and image["status"] != "queued":
        raise access.forbidden(f"Attribute {name} can be only replaced for a queued image.")
    if name == "owner":
        return value or None
    return list(dict.fromkeys(value)) if name == "tags" else value


def require_within_limits(image: dict[str, Any], *, has_new: bool = True) -> None:
    """Refuse numbers that are out of range, and too many tags or, if some are new, properties."""
    numbers = {name: image[name] or 0 for name in ("min_disk", "min_ram")}
    for name, number in numbers.items():
        if number < 0:
            text = f"Invalid value '{number}' for parameter '{name}': Cannot be a negative value"
            raise access.bad_request(text)
    access.require_quota("tags", len(image["tags"]))
    if has_new:
        access.require_quota(
            "properties", len(image.keys() - access.PROPERTIES.keys() - {"locations"})
        )
    for name, number in numbers.items():
        if number > _LARGEST:
            raise access.bad_request(f"'{name}' value out of range, must not exceed {_LARGEST}.")
