"""Health checks: whether this process answers, and whether Keystone and Glance do.

Responses have the form of oslo.middleware's: one reason per line, or JSON, with status 503 if
anything fails. A `HEAD` response has only a status.

Source: oslo.middleware 7.0, oslo_middleware/healthcheck/__init__.py and disable_by_file.py.
"""

import json

from flask import Blueprint, Response, request

from nova_image_shim.web.current import services, settings

blueprint = Blueprint("health", __name__)

_TYPES = ["text/plain", "application/json"]


@blueprint.get("/healthcheck")
def healthcheck() -> Response:
    """Report that this process answers: 200 `OK`, or 503 `DISABLED BY FILE`."""
    return _answer([])


@blueprint.get("/healthcheck/ready")
def ready() -> Response:
    """Report whether Keystone and Glance answer: 200 `OK`, or 503 with those that do not."""
    failing = services().readiness.failing()
    return _answer([f"{name.upper()} NOT READY" for name in failing])


def _answer(failures: list[str]) -> Response:
    disable_file = settings().healthcheck_disable_file
    if disable_file and disable_file.exists():
        failures = ["DISABLED BY FILE"]
    if request.method == "HEAD":
        return Response(status=503 if failures else 204, content_type="text/plain; charset=UTF-8")
    kind = request.accept_mimetypes.best_match(_TYPES, default="text/plain")
    reasons = failures or ["OK"]
    body = "\n".join(reasons)
    if kind == "application/json":
        body = json.dumps({"detailed": False, "reasons": reasons}, indent=4)
    return Response(body, 503 if failures else 200, content_type=f"{kind}; charset=UTF-8")
