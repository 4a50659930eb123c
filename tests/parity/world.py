"""Create the images that the requests use, in a real Glance.

Nova and this service share the images to read. Images to write are created in pairs from one
recipe, so that neither service sees the changes of the other.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
import yaml
from real.cloud import RealCloud

from nova_image_shim.compare.differences import ABSENT

from .exchange import fill

RECIPES = Path(__file__).parent / "images.yaml"
FIRST_CREATED = datetime(2024, 2, 1, 12, 0, 0, 1, tzinfo=UTC)

# Fields that always differ between two images of one recipe.
OWN = ("id", "self", "file", "created_at", "updated_at", "locations", "direct_url")


def load_recipes() -> dict[str, dict[str, dict[str, Any]]]:
    """Return the recipes: `read` and `write`, each by name."""
    recipes: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(RECIPES.read_text())
    return recipes


class World:
    """Creates images from recipes and shows their state afterwards."""

    def __init__(self, cloud: RealCloud) -> None:
        self.cloud = cloud
        self._recipes = load_recipes()

    def make_read_images(self) -> dict[str, str]:
        """Create the images to read, oldest first, and return ids by name."""
        ids = {}
        for number, (name, recipe) in enumerate(self._recipes["read"].items()):
            created = {"created_at": FIRST_CREATED + timedelta(hours=number)}
            ids[name] = self._make(name, created | (recipe or {}))
        return ids

    def make_pair(self, name: str) -> tuple[str, str]:
        """Create two images from one recipe and return their ids."""
        recipe = self._recipes["write"][name] or {}
        return self._make(name, recipe), self._make(name, recipe)

    def _make(self, name: str, recipe: dict[str, Any]) -> str:
        fields = {"name": name, **fill(recipe, {})}
        owner = fields.pop("owner", "demo")
        members = fields.pop("members", {})
        many = fields.pop("many", 0)
        fields |= {f"p{number:03d}": "v" for number in range(many)}
        (image_id,) = self.cloud.insert_images(owner, 1, prefix="", **fields)
        for project, status in members.items():
            self.cloud.share_image(owner, image_id, project, status)
        return image_id

    def held(self, image_id: str) -> dict[str, Any]:
        """Return an image's fields in Glance, as the administrator sees them."""
        try:
            image = self.cloud.get_image("admin", image_id)
        except requests.HTTPError:
            return {"glance": ABSENT}
        fields = {key: value for key, value in image.items() if key not in OWN}
        if image["visibility"] == "shared":
            fields["members"] = self.cloud.members("admin", image_id)
        return {"glance": fields}
