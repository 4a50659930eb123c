"""The views of the control plane."""

import codecs
from collections.abc import Callable
from functools import partial
from importlib import metadata
from typing import Any

import orjson
from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue
from marshmallow import Schema, fields
from marshmallow.validate import Range
from werkzeug.wsgi import wrap_file

from nova_image_shim.adapters.memory.data import ImageData
from nova_image_shim.fakecloud.cloud import current_cloud
from nova_image_shim.fakecloud.control.journal import MAX_REQUESTS
from nova_image_shim.fakecloud.control.rules import Number, load_object
from nova_image_shim.fakecloud.document import load_data
from nova_image_shim.fakecloud.image_file import STATUSES, VISIBILITIES
from nova_image_shim.fakecloud.welcome import first_commands, usual_login
from nova_image_shim.translation.ascii_json import JSON
from nova_image_shim.web.errors import HTTPError
from nova_image_shim.web.responses import json_response

NOTICE = (
    "This is a fake cloud for tests. Nothing here is secure: passwords are known to all, and "
    "whoever reaches this address can read and change everything."
)
_PAGE_IMAGES = 200
_IMAGE_CHOICES = {"status": STATUSES, "visibility": VISIBILITIES}
_PAGE_REQUESTS = 50

blueprint = Blueprint("control", __name__)

# Calls that only do what the cloud's method of this name does: 204, or its error.
_COMMANDS = {
    "reset": ("POST", "/reset"),
    "delete_image": ("DELETE", "/images/<image_id>"),
    "clear_requests": ("DELETE", "/requests"),
    "delete_rule": ("DELETE", "/rules/<int:number>"),
    "clear_rules": ("DELETE", "/rules"),
    "reset_clock": ("DELETE", "/clock"),
    "forget_tokens": ("DELETE", "/tokens"),
}
# Calls that only show something of the cloud: 200, or its error.
_QUERIES: dict[str, tuple[str, Callable[..., object]]] = {
    "list_images": ("/images", lambda cloud: {"images": cloud.images()}),
    "show_image": ("/images/<image_id>", lambda cloud, image_id: cloud.image(image_id)),
    "list_rules": ("/rules", lambda cloud: {"rules": cloud.rules()}),
    "show_rule": ("/rules/<int:number>", lambda cloud, number: cloud.rule(number)),
    "show_clock": (
        "/clock",
        lambda cloud: {"now": cloud.now(), "ahead_seconds": cloud.ahead_seconds},
    ),
    "show_tokens": ("/tokens", lambda cloud: {"token_seconds": cloud.token_seconds}),
}
_ADVANCE = Number(required=True, validate=Range(0, 10**12))
_SECONDS = fields.Integer(strict=True, required=True, validate=Range(1, 10**9))
_CLOCK = Schema.from_dict({"advance_seconds": _ADVANCE})()
_TOKENS = Schema.from_dict({"token_seconds": _SECONDS})()


def _run(name: str, **arguments: Any) -> ResponseReturnValue:
    getattr(current_cloud(), name)(*arguments.values())
    return "", 204


def _show(name: str, **arguments: Any) -> ResponseReturnValue:
    return json_response(_QUERIES[name][1](current_cloud(), *arguments.values()))


for _name, (_method, _path) in _COMMANDS.items():
    blueprint.add_url_rule(_path, _name, partial(_run, _name), methods=[_method])
for _name, (_path, _) in _QUERIES.items():
    blueprint.add_url_rule(_path, _name, partial(_show, _name))


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """Describe the control plane: 200, a page for a browser, or JSON `{"notice", "links"}`."""
    if request.accept_mimetypes.best_match([JSON, "text/html"]) == "text/html":
        return _page()
    names = ("images", "requests", "rules", "clock", "tokens", "reset", "openapi.json")
    root = request.script_root
    return json_response({"notice": NOTICE, "links": {name: f"{root}/{name}" for name in names}})


@blueprint.get("/openapi.json")
def show_document() -> ResponseReturnValue:
    """Show the OpenAPI 3.1 document of the control plane: 200."""
    return json_response(load_data(__package__, "openapi.yaml"))


