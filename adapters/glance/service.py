"""Glance v2 through one keystoneauth session, the caller's token passed on.

Lists go from the session straight into orjson: glanceclient's models would cost several times
the whole request. Single images go by glanceclient's session client, without its models and
without its decoding of errors, which fails on Glance's JSON errors.
"""

import json
import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import orjson
import requests
from glanceclient import exc as glanceclient_exc
from glanceclient.common.http import SessionClient
from keystoneauth1.exceptions import ClientException
from urllib3.util import Timeout

from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.glance.errors import port_error
from nova_image_shim.adapters.http.session import open_session
from nova_image_shim.adapters.http.transport import BoundedTransport
from nova_image_shim.adapters.limits.limiter import LimitExceeded

JSON_PATCH = "application/openstack-images-v2.1-json-patch"
_OLDEST_FIRST = [
    *(("sort_key", "created_at"), ("sort_dir", "asc")),
    *(("sort_key", "id"), ("sort_dir", "asc")),
]
# How Glance begins to refuse a list for its marker: unknown, not visible, too long. The rest of
# its text is the marker itself, which may be anything.
_REFUSALS_OF_MARKERS = (
    "No image found with ID",  # what follows is the marker, which may be nothing but blanks
    "Forbidding request, image ",
    "Image with the given id ",
)
_SUCCESSES = {200, 204}
_OPERATIONS = {"GET": "get", "PATCH": "update", "DELETE": "delete"}
_LONGEST_REQUEST_ID = 64  # `req-` and a UUID are 40
_CONNECTIONS_PER_THREAD = 3  # a page, the page before it, and one to spare


@dataclass(frozen=True, slots=True)
class GlanceOptions:
    """Where Glance is and how long it is waited for.

    Args:
        endpoint: its address; None to take the one in the caller's catalog.
        region_name, interface: which endpoint of the catalog.
        connect_timeout_seconds: for a connection to be made.
        read_timeout_seconds: between two bytes of an answer.
        max_answer_bytes: the most that one answer may hold.
        threads: how many requests this process serves at a time.
        trust_env: whether proxies and CA bundles of the process's environment count.
        cacert: a CA bundle's path; None for the usual ones.
    """

    endpoint: str | None = None
    region_name: str | None = None
    interface: str = "public"
    connect_timeout_seconds: float = 5
    read_timeout_seconds: float = 30
    max_answer_bytes: int = 2**26
    threads: int = 1
    trust_env: bool = True
    cacert: str | None = None


