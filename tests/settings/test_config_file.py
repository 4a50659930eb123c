"""Which options of a nova.conf or glance-api.conf are used, and which are ignored."""

from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from support.fakes import FakeGlance, FakeKeystone, token_of
from support.live import shim
from support.paths import CASES

from nova_image_shim.adapters.address import Address
from nova_image_shim.check.command import findings
from nova_image_shim.realcloud import create_glance_app
from nova_image_shim.settings import Settings
from settings.test_settings import IS_MISSING, by_name, problems

Conf = Callable[[str], dict[str, str]]
NOVA_CONF = CASES / "nova.conf"
FROM_FILE = {"SHIM_CONFIG_FILE": str(NOVA_CONF)}
TAKEN = {
    "SHIM_CONFIG_FILE": NOVA_CONF,
    "SHIM_COMPUTE_LINK_PREFIX": "https://nova.example:8774",
    "SHIM_GLANCE_LINK_PREFIX": "https://glance.example",
    "SHIM_GLANCE_ENDPOINT": "http://10.0.0.5:9292",
    "SHIM_WWW_AUTHENTICATE_URI": "https://keystone.example:5000/v3",
    "SHIM_MEMCACHED_SERVERS": (Address("cache1", 11211), Address("cache2", 11211)),
    "SHIM_TOKEN_CACHE_SECONDS": 0,
    "SHIM_SEND_SERVICE_TOKEN": True,
    "OS_AUTH_URL": "http://10.0.0.5:5000/v3",
    "OS_AUTH_TYPE": "password",
    "OS_USERNAME": "nova",
    "OS_PASSWORD": "pass$word # no comment",
    "OS_PROJECT_NAME": "service",
    "OS_USER_DOMAIN_NAME": "Default",
    "OS_PROJECT_DOMAIN_NAME": "Default",
    "OS_REGION_NAME": "RegionOne",
    "OS_INTERFACE": "internal",
}
NOTES = (
    f"[keystone_authtoken] interface of {NOVA_CONF} is ignored: [glance] valid_interfaces of "
    f"{NOVA_CONF} takes precedence.",
    f"[api] max_limit of {NOVA_CONF} is ignored, as Nova ignored it for lists of images. "
    "Set SHIM_MAX_LIMIT to limit them.",
    f"[keystone_authtoken] insecure of {NOVA_CONF} is ignored: certificates are always verified. "
    "Set OS_CACERT to trust another authority.",
)


@pytest.fixture
def conf(tmp_path: Path) -> Conf:
    """Return how to write a file and get the settings that name it."""

    def write(text: str) -> dict[str, str]:
        path = tmp_path / "nova.conf"
        path.write_text(text, encoding="latin-1")
        return {"SHIM_CONFIG_FILE": str(path)}

    return write


def test_a_nova_conf_is_enough() -> None:
    settings = Settings.from_environ(FROM_FILE)
    assert by_name(Settings()) | TAKEN == by_name(settings)
    assert NOTES == settings.notes
    assert settings.service_user is not None
    assert {
        "auth_type": "v3applicationcredential",
        "auth_url": "http://10.0.0.5:5000/v3",
        "application_credential_id": "0123456789",
        "application_credential_secret": "a$ecret-of-another",
    } == settings.service_user.credentials()
    assert ["pass$word # no comment", "a$ecret-of-another"] == settings.secrets


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"OS_PASSWORD": "another", "OS_AUTH_URL": "https://other/v3"}, {}),
        ({"SHIM_GLANCE_ENDPOINT": "https://glance2"}, {}),
        ({"SHIM_TOKEN_CACHE_SECONDS": " "}, {"SHIM_TOKEN_CACHE_SECONDS": 0}),
        ({"SHIM_SEND_SERVICE_TOKEN": "0"}, {"SHIM_SEND_SERVICE_TOKEN": False}),
        ({"OS_USER_ID": "an-id"}, {"OS_USERNAME": None, "OS_AUTH_TYPE": None}),
        ({"OS_PROJECT_ID": "an-id"}, {"OS_PROJECT_NAME": None}),
        ({"OS_USER_DOMAIN_ID": "an-id"}, {"OS_USER_DOMAIN_NAME": None}),
        ({"OS_PROJECT_DOMAIN_ID": "an-id"}, {"OS_PROJECT_DOMAIN_NAME": None}),
        (
            {"OS_APPLICATION_CREDENTIAL_ID": "i", "OS_APPLICATION_CREDENTIAL_SECRET": "s"},
            {"OS_AUTH_TYPE": None},
        ),
    ],
)
def test_the_environment_takes_precedence_and_hides_alternatives(
    given: dict[str, str], changed: dict[str, object]
) -> None:
    settings = Settings.from_environ(FROM_FILE | given)
    assert by_name(Settings()) | TAKEN | given | changed == by_name(settings)
    assert settings.send_service_token == bool(settings.service_user)


