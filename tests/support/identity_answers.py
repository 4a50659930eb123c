"""What the embedded identity answers, and how it is asked: shared by the tests of its versions."""

from typing import Any
from unittest.mock import ANY

from flask.testing import FlaskClient

BASE = "http://localhost"
CHALLENGE = f'Keystone uri="{BASE}/identity"'
ROOTS = ["", "/identity"]
SERVICES = [
    ("compute", "nova", f"{BASE}/v2/demo"),
    ("identity", "keystone", f"{BASE}/identity/"),
    ("image", "glance", f"{BASE}/image"),
    ("computev21", "novav21", f"{BASE}/v2.1/demo"),
]


def catalog_v3() -> list[dict[str, Any]]:
    return [
        {
            "id": ANY,
            "type": type_,
            "name": name,
            "endpoints": [
                {
                    "id": ANY,
                    "interface": interface,
                    "url": f"{url}v3" if type_ == "identity" else url,
                    "region": "RegionOne",
                    "region_id": "RegionOne",
                }
                for interface in ("public", "internal", "admin")
            ],
        }
        for type_, name, url in SERVICES
    ]


def catalog_v2(*regions: str, names: dict[str, str] | None = None) -> list[dict[str, Any]]:
    return [
        {
            "type": type_,
            "name": (names or {}).get(name, name),
            "endpoints_links": [],
            "endpoints": [
                {
                    "id": ANY,
                    "tenantId": "demo",
                    "region": region,
                    **dict.fromkeys(
                        ("publicURL", "internalURL", "adminURL"),
                        f"{url}v2.0" if type_ == "identity" else url,
                    ),
                }
                for region in regions
            ],
        }
        for type_, name, url in SERVICES
        if not (names and type_ == "computev21")
    ]


def error(code: int, title: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "title": title, "message": message}}


UNAUTHORIZED = error(401, "Unauthorized", "The request you have made requires authentication.")
NO_TOKEN = error(404, "Not Found", "Failed to validate token")


def password(name: str = "demo", secret: str = "demo", domain: Any = None) -> dict[str, Any]:
    user = {"name": name, "domain": domain or {"id": "default"}, "password": secret}
    return {"methods": ["password"], "password": {"user": user}}


def by_token(token: str) -> dict[str, Any]:
    return {"methods": ["token"], "token": {"id": token}}


def login_v3(client: FlaskClient, identity: Any, scope: Any = None, root: str = "") -> Any:
    auth = {"identity": identity} | ({} if scope is None else {"scope": scope})
    return client.post(f"{root}/v3/auth/tokens", json={"auth": auth})


def login_v2(client: FlaskClient, auth: dict[str, Any], root: str = "") -> Any:
    return client.post(f"{root}/v2.0/tokens", json={"auth": auth})


DEMO = {"project": {"id": "demo"}}
CREDENTIALS = {"username": "demo", "password": "demo"}
API_KEY = "RAX-KSKEY:apiKeyCredentials"
FIELD = "Invalid input for field"
REQUIRED = "Missing data for required field."


def refused(answer: Any, message: str) -> None:
    said = answer.json["error"]["message"]
    assert (400, error(400, "Bad Request", said)) == (answer.status_code, answer.json)
    assert said.startswith(message)
    assert "12345" not in said
