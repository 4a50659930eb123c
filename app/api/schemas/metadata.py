"""The bodies of metadata writes on `/v2` and `/v1.1`; `metadata_v21` has what differs on `/v2.1`.

The messages are those of Nova 12.0.0 and, for values, those of jsonschema in later releases.
"""

import json
import math
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from nova_image_shim.translation.translator import JSON_PROPERTIES

INVALID_INPUT = "Invalid input for field/attribute {name}. Value: {value}. "
_MAX_LENGTH = 255
_BAD_META = "Incorrect request body format"
_BAD_METAS: Any = {"required": _BAD_META, "null": _BAD_META, "invalid": _BAD_META}


class Items(fields.Field[dict[str, Any]]):
    """Metadata items: keys of 1 to 255 characters, values that `check_value` accepts."""

    default_error_messages = {  # noqa: RUF012 - as marshmallow has it
        "required": "{name!r} is a required property",
        "null": "Invalid image metadata",
        "invalid": "Invalid image metadata",
        "blank_key": "Image metadata key cannot be blank",
        "long_key": "Image metadata key too long",
        "value_type": INVALID_INPUT + "{value!r} is not of type 'string'",
        "long_value": INVALID_INPUT + "{value!r} is too long",
    }

    def make_error(self, key: str, **kwargs: Any) -> ValidationError:
        """Use the field's name and a null value unless the message is about an item."""
        return super().make_error(key, **{"name": self.name, "value": None} | kwargs)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ARG002
        if not isinstance(value, dict):
            raise self.make_error("invalid", value=value)
        self.check_items(value)
        return value

    def check_items(self, items: dict[str, Any]) -> None:
        """Raise ValidationError for the first invalid key or value."""
        for key, value in items.items():
            if not key:
                raise self.make_error("blank_key")
            if len(key) > _MAX_LENGTH:
                raise self.make_error("long_key")
            self.check_value(key, value)

    def check_value(self, key: str, value: Any) -> None:
        """Accept up to 255 characters as text, and a list for a key that is shown as one."""
        if key in JSON_PROPERTIES and isinstance(value, list):
            return
        if not self.is_text(value):
            raise self.make_error("value_type", name=key, value=value)
        if len(str(value)) > _MAX_LENGTH:
            raise self.make_error("long_value", name=key, value=value)

    def is_text(self, value: Any) -> bool:
        """Tell whether a value can be stored: numbers and booleans are, as text."""
        is_finite = not isinstance(value, float) or math.isfinite(value)
        return isinstance(value, str | int | float) and is_finite


class MetadataRules:
    """Checks for the bodies of metadata writes; every method raises ValidationError.

    `{"metadata": {KEY: value, …}}` adds or replaces many items, `{"meta": {KEY: value}}` sets one.
    """

    metadata = Schema.from_dict({"metadata": Items(required=True)})(unknown=EXCLUDE)
    meta = Schema.from_dict({"meta": Items(required=True, error_messages=_BAD_METAS)})(
        unknown=EXCLUDE
    )

    def parse_body(self, data: bytes) -> dict[str, Any]:
        """Return the JSON object in a body."""
        try:
            body = json.loads(data)
            json.dumps(body, ensure_ascii=False).encode()  # a lone surrogate cannot be stored
        except (ValueError, RecursionError) as error:
            raise ValidationError("Malformed request body") from error
        if not isinstance(body, dict):
            raise ValidationError(f"{body!r} is not of type 'object'")
        return body

    def load_metadata(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the items of a `metadata` body."""
        items: dict[str, Any] = self.metadata.load(body)["metadata"]
        return items

    def load_meta(self, body: dict[str, Any], key: str) -> dict[str, Any]:
        """Return the item of a `meta` body, which must have the key in the path."""
        meta = body.get("meta")
        if isinstance(meta, dict):  # Nova checks these two before the item itself
            require_key(meta, key)
            if len(meta) > 1:
                raise ValidationError("Request body contains too many items")
        item: dict[str, Any] = self.meta.load(body)["meta"]
        return item


def require_key(meta: dict[str, Any], key: str) -> None:
    """Raise ValidationError unless a `meta` body has the key in the path."""
    if key not in meta:
        raise ValidationError("Request body and URI mismatch")


RULES = MetadataRules()