def test_a_password_in_the_environment_replaces_the_files_credential(
    conf: Conf,
) -> None:
    environ = conf(
        "[keystone_authtoken]\nauth_url=http://k\nauth_type=v3applicationcredential\n"
        "application_credential_id=i\napplication_credential_secret=s\n"
    )
    assert "v3applicationcredential" == Settings.from_environ(environ).keystone.plugin
    user = {"OS_USERNAME": "u", "OS_PASSWORD": "p", "OS_PROJECT_ID": "x", "OS_USER_DOMAIN_ID": "d"}
    assert "password" == Settings.from_environ(environ | user).keystone.plugin


def test_oslo_configs_own_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_KEYSTONE_AUTHTOKEN__USERNAME", "somebody")
    assert "nova" == Settings.from_environ(FROM_FILE).keystone.username


OLD = """
[DEFAULT]
osapi_compute_link_prefix = http://nova.example
osapi_glance_link_prefix = http://glance.example
osapi_max_limit = 1000
[keystone_authtoken]
auth_uri = http://keystone.example
auth_section = login
[login]
auth_url = http://k:5000
user_name = nova
password = secret-of-nova
tenant_name = service
user_domain_id = default
project_domain_id = default
"""


def test_option_names_of_old_releases_work(conf: Conf) -> None:
    environ = conf(OLD)
    settings = Settings.from_environ(environ)
    assert by_name(Settings()) | {
        "SHIM_CONFIG_FILE": Path(environ["SHIM_CONFIG_FILE"]),
        "SHIM_COMPUTE_LINK_PREFIX": "http://nova.example",
        "SHIM_GLANCE_LINK_PREFIX": "http://glance.example",
        "SHIM_WWW_AUTHENTICATE_URI": "http://keystone.example",
        "OS_AUTH_URL": "http://k:5000",
        "OS_USERNAME": "nova",
        "OS_PASSWORD": "secret-of-nova",
        "OS_PROJECT_NAME": "service",
        "OS_USER_DOMAIN_ID": "default",
        "OS_PROJECT_DOMAIN_ID": "default",
    } == by_name(settings)
    assert ["[DEFAULT] osapi_max_limit"] == [note.partition(" of ")[0] for note in settings.notes]


def test_a_problem_in_the_file_is_reported_with_its_origin(
    conf: Conf,
) -> None:
    environ = conf(f"{OLD}auth_type = v3token\n[glance]\nendpoint_override = glance:9292\n")
    path = environ["SHIM_CONFIG_FILE"]
    address = "an address such as http://host:port/path, without user, query or fragment"
    assert [
        f"SHIM_GLANCE_ENDPOINT='glance:9292' must be {address} "
        f"([glance] endpoint_override of {path})",
        "OS_AUTH_TYPE='v3token' must be password, v3password or v3applicationcredential "
        f"([login] auth_type of {path})",
    ] == problems(environ)


def test_a_problem_in_the_environment_has_no_origin() -> None:
    (problem,) = problems(FROM_FILE | {"SHIM_GLANCE_ENDPOINT": "glance"})
    assert problem.endswith("without user, query or fragment")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[keystone_authtoken]\npassword hunter2\n", "line 2 is not `option = value`"),
        ("password = hunter2\n", "line 1 is not `option = value`"),
        (
            "[keystone_authtoken]\npassword = hunter2$nowhere\n",
            "[keystone_authtoken] password has a $ that refers to nothing; write $$ for a $",
        ),
        ("\xff\xfe", "cannot be read (UnicodeDecodeError)"),
    ],
)
def test_an_unreadable_file_is_reported_without_its_content(
    text: str, wrong: str, conf: Conf
) -> None:
    environ = conf(text)
    found = problems(environ)
    assert f"SHIM_CONFIG_FILE={environ['SHIM_CONFIG_FILE']!r}: {wrong}" == found[0]
    assert "hunter2" not in "\n".join(found)


