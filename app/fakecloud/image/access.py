"""What the calls share: the image, whether Glance's policy allows it, bodies and refusals.

Source: glance at 33.0.0, glance/api/v2/policy.py, and glance/common/wsgi.py,
JSONRequestDeserializer.
"""

import json
from collections.abc import Callable
from typing import Any, cast

from flask import Response, request
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from webob import exc

from nova_image_shim.adapters.image_port import Image
from nova_image_shim.adapters.memory import policy
from nova_image_shim.adapters.memory.store import ImageStore, StoredImage
from nova_image_shim.fakecloud.cloud import current_cloud
from nova_image_shim.fakecloud.document import load_data
from nova_image_shim.web.current import make_context

# The schemas check requests, and describe images to clients.
SCHEMAS: dict[str, dict[str, Any]] = load_data(__package__, "schemas.yaml")
MEMBER_STATUSES = SCHEMAS["member"]["properties"]["status"]["enum"]

# What Glance shows of every image.
PROPERTIES: dict[str, Any] = {
    name: found
    for name, found in SCHEMAS["image"]["properties"].items()
    if name not in {"direct_url", "stores", "locations"}
}

_VALIDATOR = Draft202012Validator(SCHEMAS["image"])
_CODINGS = {"chunked", "compress", "deflate", "gzip", "identity"}

NOT_FOUND = "Image {} not found."

_QUOTA = 128  # of properties, of tags and of members


def bad_request(text: str) -> exc.HTTPBadRequest:
    """Return the refusal of an invalid request."""
    return exc.HTTPBadRequest(explanation=text)


def forbidden(text: str) -> exc.HTTPForbidden:
    """Return the refusal of what nobody, or not this caller, may do."""
    return exc.HTTPForbidden(explanation=text)


def not_authorized(action: str) -> exc.HTTPForbidden:
    """Return the refusal of an action by the policy."""
    return forbidden(f"You are not authorized to complete {action} action.")


def done(content_type: str | None = "text/html; charset=UTF-8") -> Response:
    """Return a response without a body: 204, mostly with a type, as webob's."""
    response = Response(status=204)
    response.headers.remove("Content-Type")
    response.headers.update({"Content-Type": content_type} if content_type else {})
    return response


def store() -> ImageStore:
    """Return the store of the running application's cloud."""
    return current_cloud().image_service.store


def find(image_id: str, missing: str = "No image found with ID {}") -> StoredImage:
    """Return an image that the caller may see, or raise a 404 with the given text."""
    stored = store().images.get(image_id)
    if stored is None or not policy.is_visible(make_context(), stored):
        raise exc.HTTPNotFound(explanation=missing.format(image_id))
    return stored


def require(action: str, stored: StoredImage) -> None:
    """Refuse an action that the policy forbids: 403, or 404 to a caller who may see no image."""
    context = make_context()
    if not policy.may(context, "get_image", stored):
        raise exc.HTTPNotFound
    if not policy.may(context, action, stored):
        raise not_authorized(action)


def require_creation(image: dict[str, Any]) -> None:
    """Refuse a new image, with the attributes that were given, that the policy forbids: 403."""
    context = make_context()
    proposed = StoredImage(cast("Image", {"owner": context.project_id, **image}), {})
    if not policy.may(context, "add_image", proposed):
        owner = proposed.image["owner"]
        if owner == context.project_id:
            raise not_authorized("add_image")
        raise exc.HTTPForbidden(f"You are not permitted to create images owned by '{owner}'")
    require_visibility(image.get("visibility"), proposed)


def require_visibility(visibility: Any, stored: StoredImage) -> None:
    """Refuse a visibility that the caller may not give an image: 403."""
    action = {"public": "publicize_image", "community": "communitize_image"}.get(visibility)
    if action and not policy.may(make_context(), action, stored):
        raise not_authorized(action)


def require_quota(what: str, count: int, text: str = "{}") -> None:
    """Refuse more than 128 `tags`, `properties` or `members for this image`: 413."""
    if count > _QUOTA:
        reason = (
            f"The limit has been exceeded on the number of allowed image {what}. "
            f"Attempted: {count}, Maximum: {_QUOTA}"
        )
        raise exc.HTTPRequestEntityTooLarge(explanation=text.format(reason))


def change(image_id: str, changed: Callable[[StoredImage, str], StoredImage]) -> StoredImage:
    """Replace an image by what a function makes of it and the cloud's time, in one step."""
    now = current_cloud().now()
    return store().change(image_id, lambda stored: changed(stored, now))


def with_attributes(stored: StoredImage, now: str, **attributes: Any) -> StoredImage:
    """Return an image with changed attributes."""
    return stored._replace(image=cast("Image", {**stored.image, **attributes, "updated_at": now}))


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
