"""Which settings of identity v2.0 the log and `check` warn about."""

import socket

import pytest

from nova_image_shim.identity_v2 import problems
from nova_image_shim.realcloud import create_glance_app
from nova_image_shim.settings import Settings

CLOUD = {
    "OS_AUTH_URL": "https://keystone/v3",
    "OS_USERNAME": "shim",
    "OS_PASSWORD": "a-password",
    "OS_PROJECT_NAME": "service",
    "OS_DEFAULT_DOMAIN": "default",
    "SHIM_IDENTITY_V2": "1",
    "SHIM_TRUSTED_PROXIES": "1",
}
NAME = socket.gethostname()


def words(**environ: str) -> list[str]:
    return [text.split()[0] for text, _fix in problems(Settings.from_environ(CLOUD | environ))]


@pytest.mark.parametrize(
    ("bind", "url", "is_own"),
    [
        ("127.0.0.1:8774", "http://127.0.0.1:8774/v2/%(tenant_id)s", True),
        ("127.0.0.1:8774", "http://localhost:8774/v2", True),
        ("127.0.0.1:8774", "http://localhost:8775/v2", False),
        ("127.0.0.1:8774", "https://compute.example:8774/v2", False),
        ("192.0.2.11:8774", "http://192.0.2.11:8774/v2", True),
        ("192.0.2.11:8774", "http://192.0.2.12:8774/v2", False),
        ("0.0.0.0:80", "http://127.0.0.1/v2", True),
        ("0.0.0.0:443", f"https://{NAME}/v2", True),
        ("[::]:8774", f"http://{NAME}:8774/v2", True),
        ("[::]:8774", "http://compute.example:8774/v2", False),
        ("unix:/tmp/socket", "http://localhost:8774/v2", False),
    ],
)
def test_a_compute_service_at_the_services_own_address(bind: str, url: str, is_own: bool) -> None:
    environ = {"SHIM_BIND": bind, "SHIM_IDENTITY_V2_CATALOG": f"compute={url}"}
    assert ["SHIM_IDENTITY_V2_CATALOG"] * is_own == words(**environ)
    assert [] == words(**environ | {"SHIM_IDENTITY_V2_CATALOG": f"image={url}"})


def test_passwords_without_tls() -> None:
    assert ["Passwords"] == words(OS_AUTH_URL="http://keystone:5000/v3")
    assert [] == words(OS_AUTH_URL="http://127.0.0.1:5000/v3")
    public = {"SHIM_BIND": "192.0.2.11:8774", "SHIM_TRUSTED_PROXIES": "0"}
    assert ["SHIM_IDENTITY_V2=1"] == words(**public)


def test_the_log_warns_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    environ = CLOUD | {"SHIM_IDENTITY_V2_CATALOG": "compute=http://localhost:8774/v2"}
    create_glance_app(Settings.from_environ(environ))
    assert [
        "SHIM_IDENTITY_V2_CATALOG names this service as compute, at http://localhost:8774/v2: "
        "clients that log in with v2.0 lose servers, flavors and keypairs"
    ] == caplog.messages
