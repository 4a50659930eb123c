"""Read and check the bodies of requests; the schemas also describe images to clients.

Source: glance at 33.0.0, glance/common/wsgi.py, JSONRequestDeserializer.
"""

import json
from typing import Any

from flask import request
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from nova_image_shim.fakecloud.document import load_data
from nova_image_shim.fakecloud.image.access import bad_request

SCHEMAS: dict[str, dict[str, Any]] = load_data(__package__, "schemas.yaml")
IMAGE = SCHEMAS["image"]
MEMBER_STATUSES = SCHEMAS["member"]["properties"]["status"]["enum"]

# What Glance shows of every image.
PROPERTIES: dict[str, Any] = {
    name: found
    for name, found in IMAGE["properties"].items()
    if name not in {"direct_url", "stores", "locations"}
}

_VALIDATOR = Draft202012Validator(IMAGE)
_CODINGS = {"chunked", "compress", "deflate", "gzip", "identity"}


def has_body() -> bool:
    """Tell whether the request has a body."""
    is_coded = request.headers.get("Transfer-Encoding", "").lower() in _CODINGS
    return bool(request.content_length) or (is_coded and request.method in {"POST", "PUT", "PATCH"})


def load_body() -> Any:
    """Return the JSON object or list of the request's body, or raise a 400."""
    if not has_body():
        raise bad_request("Body expected in request.")
    try:
        body = json.loads(request.get_data().decode())
    except (ValueError, RecursionError) as error:
        raise bad_request("Malformed JSON in request body.") from error
    if not isinstance(body, dict | list):
        raise bad_request("Unexpected body type. Expected list/dict.")
    return body


def load_value(name: str, missing: str, form: str) -> Any:
    """Return the value of a name in the request's object, or raise a 400 with one of the texts."""
    body = load_body()
    if not isinstance(body, dict):
        raise bad_request(form)
    if name not in body:
        raise bad_request(missing)
    return body[name]


def require_valid(image: dict[str, Any]) -> None:
    """Refuse attributes that do not match the schema of an image, with jsonschema's text.

    Raises:
        HTTPBadRequest: with the first problem.
    """
    if error := best_match(_VALIDATOR.iter_errors(image)):
        text = f"Provided object does not match schema 'image': {error}"
        raise bad_request(text)