def test_missing_settings_of_the_service_user_are_reported(
    conf: Conf,
) -> None:
    environ = conf(f"{OLD}[service_user]\nsend_service_user_token = yes\nusername = other\n")
    where = f"([service_user] of {environ['SHIM_CONFIG_FILE']})"
    assert [
        f"{names} {IS_MISSING} {where}"
        for names in (
            "OS_PASSWORD",
            "OS_PROJECT_NAME or OS_PROJECT_ID",
            "OS_USER_DOMAIN_NAME or OS_USER_DOMAIN_ID",
            "OS_PROJECT_DOMAIN_NAME or OS_PROJECT_DOMAIN_ID",
        )
    ] == problems(environ)


def test_the_service_user_is_ignored_unless_its_token_is_sent(
    conf: Conf,
) -> None:
    settings = Settings.from_environ(conf(f"{OLD}[service_user]\nusername = other\n"))
    assert (False, None) == (settings.send_service_token, settings.service_user)


def test_the_embedded_cloud_takes_links_but_no_login() -> None:
    settings = Settings.from_environ(FROM_FILE | {"SHIM_BACKEND": "memory"})
    assert "https://nova.example:8774" == settings.compute_link_prefix
    assert Settings().keystone == settings.keystone


@pytest.fixture
def cloud_conf(keystone: FakeKeystone, glance: FakeGlance) -> str:
    """Return a file for the fake Keystone."""
    return (
        "[keystone_authtoken]\n"
        f"auth_url = {keystone.url}/v3\nusername = nova\npassword = {keystone.password}\n"
        "project_name = service\nuser_domain_name = Default\nproject_domain_name = Default\n"
        "[api]\nmax_limit = 5\n[service_user]\n"
    )


@pytest.mark.live
def test_ignored_options_are_logged_once_at_start_up(
    conf: Conf, cloud_conf: str, tmp_path: Path, keystone: FakeKeystone, glance: FakeGlance
) -> None:
    environ = conf(cloud_conf) | {"WEB_CONCURRENCY": "2"}
    with shim(tmp_path / "log", **environ) as url:
        headers = {"X-Auth-Token": token_of("demo")}
        assert 200 == requests.get(f"{url}/v2/demo/images", headers=headers, timeout=10).status_code
    (seen,) = glance.seen
    assert "x-service-token" not in seen.headers
    log = (tmp_path / "log").read_text()
    assert 1 == log.count("[api] max_limit of ")
    assert keystone.password not in log


SEND = "send_service_user_token = true\n"


@pytest.mark.parametrize(
    ("switch", "service_user", "sent"),
    [
        ("0", SEND, False),
        ("1", "", True),
        ("", SEND, True),
        ("", f"{SEND}auth_section = keystone_authtoken\n", True),
    ],
)
def test_glance_gets_a_service_token_only_if_it_is_set(
    switch: str,
    service_user: str,
    sent: bool,
    conf: Conf,
    cloud_conf: str,
    caplog: pytest.LogCaptureFixture,
    glance: FakeGlance,
) -> None:
    environ = conf(f"{cloud_conf}{service_user}") | {"SHIM_SEND_SERVICE_TOKEN": switch}
    with caplog.at_level("DEBUG"):
        client = create_glance_app(Settings.from_environ(environ)).test_client()
        for path in ("/v2/demo/images", "/v2/demo/images/no-such"):
            client.get(path, headers={"X-Auth-Token": token_of("demo")})
    service = token_of("service")
    assert [(token_of("demo"), service if sent else None)] * 2 == [
        (seen.headers["x-auth-token"], seen.headers.get("x-service-token")) for seen in glance.seen
    ]
    assert service not in caplog.text


def test_check_reports_ignored_options_and_a_rejected_service_user(
    conf: Conf, cloud_conf: str, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(token_of("demo"))
    environ = conf(
        f"{cloud_conf}{SEND}username = other\npassword = wrong-one\n"
        "project_name = service\nuser_domain_name = Default\nproject_domain_name = Default\n"
    )
    found = list(findings(environ, token_file))
    assert found[1].text.startswith("[api] max_limit of ")
    assert found[-1].text.startswith("The service user other of [service_user] cannot log in: ")
