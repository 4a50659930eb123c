"""What every blueprint of identity v2.0 has: its errors, and its end, announced and rehearsed."""

from flask import Blueprint, Response, request

from nova_image_shim.adapters.identity_port import IdentityError
from nova_image_shim.adapters.keystone.errors import KeystoneUnavailable
from nova_image_shim.identity_v2.responses import refused, unavailable
from nova_image_shim.web.current import settings
from nova_image_shim.web.retirement import announcements, refuse_in_brownout

_GONE = "Identity v2.0 is being switched off. Log in with identity v3."
_DOCUMENTS = ("identity_versions.index", "identity_versions.show")


def equip(blueprint: Blueprint) -> None:
    """Add the errors, the announcements and the brownout to a blueprint."""
    blueprint.before_request(_rehearse_end)
    blueprint.after_request(_announce)
    blueprint.register_error_handler(IdentityError, refused)
    blueprint.register_error_handler(KeystoneUnavailable, unavailable)


def _rehearse_end() -> None:
    """Refuse the current request if the brownout covers it; version documents are always served.

    Raises:
        HTTPError: 410, or 404.
    """
    conf = settings()
    if conf.identity_v2 and conf.brownout and request.endpoint not in _DOCUMENTS:
        refuse_in_brownout(conf.brownout, _GONE)


def _announce(response: Response) -> Response:
    """Announce the end, and keep tokens out of caches."""
    conf = settings()
    if conf.identity_v2:
        response.headers["Cache-Control"] = "private, no-store"
        for name, value in announcements(conf):
            response.headers.add(name, value)
    return response
