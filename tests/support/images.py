"""The images of seed files, for tests of what serves them."""

from pathlib import Path
from typing import Any

from nova_image_shim.fakecloud.seed import load_seed


def load_images(path: Path | None = None) -> list[dict[str, Any]]:
    """Return the images of a seed file, by default of the one in the package."""
    return [dict(image) for image in load_seed(path).images]
