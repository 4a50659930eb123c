"""What the service user logs in with: every value reaches Keystone byte for byte."""

import json
import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from keystoneauth1 import access
from keystoneauth1.fixture import V3Token
from support.fakes import FakeKeystone
from support.live import glance_environ, until

from nova_image_shim.adapters.keystone.login import SharedLogin, v3_url
from nova_image_shim.adapters.limits.limiter import Limiter, LimitExceeded, Waiting
from nova_image_shim.auth.keystone import open_keystone
from nova_image_shim.check.command import findings
from nova_image_shim.settings import Settings

VALUES = ["x$z", "x$$z", r"a\$b", "${HOME}", "%(x)s", 'quo"te', "caf\u00e9 \U0001f40d", "#;,="]


def sent_by_service(keystone: FakeKeystone, environ: Mapping[str, str]) -> Any:
    """Log in as the service does, and return the body that Keystone got."""
    keystone.seen.clear()
    open_keystone(Settings.from_environ(environ)).log_in()
    return sent(keystone)


def sent_by_check(keystone: FakeKeystone, environ: Mapping[str, str]) -> Any:
    """Log in as `nova-image-shim check` does, and return the body that Keystone got."""
    keystone.seen.clear()
    list(findings(environ))
    return sent(keystone)


def sent(keystone: FakeKeystone) -> Any:
    return next(json.loads(seen.body)["auth"] for seen in keystone.seen if seen.method == "POST")


@pytest.mark.parametrize("log_in", [sent_by_service, sent_by_check])
@pytest.mark.parametrize("value", VALUES)
def test_a_password_login_is_sent_as_it_is(
    value: str, log_in: Any, keystone: FakeKeystone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keystone, "password", value)
    names = "OS_USERNAME OS_PASSWORD OS_PROJECT_NAME OS_USER_DOMAIN_NAME OS_PROJECT_DOMAIN_NAME"
    environ = glance_environ(keystone) | dict.fromkeys(names.split(), value)
    domain = {"domain": {"name": value}}
    user = {"name": value, "password": value, **domain}
    assert {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"name": value, **domain}},
    } == log_in(keystone, environ)


@pytest.mark.parametrize("log_in", [sent_by_service, sent_by_check])
@pytest.mark.parametrize("value", VALUES)
def test_an_application_credential_is_sent_as_it_is(
    value: str, log_in: Any, keystone: FakeKeystone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keystone, "password", value)
    environ = {
        "OS_AUTH_URL": f"{keystone.url}/v3",
        "OS_APPLICATION_CREDENTIAL_ID": value,
        "OS_APPLICATION_CREDENTIAL_SECRET": value,
    }
    credential = {"id": value, "secret": value}
    identity = {"methods": ["application_credential"], "application_credential": credential}
    assert {"identity": identity} == log_in(keystone, environ)


@pytest.mark.parametrize("log_in", [sent_by_service, sent_by_check])
def test_an_escaped_dollar_of_a_configuration_file_is_one(
    log_in: Any, keystone: FakeKeystone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(keystone, "password", "x$z")
    conf = tmp_path / "nova.conf"
    conf.write_text(
        "[keystone_authtoken]\n"
        f"auth_url = {keystone.url}/v3\n"
        "auth_type = password\nusername = shim\npassword = x$$z\nproject_name = a$$b\n"
        "user_domain_name = Default\nproject_domain_name = Default\n"
    )
    auth = log_in(keystone, {"SHIM_CONFIG_FILE": str(conf)})
    assert ("x$z", "a$b") == (
        auth["identity"]["password"]["user"]["password"],
        auth["scope"]["project"]["name"],
    )


@pytest.mark.parametrize(
    "url",
    [
        f"http://k:5000/identity{version}{slash}"
        for version in ("", "/v3", "/v2.0", "/v2")
        for slash in ("", "/")
    ],
)
def test_any_form_of_keystones_address_leads_to_v3(url: str) -> None:
    assert "http://k:5000/identity/v3" == v3_url(url)


@dataclass
class SlowPlugin:
    """A login that takes until `free` is set."""

    auth_ref: Any = None
    MIN_TOKEN_LIFE_SECONDS: int = 120
    calls: int = 0
    free: threading.Event = field(default_factory=threading.Event)

    def log_in(self) -> Any:
        self.calls += 1
        self.free.wait(10)
        self.auth_ref = access.create(body=V3Token(), auth_token="own")
        return self.auth_ref


def test_requests_that_wait_for_a_login_hold_no_slot_and_are_bounded() -> None:
    plugin, limiter = SlowPlugin(), Limiter("Keystone", slots=1, seconds=10, waiting=Waiting(3))
    login = SharedLogin(plugin, plugin.log_in, limiter.waiting)

    def validate() -> str | None:
        try:
            token = login.token()
        except LimitExceeded:
            return None
        with limiter.slot():
            return str(token.auth_token)

    with ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(validate) for _ in range(6)]
        until(lambda: 2 == sum(done.done() for done in waiting))  # one calls, three wait
        with limiter.slot():  # free for whoever has a token
            plugin.free.set()
    assert {None: 2, "own": 4} == Counter(done.result() for done in waiting)
    assert 1 == plugin.calls
    assert "own" == login.token().auth_token
    assert 1 == plugin.calls
