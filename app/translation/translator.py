"""The translation between Glance v2 and legacy Nova v2: pure, no I/O, no web framework.

Source: nova at 12.0.0, nova/api/openstack/compute/views/images.py and nova/image/glance.py;
the links' `alternate` form is that of 2014.2.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import orjson

from nova_image_shim.translation.times import to_nova_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nova_image_shim.adapters.image_port import Image

    Link = dict[str, str]
    NovaImage = dict[str, Any]

STATUS_TO_NOVA = {
    "active": ("ACTIVE", 100),
    "queued": ("SAVING", 25),
    "saving": ("SAVING", 50),
    "killed": ("ERROR", 0),
    "deleted": ("DELETED", 0),
    "pending_delete": ("DELETED", 0),
}
UNKNOWN = ("UNKNOWN", 0)

# What a legacy status word is asked for as: every Glance status that is displayed so.
STATUS_TO_GLANCE = {
    "active": "active",
    "saving": "in:queued,saving",
    "error": "killed",
    "deleted": "in:deleted,pending_delete",
    "unknown": "in:uploading,importing,deactivated",
}

# Glance's own attributes; all other keys of an image are metadata. Nova asks Glance's schema
# for this list on every request.
BASE_ATTRIBUTES = frozenset(
    """
    id name status visibility protected os_hidden checksum os_hash_algo os_hash_value owner size
    virtual_size container_format disk_format created_at updated_at tags direct_url min_ram
    min_disk self file stores schema locations
    """.split()
)

# Words that steer Glance's list: no custom property can be asked for by such a name.
GLANCE_CONTROL_WORDS = frozenset(
    """
    limit marker sort sort_key sort_dir member_status tag changes-since deleted deleted_at
    properties members
    """.split()
)

JSON_PROPERTIES = ("block_device_mapping", "mappings")
TRUE_WORDS = frozenset({"1", "t", "true", "on", "y", "yes"})
MAX_INTEGER = 2**31 - 1  # Glance's min_ram and min_disk columns hold no more


@dataclass(frozen=True, slots=True)
class Links:
    """What every link of one answer begins with, made once per request."""

    images: str
    images_bookmark: str
    images_alternate: str
    servers: str
    servers_bookmark: str

    @classmethod
    def under(
        cls,
        base: str,
        mount: str,
        project_id: str | None,
        glance: str,
        *,
        project_in_alternate: bool,
    ) -> Links:
        """Return the links of a project.

        Args:
            base: scheme, host and any path in front of the mount, no final slash.
            mount: `v2`, `v1.1` or `v2.1`, as the request has it.
            project_id: the project as in the request's path, None where it has none.
            glance: the image service's address, no version and no final slash.
            project_in_alternate: the form of 2014.2, which the seed document shows; later
                releases left the project out.
        """
        project = "" if project_id is None else "/" + quote(project_id, safe="")
        alternate = f"{glance}{project}" if project_in_alternate else glance
        return cls(
            images=f"{base}/{mount}{project}/images/",
            images_bookmark=f"{base}{project}/images/",
            images_alternate=f"{alternate}/images/",
            servers=f"{base}/{mount}{project}/servers/",
            servers_bookmark=f"{base}{project}/servers/",
        )

    def of_image(self, image_id: str) -> list[Link]:
        """Return the three links of an image."""
        return [
            {"rel": "self", "href": f"{self.images}{image_id}"},
            {"rel": "bookmark", "href": f"{self.images_bookmark}{image_id}"},
            {
                "rel": "alternate",
                "type": "application/vnd.openstack.image",
                "href": f"{self.images_alternate}{image_id}",
            },
        ]

    def of_server(self, server_id: object) -> list[Link]:
        """Return the two links of the server that a snapshot was made of."""
        return [
            {"rel": "self", "href": f"{self.servers}{server_id}"},
            {"rel": "bookmark", "href": f"{self.servers_bookmark}{server_id}"},
        ]


@dataclass(frozen=True, slots=True)
class Translator:
    """Glance images into legacy ones, for one answer.

    Args:
        links: what the links begin with.
        show_size: show `OS-EXT-IMG-SIZE:size`, as Nova's extension of that name.
        show_disk_config: show `OS-DCF:diskConfig`, likewise.
    """

    links: Links
    show_size: bool = True
    show_disk_config: bool = True

    def brief(self, image: Image) -> NovaImage:
        """Return the entry of `GET /images`: id, name and links."""
        image_id = image["id"]
        name, links = to_name(image.get("name")), self.links.of_image(image_id)
        return {"id": image_id, "name": name, "links": links}

    def full(self, image: Image) -> NovaImage:
        """Return the entry of `GET /images/detail` and `GET /images/{id}`.

        `server` and `OS-DCF:diskConfig` are present only where the image has the property that
        they come from and it is not null.
        """
        image_id = image["id"]
        metadata = to_metadata(image)
        status, progress = to_nova_status(image.get("status"))
        nova_image: NovaImage = {
            "id": image_id,
            "name": to_name(image.get("name")),
            "minRam": to_integer(image.get("min_ram")),
            "minDisk": to_integer(image.get("min_disk")),
            "metadata": metadata,
            "created": to_nova_time(image.get("created_at")),
            "updated": to_nova_time(image.get("updated_at")),
            "status": status,
            "progress": progress,
            "links": self.links.of_image(image_id),
        }
        if self.show_size:
            nova_image["OS-EXT-IMG-SIZE:size"] = to_integer(image.get("size"))
        if isinstance(server_id := metadata.get("instance_uuid"), str):
            nova_image["server"] = {
                "id": server_id,
                "links": self.links.of_server(server_id),
            }
        if self.show_disk_config and (config := metadata.get("auto_disk_config")) is not None:
            automatic = str(config).strip().lower() in TRUE_WORDS
            nova_image["OS-DCF:diskConfig"] = "AUTO" if automatic else "MANUAL"
        return nova_image


def to_name(value: object) -> str | None:
    """Return a name, None for what is no text."""
    return value if isinstance(value, str) else None


def to_nova_status(status: object) -> tuple[str, int]:
    """Return the legacy status word and the progress in percent."""
    return STATUS_TO_NOVA.get(status, UNKNOWN) if isinstance(status, str) else UNKNOWN


def to_integer(value: object) -> int:
    """Return a number that may be null, absent, or text; 0 for what is no number."""
    if isinstance(value, int):
        return int(value)
    try:
        return int(value) if isinstance(value, str | float) else 0
    except (ValueError, OverflowError):
        return 0


def to_metadata(image: Image) -> dict[str, Any]:
    """Return an image's custom properties, values unchanged, null included.

    `block_device_mapping` and `mappings` are shown decoded where they hold JSON text.
    """
    everything: Mapping[str, Any] = image
    metadata = {key: everything[key] for key in everything if key not in BASE_ATTRIBUTES}
    for key in JSON_PROPERTIES:
        if isinstance(text := metadata.get(key), str):
            metadata[key] = _decoded(text)
    return metadata


def _decoded(text: str) -> object:
    """Return what the JSON text says, or the text where that could not be shown.

    Anyone may store such a text: what nests deeper, or holds larger numbers, than an answer can
    carry must not fail the whole list, as it does in Nova.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        # The entry stands a few levels deep in the answer.
        orjson.dumps([[[[[[[[value]]]]]]]])
    except (ValueError, TypeError, RecursionError):
        return text
    return value


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(digits)
    return number


