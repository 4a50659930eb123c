"""Identity v2.0, which Keystone dropped in 2018 and old clients still speak, over a port."""

from collections.abc import Callable, Sequence

from flask import Flask, Response

from nova_image_shim.adapters.identity_port import IdentityService
from nova_image_shim.identity_v2 import views
from nova_image_shim.identity_v2.problems import problems
from nova_image_shim.identity_v2.versions import versions_blueprint

__all__ = ["PATHS", "ROOTS", "problems", "register_identity_v2"]

ROOTS = ("/identity", "")  # some clients drop the path of the address
PATHS = ("identity", "v2.0")  # what the paths begin with


def register_identity_v2(
    app: Flask,
    service: IdentityService,
    versions: Sequence[str] = ("v2.0",),
    log_in: Callable[..., Response] = views.issue,
) -> None:
    """Add identity v2.0 to an application.

    Args:
        app: the application.
        service: makes and shows tokens.
        versions: those that the identity has.
        log_in: the view for logins that clients send to the address of a version.
    """
    app.extensions["identity_v2"] = service
    app.url_map.strict_slashes = False  # Keystone strips a final slash
    app.register_blueprint(versions_blueprint(versions, log_in))
    for root in ROOTS:
        name = f"{views.blueprint.name} {root}"
        app.register_blueprint(views.blueprint, name=name, url_prefix=f"{root}/v2.0")
    app.url_map.strict_slashes = True
