"""The embedded cloud: an identity, a catalog and an image API beside the legacy calls.

It checks passwords so that clients can be tested against it, not to keep anybody out.
"""

import logging
from functools import partial
from typing import TYPE_CHECKING

from flask import Flask, Request, Response, request

from nova_image_shim.api.errors import fault_response
from nova_image_shim.application import create_app
from nova_image_shim.auth.any_token import accept_any_token
from nova_image_shim.auth.caller import Authenticate, Caller, Unauthenticated
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.compute import register_compute
from nova_image_shim.fakecloud.control.app import mount_control_plane
from nova_image_shim.fakecloud.hosts import guard_host
from nova_image_shim.fakecloud.identity import v3
from nova_image_shim.fakecloud.identity.identity import Identity, Unauthorized
from nova_image_shim.fakecloud.identity.login import EmbeddedIdentity, unauthorized
from nova_image_shim.fakecloud.image import service as glance_v2
from nova_image_shim.fakecloud.seed import Seed
from nova_image_shim.fakecloud.welcome import docs_examples, docs_token, welcome
from nova_image_shim.identity_v2 import PATHS, ROOTS, register_identity_v2, views
from nova_image_shim.identity_v2.responses import keystone_error
from nova_image_shim.observability.trace import CURRENT
from nova_image_shim.settings import Settings
from nova_image_shim.web.errors import register_errors, render_by_path, renderer_for

if TYPE_CHECKING:
    from nova_image_shim.observability.metrics import Metrics

_log = logging.getLogger(__name__)

_RENDERERS = {**dict.fromkeys((*PATHS, "v3"), keystone_error), "image": glance_v2.glance_error}


def create_seeded_app(settings: Settings, seed: Seed, metrics: "Metrics | None" = None) -> Flask:
    """Return the application over an embedded cloud, and log that it is not secure."""
    _log.warning(
        "SHIM_BACKEND=memory: an embedded cloud with %d images, lost when the process ends; it is "
        "NOT secure: its passwords are public, and anyone who reaches /_fake/ can change "
        "everything%s",
        len(seed.images),
        "; SHIM_FAKE_OPEN=1: any token and any Host are accepted" if settings.fake_open else "",
    )
    return create_cloud_app(
        settings, FakeCloud(seed, settings.fake_max_image_bytes), metrics=metrics
    )


def create_cloud_app(
    settings: Settings, cloud: FakeCloud, metrics: "Metrics | None" = None
) -> Flask:
    """Return the application with the embedded cloud mounted.

    Args:
        settings: with the memory backend.
        cloud: its state, stored in `app.extensions["fake_cloud"]`.
        metrics: counts requests; None for no metrics.
    """
    authenticate = accept_any_token if settings.fake_open else _authenticate_by(cloud.identity)
    app = create_app(settings, cloud.image_service, authenticate, metrics=metrics)
    app.extensions["fake_cloud"] = cloud
    app.extensions["fake_authenticate"] = authenticate
    app.extensions["welcome"] = partial(welcome, cloud.seed)
    app.extensions["docs_token"] = partial(docs_token, cloud)
    app.extensions["docs_examples"] = partial(docs_examples, cloud)
    if not settings.fake_open:
        guard_host(app, settings)
    _register_services(app, settings)
    mount_control_plane(app, cloud, settings)
    return app


def _authenticate_by(identity: Identity) -> Authenticate:
    """Return what finds the caller of a token in the embedded identity."""

    def authenticate(request: Request, _project_id: str | None, /) -> Caller:
        try:
            token = identity.require(request.headers.get("X-Auth-Token", "").strip())
        except Unauthorized as error:
            raise Unauthenticated(str(error)) from error
        CURRENT.get().token = token.id
        project_id = token.project.id if token.project else None
        return Caller(token.user.id, project_id, roles=frozenset(token.roles))

    return authenticate


def _register_services(app: Flask, settings: Settings) -> None:
    """Add identity, compute calls, image API and the errors of each path to an application."""
    renderer = partial(renderer_for, renderers=_RENDERERS, default=fault_response)
    app.extensions["renderer_for"] = renderer
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
