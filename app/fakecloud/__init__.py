"""The embedded cloud: an identity, a catalog and an image API beside the legacy calls.

Mounted over the memory store only. It checks passwords so that clients can be tested against
it, not so that anybody is kept out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nova_image_shim import create_app
from nova_image_shim.auth import accept_any_token

if TYPE_CHECKING:
    from flask import Flask

    from nova_image_shim.fakecloud.cloud import FakeCloud
    from nova_image_shim.settings import Settings


def create_cloud_app(settings: Settings, cloud: FakeCloud) -> Flask:
    """Return the application with the embedded cloud mounted.

    Args:
        settings: what `Settings.from_environ` gave, with the memory backend.
        cloud: the state behind it, kept in `app.extensions["fake_cloud"]`.
    """
    app = create_app(settings, cloud.images, accept_any_token)
    app.extensions["fake_cloud"] = cloud
    return app
