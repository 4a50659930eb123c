"""What a seed file may hold: images, projects and users, as marshmallow schemas."""

from collections.abc import Collection, Mapping
from typing import Any

import iso8601
from marshmallow import (
    EXCLUDE,
    Schema,
    ValidationError,
    fields,
    post_load,
    validates,
    validates_schema,
)
from marshmallow.validate import Length, OneOf, Range, Regexp

STATUSES = """
    queued saving active killed deleted uploading importing pending_delete deactivated
""".split()
VISIBILITIES = ["public", "private", "shared", "community"]
_IMAGE_ID = Regexp(
    r"[A-Za-z0-9_][A-Za-z0-9._~-]{0,254}\Z",
    error="Must be 1 to 255 letters, digits or ._~- and begin with a letter, a digit or _.",
)
# An id is part of a path, a name of a login; neither needs more than Keystone's own length.
_ID = Regexp(
    r"[A-Za-z0-9_][A-Za-z0-9._~-]{0,63}\Z",
    error="Must be 1 to 64 letters, digits or ._~- and begin with a letter, a digit or _.",
)
_NAME = Length(1, 255)
_SECRET = Length(1, 4096)


class _Flag(fields.Boolean):
    """`true` or `false`; neither text nor a number."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> bool:  # noqa: ARG002
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


def _require_time(text: str) -> None:
    try:
        iso8601.parse_date(text).astimezone(iso8601.UTC)
    except (iso8601.ParseError, OverflowError) as error:
        raise ValidationError("Not a valid ISO 8601 time.") from error


def _text() -> fields.String:
    return fields.String(allow_none=True, validate=Length(max=255))


def _count(most: int) -> fields.Integer:
    return fields.Integer(strict=True, allow_none=True, validate=Range(0, most))


class ImageSchema(Schema):
    """A Glance v2 image; every other key is a custom property, text or null."""

    class Meta:
        """Properties are checked below, since their names are not known."""

        unknown = EXCLUDE

    id = fields.String(required=True, validate=_IMAGE_ID)
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
                raise ValidationError("The name of a property must be a string.", str(name))
            if name not in self.fields and not isinstance(value, str | None):
                raise ValidationError("Not a valid string.", name)


class ProjectSchema(Schema):
    """A project; its id is its name unless it has another."""

    name = fields.String(required=True, validate=_NAME)
    id = fields.String(validate=_ID)

    @post_load
    def fill(self, project: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Add the id."""
        return {"id": project["name"], **project}


class UserSchema(Schema):
    """A user; its id and password are its name, and its API key its password, unless set.

    Args:
        project_ids: the projects in which it may have roles.
    """

    name = fields.String(required=True, validate=_NAME)
    id = fields.String(validate=_ID)
    password = fields.String(validate=_SECRET)
    api_key = fields.String(validate=_SECRET)
    roles = fields.Dict(
        keys=fields.String(), values=fields.List(fields.String(validate=_NAME)), load_default=dict
    )

    def __init__(self, project_ids: Collection[str]) -> None:
        super().__init__()
        self._project_ids = project_ids

    @validates("roles")
    def require_known_projects(self, roles: dict[str, list[str]], data_key: str) -> None:  # noqa: ARG002
        """Refuse roles in a project that does not exist."""
        for project_id in roles:
            if project_id not in self._project_ids:
                raise ValidationError({project_id: ["There is no project with this id."]})

    @post_load
    def fill(self, user: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Add what was left out."""
        password = user.get("password", user["name"])
        roles = {project_id: tuple(names) for project_id, names in user["roles"].items()}
        usual = {"id": user["name"], "password": password, "api_key": password}
        return {**usual, **user, "roles": roles}


class SeedSchema(Schema):
    """The top level of a seed file; each item is checked by a schema of its own."""

    images = fields.List(fields.Raw(allow_none=True))
    projects = fields.List(fields.Raw(allow_none=True))
    users = fields.List(fields.Raw(allow_none=True))
    token_seconds = fields.Integer(strict=True, validate=Range(1, 10 * 365 * 86400))
    first = fields.Raw(allow_none=True)  # this and the next two are in a response of Glance
    next = fields.Raw(allow_none=True)
    schema = fields.Raw(allow_none=True)
