"""The services beside the legacy calls, put into the application: identity and image API."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flask import request
from werkzeug.exceptions import HTTPException

from nova_image_shim.api.errors import http_exception
from nova_image_shim.fakecloud.identity import responses as keystone_wire
from nova_image_shim.fakecloud.identity import v2 as identity_v2
from nova_image_shim.fakecloud.identity import v3 as identity_v3
from nova_image_shim.fakecloud.identity import versions as identity_versions
from nova_image_shim.fakecloud.image import responses as glance_wire
from nova_image_shim.fakecloud.image import views as glance_v2

if TYPE_CHECKING:
    from flask import Flask, Response

_FORMS = {
    "identity": keystone_wire.from_http_exception,
    "v3": keystone_wire.from_http_exception,
    "v2.0": keystone_wire.from_http_exception,
    "image": glance_wire.from_http_exception,
}
_TOKEN_IN_PATH = re.compile(r"(.*/v2\.0/tokens/).+")


def register_services(app: Flask) -> None:
    """Add the services to an application, in whose `extensions` their state is."""
    app.url_value_preprocessor(_hide_token)  # these come before any step can refuse
    app.register_error_handler(HTTPException, _http_exception)
    app.register_blueprint(identity_versions.blueprint)
    for name, blueprint in (("v3", identity_v3.blueprint), ("v2.0", identity_v2.blueprint)):
        for root in ("/identity", ""):  # some clients take no path with the host
            full_name = f"{blueprint.name} {root}"
            app.register_blueprint(blueprint, name=full_name, url_prefix=f"{root}/{name}")
    app.register_blueprint(glance_v2.versions)
    for version in ("2", *glance_v2.VERSIONS):  # Glance takes any of them in a path, as v2
        full_name = f"{glance_v2.blueprint.name} {version}".replace(".", "_")
        app.register_blueprint(glance_v2.blueprint, name=full_name, url_prefix=f"/image/v{version}")


def _hide_token(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Keep the token that v2.0 has in a path out of the log, which shows the target."""
    if match := _TOKEN_IN_PATH.fullmatch(request.path):
        request.environ["RAW_URI"] = f"{match[1]}***"


def _http_exception(error: HTTPException) -> Response:
    """Refuse an unknown path or method in the form of the service whose path it is below."""
    form = _FORMS.get(request.path.split("/")[1], http_exception)
    return form(error)
