"""The schemas of the embedded image API, which check requests and describe images to clients."""

from importlib import resources
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from webob import exc

_FILE = resources.files(__package__).joinpath("schemas.yaml")
SCHEMAS: dict[str, dict[str, Any]] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
IMAGE = SCHEMAS["image"]
MEMBER_STATUSES = SCHEMAS["member"]["properties"]["status"]["enum"]

# What Glance shows of every image.
PROPERTIES: dict[str, Any] = {
    name: found
    for name, found in IMAGE["properties"].items()
    if name not in {"direct_url", "stores", "locations"}
}

_VALIDATOR = Draft202012Validator(IMAGE)


def require_valid(image: dict[str, Any]) -> None:
    """Refuse attributes that do not match the schema of an image, with jsonschema's text.

    Raises:
        HTTPBadRequest: with the first problem.
    """
    if error := best_match(_VALIDATOR.iter_errors(image)):
        text = f"Provided object does not match schema 'image': {error}"
        raise exc.HTTPBadRequest(explanation=text)
