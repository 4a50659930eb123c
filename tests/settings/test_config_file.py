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
from nova_image_shim.settings import Settings, SettingsError
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


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    (path := tmp_path / "nova.conf").write_bytes(b"\xef\xbb\xbf" + NOVA_CONF.read_bytes())
    settings = Settings.from_environ({"SHIM_CONFIG_FILE": str(path)})
    assert by_name(Settings()) | TAKEN | {"SHIM_CONFIG_FILE": path} == by_name(settings)


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


K8S = "memcached-{}.memcached.openstack.svc"
LOGIN = {"OS_AUTH_TYPE": "password", "OS_USERNAME": "nova", "OS_PASSWORD": "the-password"} | {
    "OS_PROJECT_NAME": "service"
}
BY_NAME = {"OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default"}
BY_ID = {"OS_USER_DOMAIN_ID": "default", "OS_PROJECT_DOMAIN_ID": "default"}
TOKENS, PUBLIC = "[keystone_authtoken]", "SHIM_WWW_AUTHENTICATE_URI"
SEND_TOKEN = {"SHIM_SEND_SERVICE_TOKEN": True}
PROXIES = (
    "[oslo_middleware] enable_proxy_headers_parsing of {} is ignored; its setting here is "
    "SHIM_TRUSTED_PROXIES, the number of proxies."
)
PLAIN = ": memcached is called without TLS and without a password. Tokens in it are signed."


def servers(*hosts: str) -> dict[str, object]:
    return {"SHIM_MEMCACHED_SERVERS": tuple(Address(host, 11211) for host in hosts)}


def keystone_at(url: str, region: str, **more: object) -> dict[str, object]:
    return {"OS_AUTH_URL": url, "OS_REGION_NAME": region} | more


PRODUCTS: dict[str, tuple[dict[str, object], list[str]]] = {
    "kolla-ansible": (
        {
            **LOGIN,
            **BY_ID,
            **SEND_TOKEN,
            **keystone_at("https://internal.example:5000", "RegionOne"),
            **servers("10.0.0.11", "10.0.0.12"),
            PUBLIC: "https://internal.example:5000",
            "SHIM_GLANCE_ENDPOINT": "https://internal.example:9292",
        },
        [PROXIES],
    ),
    "openstack-ansible": (
        {
            **LOGIN,
            **BY_ID,
            **SEND_TOKEN,
            **keystone_at("http://172.29.236.9:5000", "RegionOne"),
            **servers("172.29.236.10"),
            PUBLIC: "http://172.29.236.9:5000",
        },
        [],
    ),
    "tripleo": (
        {
            **LOGIN,
            **BY_NAME,
            **keystone_at("http://[fd00:fd00:fd00:2000::5]:5000", "regionOne"),
            **servers("fd00:fd00:fd00:2000::10", "fd00:fd00:fd00:2000::11"),
            PUBLIC: "http://[fd00:fd00:fd00:2000::5]:5000",
            "OS_INTERFACE": "internal",
        },
        [PROXIES],
    ),
    "openstack-k8s-operators": (
        {
            **LOGIN,
            **BY_NAME,
            **keystone_at("https://keystone-internal.openstack.svc:5000", "regionOne"),
            **servers(K8S.format(0), K8S.format(1)),
            PUBLIC: "https://keystone-public-openstack.apps-crc.testing",
            "OS_INTERFACE": "internal",
        },
        [PROXIES, f"{TOKENS} memcache_tls_enabled of {{}} is ignored{PLAIN}"],
    ),
    "openstack-helm": (
        {
            **LOGIN,
            "OS_USER_DOMAIN_NAME": "service",
            "OS_PROJECT_DOMAIN_NAME": "service",
            **keystone_at("http://keystone-api.openstack.svc.cluster.local:5000/v3", "RegionOne"),
            **servers("memcached.openstack.svc.cluster.local"),
        },
        [PROXIES],
    ),
    "devstack": (
        {
            **LOGIN,
            **BY_NAME,
            **SEND_TOKEN,
            "OS_AUTH_URL": "http://192.168.122.10/identity",
            **servers("localhost"),
        },
        [],
    ),
}


