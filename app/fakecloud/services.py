"""The services beside the legacy calls, put into the application: identity and image API."""

import re
from typing import Any

from flask import Flask, request

from nova_image_shim.fakecloud.errors import render_error
from nova_image_shim.fakecloud.identity import v2 as identity_v2
from nova_image_shim.fakecloud.identity import v3 as identity_v3
from nova_image_shim.fakecloud.identity import versions as identity_versions
from nova_image_shim.fakecloud.identity.identity import Unauthorized
from nova_image_shim.fakecloud.identity.responses import unauthorized
from nova_image_shim.fakecloud.image import views as glance_v2
from nova_image_shim.web.errors import register_errors

_TOKEN_IN_PATH = re.compile(r"(.*/v2\.0/tokens/).+")


def register_services(app: Flask) -> None:
    """Add the services to an application that has the cloud in its `extensions`."""
    app.url_value_preprocessor(_hide_token)  # runs before any step can refuse
    register_errors(app, render_error)
    app.register_error_handler(Unauthorized, unauthorized)
    app.register_blueprint(identity_versions.blueprint)
    for name, blueprint in (("v3", identity_v3.blueprint), ("v2.0", identity_v2.blueprint)):
        for root in ("/identity", ""):  # some clients drop the path of the address
            full_name = f"{blueprint.name} {root}"
            app.register_blueprint(blueprint, name=full_name, url_prefix=f"{root}/{name}")
    app.register_blueprint(glance_v2.versions)
    for version in ("2", *glance_v2.VERSIONS):  # Glance accepts any of them in a path
        full_name = f"{glance_v2.blueprint.name} {version}".replace(".", "_")
        app.register_blueprint(glance_v2.blueprint, name=full_name, url_prefix=f"/image/v{version}")


def _hide_token(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Keep the token in a path of v2.0 out of the log, which shows the target."""
    if match := _TOKEN_IN_PATH.fullmatch(request.path):
        request.environ["RAW_URI"] = f"{match[1]}***"
