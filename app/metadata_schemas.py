"""The bodies of metadata writes, validated by marshmallow.

Messages are those of Nova, to the letter: 12.0.0's own, and for values those of jsonschema, with
which later releases check. On `/v2.1` Nova 34's two stricter rules stand as well.
"""

from __future__ import annotations

import json
import re
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields, validates_schema

from nova_image_shim.translator import JSON_PROPERTIES

Metadata = dict[str, Any]

_LONGEST = 255
_STRICT_KEY = r"^[a-zA-Z0-9-_:. ]{1,255}$"


class _Items(fields.Field[Metadata]):
    """Metadata items: keys of 1 to 255 characters, values text of at most 255.

    `block_device_mapping` and `mappings` may be lists, as they are shown.
    """

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Metadata:  # noqa: ARG002
        if not isinstance(value, dict):
            raise ValidationError(self.error_messages["validator_failed"])
        for key, item in value.items():
            _check_key(key)
            if not (key in JSON_PROPERTIES and isinstance(item, list)):
                _check_value(key, item)
        return value


def _check_key(key: str) -> None:
    if not key:
        raise ValidationError("Image metadata key cannot be blank")
    if len(key) > _LONGEST:
        raise ValidationError("Image metadata key too long")


def _check_value(key: str, value: Any) -> None:
    found = f"Invalid input for field/attribute {key}. Value: {value}. {value!r}"
    if not isinstance(value, str):
        raise ValidationError(f"{found} is not of type 'string'")
    if len(value) > _LONGEST:
        raise ValidationError(f"{found} is too long")


class _Body(Schema):
    class Meta:
        """marshmallow's options."""

        unknown = INCLUDE  # only the strict mount refuses other keys

    strict = False

    @validates_schema(pass_original=True, skip_on_field_errors=True)
    def keep_to_the_strict_rules(self, data: Any, original: Any, **_kwargs: Any) -> None:
        """Refuse what Nova 34 refuses on `/v2.1`."""
        if not self.strict:
            return
        if extra := [key for key in original if key not in self.fields]:
            raise ValidationError(_unexpected(extra))
        (name,) = self.fields
        items = data[name]
        if extra := [key for key in items if not re.match(_STRICT_KEY, key)]:
            raise ValidationError(
                f"Invalid input for field/attribute {name}. Value: {items}. {_unmatched(extra)}"
            )


def _unexpected(keys: list[str]) -> str:
    verb = "was" if len(keys) == 1 else "were"
    named = ", ".join(map(repr, sorted(keys)))
    return f"Additional properties are not allowed ({named} {verb} unexpected)"


def _unmatched(keys: list[str]) -> str:
    verb = "does" if len(keys) == 1 else "do"
    return (
        f"{', '.join(map(repr, sorted(keys)))} {verb} not match any of the regexes: {_STRICT_KEY!r}"
    )


class MetadataSchema(_Body):
    """`{"metadata": {KEY: value, …}}`, of POST and PUT of all metadata."""

    metadata = _Items(
        required=True,
        allow_none=False,
        error_messages={
            "required": "'metadata' is a required property",
            "null": "Invalid image metadata",
            "validator_failed": "Invalid image metadata",
        },
    )


class MetaSchema(_Body):
    """`{"meta": {KEY: value}}`, of PUT of one key, which `key` names."""

    meta = _Items(
        required=True,
        error_messages={
            "required": "Incorrect request body format",
            "null": "Incorrect request body format",
            "validator_failed": "Incorrect request body format",
        },
    )


def _schema(kind: type[_Body], *, strict: bool) -> _Body:
    schema = kind()
    schema.strict = strict
    return schema


_METADATA = {strict: _schema(MetadataSchema, strict=strict) for strict in (False, True)}
_META = {strict: _schema(MetaSchema, strict=strict) for strict in (False, True)}


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


def load_metadata(body: dict[str, Any], *, strict: bool) -> Metadata:
    """Return the items of a `metadata` body.

    Raises:
        ValidationError: the body or an item is bad.
    """
    items: Metadata = _METADATA[strict].load(body)["metadata"]
    return items


def load_meta(body: dict[str, Any], key: str, *, strict: bool) -> Metadata:
    """Return the one item of a `meta` body, whose key must be the path's.

    Raises:
        ValidationError: the body or the item is bad.
    """
    meta = body.get("meta")
    if isinstance(meta, dict):  # these two come before anything is said of the items
        if key not in meta:
            raise ValidationError("Request body and URI mismatch")
        if len(meta) > 1:
            raise ValidationError("Request body contains too many items")
    item: Metadata = _META[strict].load(body)["meta"]
    return item
