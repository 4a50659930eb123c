"""An image store behind a gate: not every thread may wait for it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.limits.limiter import NoPlaceError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from contextlib import AbstractContextManager
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from nova_image_shim.adapters.limits.limiter import Gate


class GuardedImageService(port.ImageService):
    """The port's promises, kept by another, for as many at once as a gate lets in.

    Whoever is not let in gets an `ImageServiceUnavailable` with a `Retry-After`.
    """

    def __init__(self, service: port.ImageService, gate: Gate) -> None:
        self._service = service
        self._gate = gate

    def admit(self) -> AbstractContextManager[None]:
        """Take a place, and return what gives it back.

        Raises:
            ImageServiceUnavailable: none became free in time, or too many wait already.
        """
        try:
            return self._gate.enter()
        except NoPlaceError as error:
            raise port.ImageServiceUnavailable(str(error), retry_after=error.retry_after) from error

    def endpoint(self, context: port.Context) -> str | None:
        """Return the store's address; nobody is asked for it."""
        return self._service.endpoint(context)

    def list_page(
        self,
        context: port.Context,
        query: Mapping[str, str],
        *,
        limit: int,
        marker: str | None = None,
        oldest_first: bool = False,
    ) -> port.Page:
        """Return one page of a list."""
        with self.admit():
            return self._service.list_page(
                context, query, limit=limit, marker=marker, oldest_first=oldest_first
            )

    def get(self, context: port.Context, image_id: str) -> port.Image:
        """Return one image."""
        with self.admit():
            return self._service.get(context, image_id)

    def update(
        self,
        context: port.Context,
        image_id: str,
        *,
        add: Mapping[str, str],
        replace: Mapping[str, str],
        remove: Collection[str],
    ) -> port.Image:
        """Change custom properties of an image."""
        with self.admit():
            return self._service.update(context, image_id, add=add, replace=replace, remove=remove)

    def delete(self, context: port.Context, image_id: str) -> None:
        """Delete an image."""
        with self.admit():
            self._service.delete(context, image_id)


class Visits:
    """WSGI middleware: a request has one place at a gate, from its first call to its end."""

    def __init__(self, app: WSGIApplication, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on."""
        with self._gate.visit():
            return self._app(environ, start_response)
