"""Health checks: whether this process lives, takes requests, and reaches Keystone and Glance.

Responses have the form of oslo.middleware's: one reason per line, or JSON, with status 503 if
anything fails. A `HEAD` response has only a status.

Source: oslo.middleware 7.0, oslo_middleware/healthcheck/__init__.py and disable_by_file.py.
"""

import json

from flask import Blueprint, Response, request

from nova_image_shim.web.current import services, settings

blueprint = Blueprint("health", __name__)

_TYPES = ["text/plain", "application/json"]


@blueprint.get("/healthcheck/live")
def live() -> Response:
    """Report that this process answers: always 200 `OK`. A drained process is still alive."""
    return _answer([])


@blueprint.get("/healthcheck")
def healthcheck() -> Response:
    """Report whether this process takes requests: 200 `OK`, or 503 `DISABLED BY FILE`."""
    return _answer(_disabled())


@blueprint.get("/healthcheck/ready")
def ready() -> Response:
    """Report whether Keystone and Glance answer: 200 `OK`, or 503 with those that do not."""
    return _answer(_disabled() or _failing())


def _failing() -> list[str]:
    return [f"{name.upper()} NOT READY" for name in services().readiness.failing()]


def _disabled() -> list[str]:
    disable_file = settings().healthcheck_disable_file
    return ["DISABLED BY FILE"] if disable_file and disable_file.exists() else []


def _answer(failures: list[str]) -> Response:
    if request.method == "HEAD":
        return Response(status=503 if failures else 204, content_type="text/plain; charset=UTF-8")
    kind = request.accept_mimetypes.best_match(_TYPES, default="text/plain")
    reasons = failures or ["OK"]
    body = "\n".join(reasons)
    if kind == "application/json":
        body = json.dumps({"detailed": False, "reasons": reasons}, indent=4)
    return Response(body, 503 if failures else 200, content_type=f"{kind}; charset=UTF-8")
