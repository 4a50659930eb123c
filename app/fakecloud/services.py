"""The services beside the legacy calls: identity and image API, and the errors of each path."""

import re
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request

from nova_image_shim.api.errors import fault_response
from nova_image_shim.fakecloud.compute import register_compute
from nova_image_shim.fakecloud.identity import v2, v3
from nova_image_shim.fakecloud.identity import versions as identity_versions
from nova_image_shim.fakecloud.identity.identity import Unauthorized
from nova_image_shim.fakecloud.identity.responses import keystone_error, unauthorized
from nova_image_shim.fakecloud.image import service as glance_v2
from nova_image_shim.settings import Settings
from nova_image_shim.web.errors import register_errors

_RENDERERS: dict[str, Callable[[int, str | None], Response]] = {
    "identity": keystone_error,
    "v3": keystone_error,
    "v2.0": keystone_error,
    "image": glance_v2.glance_error,
}
_TOKEN_IN_PATH = re.compile(r"(.*/v2\.0/tokens/).+")


def renderer_for(path: str) -> Callable[[int, str | None], Response]:
    """Return the function that renders a status and a text, None for the status's default."""
    service = path.split("/")[1] if "/" in path else ""
    return _RENDERERS.get(service, fault_response)


def _render(status: int, message: str | None) -> Response:
    return renderer_for(request.path)(status, message)


def register_services(app: Flask, settings: Settings) -> None:
    """Add the services to an application that has the cloud in its `extensions`."""
    app.url_value_preprocessor(_hide_token)  # runs before any step can refuse
    register_errors(app, _render)
    app.register_error_handler(Unauthorized, unauthorized)
    _register_identity(app)
    register_compute(app, settings.mounts)
    app.register_blueprint(glance_v2.versions)
    for version in ("2", *glance_v2.VERSIONS):  # Glance accepts any of them in a path
        full_name = f"{glance_v2.blueprint.name} {version}".replace(".", "_")
        app.register_blueprint(glance_v2.blueprint, name=full_name, url_prefix=f"/image/v{version}")


def _register_identity(app: Flask) -> None:
    app.url_map.strict_slashes = False  # Keystone strips a final slash
    app.register_blueprint(identity_versions.blueprint)
    for name, blueprint in (("v3", v3.blueprint), ("v2.0", v2.blueprint)):
        for root in ("/identity", ""):  # some clients drop the path of the address
            full_name = f"{blueprint.name} {root}"
            app.register_blueprint(blueprint, name=full_name, url_prefix=f"{root}/{name}")
    app.url_map.strict_slashes = True


def _hide_token(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Keep the token in a path of v2.0 out of the log, which shows the target."""
    if match := _TOKEN_IN_PATH.fullmatch(request.path):
        request.environ["RAW_URI"] = f"{match[1]}***"