def _refuse_constant(word: str) -> object:
    raise ValueError(word)


class GlanceQuery(NamedTuple):
    """Legacy filters in Glance's terms.

    Args:
        params: Glance v2 query parameters.
        properties: equalities that Glance cannot be asked for; compared here, image by image.
        impossible: no image can match: the list is empty and Glance need not be asked.
    """

    params: dict[str, str]
    properties: dict[str, str]
    impossible: bool = False

    def matching(self, images: list[Image]) -> list[Image]:
        """Return the images that have the properties that Glance was not asked for."""
        if not self.properties:
            return images
        return [image for image in images if self._matches(image)]

    def _matches(self, image: Image) -> bool:
        custom: Mapping[str, object] = image
        return all(custom.get(name) == value for name, value in self.properties.items())


def to_glance_query(filters: Mapping[str, str]) -> GlanceQuery:
    """Return what Glance is asked for the legacy filters.

    Args:
        filters: checked values by legacy name (`name`, `status`, `type`, `server`,
            `changes-since`, `minRam`, `minDisk`, `property-NAME`), in the order in which a later
            name wins over an earlier one that feeds the same Glance parameter.
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
    """Add a filter on a custom property; False where no image can have one of that name."""
    if not name or name in BASE_ATTRIBUTES or name in GLANCE_CONTROL_WORDS:
        return False
    if name.endswith(("_min", "_max")):  # Glance would take them for bounds of a column
        query.properties[name] = value
    else:
        query.params[name] = server_id_of(value) if name == "instance_uuid" else value
    return True


def _literal(value: str) -> str:
    """Keep Glance from reading a colon in the value as the end of an operator."""
    return f"eq:{value}" if ":" in value else value


def _glance_status(value: str) -> str:
    word = value.lower()
    return STATUS_TO_GLANCE.get(word) or _literal(word)


def server_id_of(reference: str) -> str:
    """Return the id in a server's URL, its bookmark, its path, or the bare id."""
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
