"""The image calls: `GET /images`, `/images/detail`, `GET` and `DELETE /images/{id}`.

Source: nova at 12.0.0, nova/api/openstack/compute/legacy_v2/images.py.
"""

from urllib.parse import urlencode

from flask import Blueprint, Response, g, request

from nova_image_shim.adapters.image_port import Context, Image, ImageNotAuthorized, ImageNotFound
from nova_image_shim.api.context import make_translator, require_own_project
from nova_image_shim.api.schemas.list_query import load_list_query, parse_query
from nova_image_shim.lists.listing import StoredList
from nova_image_shim.lists.query import ListQuery, ListRequest, Pairs
from nova_image_shim.observability.trace import CURRENT
from nova_image_shim.settings import Settings
from nova_image_shim.translation.ascii_json import to_json
from nova_image_shim.translation.filters import GlanceQuery, to_glance_query
from nova_image_shim.translation.links import Link
from nova_image_shim.web.current import make_context, services
from nova_image_shim.web.errors import HTTPError
from nova_image_shim.web.responses import answer, answer_list, no_content

blueprint = Blueprint("images", __name__)
blueprint.before_request(require_own_project)

_MAX_ID_LENGTH = 255


@blueprint.get("/images")
def index() -> Response:
    """List images, brief: 200 `{"images": [{"id", "name", "links"}]}`.

    Faults: 400 for an invalid query, and those of the image store's errors.
    """
    return _list(detailed=False)


@blueprint.get("/images/detail")
def detail() -> Response:
    """List images, full: 200 `{"images": [...], "images_links": [...]}`.

    `images_links` is present only where a next or previous page is due. Faults: as `index`.
    """
    return _list(detailed=True)


@blueprint.get("/images/<image_id>")
def show(image_id: str) -> Response:
    """Show one image: 200 `{"image": {...}}`; 404 where the caller sees none."""
    context = make_context()
    image = get_image(context, image_id)
    return answer(to_json({"image": make_translator(context).full(image)}))


@blueprint.delete("/images/<image_id>")
def delete(image_id: str) -> Response:
    """Delete an image: 204; 403 if protected or of another project, 404 for none, 409 in use."""
    require_possible_id(image_id)
    try:
        services().images.delete(make_context(), image_id)
    except ImageNotAuthorized as error:
        raise HTTPError(403, "You are not allowed to delete the image.") from error
    return no_content()


def get_image(context: Context, image_id: str) -> Image:
    """Return one image; raises ImageNotFound if the caller sees none."""
    require_possible_id(image_id)
    return services().images.get(context, image_id)


def require_possible_id(image_id: str) -> None:
    """Raise ImageNotFound for what cannot be an id: too long, or a dot segment of a URL."""
    if image_id in {".", ".."} or len(image_id) > _MAX_ID_LENGTH:
        raise ImageNotFound(f"{image_id[:_MAX_ID_LENGTH]!r} cannot be an image")


def _list(*, detailed: bool) -> Response:
    context = make_context()
    query_string = request.environ.get("QUERY_STRING", "")
    pairs = parse_query(query_string) if query_string else []
    running = services()
    conf, lists = running.settings, running.lists
    list_request = _list_request(conf, context, pairs, detailed=detailed)
    found = lists.find(list_request, context)
    stored, trace = found.stored, CURRENT.get()
    trace.images, trace.pages, trace.list_source = stored.count, len(stored.pages), found.source
    tail = {}
    if stored.last_id is not None or stored.previous is not None:
        url = f"{list_request.translator.links.images[:-1]}{'/detail' if detailed else ''}"
        tail["images_links"] = _page_links(url, pairs, stored)
    body = stored.body(tail)
    response = answer_list(body, may_compress="no-compression" not in conf.compat)
    if conf.cache_seconds:
        lists.count_body(found)
    if found.age is not None:
        response.headers["Age"] = str(found.age)
    return response


def _list_request(conf: Settings, context: Context, pairs: Pairs, *, detailed: bool) -> ListRequest:
    """Return what a checked query requests; `SHIM_MAX_LIMIT` and the page size apply."""
    query = load_list_query(pairs) if pairs else ListQuery({})
    limits = filter(None, (query.limit, conf.max_limit))
    return ListRequest(
        caller=g.caller,
        endpoint=context.endpoint,
        translator=make_translator(context),
        detailed=detailed,
        query=to_glance_query(query.filters) if query.filters else GlanceQuery({}, {}),
        limit=min(limits, default=None),
        marker=query.marker,
        page_size=conf.glance_page_size,
        first_page_size=min(query.page_size or conf.glance_page_size, conf.glance_page_size),
        with_previous="no-previous-links" not in conf.compat,
    )


def _page_links(url: str, pairs: Pairs, stored: StoredList) -> list[Link]:
    links = []
    if stored.last_id is not None:
        links.append({"rel": "next", "href": _href(url, pairs, stored.last_id)})
    if stored.previous is not None:
        links.append({"rel": "previous", "href": _href(url, pairs, *stored.previous)})
    return links


def _href(url: str, pairs: Pairs, marker: str | None, limit: int | None = None) -> str:
    """Return a link with the request's own query, a new limit and the marker last."""
    new = [(name, value) for name, value in (("limit", limit), ("marker", marker)) if value]
    replaced = {"marker"} | dict(new).keys()
    kept = [pair for pair in pairs if pair[0] not in replaced]
    query = urlencode([*kept, *new])
    return f"{url}?{query}" if query else url
