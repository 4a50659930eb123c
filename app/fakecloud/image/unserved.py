"""The calls that a Glance without import methods, cache and a second store does not serve."""

from functools import partial
from importlib import resources
from typing import Any

import yaml
from flask import Blueprint, Response
from webob import exc

from nova_image_shim.adapters.memory.policy import is_admin
from nova_image_shim.fakecloud.image import access
from nova_image_shim.fakecloud.image.bodies import load_body
from nova_image_shim.web.current import make_context
from nova_image_shim.web.responses import json_response

blueprint = Blueprint("unserved", __name__)

_MISSING = exc.HTTPNotFound.explanation


def _answer(row: dict[str, Any], **arguments: str) -> Response:
    if "image_id" in arguments:
        access.find(arguments["image_id"], _MISSING)
    if "admin" in row and not is_admin(make_context()):
        raise access.not_authorized(row["admin"])
    if "body" in row:
        return json_response(row["body"])
    raise exc.HTTPNotFound(explanation=row.get("text", _MISSING).format(**arguments))


_FILE = resources.files(__package__).joinpath("unserved.yaml")
for _row in yaml.safe_load(_FILE.read_text(encoding="utf-8")):
    _method, _path = _row["call"].split()
    blueprint.add_url_rule(
        _path, _row["call"].replace(".", ""), partial(_answer, _row), methods=[_method]
    )


@blueprint.post("/images/<_id>/import")
def import_image(_id: str) -> Response:
    """Refuse an import: 400, since no method is enabled."""
    body: Any = load_body()
    for name in ("method", "name"):
        if not isinstance(body, dict) or name not in body:
            text = f"Import request requires a '{name}' field."
            raise exc.HTTPBadRequest(explanation=text)
        body = body[name]
    raise exc.HTTPBadRequest(explanation=f"Unknown import method name '{body}'.")
