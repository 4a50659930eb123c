"""The image calls: `GET /images`, `/images/detail`, `GET` and `DELETE /images/{id}`.

Source: nova at 12.0.0, nova/api/openstack/compute/legacy_v2/images.py.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, g, request

from nova_image_shim.adapters.image_port import ImageNotAuthorized, ImageNotFound
from nova_image_shim.api.context import make_translator, require_own_project
from nova_image_shim.api.errors import Fault
from nova_image_shim.api.schemas.list_query import load_list_query, parse_query
from nova_image_shim.lists import listing
from nova_image_shim.observability.trace import CURRENT
from nova_image_shim.translation.ascii_json import to_json, to_json_list
from nova_image_shim.translation.filters import to_glance_query
from nova_image_shim.translation.translator import Translator
from nova_image_shim.web.current import image_service, list_cache, make_context, settings
from nova_image_shim.web.responses import answer, no_content

if TYPE_CHECKING:
    from collections.abc import Callable

    from nova_image_shim.adapters.image_port import Context, Image
    from nova_image_shim.lists.query import Pairs

blueprint = Blueprint("images", __name__)
blueprint.before_request(require_own_project)

_LONGEST_ID = 255


@blueprint.get("/images")
def index() -> Response:
    """List images, brief: 200 `{"images": [{"id", "name", "links"}]}`.

    Faults: 400 for a bad query, and what the image store's errors mean.
    """
    return _list("", Translator.brief)


@blueprint.get("/images/detail")
def detail() -> Response:
    """List images, full: 200 `{"images": [...], "images_links": [...]}`.

    `images_links` is present only where a next or previous page is due. Faults: as `index`.
    """
    return _list("/detail", Translator.full)


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


def _list(suffix: str, to_entry: Callable[[Translator, Image], dict[str, Any]]) -> Response:
    """Answer a list.

    Args:
        suffix: of the address, behind `/images`.
        to_entry: what an image becomes.
    """
    context = make_context()
    translator = make_translator(context)
    pairs = parse_query(request.environ.get("QUERY_STRING", ""))
    wanted = _wanted(context, pairs)
    executor = current_app.extensions["executor"]
    with_previous = "no-previous-links" not in settings().compat

    def gather(translator: Translator) -> listing.Listed:
        return wanted.gather(partial(to_entry, translator), executor, with_previous=with_previous)

    def asked() -> list[Any]:
        store = image_service().endpoint(context)
        return [store, suffix, wanted.limit, wanted.marker, *wanted.query]

    listed, age = list_cache().find(g.caller, asked, translator, gather, context.deadline)
    CURRENT.get().note_list(listed.total, len(listed.pages), cached=age is not None)
    links = _links(f"{translator.links.images[:-1]}{suffix}", pairs, listed)
    tail = {"images_links": links} if links else {}
    response = answer(*to_json_list("images", listed.pages, tail))
    if age is not None:
        response.headers["Age"] = str(age)
    return response


def _wanted(context: Context, pairs: Pairs) -> listing.Listing:
    asked = load_list_query(pairs)
    conf = settings()
    return listing.Listing.wanted(
        image_service(),
        context,
        asked,
        to_glance_query(asked.filters),
        page_size=conf.glance_page_size,
        max_limit=conf.max_limit,
    )


def _links(url: str, pairs: Pairs, listed: listing.Listed) -> list[dict[str, str]]:
    links = []
    if listed.last_id is not None:
        links.append({"rel": "next", "href": listing.next_href(url, pairs, listed.last_id)})
    if listed.previous is not None:
        links.append(
            {"rel": "previous", "href": listing.previous_href(url, pairs, listed.previous)}
        )
    return links
