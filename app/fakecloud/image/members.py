"""The embedded image API's members: the projects with which an image is shared.

Source: glance at 33.0.0, glance/api/v2/image_members.py and glance/db/__init__.py,
ImageMemberRepo.
"""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response
from webob import exc

from nova_image_shim.adapters.memory.policy import is_admin, is_owner
from nova_image_shim.adapters.memory.store import Member, StoredImage
from nova_image_shim.fakecloud.cloud import current_cloud
from nova_image_shim.fakecloud.image import access
from nova_image_shim.fakecloud.image.bodies import load_text
from nova_image_shim.fakecloud.image.changes import require_quota
from nova_image_shim.fakecloud.image.schema import MEMBER_STATUSES
from nova_image_shim.web.current import make_context
from nova_image_shim.web.responses import json_response

blueprint = Blueprint("members", __name__)

_NOT_SHARED = "Only shared images have members."
_NOT_ALLOWED = "Not allowed to {} members for image {}"


@blueprint.get("/images/<image_id>/members")
def list_members(image_id: str) -> Response:
    """List the members: 200 `{"members": [...], "schema"}`; a member sees only itself."""
    stored = access.find(image_id, access.NOT_FOUND)
    _require_shared(stored, f"{_NOT_ALLOWED.format('list', image_id)}: {_NOT_SHARED}")
    access.require("get_members", stored)
    members = [_shown(image_id, *item) for item in _visible(stored).items()]
    return json_response({"members": members, "schema": "/v2/schemas/members"})


@blueprint.post("/images/<image_id>/members")
def add_member(image_id: str) -> Response:
    """Share an image with a project, which has to accept it: 200, the member.

    Errors: 400, 403 for an image that is not shared, 404, 409 for a member, 413 for the 129th.
    """
    example = 'Expected a member in the form: {"member": "image_id"}'
    project_id = load_text("member", "Member to be added not specified", example)
    if not project_id:
        raise exc.HTTPBadRequest(explanation="Member can't be empty")
    if not isinstance(project_id, str):
        raise exc.HTTPBadRequest(explanation=example)
    stored = access.find(image_id, access.NOT_FOUND)
    _require_shared(stored, f"{_NOT_ALLOWED.format('create', image_id)}.")
    access.require("add_member", stored)
    now = current_cloud().now()

    def add(members: dict[str, Member]) -> None:
        text = f"Image member limit exceeded for image {image_id}: {{}}:"
        require_quota("members for this image", len(members) + 1, text)
        if project_id in members:
            text = f"Member {project_id} is duplicated for image {image_id}"
            raise exc.HTTPConflict(explanation=text)
        members[project_id] = Member("pending", now, now)

    return _change(image_id, add, project_id)


@blueprint.get("/images/<image_id>/members/<member_id>")
def show_member(image_id: str, member_id: str) -> Response:
    """Show a member: 200, or 404."""
    stored = access.find(image_id, access.NOT_FOUND)
    if stored.image["visibility"] != "shared":
        raise exc.HTTPNotFound(explanation=_NOT_SHARED)
    return json_response(_shown(image_id, member_id, _find(stored, member_id)))


@blueprint.put("/images/<image_id>/members/<member_id>")
def update_member(image_id: str, member_id: str) -> Response:
    """Accept or reject an image, or leave it pending: 200, the member.

    Errors: 400 for another status, 403 for anyone but the member, 404.
    """
    example = 'Expected a status in the form: {"status": "status"}'
    status = load_text("status", "Status not specified", example)
    stored = access.find(image_id, access.NOT_FOUND)
    _require_shared(stored, f"{_NOT_ALLOWED.format('update', image_id)}.")
    member = _find(stored, member_id)
    access.require("modify_member", stored)
    if status not in MEMBER_STATUSES:
        text = 'Status must be "pending", "accepted" or "rejected".'
        raise exc.HTTPBadRequest(explanation=f"Incorrect request: {text}")
    changed = member._replace(status=status, updated_at=current_cloud().now())
    return _change(image_id, lambda members: members.update({member_id: changed}), member_id)


@blueprint.delete("/images/<image_id>/members/<member_id>")
def delete_member(image_id: str, member_id: str) -> Response:
    """Stop sharing an image with a project: 204, 403 or 404."""
    stored = access.find(image_id, access.NOT_FOUND)
    _require_shared(stored, f"{_NOT_ALLOWED.format('delete', image_id)}.")
    _find(stored, member_id)
    access.require("delete_member", stored)
    _change(image_id, lambda members: members.pop(member_id, None))
    return Response(status=204)


def _require_shared(stored: StoredImage, text: str) -> None:
    if stored.image["visibility"] != "shared":
        raise exc.HTTPForbidden(explanation=text)


def _visible(stored: StoredImage) -> Mapping[str, Member]:
    """Return the members that the caller may see: all of its own image, else itself."""
    context, members = make_context(), stored.members
    if is_admin(context) or is_owner(context, stored):
        return members
    own = context.project_id
    return {own: members[own]} if own in members else {}


def _find(stored: StoredImage, member_id: str) -> Member:
    access.require("get_member", stored)
    if (member := _visible(stored).get(member_id)) is None:
        text = f"{member_id} not found in the member list of the image {stored.image['id']}."
        raise exc.HTTPNotFound(explanation=text)
    return member


def _change(
    image_id: str, change: Callable[[dict[str, Member]], object], shown: str = ""
) -> Response:
    """Change the members in one step, and show one of them."""

    def apply(stored: StoredImage) -> StoredImage:
        members = dict(stored.members)
        change(members)
        return stored._replace(members=members)

    members = access.store().change(image_id, apply).members
    return json_response(_shown(image_id, shown, members[shown]) if shown else None)


def _shown(image_id: str, member_id: str, member: Member) -> dict[str, Any]:
    return {
        "member_id": member_id,
        "image_id": image_id,
        **member._asdict(),
        "schema": "/v2/schemas/member",
    }
