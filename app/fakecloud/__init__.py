"""The embedded cloud: an identity, a catalog and an image API beside the legacy calls.

Mounted over the memory store only. It checks passwords so that clients can be tested against
it, not so that anybody is kept out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nova_image_shim import create_app
from nova_image_shim.auth import accept_any_token
from nova_image_shim.fakecloud.control import mount
from nova_image_shim.fakecloud.control_plane import ControlPlane

if TYPE_CHECKING:
    from flask import Flask

    from nova_image_shim.fakecloud.cloud import FakeCloud
    from nova_image_shim.settings import Settings


def create_cloud_app(settings: Settings, cloud: FakeCloud) -> Flask:
    """Return the application with the embedded cloud mounted.

    Args:
        settings: what `Settings.from_environ` gave, with the memory backend.
        cloud: the state behind it, kept in `app.extensions["fake_cloud"]`; what steers it is in
            `app.extensions["control_plane"]`.
    """
    app = create_app(settings, cloud.images, accept_any_token)
    app.extensions["fake_cloud"] = cloud
    app.extensions["control_plane"] = plane = ControlPlane(cloud)
    app.wsgi_app = mount(app.wsgi_app, plane, settings.bind)  # type: ignore[method-assign,assignment]
    return app
