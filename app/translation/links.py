"""Build the links of legacy images and servers."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

Link = dict[str, str]


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
    ) -> Links:
        """Return the links under a base URL.

        Args:
            base: scheme, host and any path before the version; without a trailing slash.
            mount: the version in the request's path: `v2`, `v1.1` or `v2.1`.
            project_id: the project in the request's path; None if the path has none.
            glance: the image service's URL without version and trailing slash.
            project_in_alternate: include the project in `alternate` links, as release 2014.2
                did; later releases did not.
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
        """Return the `self` and `bookmark` links of the server that an image is a snapshot of."""
        return [
            {"rel": "self", "href": f"{self.servers}{server_id}"},
            {"rel": "bookmark", "href": f"{self.servers_bookmark}{server_id}"},
        ]
