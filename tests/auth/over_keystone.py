"""The application over a fake Keystone: what the tests of this folder share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask
from support.fakes import FakeKeystone, token_of
from support.live import glance_environ
from werkzeug.test import TestResponse
from werkzeug.wrappers import Request, Response

from nova_image_shim.realcloud import create_glance_app
from nova_image_shim.settings import Settings

Mood = Callable[[Request], Response]


def fault(name: str, code: int, *text: str) -> dict[str, Any]:
    return {name: {"code": code, "message": " ".join(text)}}


UNAUTHORIZED = fault("error", 401, "The request you have made requires authentication.")
UNAUTHORIZED["error"]["title"] = "Unauthorized"
UNAVAILABLE = fault(
    *("serviceUnavailable", 503),
    *("The server is currently unavailable.", "Please try again at a later time."),
)
NOT_FOUND = fault("itemNotFound", 404, "The resource could not be found.")
BAD_METHOD = fault(
    *("badMethod", 405, "The server could not comply with the request since it is either"),
    "malformed or otherwise incorrect.",
)
ERRED = fault(
    *("computeFault", 500, "The server has either erred or is incapable of performing the"),
    "requested operation.",
)
REFUSED, AWAY = (401, UNAUTHORIZED), (503, UNAVAILABLE)
EMPTY: tuple[int, Any] = (200, {"images": []})
IMAGE_ID = "70a599e0-31e7-49b7-b260-868f441e862b"
LOGIN, VALIDATION = ("POST", "/v3/auth/tokens"), ("GET", "/v3/auth/tokens")


@dataclass
class MoodyKeystone(FakeKeystone):
    """A Keystone that can be out of order and takes its time.

    Args:
        mood: what answers instead of Keystone, None for Keystone itself.
        asked: called with each token that is validated, before the answer.
        change: what changes a token's data.
    """

    mood: Mood | None = None
    asked: Callable[[str], object] = lambda _token: None
    change: Callable[[Any], object] = lambda _data: None

    def usual(self, request: Request) -> Response:
        return self.mood(request) if self.mood else super().usual(request)

    def _validate(self, token: str) -> Response:
        self.asked(token)
        return super()._validate(token)

    def _token(self, project: str) -> Any:
        token = super()._token(project)
        identity = token["token"]["catalog"][0]["endpoints"]
        identity += [
            {**one, "region": name, "region_id": name} for one in identity for name in "ST"
        ]
        if project != "service":
            self.change(token["token"])
        return token

    def calls(self) -> list[tuple[str, str]]:
        return [(seen.method, seen.path) for seen in self.seen]


def settings_of(keystone: FakeKeystone, **environ: str) -> Settings:
    return Settings.from_environ(glance_environ(keystone) | environ)


def over(keystone: FakeKeystone, **environ: str) -> Flask:
    """Return the application over a Keystone, as it is composed for a real cloud."""
    return create_glance_app(settings_of(keystone, **environ))


def warm(keystone: FakeKeystone, **environ: str) -> Flask:
    """Return the same, with its service user logged in."""
    app = over(keystone, **environ)
    assert 200 == ask(app, "/v2/warm/images", token_of("warm")).status_code
    keystone.seen.clear()
    return app


def ask(
    app: Flask, path: str = "/v2/demo/images", token: str | None = token_of("demo"), **more: str
) -> TestResponse:
    headers = more if token is None else {"X-Auth-Token": token, **more}
    return app.test_client().get(path, headers=headers)


def told(answer: TestResponse) -> tuple[int, Any]:
    return answer.status_code, answer.json


FORGED_VALUES = {
    "Confirmed": "X-Identity-Status X-Service-Identity-Status X_Identity_Status",
    "alt": "X-Project-Id X-Project-Name X-Tenant-Id X-Tenant-Name X-Tenant X-Auth-Project-Id "
    "X-Domain-Id X-Domain-Name X-Project-Domain-Id X_Project_Id",
    "root": "X-User-Id X-User-Name X-User X-Service-User-Id X-Remote-User",
    "default": "X-User-Domain-Id",
    "admin": "X-Role",
    "admin,service": "X-Roles",
    "True": "X-Is-Admin-Project",
    "all": "OpenStack-System-Scope",
    "service": "X-Service-Project-Id X-Service-Roles",
    token_of("alt"): "X-Storage-Token X-Subject-Token",
    "Basic cm9vdDpyb290": "Authorization",
}
FORGED = {name: value for value, names in FORGED_VALUES.items() for name in names.split()}
