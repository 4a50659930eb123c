"""Provide identity v2.0 in front of a real Keystone, which dropped it in Queens.

It only translates: each login becomes a v3 login, and the token is Keystone's.
"""

import json
from dataclasses import dataclass
from typing import Any

import requests
from keystoneauth1.fixture import V2Discovery, V2Token
from werkzeug.wrappers import Request, Response

API_KEY = "RAX-KSKEY:apiKeyCredentials"
RACKSPACE_COMPUTE = "cloudServersOpenStack"


@dataclass(frozen=True)
class AuthFront:
    """The WSGI application.

    Args:
        auth_url: Keystone's URL with `/v3`.
    """

    auth_url: str

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if request.path == "/v2.0/tokens" and request.method == "POST":
            return self._log_in(json.loads(request.get_data())["auth"])
        if request.path.rstrip("/") == "/v2.0" and request.method == "GET":
            return _json({"version": V2Discovery(f"{request.host_url}v2.0/")}, 200)
        error = {"code": 404, "title": "Not Found", "message": f"{request.method} {request.path}"}
        return _json({"error": error}, 404)

    def _log_in(self, auth: dict[str, Any]) -> Response:
        answer = requests.post(f"{self.auth_url}/auth/tokens", json=to_v3(auth), timeout=60)
        if answer.status_code != 201:
            return _json(answer.json(), answer.status_code)
        token_id = answer.headers["X-Subject-Token"]
        return _json(to_v2(token_id, answer.json()["token"], rackspace=API_KEY in auth), 200)


def to_v3(auth: dict[str, Any]) -> dict[str, Any]:
    """Convert a v2.0 login to v3; Rackspace's form has no project."""
    given = auth.get("passwordCredentials") or auth[API_KEY]
    default = {"id": "default"}
    user = {
        "name": given["username"],
        "password": given.get("password") or given["apiKey"],
        "domain": default,
    }
    project = {"name": auth.get("tenantName", given["username"]), "domain": default}
    identity = {"methods": ["password"], "password": {"user": user}}
    return {"auth": {"identity": identity, "scope": {"project": project}}}


def to_v2(token_id: str, token: dict[str, Any], *, rackspace: bool) -> V2Token:
    """Convert a v3 token to v2.0, optionally with Rackspace's name for compute."""
    access = V2Token(
        token_id=token_id,
        expires=f"{token['expires_at'][:19]}Z",  # v2.0 has no fractions
        tenant_id=token["project"]["id"],
        tenant_name=token["project"]["name"],
        user_id=token["user"]["id"],
        user_name=token["user"]["name"],
    )
    for role in token["roles"]:
        access.add_role(role["name"], role["id"])
    for service in token["catalog"]:
        is_renamed = rackspace and service["type"] == "compute"
        entry = access.add_service(
            service["type"], RACKSPACE_COMPUTE if is_renamed else service["name"]
        )
        urls = {endpoint["interface"]: endpoint["url"] for endpoint in service["endpoints"]}
        entry.add_endpoint(**urls, region=service["endpoints"][0]["region"])
    return access


def _json(body: Any, status: int) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")
