"""What is counted, cached, announced and logged about logins by identity v2.0."""

import logging
from typing import Any

import pytest
from flask import Flask
from support import canary
from support.fakes import says
from support.identity_answers import API_KEY, CREDENTIALS, NO_TOKEN, error, login_v2
from werkzeug.test import TestResponse

from nova_image_shim.observability.logs import RequestFormatter
from nova_image_shim.observability.metrics import Metrics
from nova_image_shim.realcloud import create_glance_app
from nova_image_shim.usage.lines import read

from .conftest import EmbeddedKeystone, Front, settings_of

SECRET = "ann-password-0123456789abcdef"
GOOD = {"passwordCredentials": CREDENTIALS, "tenantName": "demo"}
WRONG = {"passwordCredentials": {**CREDENTIALS, "password": SECRET}}


def counted(metrics: Metrics) -> dict[str, float]:
    return {
        sample.labels["result"]: sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "nova_image_shim_identity_v2_logins_total"
    }


def test_logins_are_counted_by_result(v3_keystone: EmbeddedKeystone) -> None:
    metrics = Metrics(threads=1, backend="glance")
    client = create_glance_app(settings_of(v3_keystone), metrics).test_client()
    for auth in (GOOD, GOOD, WRONG, {}):
        login_v2(client, auth)
    client.post("/identity/v2.0", json={"auth": GOOD})
    v3_keystone.answers.append(says(500))
    login_v2(client, GOOD)
    client.get("/v2.0/tenants", headers={"X-Auth-Token": "demo"})
    v3_keystone.reset()
    assert {"accepted": 3, "refused": 1, "invalid": 1, "unavailable": 1} == counted(metrics)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Any:
    """Return a function that returns the lines of the service's log, as they are written."""
    caplog.set_level("DEBUG")
    lines: list[str] = []
    handler = logging.Handler()
    formatter = RequestFormatter()
    handler.emit = lambda record: lines.append(formatter.format(record))  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)


def test_the_log_has_no_password_and_no_token(front: Front, logged: list[str]) -> None:
    client = front()
    token = login_v2(client, GOOD).json["access"]["token"]["id"]
    for auth in (
        WRONG,
        {API_KEY: {"username": "demo", "apiKey": SECRET}},
        {"token": {"id": SECRET}},
        {"passwordCredentials": {"username": 1, "password": SECRET}},
    ):
        login_v2(client, auth)
    client.post(f"/identity/v2.0/?password={'x'}", data=f'{{"auth": {{"password": "{SECRET}"')
    for path in (
        f"/v2.0/tokens/{token}",
        f"/identity//v2.0//tokens/{token}?belongsTo=demo",
        f"/v2.0/%74okens/{token}",
        f"/v2.0/tokens/{token}/endpoints",
        f"/v2.0/tokens/a%0a{token}",
    ):
        for method in ("GET", "DELETE"):
            client.open(path, method=method, headers={"X-Auth-Token": token})
    assert any("/v2.0/tokens/*** HTTP" in line for line in logged)
    assert [] == [line for line in logged if SECRET in line or token in line]
    canary.search("logs", "\n".join(logged), {})


def test_usage_shows_who_logs_in(front: Front, logged: list[str]) -> None:
    client = front()
    client.environ_base["HTTP_USER_AGENT"] = "python-novaclient"
    login_v2(client, GOOD)
    login_v2(client, WRONG)
    found = [call for line in logged for call in read(line.encode()) or ()]
    calls = [call for call in found if call.client == "novaclient"]  # not those at Keystone
    assert [
        ("demo", "demo", "identity_v2.issue", 200),
        ("-", "-", "identity_v2.issue", 401),
    ] == [(call.user, call.project, call.call, call.status) for call in calls]


def test_the_log_says_why_an_api_keys_token_is_unscoped(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    login = login_v2(front(), {API_KEY: {"username": "demo", "apiKey": "demo"}})
    assert [] == login.json["access"]["serviceCatalog"]
    text = "the API key's token is unscoped: its user has no default project with a role"
    assert text in caplog.messages


def image_call(app: Flask, token: str) -> TestResponse:
    return app.test_client().get("/v2/demo/images", headers={"X-Auth-Token": token})


@pytest.mark.parametrize(("deleted", "status"), [(None, 401), (404, 200), (500, 200)])
def test_a_revoked_token_is_dropped_from_the_cache(
    v3_keystone: EmbeddedKeystone, deleted: int | None, status: int
) -> None:
    """It is validated again, even where Keystone says that it was none; an error proves nothing."""
    app = create_glance_app(settings_of(v3_keystone))
    client = app.test_client()
    token = login_v2(client, GOOD).json["access"]["token"]["id"]
    assert [200, 200] == [image_call(app, token).status_code for _ in range(2)]
    if deleted:
        v3_keystone.answers.append(says(deleted, NO_TOKEN))
    client.delete(f"/v2.0/tokens/{token}", headers={"X-Auth-Token": token})
    before = v3_keystone.validations()
    assert status == image_call(app, token).status_code
    assert (deleted != 500) == (v3_keystone.validations() > before)
    v3_keystone.reset()


SUNSET = {"SHIM_SUNSET": "2027-01-31", "SHIM_BROWNOUT": "clients=novaclient"}
GONE = error(410, "Gone", "Identity v2.0 is being switched off. Log in with identity v3.")


@pytest.mark.parametrize("path", ["/v2.0/tokens", "/identity/v2.0/tokens", "/identity/v2.0"])
def test_the_end_is_rehearsed_and_announced(
    front: Front, v3_keystone: EmbeddedKeystone, path: str
) -> None:
    client = front(**SUNSET)
    headers = {"User-Agent": "python-novaclient"}
    refused: Any = client.post(path, json={"auth": GOOD}, headers=headers)
    assert (410, GONE) == (refused.status_code, refused.json)
    assert [] == v3_keystone.seen
    served = client.post(path, json={"auth": GOOD})
    document = client.get("/identity/v2.0", headers=headers)
    assert [200, 200] == [served.status_code, document.status_code]
    for answer in (refused, served, document):
        assert "Sun, 31 Jan 2027 00:00:00 GMT" == answer.headers["Sunset"]
