"""What a Glance without import methods, cache, metadata definitions and a second store answers.

Source: glance at 33.0.0, glance/api/v2/discovery.py, image_data.py, images.py, tasks.py and
cached_images.py.
"""

from functools import partial
from typing import Any, NamedTuple

from flask import Blueprint, Response
from webob import exc

from nova_image_shim.adapters.memory.policy import is_admin
from nova_image_shim.fakecloud.image import access
from nova_image_shim.fakecloud.image.bodies import load_body
from nova_image_shim.web.current import make_context
from nova_image_shim.web.responses import json_response

blueprint = Blueprint("unserved", __name__)


class _Answer(NamedTuple):
    """The answer to a call; `action` is one that only an admin may do."""

    method: str
    path: str
    content: str | dict[str, Any] | None  # the text of a 404, or the body of a 200
    action: str | None = None


_METHODS = {"description": "Import methods available.", "type": "array", "value": []}
_NO_STORES = "Multi backend is not supported at this site."
_NO_STAGING = "'glance-direct' method is not available at this site."
_NO_CACHE = "Caching via API is not supported at this site."
_ANSWERS = (
    _Answer("GET", "/info/import", {"import-methods": _METHODS}),
    _Answer("GET", "/info/stores", _NO_STORES),
    _Answer("GET", "/info/stores/detail", _NO_STORES, "stores_info_detail"),
    _Answer("GET", "/info/usage", {"usage": {}}),
    _Answer("PUT", "/images/<image_id>/stage", _NO_STAGING),
    _Answer("DELETE", "/stores/<store_id>/<image_id>", None),
    _Answer(
        "GET",
        "/tasks",
        {"tasks": [], "first": "/v2/tasks", "schema": "/v2/schemas/tasks"},
        "tasks_api_access",
    ),
    _Answer("POST", "/tasks", None, "tasks_api_access"),
    _Answer("GET", "/cache", _NO_CACHE, "manage_image_cache"),
    _Answer(
        "GET",
        "/metadefs/namespaces",
        {
            "namespaces": [],
            "first": "/v2/metadefs/namespaces",
            "schema": "/v2/schemas/metadefs/namespaces",
        },
    ),
)


def _answer(answer: _Answer, **_arguments: str) -> Response:
    if answer.action and not is_admin(make_context()):
        raise access.forbidden(answer.action)
    if isinstance(answer.content, dict):
        return json_response(answer.content)
    raise exc.HTTPNotFound(explanation=answer.content)


for _number, _each in enumerate(_ANSWERS):
    blueprint.add_url_rule(
        _each.path, f"unserved {_number}", partial(_answer, _each), methods=[_each.method]
    )


@blueprint.get("/images/<image_id>/tasks")
def list_tasks(image_id: str) -> Response:
    """List the tasks of an image: 200 `{"tasks": []}`, or 404."""
    access.require("get_image", access.find(image_id))
    return json_response({"tasks": []})


@blueprint.post("/images/<image_id>/import")
def import_image(image_id: str) -> Response:  # noqa: ARG001 - Glance reads the body first
    """Refuse an import: 400, since no method is enabled."""
    body = load_body()
    method = body.get("method") if isinstance(body, dict) else None
    if method is None:
        raise exc.HTTPBadRequest(explanation="Import request requires a 'method' field.")
    if not isinstance(method, dict) or "name" not in method:
        raise exc.HTTPBadRequest(explanation="Import request requires a 'name' field.")
    raise exc.HTTPBadRequest(explanation=f"Unknown import method name '{method['name']}'.")
