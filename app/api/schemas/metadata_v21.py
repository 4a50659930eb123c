"""The bodies of metadata writes on `/v2.1`, validated by marshmallow as Nova 34 does it there.

Apart from `metadata_schemas`, since all is stricter and said otherwise: the messages are
jsonschema's, and of several mistakes that one is reported which jsonschema meets first: values,
then keys, then how many there are, then what stands beside them.
"""

from __future__ import annotations

import re
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields, validates_schema

from nova_image_shim.api.schemas import metadata as metadata_schemas
from nova_image_shim.api.schemas.metadata import Metadata, check_value, require_same_key

_KEY = r"^[a-zA-Z0-9-_:. ]{1,255}$"


class _Items(fields.Field[Metadata]):
    """Metadata items: keys of the pattern, values as `check_value` takes them."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Metadata:  # noqa: ARG002
        if not isinstance(value, dict):
            raise _invalid(attr, value, f"{value!r} is not of type 'object'")
        bad = sorted(key for key in value if not re.match(_KEY, key))
        for key, item in value.items():
            if key not in bad:
                check_value(key, item)
        if bad:
            verb = "does" if len(bad) == 1 else "do"
            named = ", ".join(map(repr, bad))
            raise _invalid(attr, value, f"{named} {verb} not match any of the regexes: {_KEY!r}")
        return value


class _Item(_Items):
    """Metadata items of which there is exactly one."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Metadata:
        items = super()._deserialize(value, attr, data, **kwargs)
        if not items:
            raise _invalid(attr, items, f"{items!r} should be non-empty")
        if len(items) > 1:
            raise _invalid(attr, items, f"{items!r} has too many properties")
        return items


def _invalid(attr: str, value: Any, problem: str) -> ValidationError:
    return ValidationError(f"Invalid input for field/attribute {attr}. Value: {value}. {problem}")


def _messages(name: str) -> dict[str, Any]:
    return {
        "required": f"{name!r} is a required property",
        "null": str(_invalid(name, None, "None is not of type 'object'").messages[0]),
    }


class _Body(Schema):
    class Meta:
        """marshmallow's options."""

        unknown = INCLUDE  # its own message for these is another one

    @validates_schema(pass_original=True, skip_on_field_errors=True)
    def refuse_other_keys(self, _data: Any, original: Any, **_kwargs: Any) -> None:
        """Let nothing stand beside the items."""
        if extra := sorted(key for key in original if key not in self.fields):
            verb = "was" if len(extra) == 1 else "were"
            raise ValidationError(
                f"Additional properties are not allowed ({', '.join(map(repr, extra))} "
                f"{verb} unexpected)"
            )


class MetadataSchema(_Body):
    """`{"metadata": {KEY: value, …}}`, of POST and PUT of all metadata."""

    metadata = _Items(required=True, error_messages=_messages("metadata"))


class MetaSchema(_Body):
    """`{"meta": {KEY: value}}`, of PUT of one key."""

    meta = _Item(required=True, error_messages=_messages("meta"))


_METADATA, _META = MetadataSchema(), MetaSchema()


def parse_body(data: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is; no body is null.

    Raises:
        ValidationError: it is none, or holds text that is no Unicode.
    """
    return metadata_schemas.parse_body(data or b"null")


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
    item: Metadata = _META.load(body)["meta"]
    require_same_key(item, key)
    return item