@blueprint.put("/images")
def load_images() -> ResponseReturnValue:
    """Replace all images, by a list of images or by what `list_images` returns: 204."""
    body = _body()
    current_cloud().load_images(body.get("images") if isinstance(body, dict) else body)
    return "", 204


@blueprint.get("/images/<image_id>/data")
def show_data(image_id: str) -> ResponseReturnValue:
    """Return the data of an image: 200, nothing if it has none; or 404."""
    data = current_cloud().image_service.store.get(image_id).data or ImageData()
    file = wrap_file(request.environ, data.open())
    return Response(file, content_type="application/octet-stream")


@blueprint.patch("/images/<image_id>")
def change_image(image_id: str) -> ResponseReturnValue:
    """Change any attribute or property; null removes a property: 200, the image; or 404."""
    return json_response(current_cloud().change_image(image_id, _body()))


@blueprint.get("/login")
def show_login() -> ResponseReturnValue:
    """Return what a client needs to log in: 200 `{"token", "environ"}`; 404 without a user."""
    try:
        return json_response(usual_login(current_cloud(), _base()))
    except ValueError as error:
        raise HTTPError(404, str(error)) from error


@blueprint.get("/requests")
def list_requests() -> ResponseReturnValue:
    """List the recorded requests, oldest first: 200 `{"requests": [...]}`.

    `after=N` returns only later ones, `limit=N` only the newest of these.
    """
    after = _count("after", 0)
    return json_response(
        {"requests": current_cloud().requests(after, _count("limit", MAX_REQUESTS) or 1)}
    )


@blueprint.post("/images", endpoint="add_image")
@blueprint.post("/rules", endpoint="add_rule")
def add() -> ResponseReturnValue:
    """Add an image or a fault rule: 201, it with its `id`, `Location`; 409 if the id exists."""
    item = getattr(current_cloud(), str(request.endpoint).rpartition(".")[2])(_body())
    location = f"{request.script_root}{request.path}/{item['id']}"
    return json_response(item, 201, {"Location": location})


@blueprint.post("/clock")
def advance_clock() -> ResponseReturnValue:
    """Move the clock forward by `{"advance_seconds": N}`: 200, the clock."""
    current_cloud().advance_clock(load_object(_CLOCK, _body())["advance_seconds"])
    return _show("show_clock")


@blueprint.put("/tokens")
def change_tokens() -> ResponseReturnValue:
    """Set how long new tokens last, `{"token_seconds": N}`: 200, the same."""
    current_cloud().set_token_seconds(load_object(_TOKENS, _body())["token_seconds"])
    return _show("show_tokens")


def _page() -> str:
    images = current_cloud().images()
    return render_template(
        "control.html",
        notice=NOTICE,
        images=images[:_PAGE_IMAGES],
        image_count=len(images),
        image_choices=_IMAGE_CHOICES,
        requests=current_cloud().requests(limit=_PAGE_REQUESTS)[::-1],
        rules=current_cloud().rules(),
        clock=_QUERIES["show_clock"][1](current_cloud()),
        tokens=current_cloud().identity.fixed,
        commands="\n".join(first_commands(current_cloud().seed, _base())).strip(),
        version=metadata.version("nova-image-shim"),
        root=request.script_root,
    )


def _base() -> str:
    # `request.host` is empty for a name with an underscore, as containers have.
    root = request.script_root.removesuffix("/_fake")
    return f"{request.scheme}://{request.headers['Host']}{root}"


def _body() -> Any:
    """Return the JSON of the request's body.

    Raises:
        HTTPError: 400; it is not valid JSON.
    """
    try:
        return orjson.loads(request.get_data().removeprefix(codecs.BOM_UTF8))  # a file's
    except orjson.JSONDecodeError as error:
        raise HTTPError(400, f"the body is not valid JSON: {error}") from error


def _count(name: str, usual: int) -> int:
    """Return a whole number of the query.

    Raises:
        HTTPError: 400; it is not a whole number.
    """
    text = request.args.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise HTTPError(400, f"{name}: must be a whole number of at most 15 digits")
    return int(text)
