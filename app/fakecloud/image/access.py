"""Which image a call is about, and whether Glance's policy allows it.

Refusals are webob's errors, as Glance's are, so that their bodies are the same.

Source: glance at 33.0.0, glance/api/v2/policy.py.
"""

from typing import Any, cast

from webob import exc

from nova_image_shim.adapters.image_port import Image
from nova_image_shim.adapters.memory import policy
from nova_image_shim.adapters.memory.store import ImageStore, StoredImage
from nova_image_shim.fakecloud.cloud import current_cloud
from nova_image_shim.web.current import make_context

MISSING = "No image found with ID {}"
NOT_FOUND = "Image {} not found."


def store() -> ImageStore:
    """Return the store of the running application's cloud."""
    return current_cloud().image_service.store


def find(image_id: str, missing: str = MISSING) -> StoredImage:
    """Return an image that the caller may see.

    Raises:
        HTTPNotFound: with the given text.
    """
    stored = store().images.get(image_id)
    if stored is None or not policy.is_visible(make_context(), stored):
        raise exc.HTTPNotFound(explanation=missing.format(image_id))
    return stored


def require(action: str, stored: StoredImage) -> None:
    """Refuse an action on a visible image that the policy forbids.

    Raises:
        HTTPForbidden: the caller may only see the image.
        HTTPNotFound: the caller has no role that lets it see images.
    """
    context = make_context()
    if not policy.may(context, "get_image", stored):
        raise exc.HTTPNotFound
    if not policy.may(context, action, stored):
        raise forbidden(action)


def require_listing() -> None:
    """Refuse a list to a caller without a role that may read."""
    if not policy.has_role(make_context(), "reader"):
        raise forbidden("get_images")


def require_creation(image: dict[str, Any]) -> None:
    """Refuse a new image, with the attributes that were given, that the policy forbids.

    Raises:
        HTTPForbidden: the caller is no member, or may not give it that owner or visibility.
    """
    context = make_context()
    proposed = StoredImage(cast("Image", {"owner": context.project_id, **image}), {})
    if not policy.may(context, "add_image", proposed):
        if not policy.is_owner(context, proposed):
            owner = proposed.image["owner"]
            raise exc.HTTPForbidden(f"You are not permitted to create images owned by '{owner}'")
        raise forbidden("add_image")
    require_visibility(image.get("visibility"), proposed)


def require_visibility(visibility: Any, stored: StoredImage) -> None:
    """Refuse a visibility that the caller may not give an image."""
    action = {"public": "publicize_image", "community": "communitize_image"}.get(visibility)
    if action and not policy.may(make_context(), action, stored):
        raise forbidden(action)


def forbidden(action: str) -> exc.HTTPForbidden:
    """Return the refusal of an action."""
    text = f"You are not authorized to complete {action} action."
    return exc.HTTPForbidden(explanation=text)
