"""The images of a seed file: what one may hold, and what Glance adds to it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validates_schema
from marshmallow.validate import Length, OneOf, Range, Regexp

from nova_image_shim.fakecloud.document import Text, load_items
from nova_image_shim.translation.times import parse_time, to_nova_time

STATUSES = """
    queued saving active killed deleted uploading importing pending_delete deactivated
""".split()
VISIBILITIES = ["public", "private", "shared", "community"]
_IMAGE_ID = Regexp(
    r"[A-Za-z0-9_][A-Za-z0-9._~-]{0,254}\Z",
    error="Must be 1 to 255 letters, digits or ._~- and begin with a letter, a digit or _.",
)
_text = partial(Text, allow_none=True, validate=Length(max=255))
_EARLIEST = "1970-01-01T00:00:00Z"


class _Flag(fields.Boolean):
    """`true` or `false`; neither text nor a number."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> bool:  # noqa: ARG002
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


def _require_time(text: str) -> None:
    try:
        parse_time(text)
    except ValueError as error:
        raise ValidationError("Not a valid ISO 8601 time.") from error


def _count(most: int) -> fields.Integer:
    return fields.Integer(strict=True, allow_none=True, validate=Range(0, most))


class ImageSchema(Schema):
    """A Glance v2 image; every other key is a custom property, text or null."""

    class Meta:
        """Properties are checked below, since their names are not known."""

        unknown = EXCLUDE

    id = Text(required=True, validate=_IMAGE_ID)
    name = _text()
    status = fields.String(validate=OneOf(STATUSES))
    visibility = fields.String(validate=OneOf(VISIBILITIES))
    protected = _Flag()
    os_hidden = _Flag()
    owner = _text()
    size = _count(2**63 - 1)
    virtual_size = _count(2**63 - 1)
    min_ram = _count(2**31 - 1)
    min_disk = _count(2**31 - 1)
    created_at = fields.String(allow_none=True, validate=_require_time)
    updated_at = fields.String(allow_none=True, validate=_require_time)
    tags = fields.List(fields.String())
    locations = fields.List(fields.Raw(allow_none=True))
    members = fields.Dict(
        keys=fields.String(),
        values=fields.String(validate=OneOf(["pending", "accepted", "rejected"])),
    )

    @validates_schema(pass_original=True)
    def check_properties(
        self, _data: dict[str, Any], image: Mapping[Any, Any], **_kwargs: Any
    ) -> None:
        """Refuse a property whose name or value is not text."""
        for name, value in image.items():
            if not isinstance(name, str):
                raise ValidationError({name: ["The name of a property must be a string."]})
            if name not in self.fields and not isinstance(value, str | None):
                raise ValidationError("Not a valid string.", name)


_IMAGE = ImageSchema()


def complete_images(images: list[Any]) -> list[dict[str, Any]]:
    """Check images and complete them.

    Raises:
        ImageFileError: an image is invalid or repeats an id.
    """
    load_items("image", images, _IMAGE, unique=("id",))
    return [complete(image) for image in images]


def complete(image: dict[str, Any]) -> dict[str, Any]:
    """Return a checked image with every attribute that Glance always returns."""
    created = to_nova_time(image.get("created_at")) or _EARLIEST
    owned = {"visibility": "shared" if image.get("owner") else "public", "owner": None}
    usual = {"name": None, "status": "active", "protected": False, "os_hidden": False}
    sizes = {"size": None, "min_ram": 0, "min_disk": 0}
    times = {"created_at": created, "updated_at": to_nova_time(image.get("updated_at")) or created}
    return {**owned, **usual, **sizes, "tags": [], "members": {}, **image, **times}