class GlanceImageService(port.ImageService):
    """The port's promises, kept by a real Glance v2."""

    def __init__(self, options: GlanceOptions) -> None:
        self._options = options
        self._transport = BoundedTransport(
            max_bytes=options.max_answer_bytes,
            total_seconds=math.inf,  # each call has what is left of its request's time
            pool_maxsize=options.threads * _CONNECTIONS_PER_THREAD,
            repeat_get=True,
        )
        self._session = open_session(
            self._transport, cacert=options.cacert, trust_env=options.trust_env
        )

    def endpoint(self, context: port.Context) -> str:
        """Return Glance's address: the configured one, or that of the caller's catalog.

        Raises:
            ImageServiceFailed: the catalog has none for the region and interface.
        """
        options = self._options
        found = options.endpoint or self._catalog_endpoint(context)
        if not found:
            missing = f"{options.interface} endpoint, region {options.region_name or 'any'}"
            raise port.ImageServiceFailed(f"the token's catalog has no image service: {missing}")
        return found.rstrip("/").removesuffix("/v2")

    def _catalog_endpoint(self, context: port.Context) -> str | None:
        if context.auth is None:
            return None
        try:
            return context.auth.get_endpoint(
                self._session,
                service_type="image",
                region_name=self._options.region_name,
                interface=self._options.interface,
                skip_discovery=True,
            )
        except ClientException as error:  # a token without a catalog
            raise port.ImageServiceFailed(f"{type(error).__name__}: {error}") from error

    def list_page(
        self,
        context: port.Context,
        query: Mapping[str, str],
        *,
        limit: int,
        marker: str | None = None,
        oldest_first: bool = False,
    ) -> port.Page:
        """Ask for one page: exactly one GET."""
        params = [*query.items(), ("limit", str(limit))]
        params += [("marker", marker)] if marker else []
        params += _OLDEST_FIRST if oldest_first else []
        url = f"{self._base(context)}/v2/images?{urlencode(params)}"
        try:
            answer = self._ask(context, "list", lambda **kwargs: self._session.get(url, **kwargs))
        except port.ImageNotFound as error:  # the address is no Glance v2
            raise port.ImageServiceFailed(f"{url}: {error}") from error
        except (port.ImageBadRequest, port.ImageNotAuthorized) as error:
            if marker and error.text.startswith(_REFUSALS_OF_MARKERS):
                raise port.MarkerNotFound(marker) from error
            raise
        return _to_page(answer)

    def get(self, context: port.Context, image_id: str) -> port.Image:
        """Ask for one image: exactly one GET."""
        try:
            return _to_image(self._ask_client(context, "GET", image_id))
        except port.ImageNotAuthorized as error:
            raise port.ImageNotFound(error.text) from error

    def update(
        self,
        context: port.Context,
        image_id: str,
        *,
        add: Mapping[str, str],
        replace: Mapping[str, str],
        remove: Collection[str],
    ) -> port.Image:
        """Change custom properties: exactly one PATCH."""
        patch: list[dict[str, str]] = [
            *({"op": "add", "path": _pointer(key), "value": add[key]} for key in add),
            *({"op": "replace", "path": _pointer(key), "value": replace[key]} for key in replace),
            *({"op": "remove", "path": _pointer(key)} for key in remove),
        ]
        return _to_image(
            self._ask_client(
                context,
                "PATCH",
                image_id,
                headers={"Content-Type": JSON_PATCH},
                data=orjson.dumps(patch).decode(),
            )
        )

    def delete(self, context: port.Context, image_id: str) -> None:
        """Delete an image: exactly one DELETE."""
        self._ask_client(context, "DELETE", image_id)

    def _base(self, context: port.Context) -> str:
        return context.endpoint or self.endpoint(context)

    def _ask_client(
        self, context: port.Context, method: str, image_id: str, **request: Any
    ) -> requests.Response:
        client = _Client(self._session, endpoint_override=self._base(context))
        url = f"/v2/images/{quote(image_id, safe='')}"

        def send(headers: dict[str, str], **kwargs: Any) -> requests.Response:
            headers |= request.pop("headers", {})
            answer, _ = client.request(url, method, headers=headers, **kwargs, **request)
            return answer  # type: ignore[no-any-return]

        return self._ask(context, _OPERATIONS[method], send)

    def _ask(
        self, context: port.Context, operation: str, send: Callable[..., requests.Response]
    ) -> requests.Response:
        """Make one call within the request's time and slot, and raise what its answer means."""
        self._acquire_slot(context)
        started = time.monotonic()
        if (left := context.deadline - started) <= 0:
            raise port.ImageServiceUnavailable("no time is left to ask Glance")
        answer = None
        try:
            answer = send(**self._bounds(context, left))
        except (
            ClientException,
            glanceclient_exc.BaseException,
            requests.RequestException,
        ) as error:
            raise port.ImageServiceUnavailable(
                f"{type(error).__name__}: {error}",
                retry_after="1" if self._transport.breaker.is_open else None,
            ) from error
        finally:
            context.calls.append(_call(operation, answer, time.monotonic() - started))
        if answer.status_code not in _SUCCESSES:
            raise port_error(answer)
        return answer

    def _acquire_slot(self, context: port.Context) -> None:
        try:
            if context.slot:
                context.slot.acquire()
        except LimitExceeded as error:
            raise port.ImageServiceUnavailable(str(error), retry_after=error.retry_after) from error

    def _bounds(self, context: port.Context, left: float) -> dict[str, Any]:
        """Return what every request carries: who asks, in which form, for how long."""
        return {
            "auth": context.auth,
            "headers": {
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "X-OpenStack-Request-ID": context.request_id,
            },
            "timeout": Timeout(
                connect=self._options.connect_timeout_seconds,
                read=self._options.read_timeout_seconds,
                total=None if left == math.inf else left,
            ),
            "raise_exc": False,
        }


def _call(operation: str, answer: requests.Response | None, seconds: float) -> port.Call:
    if answer is None:
        return port.Call(operation, 0, seconds, "")
    request_id = answer.headers.get("X-OpenStack-Request-ID", "")[:_LONGEST_REQUEST_ID]
    return port.Call(operation, answer.status_code, seconds, request_id)


class _Client(SessionClient):  # type: ignore[misc] # the library has no types
    """glanceclient's session client; what an answer means is decided by one table, elsewhere."""

    def _handle_response(self, resp: requests.Response) -> tuple[requests.Response, None]:
        return resp, None


def _pointer(key: str) -> str:
    """Return a key as a JSON pointer."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _to_page(answer: requests.Response) -> port.Page:
    body = _decoded(answer)
    images, following = body.get("images"), body.get("next")
    if not isinstance(images, list) or not all(map(_is_image, images)):
        raise port.ImageServiceUnavailable("Glance's list is none of images")
    return port.Page(images, None if following is None else _marker_in(following))


def _marker_in(address: object) -> str:
    """Return the marker in the address of a next page.

    Nothing else of the address is used, so that it leads nowhere but to the same Glance.
    """
    try:
        query = urlsplit(address).query if isinstance(address, str) else ""
    except ValueError:
        query = ""
    markers = parse_qs(query).get("marker")
    if not markers:
        raise port.ImageServiceUnavailable("Glance's list has a next page without a marker")
    return markers[-1]


def _to_image(answer: requests.Response) -> port.Image:
    body: Any = _decoded(answer)
    if not _is_image(body):
        raise port.ImageServiceUnavailable("Glance's image is none")
    return body  # type: ignore[no-any-return]


def _is_image(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("id"), str)


def _decoded(answer: requests.Response) -> dict[str, Any]:
    """Return the JSON object of an answer, read leniently where orjson is too strict.

    Raises:
        ImageServiceUnavailable: it is none.
    """
    try:
        body = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        try:
            body = json.loads(answer.content, parse_constant=_no_number, parse_float=_float)
        except (ValueError, RecursionError) as error:
            raise port.ImageServiceUnavailable(f"Glance's answer is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise port.ImageServiceUnavailable("Glance's answer is no JSON object")
    return body


def _no_number(_word: str) -> None:
    """Read `NaN` and `Infinity`, which are no JSON, as null."""


def _float(digits: str) -> float | None:
    return number if math.isfinite(number := float(digits)) else None
