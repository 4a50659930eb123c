"""Who may see and change an image: the default policy of Glance 33.

Source: glance at 33.0.0, glance/policies/base.py and image.py; for lists and visibility,
glance/db/sqlalchemy/api.py, _select_images_query, and glance/db/utils.py, is_image_visible.
"""

from collections.abc import Callable

from nova_image_shim.adapters.image_port import Context
from nova_image_shim.adapters.memory.store import StoredImage

_IMPLYING = {  # the roles that are or imply a role, in Keystone's bootstrap
    "reader": {"reader", "member", "manager", "admin"},
    "member": {"member", "manager", "admin"},
}
_GONE = {"deleted", "pending_delete"}
_UNLISTED = {*_GONE, "killed"}


def is_admin(context: Context) -> bool:
    """Tell whether the caller may see and change what others own."""
    return "admin" in context.roles


def has_role(context: Context, role: str) -> bool:
    """Tell whether the caller is a `reader` or a `member` of its project, or more than that."""
    return not context.roles.isdisjoint(_IMPLYING[role])


def is_owner(context: Context, stored: StoredImage) -> bool:
    """Tell whether the image belongs to the caller's project."""
    return stored.image["owner"] == context.project_id


def _is_invited(context: Context, stored: StoredImage) -> bool:
    """Tell whether the caller, who can see the image, is one of its members."""
    return stored.image["visibility"] == "shared" and not is_owner(context, stored)


# The role and the relation to a visible image that an action needs; others are a member's own.
_RULES: dict[str, tuple[str, Callable[[Context, StoredImage], bool]]] = {
    "get_image": ("reader", lambda _context, _stored: True),
    "download_image": ("member", lambda _context, _stored: True),
    "get_member": ("reader", lambda *found: is_owner(*found) or _is_invited(*found)),
    "get_members": ("reader", lambda *found: is_owner(*found) or _is_invited(*found)),
    "modify_member": ("member", _is_invited),
    "publicize_image": ("member", lambda _context, _stored: False),
    "delete_image_location": ("member", lambda _context, _stored: False),
}


def may(context: Context, action: str, stored: StoredImage) -> bool:
    """Tell whether Glance's policy lets the caller do something with an image that it can see."""
    role, relates = _RULES.get(action, ("member", is_owner))
    return is_admin(context) or (has_role(context, role) and relates(context, stored))


def is_visible(context: Context, stored: StoredImage) -> bool:
    """Tell whether the caller can get an image by its id."""
    image, members = stored.image, stored.members
    if image["status"] in _GONE:
        return False
    return (
        image["visibility"] in {"public", "community"}
        or is_owner(context, stored)
        or (image["visibility"] == "shared" and not image["owner"])
        or (image["visibility"] == "shared" and context.project_id in members)
        or is_admin(context)
    )


def is_listed(
    context: Context,
    stored: StoredImage,
    member_status: str = "accepted",
    *,
    community: bool = False,
) -> bool:
    """Tell whether an image is in the caller's list, hidden images included.

    Args:
        context: the caller.
        stored: the image.
        member_status: that of the images shared with the caller: `accepted`, `pending`, `rejected`
            or `all`. It does not limit an admin.
        community: others' community images are listed, too.
    """
    image = stored.image
    if image["status"] in _UNLISTED:
        return False
    if image["visibility"] == "public" or is_owner(context, stored):
        return True
    if image["visibility"] == "community":
        return community
    member = stored.members.get(context.project_id)
    is_shared = image["visibility"] == "shared" and member is not None
    return is_admin(context) or (is_shared and member_status in {member and member.status, "all"})
