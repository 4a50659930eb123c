"""Translate legacy filters into a Glance query.

Source: nova at 12.0.0, nova/api/openstack/compute/legacy_v2/images.py and nova/image/glance.py.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from nova_image_shim.adapters.image_port import Image
from nova_image_shim.translation.translator import BASE_ATTRIBUTES

# The Glance filter that finds every status which a legacy status word stands for.
STATUS_TO_GLANCE = {
    "active": "active",
    "saving": "in:queued,saving",
    "error": "killed",
    "deleted": "in:deleted,pending_delete",
    "unknown": "in:uploading,importing,deactivated",
}

# No image can have a custom property of one of these names.
IMPOSSIBLE_PROPERTIES = BASE_ATTRIBUTES | {"", "deleted", "deleted_at"}

# Custom properties that Glance stores and cannot filter by: a parameter of such a name controls
# the list, or is compared with an attribute of the database model and finds nothing.
# Source: glance at 33.0.0, glance/api/v2/images.py, RequestDeserializer, and dir(models.Image) of
# glance/db/sqlalchemy/models.py; `is_public` was there until release 13.
UNFILTERABLE_PROPERTIES = frozenset(
    """
    limit marker sort sort_key sort_dir member_status tag changes-since
    members properties metadata registry keys values items iteritems get update save delete to_dict
    is_public
    """.split()
)

MAX_INTEGER = 2**31 - 1  # Glance's min_ram and min_disk columns hold no more


class GlanceQuery(NamedTuple):
    """Glance v2 query parameters, and the custom properties that Glance cannot filter by."""

    params: dict[str, str]
    properties: dict[str, str]
    impossible: bool = False  # no image can match, so that Glance is not called

    def matching(self, images: list[Image]) -> list[Image]:
        """Return the images whose custom properties match."""
        return [image for image in images if self.properties.items() <= image.items()]


def to_glance_query(filters: Mapping[str, str]) -> GlanceQuery:
    """Translate validated values by legacy name, those in `FILTERS` and `property-NAME`.

    If two set the same Glance parameter, the later one wins.
    """
    query = GlanceQuery({}, {})
    for name, value in filters.items():
        if rule := FILTERS.get(name):
            parameter, convert = rule
            query.params[parameter] = convert(value)
        elif not _add_property(query, name.removeprefix("property-"), value):
            return query._replace(impossible=True)
    numbers = (query.params.get(name, "0") for name in ("min_ram", "min_disk"))
    return query._replace(impossible=any(int(number) > MAX_INTEGER for number in numbers))


def _add_property(query: GlanceQuery, name: str, value: str) -> bool:
    """Add a filter on a custom property; return False if no image can have that property."""
    if name in IMPOSSIBLE_PROPERTIES:
        return False
    if _is_filterable(name):
        query.params[name] = server_id_of(value) if name == "instance_uuid" else value
    else:
        query.properties[name] = value
    return True


def _is_filterable(name: str) -> bool:
    """Tell whether Glance compares a parameter of this name with the custom property."""
    is_bound = name.endswith(("_min", "_max"))  # of a column
    return not (is_bound or name.startswith("_") or name in UNFILTERABLE_PROPERTIES)


def _literal(value: str) -> str:
    """Keep Glance from parsing the text before a colon as an operator."""
    return f"eq:{value}" if ":" in value else value


def _glance_status(value: str) -> str:
    return STATUS_TO_GLANCE.get(value.lower()) or _literal(value.lower())


def server_id_of(reference: str) -> str:
    """Return the server id from a URL, a bookmark, a path or the bare id."""
    path = reference.partition("?")[0].partition("#")[0]
    return path.rstrip("/").rpartition("/")[2]


FILTERS: dict[str, tuple[str, Callable[[str], str]]] = {
    "name": ("name", _literal),
    "status": ("status", _glance_status),
    "type": ("image_type", str),
    "server": ("instance_uuid", server_id_of),
    "changes-since": ("updated_at", "gte:{}".format),
    "minRam": ("min_ram", str),
    "minDisk": ("min_disk", str),
}
