"""Glance v2 over one keystoneauth session, with the caller's token.

Lists go from the session straight into orjson: glanceclient's models cost several times the whole
request. Single images go through glanceclient's session client, without its models and without its
decoding of errors, which fails on Glance's JSON errors.
"""

import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import requests
from glanceclient import exc as glanceclient_exc
from glanceclient.common.http import SessionClient
from keystoneauth1.exceptions import ClientException
from urllib3.util import Timeout

from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.glance.decoding import to_image, to_page
from nova_image_shim.adapters.glance.errors import port_error
from nova_image_shim.adapters.http.session import open_session
from nova_image_shim.adapters.http.transport import BoundedTransport
from nova_image_shim.adapters.http.urls import without_version
from nova_image_shim.adapters.limits.limiter import LimitExceeded

JSON_PATCH = "application/openstack-images-v2.1-json-patch"
_OLDEST_FIRST = [
    *(("sort_key", "created_at"), ("sort_dir", "asc")),
    *(("sort_key", "id"), ("sort_dir", "asc")),
]
# How Glance's errors about a marker start: unknown, not visible, too long. The rest is the marker.
_REFUSALS_OF_MARKERS = (
    "No image found with ID",  # the marker that follows may consist of blanks
    "Forbidding request, image ",
    "Image with the given id ",
)
_SUCCESSES = {200, 204}
_OPERATIONS = {"GET": "get", "PATCH": "update", "DELETE": "delete"}
_MAX_REQUEST_ID_LENGTH = 64  # `req-` and a UUID are 40
_CONNECTIONS_PER_THREAD = 3  # a page, the previous page, and a spare one


@dataclass(frozen=True, slots=True)
class GlanceOptions:
    """Where Glance is, and how long and how much to wait for.

    Args:
        endpoint: its address; None to use the one in the caller's catalog.
        region_name, interface: which endpoint of the catalog.
        connect_timeout_seconds: for a connection.
        read_timeout_seconds: between two bytes of an answer.
        max_answer_bytes: the most that one answer may hold.
        threads: how many requests this process serves at a time.
        trust_env: whether proxies and CA bundles of the environment apply.
        cacert: the path of a CA bundle; None for the default ones.
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
    """The image store that is a real Glance v2."""

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
        return without_version(found)

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
        """Return one page, with one GET."""
        params = [*query.items(), ("limit", str(limit))]
        params += [("marker", marker)] if marker else []
        params += _OLDEST_FIRST if oldest_first else []
        url = f"{self._base(context)}/v2/images?{urlencode(params)}"
        try:
            answer = self._call(context, "list", lambda **kwargs: self._session.get(url, **kwargs))
        except port.ImageNotFound as error:  # no Glance v2 is at this address
            raise port.ImageServiceFailed(f"{url}: {error}") from error
        except (port.ImageBadRequest, port.ImageNotAuthorized) as error:
            if marker and error.text.startswith(_REFUSALS_OF_MARKERS):
                raise port.MarkerNotFound(marker) from error
            raise
        return to_page(answer)

    def get(self, context: port.Context, image_id: str) -> port.Image:
        """Return one image, with one GET."""
        try:
            return to_image(self._call_client(context, "GET", image_id))
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
        """Change custom properties, with one PATCH."""
        patch: list[dict[str, str]] = [
            *({"op": "add", "path": _pointer(key), "value": add[key]} for key in add),
            *({"op": "replace", "path": _pointer(key), "value": replace[key]} for key in replace),
            *({"op": "remove", "path": _pointer(key)} for key in remove),
        ]
        return to_image(
            self._call_client(
                context,
                "PATCH",
                image_id,
                headers={"Content-Type": JSON_PATCH},
                data=orjson.dumps(patch).decode(),
            )
        )

    def delete(self, context: port.Context, image_id: str) -> None:
        """Delete an image, with one DELETE."""
        self._call_client(context, "DELETE", image_id)

    def _base(self, context: port.Context) -> str:
        return context.endpoint or self.endpoint(context)

    def _call_client(
        self, context: port.Context, method: str, image_id: str, **request: Any
    ) -> requests.Response:
        client = _Client(self._session, endpoint_override=self._base(context))
        url = f"/v2/images/{quote(image_id, safe='')}"

        def send(headers: dict[str, str], **kwargs: Any) -> requests.Response:
            headers |= request.pop("headers", {})
            answer, _ = client.request(url, method, headers=headers, **kwargs, **request)
            return answer  # type: ignore[no-any-return]

        return self._call(context, _OPERATIONS[method], send)

    def _call(
        self, context: port.Context, operation: str, send: Callable[..., requests.Response]
    ) -> requests.Response:
        """Make one call within the request's time and slot, and raise the error it reports."""
        self._acquire_slot(context)
        started = time.monotonic()
        if (left := context.deadline - started) <= 0:
            raise port.ImageServiceUnavailable("no time is left to call Glance")
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
            context.calls.append(_record(operation, answer, time.monotonic() - started))
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
        """Return what every request has: the caller's token, headers and time-outs."""
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


def _record(operation: str, answer: requests.Response | None, seconds: float) -> port.Call:
    if answer is None:
        return port.Call(operation, 0, seconds, "")
    request_id = answer.headers.get("X-OpenStack-Request-ID", "")[:_MAX_REQUEST_ID_LENGTH]
    return port.Call(operation, answer.status_code, seconds, request_id)


class _Client(SessionClient):  # type: ignore[misc] # the library has no types
    """glanceclient's session client, which returns answers as they are."""

    def _handle_response(self, resp: requests.Response) -> tuple[requests.Response, None]:
        return resp, None


def _pointer(key: str) -> str:
    """Return a key as a JSON pointer."""
    return "/" + key.replace("~", "~0").replace("/", "~1")
