"""Glance v2 over one keystoneauth session, with the caller's token.

Lists go from the session straight into orjson: glanceclient's models cost several times the whole
request. Single images go through glanceclient's session client, without its models and without its
decoding of errors, which fails on Glance's JSON errors.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import requests
from glanceclient.common.http import SessionClient
from keystoneauth1.plugin import BaseAuthPlugin

from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.address import without_version
from nova_image_shim.adapters.glance.addresses import Addresses, names_image
from nova_image_shim.adapters.glance.decoding import to_image, to_page
from nova_image_shim.adapters.glance.errors import FAILURES, REFUSALS_OF_MARKERS, port_error
from nova_image_shim.adapters.http.session import open_session
from nova_image_shim.adapters.http.transport import BoundedTransport, Bounds
from nova_image_shim.adapters.limits.limiter import LimitExceeded

JSON_PATCH = "application/openstack-images-v2.1-json-patch"
_OLDEST_FIRST = "&sort_key=created_at&sort_dir=asc&sort_key=id&sort_dir=asc"
_SUCCESSES = {200, 204}
_OPERATIONS = {"GET": "get", "PATCH": "update", "DELETE": "delete"}
_MAX_REQUEST_ID_LENGTH = 64  # `req-` and a UUID are 40
_CONNECTIONS_PER_THREAD = 3  # a page, the previous page, and a spare one


@dataclass(frozen=True, slots=True)
class GlanceOptions:
    """Where Glance is, and how long and how much to wait for.

    Without an endpoint, it is the one in the caller's catalog. The read timeout is that between
    two bytes. For `trust_env` and `cacert` see `open_session`.
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
    """The image store that is a real Glance v2; errors and arguments are the port's.

    `session` is the one of every call.
    """

    def __init__(self, options: GlanceOptions) -> None:
        self._options = options
        self._in_catalog: dict[str, Any] = {
            "service_type": "image",
            "region_name": options.region_name,
            "interface": options.interface,
        }
        self._transport = BoundedTransport(
            max_bytes=options.max_answer_bytes,
            total_seconds=math.inf,  # each call has what is left of its request's time
            pool_maxsize=options.threads * _CONNECTIONS_PER_THREAD,
            repeat_get=True,
        )
        transport, trust_env = self._transport, options.trust_env
        self.session = open_session(transport, cacert=options.cacert, trust_env=trust_env)
        self._addresses = Addresses()

    def endpoint(self, auth: BaseAuthPlugin | None) -> str:
        """Return Glance's address: the configured one, or that of the caller's catalog.

        Raises:
            ImageServiceUnavailable: the catalog has none for the region and interface.
        """
        found, where = self._options.endpoint, self._in_catalog
        try:
            if not found and auth:
                found = auth.get_endpoint(self.session, **where, skip_discovery=True)
        except Exception as error:  # whatever keystoneauth raises on a catalog of another shape
            raise port.ImageServiceUnavailable(
                f"the token's catalog cannot be read: {type(error).__name__}: {error}"
            ) from error
        if not found or not isinstance(found, str):
            raise port.ImageServiceUnavailable(
                "the token's catalog has no image service: "
                f"{where['interface']} endpoint, region {where['region_name'] or 'any'}"
            )
        return without_version(found)

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
        params = {**query, "limit": str(limit)} | ({"marker": marker} if marker else {})
        url = f"{context.endpoint or self.endpoint(context.auth)}/v2/images?{urlencode(params)}"
        if oldest_first:
            url += _OLDEST_FIRST
        try:
            answer = self._call(context, "list", partial(self.session.get, url))
        except port.ImageNotFound as error:  # no Glance v2 is at this address
            raise port.ImageServiceFailed(f"{url}: {error}") from error
        except (port.ImageBadRequest, port.ImageNotAuthorized) as error:
            if marker and error.text.startswith(REFUSALS_OF_MARKERS):
                raise port.MarkerNotFound(marker) from error
            raise
        return to_page(answer)

    def get(self, context: port.Context, image_id: str) -> port.Image:
        """Return one image, with one GET."""
        return to_image(self._call_client(context, "GET", image_id))

    def update(self, context: port.Context, image_id: str, changes: port.Changes) -> port.Image:
        """Change custom properties, with one PATCH."""
        patch: list[dict[str, str]] = [
            {"op": operation, "path": _pointer(key), "value": value}
            for operation, values in (("add", changes.add), ("replace", changes.replace))
            for key, value in values.items()
        ]
        patch += [{"op": "remove", "path": _pointer(key)} for key in changes.remove]
        headers, data = {"Content-Type": JSON_PATCH}, orjson.dumps(patch).decode()
        return to_image(self._call_client(context, "PATCH", image_id, headers, data=data))

    def delete(self, context: port.Context, image_id: str) -> None:
        """Delete an image, with one DELETE."""
        self._call_client(context, "DELETE", image_id)

    def _call_client(
        self,
        context: port.Context,
        method: str,
        image_id: str,
        more_headers: Mapping[str, str] = MappingProxyType({}),
        **request: Any,
    ) -> requests.Response:
        endpoint = context.endpoint or self.endpoint(context.auth)
        client = _Client(self.session, endpoint_override=endpoint)
        url = f"/v2/images/{quote(image_id, safe='')}"

        def send(headers: dict[str, str], **kwargs: Any) -> requests.Response:
            headers |= more_headers
            answer: requests.Response = client.request(
                url, method, headers=headers, **kwargs, **request
            )
            return answer

        try:
            return self._call(context, _OPERATIONS[method], send)
        except port.ImageNotAuthorized as error:
            if method != "GET":
                raise
            raise port.ImageNotFound(error.text) from error
        except port.ImageNotFound as error:
            if not names_image(error.text, image_id):  # it may come from a wrong address
                list_one = partial(self.list_page, replace(context, share=None), {}, limit=1)
                self._addresses.require_glance(endpoint, list_one, context.deadline)
            raise

    def _call(
        self, context: port.Context, operation: str, send: Callable[..., requests.Response]
    ) -> requests.Response:
        """Make one call within the request's time and slot, and raise the error it reports."""
        count = context.share.take if context.share and operation == "list" else None
        try:
            if count:
                count(0)
            if context.slot:
                if context.auth:  # which may have to log in: nobody holds a slot meanwhile
                    context.auth.get_headers(self.session)
                context.slot.acquire()
        except FAILURES as error:
            raise self._unavailable(error) from error
        started = time.monotonic()
        if (left := context.deadline - started) <= 0:
            raise port.ImageServiceUnavailable("no time is left to call Glance")
        status, request_id = 0, ""
        try:
            answer = send(**self._request(context, left, count))
            status = answer.status_code
            request_id = answer.headers.get("X-OpenStack-Request-ID", "")[:_MAX_REQUEST_ID_LENGTH]
        except FAILURES as error:
            raise self._unavailable(error) from error
        finally:
            took = time.monotonic() - started
            context.calls.append(port.Call(operation, status, took, request_id))
        if status not in _SUCCESSES:
            raise port_error(answer)
        return answer

    def _unavailable(self, error: Exception) -> port.ImageServiceUnavailable:
        if isinstance(error, LimitExceeded):
            return port.ImageServiceUnavailable(str(error), retry_after=error.retry_after)
        retry_after = "1" if self._transport.breaker.is_open else None
        text = f"{type(error).__name__}: {error}"
        return port.ImageServiceUnavailable(text, retry_after=retry_after)

    def _request(
        self, context: port.Context, left: float, count: Callable[[int], None] | None
    ) -> dict[str, Any]:
        """Return what every request has: the caller's token, headers and bounds."""
        bounds = Bounds(
            connect=self._options.connect_timeout_seconds,
            read=self._options.read_timeout_seconds,
            total=None if left == math.inf else left,
        )
        bounds.count = count
        return {
            "auth": context.auth,
            "headers": {
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "X-OpenStack-Request-ID": context.request_id,
            },
            "timeout": bounds,
            "raise_exc": False,
        }


class _Client(SessionClient):  # type: ignore[misc] # the library has no types
    """glanceclient's session client, which returns answers as they are."""

    def _handle_response(self, resp: requests.Response) -> requests.Response:
        return resp


def _pointer(key: str) -> str:
    """Return a key as a JSON pointer."""
    return "/" + key.replace("~", "~0").replace("/", "~1")
