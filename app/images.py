"""The image calls: `GET /images`, `/images/detail`, `GET` and `DELETE /images/{id}`.

Source: nova at 12.0.0, nova/api/openstack/compute/legacy_v2/images.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, request

from nova_image_shim import listing
from nova_image_shim.adapters.port import ImageNotAuthorized, ImageNotFound
from nova_image_shim.context import (
    image_service,
    make_context,
    make_translator,
    require_own_project,
    settings,
)
from nova_image_shim.errors import Fault
from nova_image_shim.responses import answer, no_content
from nova_image_shim.schemas import load_list_query, parse_query
from nova_image_shim.telemetry import CURRENT
from nova_image_shim.translator import to_glance_query
from nova_image_shim.wire import to_json, to_json_list

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from nova_image_shim.adapters.port import Context, Image
    from nova_image_shim.schemas import Pairs

blueprint = Blueprint("images", __name__)
blueprint.before_request(require_own_project)

_LONGEST_ID = 255


@blueprint.get("/images")
def index() -> Response:
    """List images, brief: 200 `{"images": [{"id", "name", "links"}]}`.

    Faults: 400 for a bad query, and what the image store's errors mean.
    """
    context = make_context()
    translator = make_translator(context)
    return _list(context, f"{translator.links.images[:-1]}", translator.brief)


@blueprint.get("/images/detail")
def detail() -> Response:
    """List images, full: 200 `{"images": [...], "images_links": [...]}`.

    `images_links` is present only where a next or previous page is due. Faults: as `index`.
    """
    context = make_context()
    translator = make_translator(context)
    return _list(context, f"{translator.links.images}detail", translator.full)


@blueprint.get("/images/<image_id>")
def show(image_id: str) -> Response:
    """Show one image: 200 `{"image": {...}}`; 404 where there is none to be seen."""
    context = make_context()
    image = get_image(context, image_id)
    return answer(to_json({"image": make_translator(context).full(image)}))


@blueprint.delete("/images/<image_id>")
def delete(image_id: str) -> Response:
    """Delete an image: 204; 403 where it is protected or another's, 404 for none, 409 in use."""
    require_possible_id(image_id)
    try:
        image_service().delete(make_context(), image_id)
    except ImageNotAuthorized as error:
        raise Fault(403, "You are not allowed to delete the image.") from error
    return no_content()


def get_image(context: Context, image_id: str) -> Image:
    """Return one image.

    Raises:
        ImageNotFound: there is none to be seen.
    """
    require_possible_id(image_id)
    return image_service().get(context, image_id)


def require_possible_id(image_id: str) -> None:
    """Refuse what can be no id, without asking the store.

    Raises:
        ImageNotFound: a dot segment would lead to another address, a long one nowhere.
    """
    if image_id in {".", ".."} or len(image_id) > _LONGEST_ID:
        raise ImageNotFound(f"{image_id[:_LONGEST_ID]!r} can be no image")


def _list(context: Context, url: str, to_entry: Callable[[Image], dict[str, Any]]) -> Response:
    """Answer a list, translated to bytes page by page so that only one page is held at a time."""
    pairs = parse_query(request.environ.get("QUERY_STRING", ""))
    asked = load_list_query(pairs)
    conf = settings()
    wanted = listing.Listing.wanted(
        image_service(),
        context,
        asked,
        to_glance_query(asked.filters),
        page_size=conf.glance_page_size,
        max_limit=conf.max_limit,
    )
    executor = current_app.extensions["executor"]
    previous = wanted.start_previous(executor) if conf.previous_links else None
    chunks: list[bytes] = []
    count, last_id = 0, ""
    trace = CURRENT.get()
    for images in wanted.pages():
        chunks.append(to_json([to_entry(image) for image in images]))
        trace.count_page(len(images))
        count += len(images)
        last_id = images[-1]["id"] if images else last_id
    links = _links(url, pairs, last_id if count == wanted.limit else None, previous)
    return answer(to_json_list("images", chunks, {"images_links": links} if links else {}))


def _links(
    url: str, pairs: Pairs, last_id: str | None, previous: Future[listing.Previous | None] | None
) -> list[dict[str, str]]:
    links = []
    if last_id is not None:
        links.append({"rel": "next", "href": listing.next_href(url, pairs, last_id)})
    if previous is not None and (before := previous.result()) is not None:
        links.append({"rel": "previous", "href": listing.previous_href(url, pairs, before)})
    return links
