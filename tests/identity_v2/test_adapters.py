"""Both adapters of the port answer alike: the embedded identity, and Keystone v3."""

import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.identity_answers import API_KEY, CREDENTIALS, login_v2

from .conftest import EmbeddedKeystone, Front
from .test_calls import LOGINS

WRONG: list[dict[str, Any]] = [
    {"passwordCredentials": {**CREDENTIALS, "password": "x"}},
    {"passwordCredentials": {**CREDENTIALS, "username": "nobody"}},
    {"passwordCredentials": CREDENTIALS, "tenantName": "alt"},
    {"passwordCredentials": CREDENTIALS, "tenantId": "nowhere"},
    {API_KEY: {"username": "demo", "apiKey": "x"}},
    {"token": {"id": "made-up"}},
    {"token": {"id": "demo"}, "tenantName": "nowhere"},
    {"passwordCredentials": {"username": "demo"}},
    {"passwordCredentials": {"password": "demo"}},
    {},
]
# The embedded identity has Rackspace's regions and names, and a default project.
RIGHT = [sent for sent, _asked in LOGINS if API_KEY not in sent]
MADE_UP = re.compile(r"\b[0-9a-f]{32}\b|\b[0-9a-f]{22}\b|\d{4}-\d\d-\d\dT[\d:.]+Z?")


def told(answer: Any, keystone: EmbeddedKeystone) -> tuple[int, Any]:
    """Return status and body, without what differs between two answers of one identity."""
    text = answer.get_data(as_text=True).replace(keystone.url, "http://localhost")
    return answer.status_code, json.loads(MADE_UP.sub("...", text)) if text else None


@pytest.mark.parametrize("auth", [*RIGHT, *WRONG], ids=json.dumps)
def test_a_login_has_one_answer(
    front: Front, cloud_client: FlaskClient, v3_keystone: EmbeddedKeystone, auth: Any
) -> None:
    own, other = (told(login_v2(client, auth), v3_keystone) for client in (cloud_client, front()))
    assert own == other


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", "tenants"), ("GET", "tenants?limit=0"), ("GET", "tenants?marker=x")),
        *(("GET", "tokens/demo?belongsTo=demo"), ("GET", "tokens/demo?belongsTo=alt")),
        *(("GET", "tokens/made-up"), ("DELETE", "tokens/made-up"), ("HEAD", "tokens/demo")),
        *(("GET", ""), ("GET", "extensions"), ("GET", "users"), ("PUT", "tenants")),
    ],
)
@pytest.mark.parametrize("token", ["demo", "made-up", ""])
def test_another_call_has_one_answer(
    front: Front,
    cloud_client: FlaskClient,
    v3_keystone: EmbeddedKeystone,
    method: str,
    path: str,
    token: str,
) -> None:
    headers = {"X-Auth-Token": token} if token else {}
    own, other = (
        told(client.open(f"/v2.0/{path}", method=method, headers=headers), v3_keystone)
        for client in (cloud_client, front())
    )
    assert own == other
