"""The views of the control plane: what each call takes and gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from flask import Response, current_app, render_template, request
from werkzeug.exceptions import BadRequest

from nova_image_shim.fakecloud.control.journal import MOST_REQUESTS
from nova_image_shim.fakecloud.control.rules import Number, StrictSchema
from nova_image_shim.translation.ascii_json import JSON, to_json

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from nova_image_shim.fakecloud.control.plane import ControlPlane

NOTICE = (
    "This is a fake cloud for tests. Nothing here is secure: passwords are known to all, and "
    "whoever reaches this address may read and change everything."
)
_PAGE_IMAGES = 200
_PAGE_REQUESTS = 50


class _ClockSchema(StrictSchema):
    """The body of `POST /_fake/clock`."""

    advance_seconds = Number(0, 10**12, required=True)


class _TokensSchema(StrictSchema):
    """The body of `PUT /_fake/tokens`."""

    token_seconds = Number(1, 10**9, whole=True, required=True)


def index() -> ResponseReturnValue:
    """Say what this is: 200, a page for a browser, else JSON `{"notice", "links"}`."""
    if request.accept_mimetypes.best_match([JSON, "text/html"]) == "text/html":
        return _page()
    names = ("images", "requests", "rules", "clock", "tokens", "reset")
    root = request.script_root
    return json_answer({"notice": NOTICE, "links": {name: f"{root}/{name}" for name in names}})


def reset() -> ResponseReturnValue:
    """Go back to the seed: 204."""
    _plane().reset()
    return "", 204


def list_images() -> ResponseReturnValue:
    """List every image whole: 200 `{"images": [...]}`."""
    return json_answer({"images": _plane().images()})


def load_images() -> ResponseReturnValue:
    """Replace all images, the body being a list of them or what `list_images` gives: 204."""
    body = _body()
    _plane().load_images(body.get("images") if isinstance(body, dict) else body)
    return "", 204


def add_image() -> ResponseReturnValue:
    """Add an image: 201, the image, `Location`; 409 where its id is taken."""
    image = _plane().add_image(_body())
    return json_answer(image, 201, Location=f"{request.script_root}/images/{image['id']}")


def show_image(image_id: str) -> ResponseReturnValue:
    """Show an image: 200, or 404."""
    return json_answer(_plane().image(image_id))


def change_image(image_id: str) -> ResponseReturnValue:
    """Change any attribute or property, null takes a property away: 200, the image; or 404."""
    return json_answer(_plane().change_image(image_id, _body()))


def delete_image(image_id: str) -> ResponseReturnValue:
    """Delete an image, protected or not: 204, or 404."""
    _plane().delete_image(image_id)
    return "", 204


def list_requests() -> ResponseReturnValue:
    """List the requests seen, oldest first: 200 `{"requests": [...]}`.

    `after`, a number, gives only later ones; `limit` only the newest of these.
    """
    after = _count("after", 0)
    return json_answer({"requests": _plane().requests(after, _count("limit", MOST_REQUESTS) or 1)})


def clear_requests() -> ResponseReturnValue:
    """Forget the requests seen: 204."""
    _plane().clear_requests()
    return "", 204


def list_rules() -> ResponseReturnValue:
    """List the fault rules in the order in which they are tried: 200 `{"rules": [...]}`."""
    return json_answer({"rules": _plane().rules()})


def add_rule() -> ResponseReturnValue:
    """Add a fault rule: 201, the rule with its `id`, `Location`."""
    rule = _plane().add_rule(_body())
    return json_answer(rule, 201, Location=f"{request.script_root}/rules/{rule['id']}")


def show_rule(number: int) -> ResponseReturnValue:
    """Show a rule and how often it acted: 200, or 404."""
    return json_answer(_plane().rule(number))


def delete_rule(number: int) -> ResponseReturnValue:
    """Take a rule away: 204, or 404."""
    _plane().delete_rule(number)
    return "", 204


def clear_rules() -> ResponseReturnValue:
    """Take all rules away: 204."""
    _plane().clear_rules()
    return "", 204


def show_clock() -> ResponseReturnValue:
    """Tell the time: 200 `{"now": "...Z", "ahead_seconds": N}`."""
    return json_answer(_clock())


def advance_clock() -> ResponseReturnValue:
    """Move the clock forward by `{"advance_seconds": N}`: 200, the clock."""
    _plane().advance_clock(_ClockSchema().checked(_body())["advance_seconds"])
    return json_answer(_clock())


def reset_clock() -> ResponseReturnValue:
    """Go back to the machine's time: 204."""
    _plane().reset_clock()
    return "", 204


def show_tokens() -> ResponseReturnValue:
    """Tell how long new tokens last: 200 `{"token_seconds": N}`."""
    return json_answer({"token_seconds": _plane().token_seconds})


def change_tokens() -> ResponseReturnValue:
    """Let new tokens last `{"token_seconds": N}`: 200, the same."""
    _plane().set_token_seconds(_TokensSchema().checked(_body())["token_seconds"])
    return show_tokens()


def forget_tokens() -> ResponseReturnValue:
    """Make every token bad but the fixed ones, and the length of new ones the seed's: 204."""
    _plane().forget_tokens()
    return "", 204


ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "/", index),
    ("POST", "/reset", reset),
    ("GET", "/images", list_images),
    ("PUT", "/images", load_images),
    ("POST", "/images", add_image),
    ("GET", "/images/<image_id>", show_image),
    ("PATCH", "/images/<image_id>", change_image),
    ("DELETE", "/images/<image_id>", delete_image),
    ("GET", "/requests", list_requests),
    ("DELETE", "/requests", clear_requests),
    ("GET", "/rules", list_rules),
    ("POST", "/rules", add_rule),
    ("DELETE", "/rules", clear_rules),
    ("GET", "/rules/<int:number>", show_rule),
    ("DELETE", "/rules/<int:number>", delete_rule),
    ("GET", "/clock", show_clock),
    ("POST", "/clock", advance_clock),
    ("DELETE", "/clock", reset_clock),
    ("GET", "/tokens", show_tokens),
    ("PUT", "/tokens", change_tokens),
    ("DELETE", "/tokens", forget_tokens),
]


def _plane() -> ControlPlane:
    found: ControlPlane = current_app.extensions["control_plane"]
    return found


def _clock() -> dict[str, Any]:
    return {"now": _plane().now(), "ahead_seconds": _plane().ahead_seconds}


def _page() -> str:
    plane = _plane()
    images = plane.images()
    return render_template(
        "control.html",
        notice=NOTICE,
        images=images[:_PAGE_IMAGES],
        image_count=len(images),
        requests=plane.requests(limit=_PAGE_REQUESTS)[::-1],
        rules=plane.rules(),
        clock=_clock(),
        root=request.script_root,
    )


def _body() -> Any:
    """Return what the request's body says.

    Raises:
        BadRequest: it is no JSON.
    """
    try:
        return orjson.loads(request.get_data())
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is no JSON: {error}") from error


def _count(name: str, usual: int) -> int:
    """Return a whole number of the query.

    Raises:
        BadRequest: it is none.
    """
    text = request.args.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise BadRequest(f"{name}: allowed is a whole number of at most 15 digits")
    return int(text)


def json_answer(value: Any, status: int = 200, **headers: str) -> Response:
    """Return a JSON answer."""
    return Response(to_json(value), status, headers, content_type=JSON)
