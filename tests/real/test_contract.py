"""Run the image store's contract with the Glance adapter and a real Glance."""

from typing import Any

import pytest
from support.contract import ImageServiceContract

from nova_image_shim.adapters.glance.service import GlanceImageService, GlanceOptions
from nova_image_shim.adapters.image_port import Context, ImageService

from .cloud import RealCloud


def create(cloud: RealCloud, image: dict[str, Any]) -> dict[str, Any]:
    """Create an image as the contract describes it, as its owner if Glance allows that."""
    fields = dict(image)
    owner, status = fields.pop("owner"), fields.pop("status", "active")
    if fields.get("visibility") == "public":  # only administrators may set it
        fields["owner"], owner = cloud.projects[owner], "admin"
    return cloud.create_image(
        owner,
        data=None if status == "queued" else b"x",
        deactivate=status == "deactivated",
        **fields,
    )


class TestRealGlance(ImageServiceContract):
    @pytest.fixture(autouse=True)
    def _cloud(self, cloud: RealCloud) -> None:
        self.cloud = cloud

    def stock(self, *images: dict[str, Any]) -> ImageService:
        self.cloud.purge_images()
        for image in images:
            create(self.cloud, image)
        return GlanceImageService(GlanceOptions(endpoint=self.cloud.glance_url))

    def context(self, project: str) -> Context:
        auth = self.cloud.session(project).auth
        request_id = "req-00000000-0000-4000-8000-000000000000"
        return Context(self.cloud.projects[project], request_id, auth=auth)
