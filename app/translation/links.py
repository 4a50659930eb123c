"""The links of legacy images and servers."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

Link = dict[str, str]


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
