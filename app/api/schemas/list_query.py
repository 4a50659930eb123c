"""What comes in, validated by marshmallow: the query of the two image lists.

Messages are those of Nova 12.0.0, to the letter.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, pre_load

from nova_image_shim.lists.query import ListQuery, Pairs
from nova_image_shim.translation.filters import FILTERS
from nova_image_shim.translation.times import parse_time, restore_plus

PROPERTY_PREFIX = "property-"
_INTEGER = re.compile(r"\s*([+-]?[0-9]+)\s*", re.ASCII)


class LegacyInteger(fields.Field[int]):
    """A number as Python's `int()` reads it: blanks around and a sign are fine, 0 is allowed."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int:  # noqa: ARG002
        match = _INTEGER.fullmatch(value)
        try:
            number = int(match[1]) if match else None
        except ValueError:  # more digits than Python converts
            number = None
        if number is None:
            raise ValidationError(
                f"Invalid input received: {self.data_key or self.name} must be an integer"
            )
        if number < 0:
            raise ValidationError(
                f"Invalid input received: {self.data_key or self.name} must be >= 0"
            )
        return number


class ChangesSince(fields.Field[str]):
    """A time in any form that Glance's own parser takes, passed on as it came."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:  # noqa: ARG002
        text = restore_plus(value)
        try:
            parse_time(text)
        except ValueError as error:
            raise ValidationError("Unrecognized changes-since value") from error
        return text


class ListQuerySchema(Schema):
    """The query of `GET /images` and `GET /images/detail`; unknown names are ignored.

    Fields stand in the order in which Nova checks them: the first mistake is the one reported.
    """

    class Meta:
        """marshmallow's options."""

        unknown = EXCLUDE

    limit = LegacyInteger()
    page_size = LegacyInteger()
    marker = fields.String()
    min_ram = LegacyInteger(data_key="minRam")
    min_disk = LegacyInteger(data_key="minDisk")
    changes_since = ChangesSince(data_key="changes-since")
    name = fields.String()
    status = fields.String()
    type = fields.String()
    server = fields.String()
    properties = fields.Dict(keys=fields.String(), values=fields.String())

    @pre_load
    def gather_properties(self, values: dict[str, str], **_kwargs: Any) -> dict[str, Any]:
        """Gather the `property-NAME`s, of which there may be any, under one key."""
        properties = {key: values[key] for key in values if key.startswith(PROPERTY_PREFIX)}
        return {**values, "properties": properties}

    @post_load(pass_original=True)
    def to_list_query(
        self, data: dict[str, Any], values: dict[str, str], **_kwargs: Any
    ) -> ListQuery:
        """Put the checked filters back into the order of the request."""
        checked = data | data["properties"]
        return ListQuery(
            filters={
                name: str(checked[_ATTRIBUTES.get(name, name)])
                for name in values
                if name in FILTERS or name.startswith(PROPERTY_PREFIX)
            },
            limit=data.get("limit") or None,
            page_size=data.get("page_size") or None,
            marker=data.get("marker") or None,
        )


_ATTRIBUTES = {"minRam": "min_ram", "minDisk": "min_disk", "changes-since": "changes_since"}
_LIST_QUERY = ListQuerySchema()


def parse_query(query_string: str) -> Pairs:
    """Return the pairs of a query string in their order, blanks kept, `;` separating like `&`.

    Args:
        query_string: as WSGI has it: bytes in the shape of Latin-1 text.

    Raises:
        ValidationError: it is not UTF-8.
    """
    try:
        text = query_string.encode("latin-1").decode()
        return parse_qsl(
            text.replace(";", "&"), keep_blank_values=True, errors="strict", max_num_fields=None
        )
    except UnicodeDecodeError as error:
        raise ValidationError("Query string is not UTF-8 encoded") from error


def load_list_query(pairs: Pairs) -> ListQuery:
    """Return the checked query; of a repeated name the last value counts, in its place.

    Raises:
        ValidationError: a value is bad; the first message is the one for the client.
    """
    values: dict[str, str] = {}
    for name, value in pairs:
        values.pop(name, None)
        values[name] = value
    query: ListQuery = _LIST_QUERY.load(values)
    return query


def first_message(error: ValidationError) -> str:
    """Return the message of the first field that is wrong, in the schema's order."""
    messages: Any = error.messages
    while isinstance(messages, dict):
        messages = next(iter(messages.values()))
    return str(messages[0])
