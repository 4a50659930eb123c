"""The services beside the legacy calls: identity and image API, and the errors of each path."""

from functools import partial

from flask import Flask, Response, request

from nova_image_shim.api.errors import fault_response
from nova_image_shim.fakecloud.compute import register_compute
from nova_image_shim.fakecloud.identity import v3
from nova_image_shim.fakecloud.identity.identity import Unauthorized
from nova_image_shim.fakecloud.identity.login import unauthorized
from nova_image_shim.fakecloud.identity.v2 import EmbeddedIdentity
from nova_image_shim.fakecloud.image import service as glance_v2
from nova_image_shim.identity_v2 import PATHS, ROOTS, register_identity_v2, views
from nova_image_shim.identity_v2.responses import keystone_error
from nova_image_shim.settings import Settings
from nova_image_shim.web.errors import register_errors, render_by_path
from nova_image_shim.web.errors import renderer_for as renderer_among

_RENDERERS = {
    **dict.fromkeys((*PATHS, "v3"), keystone_error),
    "image": glance_v2.glance_error,
}

renderer_for = partial(renderer_among, renderers=_RENDERERS, default=fault_response)


def register_services(app: Flask, settings: Settings) -> None:
    """Add the services to an application that has the cloud in its `extensions`."""
    register_errors(app, render_by_path(_RENDERERS, fault_response))
    app.register_error_handler(Unauthorized, unauthorized)
    _register_identity(app)
    register_compute(app, settings.mounts)
    app.register_blueprint(glance_v2.versions)
    for version in ("2", *glance_v2.VERSIONS):  # Glance accepts any of them in a path
        full_name = f"{glance_v2.blueprint.name} {version}".replace(".", "_")
        app.register_blueprint(glance_v2.blueprint, name=full_name, url_prefix=f"/image/v{version}")


def _register_identity(app: Flask) -> None:
    register_identity_v2(app, EmbeddedIdentity(), ("v3", "v2.0"), _log_in)
    app.url_map.strict_slashes = False  # Keystone strips a final slash
    for root in ROOTS:
        name = f"{v3.blueprint.name} {root}"
        app.register_blueprint(v3.blueprint, name=name, url_prefix=f"{root}/v3")
    app.url_map.strict_slashes = True


def _log_in() -> Response:
    """Log in at the address of a version; the body determines the version."""
    body = request.get_json(silent=True)
    auth = body.get("auth") if isinstance(body, dict) else None
    is_v3 = isinstance(auth, dict) and "identity" in auth
    return v3.issue() if is_v3 else views.issue()
