"""The schemas of the embedded image API: they check requests, and clients build classes from them.

Source: glance at 33.0.0, glance/api/v2/images.py, get_base_properties, and image_members.py; the
descriptions are left out.
"""

from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from webob import exc

from nova_image_shim.fakecloud.image_file import STATUSES

DISK_FORMATS = "ami ari aki vhd vhdx vmdk raw qcow2 vdi iso ploop".split()
CONTAINER_FORMATS = "ami ari aki bare ovf ova docker compressed".split()
MEMBER_STATUSES = ["pending", "accepted", "rejected"]

_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["null", "string"], "maxLength": 255}
_READ_ONLY = {"type": "string", "readOnly": True}
_NUMBER = {"type": "integer"}
_READ_ONLY_NUMBER = {"type": ["null", "integer"], "readOnly": True}
_FLAG = {"type": "boolean"}
_HEX = "([0-9a-fA-F])"
_ID = {
    "type": "string",
    "pattern": f"^{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}$",
}
_LOCATION = {
    "type": "object",
    "properties": {
        "url": {"type": "string", "maxLength": 255},
        "metadata": {"type": "object"},
        "validation_data": {
            "type": "object",
            "writeOnly": True,
            "additionalProperties": False,
            "properties": {
                "checksum": {"type": "string", "minLength": 32, "maxLength": 32},
                "os_hash_algo": {"type": "string", "maxLength": 64},
                "os_hash_value": {"type": "string", "maxLength": 128},
            },
            "required": ["os_hash_algo", "os_hash_value"],
        },
    },
    "required": ["url", "metadata"],
}


def _read_only_text(longest: int) -> dict[str, Any]:
    return {"type": ["null", "string"], "readOnly": True, "maxLength": longest}


def _links(**hrefs: str) -> list[dict[str, str]]:
    return [{"rel": rel, "href": href} for rel, href in hrefs.items()]


PROPERTIES: dict[str, dict[str, Any]] = {
    "id": _ID,
    "name": _TEXT_OR_NULL,
    "status": {"type": "string", "readOnly": True, "enum": STATUSES},
    "visibility": {"type": "string", "enum": ["community", "public", "private", "shared"]},
    "protected": _FLAG,
    "os_hidden": _FLAG,
    "checksum": _read_only_text(32),
    "os_hash_algo": _read_only_text(64),
    "os_hash_value": _read_only_text(128),
    "owner": _TEXT_OR_NULL,
    "size": _READ_ONLY_NUMBER,
    "virtual_size": _READ_ONLY_NUMBER,
    "container_format": {"type": ["null", "string"], "enum": [None, *CONTAINER_FORMATS]},
    "disk_format": {"type": ["null", "string"], "enum": [None, *DISK_FORMATS]},
    "created_at": _READ_ONLY,
    "updated_at": _READ_ONLY,
    "tags": {"type": "array", "items": {"type": "string", "maxLength": 255}},
    "min_ram": _NUMBER,
    "min_disk": _NUMBER,
    "self": _READ_ONLY,
    "file": _READ_ONLY,
    "schema": _READ_ONLY,
}

IMAGE: dict[str, Any] = {
    "name": "image",
    "properties": {
        **PROPERTIES,
        "direct_url": _READ_ONLY,
        "stores": _READ_ONLY,
        "locations": {"type": "array", "items": _LOCATION},
    },
    "additionalProperties": _TEXT,
    "links": _links(self="{self}", enclosure="{file}", describedby="{schema}"),
}
MEMBER: dict[str, Any] = {
    "name": "member",
    "properties": {
        "member_id": _TEXT,
        "image_id": _ID,
        "created_at": _TEXT,
        "updated_at": _TEXT,
        "status": {"type": "string", "enum": MEMBER_STATUSES},
        "schema": {"readOnly": True, "type": "string"},
    },
}


def _list_of(name: str, item: dict[str, Any], **properties: Any) -> dict[str, Any]:
    links = {"first": "{first}", "next": "{next}"} if properties else {}
    return {
        "name": name,
        "properties": {name: {"type": "array", "items": item}, **properties, "schema": _TEXT},
        "links": _links(**links, describedby="{schema}"),
    }


SCHEMAS = {
    "image": IMAGE,
    "images": _list_of("images", IMAGE, first=_TEXT, next=_TEXT),
    "member": MEMBER,
    "members": _list_of("members", MEMBER),
}

_VALIDATOR = Draft202012Validator(IMAGE)


def require_valid(image: dict[str, Any]) -> None:
    """Refuse attributes that do not match the schema of an image, with jsonschema's text.

    Raises:
        HTTPBadRequest: with the first problem.
    """
    if error := best_match(_VALIDATOR.iter_errors(image)):
        text = f"Provided object does not match schema 'image': {error}"
        raise exc.HTTPBadRequest(explanation=text)