@pytest.mark.parametrize("product", PRODUCTS)
def test_the_files_of_products_are_enough(product: str) -> None:
    path = CASES / "nova-conf" / f"{product}.conf"
    taken, notes = PRODUCTS[product]
    settings = Settings.from_environ({"SHIM_CONFIG_FILE": str(path)})
    assert by_name(Settings()) | taken | {"SHIM_CONFIG_FILE": path} == by_name(settings)
    assert [note.format(path) for note in notes] == list(settings.notes)
    assert (path,) == settings.files


def test_the_file_of_juno_lacks_names_that_its_notes_tell() -> None:
    path = CASES / "nova-conf" / "juno.conf"
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environ({"SHIM_CONFIG_FILE": str(path)})
    missing = ("OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD", "OS_PROJECT_NAME")
    domains = ("OS_USER_DOMAIN_NAME", "OS_PROJECT_DOMAIN_NAME")
    assert [*missing, *domains] == [problem.name for problem in refusal.value.problems]
    notes = {
        "identity_uri": "setting here is OS_AUTH_URL",
        "admin_user": "settings here are OS_USERNAME and OS_USER_DOMAIN_NAME",
        "admin_password": "setting here is OS_PASSWORD",
        "admin_tenant_name": "settings here are OS_PROJECT_NAME and OS_PROJECT_DOMAIN_NAME",
    }
    assert [
        f"{TOKENS} {option} of {path} is ignored; its {end}." for option, end in notes.items()
    ] == list(refusal.value.notes)
    assert "the-password" not in str(refusal.value)


@pytest.mark.parametrize(
    ("option", "end"),
    [
        *((f"memcache_tls_{name}", PLAIN) for name in ("cafile", "certfile", "keyfile")),
        *((f"memcache_{name}", PLAIN) for name in ("tls_allowed_ciphers", "sasl_enabled")),
        *((f"memcache_{name}", PLAIN) for name in ("username", "password")),
        ("certfile", ": the service has no client certificate."),
    ],
)
def test_an_option_that_is_ignored_is_noted_once_it_is_on(
    option: str, end: str, conf: Conf
) -> None:
    login = f"{OLD}[keystone_authtoken]\n"
    usual = Settings.from_environ(conf(f"{login}{option} = false\n"))
    noted = Settings.from_environ(environ := conf(f"{login}{option} = hunter2\n"))
    path = environ["SHIM_CONFIG_FILE"]
    note = f"{TOKENS} {option} of {path} is ignored{end}"
    assert [*usual.notes, note] == list(noted.notes)


def test_what_the_environment_replaces_is_noted() -> None:
    settings = Settings.from_environ(FROM_FILE | {"OS_PROJECT_ID": "p", "OS_REGION_NAME": "R"})
    assert [
        f"[glance] region_name of {NOVA_CONF} is ignored: OS_REGION_NAME takes precedence.",
        f"{TOKENS} project_name of {NOVA_CONF} is ignored: OS_PROJECT_ID takes precedence.",
    ] == [note for note in settings.notes if note not in NOTES]


def test_a_default_domain_stands_for_both(conf: Conf) -> None:
    file = OLD.replace("user_domain_id", "default_domain_id").replace("project_domain_id", "#")
    keystone = Settings.from_environ(conf(file)).keystone
    assert ("default", "default") == (keystone.user_domain_id, keystone.project_domain_id)


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "nova.conf"
    path.write_text(OLD, encoding="utf-8-sig")
    assert "nova" == Settings.from_environ({"SHIM_CONFIG_FILE": str(path)}).keystone.username


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
def test_what_is_ignored_is_logged_once_at_start_up(
    conf: Conf, cloud_conf: str, tmp_path: Path, keystone: FakeKeystone, glance: FakeGlance
) -> None:
    others = {"SHIM_CACHE_SECOND": "5", "OS_TOKEN": "t"}
    environ = conf(cloud_conf) | {"WEB_CONCURRENCY": "2"} | others
    with shim(tmp_path / "log", **environ) as url:
        headers = {"X-Auth-Token": token_of("demo")}
        assert 200 == requests.get(f"{url}/v2/demo/images", headers=headers, timeout=10).status_code
    (seen,) = glance.seen
    assert "x-service-token" not in seen.headers
    log = (tmp_path / "log").read_text()
    assert 1 == log.count("[api] max_limit of ")
    assert 1 == log.count(
        "SHIM_CACHE_SECOND is not a setting; the nearest one is SHIM_CACHE_SECONDS"
    )
    assert 1 == log.count("These variables have no effect: OS_TOKEN.")
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
