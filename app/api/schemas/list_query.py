"""The query string of the two image lists, with the error messages of Nova 12.0.0."""

import re
from typing import Any
from urllib.parse import parse_qsl

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load

from nova_image_shim.lists.query import ListQuery, Pairs
from nova_image_shim.translation.filters import FILTERS
from nova_image_shim.translation.times import parse_time, restore_plus

_MAX_PROPERTY_FILTERS = 50  # Glance joins a table for each
_INTEGER = re.compile(r"\s*([+-]?[0-9]+)\s*", re.ASCII)


class LegacyInteger(fields.Field[int]):
    """A number of 0 or more, as Python's `int()` reads it: whitespace and a sign are allowed."""

    default_error_messages = {  # noqa: RUF012 - as marshmallow has it
        "invalid": "Invalid input received: {name} must be an integer",
        "negative": "Invalid input received: {name} must be >= 0",
    }

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int:  # noqa: ARG002
        match = _INTEGER.fullmatch(value)
        try:
            number = int(match[1] if match else "")
        except ValueError as error:  # also raised for more digits than Python converts
            raise self.make_error("invalid", name=attr) from error
        if number < 0:
            raise self.make_error("negative", name=attr)
        return number


class ChangesSince(fields.Field[str]):
    """A time in any form that Glance's parser accepts, passed on unchanged."""

    default_error_messages = {"invalid": "Unrecognized changes-since value"}  # noqa: RUF012 - as marshmallow has it

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:  # noqa: ARG002
        text = restore_plus(value)
        try:
            parse_time(text)
        except ValueError as error:
            raise self.make_error("invalid") from error
        return text


class ListQuerySchema(Schema):
    """The query of `GET /images` and `GET /images/detail`; unknown names are ignored.

    The fields are in the order in which Nova checks them, since only the first error is reported.
    """

    limit = LegacyInteger()
    page_size = LegacyInteger()
    marker = fields.String()
    min_ram = LegacyInteger(data_key="minRam", attribute="minRam")
    min_disk = LegacyInteger(data_key="minDisk", attribute="minDisk")
    changes_since = ChangesSince(data_key="changes-since", attribute="changes-since")
    name = fields.String()
    status = fields.String()
    type = fields.String()
    server = fields.String()
    properties = fields.Raw(dump_only=True)  # all `property-NAME`, which have no rules

    @post_load(pass_original=True)
    def to_list_query(
        self, data: dict[str, Any], values: dict[str, str], **_kwargs: Any
    ) -> ListQuery:
        """Put the checked filters back into the order of the request."""
        return ListQuery(
            filters={
                name: str(data.get(name, value))
                for name, value in values.items()
                if name in FILTERS or name.startswith("property-")
            },
            limit=data.get("limit") or None,
            page_size=data.get("page_size") or None,
            marker=data.get("marker") or None,
        )


_LIST_QUERY = ListQuerySchema(unknown=EXCLUDE)


def parse_query(query_string: str) -> Pairs:
    """Return the pairs of a WSGI query string, or raise ValidationError if it is not UTF-8."""
    try:
        text = query_string.encode("latin-1").decode().replace(";", "&")  # both separate pairs
        return parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise ValidationError("Query string is not UTF-8 encoded") from error


def load_list_query(pairs: Pairs) -> ListQuery:
    """Return the checked query, or raise ValidationError; a name's last value counts."""
    values: dict[str, str] = {}
    for name, value in pairs:
        values.pop(name, None)  # so that the name has the position of its last value
        values[name] = value
    query: ListQuery = _LIST_QUERY.load(values)
    if sum(name.startswith("property-") for name in values) > _MAX_PROPERTY_FILTERS:
        raise ValidationError("Too many property filters")
    return query
