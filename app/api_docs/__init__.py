"""Serve the OpenAPI document, and Swagger UI at `/docs`, without a token.

The page of flask-swagger-ui is not used: our Content-Security-Policy blocks its inline script.

An application may have functions in its `extensions`: `docs_token` returns a token that the page
fills in, and `docs_examples` examples of parameters by name, such as `{"image_id": "..."}`.
"""

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from importlib import metadata, resources
from typing import Any

import yaml
from flask import (
    Blueprint,
    Response,
    current_app,
    render_template,
    request,
    send_from_directory,
)
from werkzeug.exceptions import NotFound

from nova_image_shim.translation.ascii_json import to_json
from nova_image_shim.web.current import settings
from nova_image_shim.web.responses import answer

blueprint = Blueprint("api_docs", __name__, template_folder="templates")

try:
    _SWAGGER_UI = resources.files("flask_swagger_ui") / "dist"
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "the embedded cloud and /docs need packages that are not installed: "
        "pip install 'nova-image-shim[fake]'"
    ) from error
_OURS = resources.files(__name__) / "static"
_ASSETS = {
    "api-docs.css": _OURS,
    "api-docs.js": _OURS,
    "favicon-32x32.png": _SWAGGER_UI,
    "swagger-ui-bundle.js": _SWAGGER_UI,
    "swagger-ui.css": _SWAGGER_UI,
}
# Load nothing from other hosts, run no inline scripts, and refuse to be framed.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@blueprint.get("/docs")
@blueprint.get("/docs/")
def index() -> Response:
    """Show Swagger UI: 200, HTML that loads everything from this service."""
    token = current_app.extensions.get("docs_token", str)()
    page = render_template("api-docs.html", token=token)
    return Response(page, headers=_HEADERS, content_type="text/html; charset=utf-8")


@blueprint.get("/docs/<asset>")
def show_asset(asset: str) -> Response:
    """Send one of the page's files: 200, 304 if it is unchanged, 404 if it does not exist."""
    if asset not in _ASSETS:
        raise NotFound
    response = send_from_directory(str(_ASSETS[asset]), asset, conditional=False)
    response.headers.update(_HEADERS)
    response.make_conditional(request)  # supports ETags, but not ranges
    return response


@blueprint.get("/openapi.json")
def show_document() -> Response:
    """Show the OpenAPI 3.1 document of the served API versions: 200."""
    examples = current_app.extensions.get("docs_examples", dict)()
    return answer(to_json(_with_examples(load_document(settings().mounts), examples)))


@cache
def load_document(mounts: tuple[str, ...]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of API versions such as `("v1.1", "v2", "v2.1")`.

    It has only the served versions, and none of the keys that only help to write the YAML.
    """
    text = (resources.files(__package__) / "openapi.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    served = {".", *(f"./{mount}" for mount in mounts)}
    document = {key: value for key, value in document.items() if not key.startswith("x-")}
    document["info"]["version"] = metadata.version("nova-image-shim")
    document["servers"] = _served(document["servers"], served)
    document["paths"] = {
        path: item
        for path, item in document["paths"].items()
        if "servers" not in item or _served(item["servers"], served)
    }
    document["components"]["parameters"]["mount"]["schema"]["enum"] = list(mounts)
    for item in document["paths"].values():
        _put_path_parameters_first(item)
    return document


def _put_path_parameters_first(item: dict[str, Any]) -> None:
    """Move a path's parameters into its operations: Swagger UI shows them last otherwise."""
    shared = item.pop("parameters", [])
    for method in item.keys() - {"servers"}:
        own = item[method].get("parameters", [])
        item[method] = item[method] | {"parameters": [*shared, *own]}


def _with_examples(document: dict[str, Any], examples: Mapping[str, str]) -> dict[str, Any]:
    document = deepcopy(document)
    for name, value in examples.items():
        document["components"]["parameters"][name]["example"] = value
    return document


def _served(servers: list[dict[str, str]], urls: set[str]) -> list[dict[str, str]]:
    return [server for server in servers if server["url"] in urls]
