"""Whether this process answers, and whether what it needs does.

The form is oslo.middleware's: a word for each reason, in plain text or JSON; 503 where something
is wrong; `HEAD` has a status only.

Source: oslo.middleware 7.0, oslo_middleware/healthcheck/__init__.py and disable_by_file.py.
"""

from __future__ import annotations

import json

from flask import Blueprint, Response, request

from nova_image_shim.web.current import services, settings

blueprint = Blueprint("health", __name__)

_TYPES = ["text/plain", "application/json"]


@blueprint.get("/healthcheck")
def healthcheck() -> Response:
    """Tell that this process answers: 200 `OK`, 503 `DISABLED BY FILE`; nothing else is asked."""
    return _answer([])


@blueprint.get("/healthcheck/ready")
def ready() -> Response:
    """Tell whether Keystone and Glance answer: 200 `OK`, 503 and which of them does not."""
    failing = services().readiness.failing()
    return _answer([f"{name.upper()} NOT READY" for name in failing])


def _answer(wrong: list[str]) -> Response:
    disable_file = settings().healthcheck_disable_file
    if disable_file and disable_file.exists():
        wrong = ["DISABLED BY FILE"]
    if request.method == "HEAD":
        return Response(status=503 if wrong else 204, content_type="text/plain; charset=UTF-8")
    kind = request.accept_mimetypes.best_match(_TYPES, default="text/plain")
    reasons = wrong or ["OK"]
    body = "\n".join(reasons)
    if kind == "application/json":
        body = json.dumps({"detailed": False, "reasons": reasons}, indent=4)
    return Response(body, 503 if wrong else 200, content_type=f"{kind}; charset=UTF-8")
