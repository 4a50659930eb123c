"""What Nova 34 checks differently in the bodies of metadata writes on `/v2.1`.

The rules are stricter and the messages are jsonschema's. Of several errors the one reported is
the one that jsonschema finds first: values, keys, number of items, other keys in the body.
"""

import re
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, validates_schema
from marshmallow.validate import Length

from nova_image_shim.api.schemas.metadata import INVALID_INPUT, Items, MetadataRules, require_key

_KEY = r"^[a-zA-Z0-9-_:. ]{1,255}$"
_META = INVALID_INPUT.format(name="meta", value="{input}")
_ONE_ITEM = [
    Length(min=1, error=_META + "{input!r} should be non-empty"),
    Length(max=1, error=_META + "{input!r} has too many properties"),
]


class _StrictItems(Items):
    """Metadata items whose keys match a pattern and whose values are text."""

    default_error_messages = {  # noqa: RUF012 - as marshmallow has it
        "null": INVALID_INPUT + "{value!r} is not of type 'object'",
        "invalid": INVALID_INPUT + "{value!r} is not of type 'object'",
        "keys": INVALID_INPUT + "{keys} {verb} not match any of the regexes: {pattern!r}",
    }

    def check_items(self, items: dict[str, Any]) -> None:
        """Raise ValidationError for the first invalid value, or for all invalid keys."""
        bad = sorted(key for key in items if not re.match(_KEY, key))
        for key, value in items.items():
            if key not in bad:
                self.check_value(key, value)
        if bad:
            keys, verb = ", ".join(map(repr, bad)), "does" if len(bad) == 1 else "do"
            raise self.make_error("keys", value=items, keys=keys, verb=verb, pattern=_KEY)

    def is_text(self, value: Any) -> bool:
        """Tell whether a value is text."""
        return isinstance(value, str)


class _StrictBody(Schema):
    @validates_schema(pass_original=True, skip_on_field_errors=True)
    def refuse_other_keys(self, _data: Any, original: Any, **_kwargs: Any) -> None:
        """Raise jsonschema's message, which marshmallow's RAISE cannot give."""
        if extra := sorted(original.keys() - self.fields.keys()):
            keys, verb = ", ".join(map(repr, extra)), "was" if len(extra) == 1 else "were"
            problem = f"Additional properties are not allowed ({keys} {verb} unexpected)"
            raise ValidationError(problem)


class StrictMetadataRules(MetadataRules):
    """The checks of `/v2.1`."""

    metadata = _StrictBody.from_dict({"metadata": _StrictItems(required=True)})(unknown=INCLUDE)
    meta = _StrictBody.from_dict({"meta": _StrictItems(required=True, validate=_ONE_ITEM)})(
        unknown=INCLUDE
    )

    def parse_body(self, data: bytes) -> dict[str, Any]:
        """Return the JSON object in a body; an empty body counts as null."""
        return super().parse_body(data or b"null")

    def load_meta(self, body: dict[str, Any], key: str) -> dict[str, Any]:
        """Return the item of a `meta` body, which must have the key in the path."""
        item: dict[str, Any] = self.meta.load(body)["meta"]
        require_key(item, key)
        return item


RULES = StrictMetadataRules()
