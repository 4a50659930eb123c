"""Build the links of legacy images and servers."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

Link = dict[str, str]
_IMAGE_TYPE = "application/vnd.openstack.image"


@dataclass(frozen=True, slots=True)
class Links:
    """The prefixes of all links in one response, computed once per request."""

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
    ) -> Self:
        """Return the links under a base URL; neither URL ends in a slash or a version.

        `mount` and `project_id` are those in the request's path. `project_in_alternate` puts the
        project into `alternate` links, as release 2014.2 did; later releases did not.
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
        """Return an image's `self`, `bookmark` and `alternate` links."""
        alternate = f"{self.images_alternate}{image_id}"
        return [
            {"rel": "self", "href": f"{self.images}{image_id}"},
            {"rel": "bookmark", "href": f"{self.images_bookmark}{image_id}"},
            {"rel": "alternate", "type": _IMAGE_TYPE, "href": alternate},
        ]

    def of_server(self, server_id: object) -> list[Link]:
        """Return the `self` and `bookmark` links of the server that an image is a snapshot of."""
        return [
            {"rel": "self", "href": f"{self.servers}{server_id}"},
            {"rel": "bookmark", "href": f"{self.servers_bookmark}{server_id}"},
        ]
