"""The bodies of metadata writes on `/v2` and `/v1.1`, validated by marshmallow.

Messages are those of Nova, to the letter: 12.0.0's own, and for values those of jsonschema, with
which later releases check. `/v2.1` has its own rules: `metadata_schemas_v21`.
"""

from __future__ import annotations

import json
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from nova_image_shim.translation.translator import JSON_PROPERTIES

Metadata = dict[str, Any]

_LONGEST = 255


class _Items(fields.Field[Metadata]):
    """Metadata items: keys of 1 to 255 characters, values as `check_value` takes them."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Metadata:  # noqa: ARG002
        if not isinstance(value, dict):
            raise ValidationError(self.error_messages["validator_failed"])
        for key, item in value.items():
            _check_key(key)
            check_value(key, item)
        return value


def _check_key(key: str) -> None:
    if not key:
        raise ValidationError("Image metadata key cannot be blank")
    if len(key) > _LONGEST:
        raise ValidationError("Image metadata key too long")


def check_value(key: str, value: Any) -> None:
    """Take text of at most 255 characters; for the keys that are shown as lists, a list too.

    Raises:
        ValidationError: it is anything else.
    """
    if key in JSON_PROPERTIES and isinstance(value, list):
        return
    found = f"Invalid input for field/attribute {key}. Value: {value}. {value!r}"
    if not isinstance(value, str):
        raise ValidationError(f"{found} is not of type 'string'")
    if len(value) > _LONGEST:
        raise ValidationError(f"{found} is too long")


class MetadataSchema(Schema):
    """`{"metadata": {KEY: value, …}}`, of POST and PUT of all metadata."""

    class Meta:
        """marshmallow's options."""

        unknown = EXCLUDE

    metadata = _Items(
        required=True,
        allow_none=False,
        error_messages={
            "required": "'metadata' is a required property",
            "null": "Invalid image metadata",
            "validator_failed": "Invalid image metadata",
        },
    )


class MetaSchema(Schema):
    """`{"meta": {KEY: value}}`, of PUT of one key."""

    class Meta:
        """marshmallow's options."""

        unknown = EXCLUDE

    meta = _Items(
        required=True,
        error_messages={
            "required": "Incorrect request body format",
            "null": "Incorrect request body format",
            "validator_failed": "Incorrect request body format",
        },
    )


_METADATA, _META = MetadataSchema(), MetaSchema()


def parse_body(data: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is.

    Raises:
        ValidationError: it is none, or holds text that is no Unicode.
    """
    try:
        body = json.loads(data)
        json.dumps(body, ensure_ascii=False).encode()  # a lone surrogate is nothing to store
    except (ValueError, RecursionError) as error:
        raise ValidationError("Malformed request body") from error
    if not isinstance(body, dict):
        raise ValidationError(f"{body!r} is not of type 'object'")
    return body


def load_metadata(body: dict[str, Any]) -> Metadata:
    """Return the items of a `metadata` body.

    Raises:
        ValidationError: the body or an item is bad.
    """
    items: Metadata = _METADATA.load(body)["metadata"]
    return items


def load_meta(body: dict[str, Any], key: str) -> Metadata:
    """Return the one item of a `meta` body, whose key must be the path's.

    Raises:
        ValidationError: the body or the item is bad.
    """
    meta = body.get("meta")
    if isinstance(meta, dict):  # these two come before anything is said of the items
        require_same_key(meta, key)
        if len(meta) > 1:
            raise ValidationError("Request body contains too many items")
    item: Metadata = _META.load(body)["meta"]
    return item


def require_same_key(meta: Metadata, key: str) -> None:
    """Refuse a body that does not name the path's key.

    Raises:
        ValidationError: it does not.
    """
    if key not in meta:
        raise ValidationError("Request body and URI mismatch")
