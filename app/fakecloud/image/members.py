"""The members of the embedded image API's images: the projects that they are shared with.

Source: glance at 33.0.0, glance/api/v2/image_members.py.
"""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response
from webob import exc

from nova_image_shim.adapters.memory.policy import is_admin, is_owner
from nova_image_shim.adapters.memory.store import Member, StoredImage
from nova_image_shim.fakecloud.image import access
from nova_image_shim.web.current import make_context
from nova_image_shim.web.responses import json_response

blueprint = Blueprint("members", __name__)

_NOT_SHARED = "Only shared images have members."
_FORM = 'Expected a {} in the form: {{"{}": "{}"}}'
_LIMIT = "Image member limit exceeded for image {}: {{}}:"


@blueprint.get("/images/<image_id>/members")
def list_members(image_id: str) -> Response:
    """List the members: 200 `{"members": [...], "schema"}`; a member sees only itself."""
    stored = _find_shared(image_id, f"Not allowed to list members for image {{}}: {_NOT_SHARED}")
    access.require("get_members", stored)
    members = [_shown(stored, project_id) for project_id in _visible(stored)]
    return json_response({"members": members, "schema": "/v2/schemas/members"})


@blueprint.post("/images/<image_id>/members")
def add_member(image_id: str) -> Response:
    """Share an image with a project, which has to accept it: 200, the member.

    Errors: 400, 403 for an image that is not shared, 404, 409 for a member, 413 for the 129th.
    """
    form = _FORM.format("member", "member", "image_id")
    project_id = access.load_value("member", "Member to be added not specified", form)
    if not project_id:
        raise access.bad_request("Member can't be empty")
    if not isinstance(project_id, str):
        raise access.bad_request(form)
    access.require(
        "add_member", _find_shared(image_id, "Not allowed to create members for image {}.")
    )

    def added(stored: StoredImage, now: str) -> StoredImage:
        count = len(stored.members) + 1
        access.require_quota("members for this image", count, _LIMIT.format(image_id))
        if project_id in stored.members:
            text = f"Member {project_id} is duplicated for image {image_id}"
            raise exc.HTTPConflict(explanation=text)
        return _with_member(stored, project_id, Member("pending", now, now))

    return json_response(_shown(access.change(image_id, added), project_id))


@blueprint.get("/images/<image_id>/members/<member_id>")
def show_member(image_id: str, member_id: str) -> Response:
    """Show a member: 200, or 404."""
    stored = access.find(image_id, access.NOT_FOUND)
    if stored.image["visibility"] != "shared":
        raise exc.HTTPNotFound(explanation=_NOT_SHARED)
    _require_visible(stored, member_id)
    return json_response(_shown(stored, member_id))


@blueprint.put("/images/<image_id>/members/<member_id>")
def update_member(image_id: str, member_id: str) -> Response:
    """Accept or reject an image, or leave it pending: 200, the member.

    Errors: 400 for another status, 403 for anyone but the member, 404.
    """
    form = _FORM.format("status", "status", "status")
    status = access.load_value("status", "Status not specified", form)
    stored = _find_shared(image_id, "Not allowed to update members for image {}.")
    _require_visible(stored, member_id)
    access.require("modify_member", stored)
    if status not in access.MEMBER_STATUSES:
        text = 'Incorrect request: Status must be "pending", "accepted" or "rejected".'
        raise access.bad_request(text)

    def updated(stored: StoredImage, now: str) -> StoredImage:
        _require_visible(stored, member_id)
        member = stored.members[member_id]._replace(status=status, updated_at=now)
        return _with_member(stored, member_id, member)

    return json_response(_shown(access.change(image_id, updated), member_id))


@blueprint.delete("/images/<image_id>/members/<member_id>")
def delete_member(image_id: str, member_id: str) -> Response:
    """Stop sharing an image with a project: 204, 403 or 404."""
    stored = _find_shared(image_id, "Not allowed to delete members for image {}.")
    _require_visible(stored, member_id)
    access.require("delete_member", stored)
    access.change(image_id, lambda stored, now: _with_member(stored, member_id, None))  # noqa: ARG005
    return access.done(None)


def _find_shared(image_id: str, text: str) -> StoredImage:
    stored = access.find(image_id, access.NOT_FOUND)
    if stored.image["visibility"] != "shared":
        raise access.forbidden(text.format(image_id))
    return stored


def _visible(stored: StoredImage) -> Mapping[str, Member]:
    """Return the members that the caller may see: all of its own image, else itself."""
    context = make_context()
    if is_admin(context) or is_owner(context, stored):
        return stored.members
    return {own: stored.members[own] for own in {context.project_id} & stored.members.keys()}


def _require_visible(stored: StoredImage, member_id: str) -> None:
    access.require("get_member", stored)
    if member_id not in _visible(stored):
        text = f"{member_id} not found in the member list of the image {stored.image['id']}."
        raise exc.HTTPNotFound(explanation=text)


def _with_member(stored: StoredImage, project_id: str, member: Member | None) -> StoredImage:
    others = {key: found for key, found in stored.members.items() if key != project_id}
    return stored._replace(members=others | ({project_id: member} if member else {}))


def _shown(stored: StoredImage, project_id: str) -> dict[str, Any]:
    links = {"image_id": stored.image["id"], "schema": "/v2/schemas/member"}
    return {"member_id": project_id, **stored.members[project_id]._asdict(), **links}
