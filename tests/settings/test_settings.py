"""Every setting: its default, valid and invalid values, and how problems are reported."""

from dataclasses import FrozenInstanceError, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.settings import setting_names

from nova_image_shim.adapters.address import Address, UnixSocket, is_loopback
from nova_image_shim.settings import Keystone, Settings, SettingsError
from nova_image_shim.settings.brownout import ALLOWED, Brownout
from nova_image_shim.settings.settings import COMPAT

HERE = str(Path(__file__))
EMPTY = str(Path(__file__).parents[1] / "cases" / "empty.conf")
CLOUDS = str(Path(__file__).parents[1] / "cases" / "clouds.yaml")
A_FOLDER = str(Path(__file__).parent)
LONGEST = "s" * (107 - len("/tmp/"))
SECRET = " the service user's secret "

MEMORY = {"SHIM_BACKEND": "memory"}
CLOUD = {
    "OS_AUTH_URL": "http://keystone:5000/v3",
    "OS_USERNAME": "shim",
    "OS_PASSWORD": SECRET,
    "OS_PROJECT_NAME": "service",
    "OS_USER_DOMAIN_NAME": "Default",
    "OS_PROJECT_DOMAIN_NAME": "Default",
}


def by_name(settings: Settings) -> dict[str, Any]:
    """Return every setting's value by its name."""
    return {
        item.metadata["name"]: getattr(part, item.name)
        for part in (settings, settings.keystone)
        for item in fields(part)
        if item.metadata
    }


def problems(environ: dict[str, str]) -> list[str]:
    """Return the lines of an environment's error, without its notes."""
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environ(environ)
    lines = str(refusal.value).split("\n")
    notes = list(refusal.value.notes)
    assert notes == lines[len(lines) - len(notes) :]
    return lines[: len(lines) - len(notes)]


WHOLE_NUMBERS = {
    "WEB_CONCURRENCY": (1, 128),
    "SHIM_THREADS": (1, 256),
    "SHIM_GLANCE_PAGE_SIZE": (1, 10000),
    "SHIM_MAX_LIST_BYTES": (1024, 2147483648),
    "SHIM_TOKEN_CACHE_SECONDS": (0, 86400),
    "SHIM_SHARED_LISTS": (0, 16),
    "SHIM_CACHE_SECONDS": (0, 3600),
    "SHIM_METADATA_LIMIT": (-1, 1000000),
    "SHIM_MAX_BODY_BYTES": (1024, 67108864),
    "SHIM_MAX_LIMIT": (1, 1000000000),
    "SHIM_FAKE_MAX_IMAGE_BYTES": (1, 1099511627776),
    "SHIM_TRUSTED_PROXIES": (0, 16),
}
MOST_SECONDS = {
    "SHIM_QUEUE_SECONDS": 60,
    "SHIM_CLIENT_TIMEOUT": 3600,
    "SHIM_GLANCE_CONNECT_TIMEOUT": 300,
    "SHIM_GLANCE_READ_TIMEOUT": 3600,
    "SHIM_REQUEST_TIMEOUT": 3600,
    "SHIM_KEYSTONE_TIMEOUT": 300,
}
SWITCHES = (
    *("SHIM_FAKE_OPEN", "SHIM_ALLOW_PUBLIC", "SHIM_DOCS"),
    *("SHIM_SEND_SERVICE_TOKEN", "SHIM_TRUST_ENV", "SHIM_IDENTITY_V2"),
)
ADDRESSES = (
    *("SHIM_GLANCE_ENDPOINT", "SHIM_WWW_AUTHENTICATE_URI", "OS_AUTH_URL"),
    *("SHIM_COMPUTE_LINK_PREFIX", "SHIM_GLANCE_LINK_PREFIX"),
)


def texts(*names: str) -> list[tuple[str, str, Any]]:
    return [(name, text, text) for name in names for text in ("a", "0", "é ☃", "a=b c")]


def addresses() -> list[tuple[str, str, Any]]:
    same = ("http://glance", "https://glance.example:9292", "http://[::1]:9292/v2")
    written = {text: text for text in same} | {
        "http://glance/": "http://glance",
        "http://glance/image/v2//": "http://glance/image/v2",
    }
    return [(name, text, value) for name in ADDRESSES for text, value in written.items()]


def one_of(name: str, *allowed: str) -> list[tuple[str, str, Any]]:
    return [(name, word, word) for word in allowed]


def durations(name: str, highest: int) -> list[tuple[str, str, Any]]:
    written = ("0.001", "1", "2.5", "007", str(highest), f"{highest}.0")
    return [(name, text, float(text)) for text in written]


MIDNIGHT = datetime(2027, 1, 31, tzinfo=UTC)
GOOD = [
    *[(name, str(value), value) for name, bounds in WHOLE_NUMBERS.items() for value in bounds],
    *[row for name, most in MOST_SECONDS.items() for row in durations(name, most)],
    *[(name, text, True) for name in SWITCHES for text in ("1", "true", "Yes", "ON", "tRuE")],
    *[(name, text, False) for name in SWITCHES for text in ("0", "false", "No", "OFF", "fAlSe")],
    *addresses(),
    *one_of("SHIM_BACKEND", "glance", "memory"),
    ("SHIM_BIND", "127.0.0.1:1", Address("127.0.0.1", 1)),
    ("SHIM_BIND", "0.0.0.0:65535", Address("0.0.0.0", 65535)),
    ("SHIM_BIND", "[::]:8774", Address("::", 8774)),
    ("SHIM_BIND", "127.0.0.1:0", Address("127.0.0.1", 0)),
    ("SHIM_BIND", "nova_shim.example-1:8774", Address("nova_shim.example-1", 8774)),
    ("SHIM_BIND", f"unix:{A_FOLDER}/socket", UnixSocket(f"{A_FOLDER}/socket")),
    ("SHIM_BIND", f"unix://{A_FOLDER}//socket", UnixSocket(f"{A_FOLDER}/socket")),
    ("SHIM_BIND", "unix://tmp/socket", UnixSocket("/tmp/socket")),
    ("SHIM_BIND", f"unix:/tmp/{LONGEST}", UnixSocket(f"/tmp/{LONGEST}")),
    ("SHIM_BIND", "unix:80", Address("unix", 80)),
    ("SHIM_METRICS_BIND", "127.0.0.1:9774", Address("127.0.0.1", 9774)),
    *one_of("SHIM_LOG_FORMAT", "text", "json"),
    ("SHIM_HEALTHCHECK_DISABLE_FILE", "/run/shim/disabled", Path("/run/shim/disabled")),
    *[(name, "2027-01-31", MIDNIGHT) for name in ("SHIM_DEPRECATION", "SHIM_SUNSET")],
    ("SHIM_SUNSET", "2027-01-31T02:00:00+02:00", MIDNIGHT),
    ("SHIM_BROWNOUT", "percent=2.5 status=404", Brownout(percent=2.5, status=404)),
    ("SHIM_MEMORY_IMAGES", HERE, Path(HERE)),
    ("SHIM_FAKE_HOSTS", "Cloud.example, b_c", ("cloud.example", "b_c")),
    ("SHIM_MEMCACHED_SERVERS", "cache:11211", (Address("cache", 11211),)),
    ("SHIM_MEMCACHED_SERVERS", "[::1]:1, b_c:65535", (Address("::1", 1), Address("b_c", 65535))),
    ("SHIM_MEMCACHED_SERVERS", "a, unix:/run/m,", (Address("a", 11211), UnixSocket("/run/m"))),
    ("SHIM_MOUNTS", "v2", ("v2",)),
    ("SHIM_MOUNTS", "v2.1, v2,v1.1", ("v1.1", "v2", "v2.1")),
    *[("SHIM_COMPAT", word, (word,)) for word in COMPAT],
    ("SHIM_COMPAT", "no-disk-config , no-image-size", ("no-image-size", "no-disk-config")),
    ("SHIM_CONFIG_FILE", EMPTY, Path(EMPTY)),
    ("SHIM_IDENTITY_V2_DOMAIN_ID", "0a-1_B", "0a-1_B"),
    (
        "SHIM_IDENTITY_V2_CATALOG",
        "compute=https://proxy/v2/%(tenant_id)s/ R-1=image=http://[::1]:9292/a=b",
        (
            (None, "compute", "https://proxy/v2/%(tenant_id)s"),
            ("R-1", "image", "http://[::1]:9292/a=b"),
        ),
    ),
    *one_of("SHIM_LOG_LEVEL", "DEBUG", "INFO", "WARNING", "ERROR"),
    *one_of("OS_AUTH_TYPE", "password", "v3password"),
    *texts("OS_USERNAME", "OS_USER_ID", "OS_PASSWORD", "OS_PROJECT_NAME", "OS_PROJECT_ID"),
    *texts("OS_USER_DOMAIN_NAME", "OS_USER_DOMAIN_ID", "OS_REGION_NAME"),
    *texts("OS_PROJECT_DOMAIN_NAME", "OS_PROJECT_DOMAIN_ID"),
    *texts("OS_APPLICATION_CREDENTIAL_ID", "OS_APPLICATION_CREDENTIAL_SECRET"),
    *one_of("OS_INTERFACE", "public", "internal", "admin"),
    *[("OS_INTERFACE", f"{word}URL", word) for word in ("public", "internal", "admin")],
    ("OS_CACERT", HERE, Path(HERE)),
    ("OS_CLIENT_CONFIG_FILE", CLOUDS, Path(CLOUDS)),
]


@pytest.mark.parametrize(("name", "text", "value"), GOOD)
def test_a_valid_value_changes_only_its_setting(name: str, text: str, value: Any) -> None:
    usual = Settings.from_environ(CLOUD)
    found = Settings.from_environ(CLOUD | {name: text})
    if found.backend == "memory":  # which has no use for the login
        usual = replace(usual, keystone=Keystone())
    assert by_name(usual) | {name: value} == by_name(found)


def test_every_setting_has_a_valid_value_in_the_table() -> None:
    alone = {"SHIM_DEPRECATION_LINK", "OS_CLOUD"}  # they need another setting or a file
    assert set(setting_names()) - alone == {name for name, _, _ in GOOD}


LINK = "https://docs.example/images?from=nova#what-to-do"


def test_a_deprecation_link_needs_one_of_the_dates() -> None:
    wrong = "SHIM_DEPRECATION_LINK needs SHIM_DEPRECATION or SHIM_SUNSET"
    environ = CLOUD | {"SHIM_DEPRECATION_LINK": LINK}
    assert [wrong] == problems(environ)
    for name in ("SHIM_DEPRECATION", "SHIM_SUNSET"):
        assert LINK == Settings.from_environ(environ | {name: "2027-01-31"}).deprecation_link


def test_sunset_must_not_be_before_deprecation() -> None:
    environ = CLOUD | {"SHIM_DEPRECATION": "2027-01-31", "SHIM_SUNSET": "2027-01-30T23:59:59Z"}
    wrong = "SHIM_SUNSET must not be before SHIM_DEPRECATION"
    assert [wrong] == problems(environ)
    Settings.from_environ(environ | {"SHIM_SUNSET": "2027-01-31"})


NOT_ONE_OR_ZERO = ("2", "truth", "y", "enabled", "01", "-1", "on off")
NO_NUMBER = ("x", "--1", "1.5", "1e3", "+1", "1_0", "0x10", "1 0", "\u0661", "9" * 19)
NO_SECONDS = "x 0 0.0 -1 +1 .5 1. 1e3 inf nan 1,5 \u0661 9999999999".split()
NO_ADDRESS = (
    *("keystone", "keystone:5000", "//keystone", "http:", "http://", "http:///v3", "ftp://keystone"),
    *("http://keystone:0", "http://keystone:65536", "http://keystone:x", "http://[::1", "http://:80"),
    *("http://keystone?x", "http://keystone/#x", "http://key stone", 'http://keystone/"', "http://a\\b"),
)  # fmt: skip
NO_BIND = (
    *("keystone", ":80", "keystone:", "keystone:65536", "keystone:00", "a:x", "a b:1", "a/b:1"),
    *("::1:80", "[::1]", "[x]:80", "http://a:80", "unix:x", "a:1:2"),
    *("[:::]:80", "[1.2.3.4]:80", "[::1::]:80", "[.]:80"),
)
NO_PORT = (*NO_BIND, "keystone:0", "unix:/tmp/socket")
NO_SERVER = (
    *("a:1,,b:1", ",a:1", ",", "a:1,,", "a:1 b:1", "a:1;b:1", "a:0", "a:65536", "a:", ":80", "a:x"),
    *("::1", "::1:11211", "fe80::1", "[::1", "[x]:80", "[1.2.3.4]:80", "[:::]:80", "[.]:80"),
    *("inet:", "inet:[]:1", "inet6:::1", "inet:a:b:1", "inet8:[a]:1", "http://a:80", "a/b:1"),
    *("unix:", "unix:relative", "a:1:2", "keystone:00", "\u0661"),
)
NO_SOCKET = ("unix:/", "unix:/tmp", "unix:/nowhere/socket", f"unix:{HERE}", f"unix:/tmp/{LONGEST}s")


def refused(names: str, allowed: str, *values: str) -> list[tuple[str, str, str]]:
    return [(name, value, allowed) for name in names.split() for value in values]


def out_of(name: str, low: int, high: int) -> list[tuple[str, str, str]]:
    bounds = (str(low - 1), str(high + 1))
    return refused(name, f"must be a whole number from {low} to {high}", *NO_NUMBER, *bounds)


def too_long(name: str, high: int) -> list[tuple[str, str, str]]:
    beyond = (str(high + 1), f"{high}.1")
    return refused(
        name, f"must be a number of seconds above 0 and up to {high}", *NO_SECONDS, *beyond
    )


IS_MISSING = "is not set: the login to Keystone needs it"
HINT = "`nova-image-shim fake` serves an embedded cloud and needs no settings"
A_LOOPBACK_ADDRESS = (
    "must be a loopback address: SHIM_BACKEND=memory is not secure; SHIM_ALLOW_PUBLIC=1 allows any "
    "address"
)
AN_ADDRESS = "must be an address such as http://host:port/path, without user, query or fragment"
HOST_AND_PORT = "must be host:port, with an IPv6 address in brackets"
BIND = f"{HOST_AND_PORT}, or unix:/path with up to 107 bytes in an existing folder"
A_FILE = "must be the path of an existing file"
OR_CERTIFICATES = ", or of a directory of certificates that `openssl rehash` has prepared"
SERVERS = "must be one or more of host, host:port, [IPv6]:port and unix:/path, separated by commas"
BAD = [
    *[row for name, bounds in WHOLE_NUMBERS.items() for row in out_of(name, *bounds)],
    *[row for name, most in MOST_SECONDS.items() for row in too_long(name, most)],
    *refused(" ".join(SWITCHES), "must be 1 (on) or 0 (off)", *NOT_ONE_OR_ZERO),
    *refused(" ".join(ADDRESSES), AN_ADDRESS, *NO_ADDRESS),
    *refused("SHIM_BACKEND", "must be glance or memory", "Glance", "swift", "memory,glance"),
    *refused("SHIM_METRICS_BIND", HOST_AND_PORT, *NO_PORT),
    *refused("SHIM_BIND", BIND, *NO_BIND, *NO_SOCKET),
    *refused("SHIM_LOG_FORMAT", "must be text or json", "JSON", "xml"),
    *refused(
        "SHIM_DEPRECATION SHIM_SUNSET",
        "must be an ISO 8601 date or time, in UTC unless it names a zone",
        *("soon", "@1767225600", "2027-13-01", "31.1.2027", "2027-01-31T25:00"),
    ),
    *refused(
        "SHIM_DEPRECATION_LINK",
        "must be an address such as https://host/path",
        *("docs", "ftp://docs", "https://", "https://a b", "https://a>", 'https://a"', "https://é"),
    ),
    *refused("SHIM_BROWNOUT", f"{ALLOWED}; percent=100 refuses all requests", "status=404"),
    *refused(
        "SHIM_MEMORY_IMAGES SHIM_CONFIG_FILE OS_CLIENT_CONFIG_FILE",
        A_FILE,
        *("/nowhere", "nowhere", A_FOLDER, "x" * 5000),
    ),
    *refused(
        "OS_CACERT", f"{A_FILE}{OR_CERTIFICATES}", "/nowhere", "nowhere", A_FOLDER, "x" * 5000
    ),
    *refused("SHIM_MEMCACHED_SERVERS", SERVERS, *NO_SERVER),
    *refused(
        "SHIM_FAKE_HOSTS",
        "must be one or more host names without a port, separated by commas",
        *("a:1", "a,", "a b", "http://a", "*.a", "é"),
    ),
    *refused(
        "SHIM_MOUNTS",
        "must be one or more of v1.1, v2, v2.1, separated by commas",
        *("v3", "V2", "/v2", "v2,", ",", "v2 v2.1", "2"),
    ),
    *refused(
        "SHIM_COMPAT",
        "must be one or more of no-previous-links, no-image-size, no-disk-config, "
        "no-alternate-project, raw-block-device-mapping, no-compression, v2-current, "
        "v2-deprecated, separated by commas",
        *("no-links", "NO-IMAGE-SIZE", "no-image-size,", ",", "no-image-size no-disk-config", "1"),
    ),
    *refused(
        "SHIM_IDENTITY_V2_DOMAIN_ID",
        "must be an id: 1 to 64 letters, digits, - or _",
        *("a b", "é", "../x", "x" * 65),
    ),
    *refused(
        "SHIM_IDENTITY_V2_CATALOG",
        "must be one or more of TYPE=URL and REGION=TYPE=URL, separated by blanks, each type once "
        "in a region; a URL may contain %(tenant_id)s",
        *("compute", "compute=", "=http://a", "compute=ftp://a", "http://a"),
        *("compute=http://a?b", "compute=http://a#b", "compute=http://a,image=http://b"),
        *("compute=http://a/%(user_id)s", "compute=http://a compute=http://b", "compute=http://:1"),
        *("compute=http://a:0", "compute=http://a:65536", "compute=http://[a"),
    ),
    *refused("SHIM_LOG_LEVEL", "must be DEBUG, INFO, WARNING or ERROR", "info", "TRACE", "20"),
    *refused(
        "OS_AUTH_TYPE",
        "must be password, v3password or v3applicationcredential",
        *("token", "v2password", "PASSWORD", "v3oidcpassword"),
    ),
    *refused("OS_INTERFACE", "must be public, internal or admin", "Public", "publicURLURL", "URL"),
]


@pytest.mark.parametrize(("name", "text", "allowed"), BAD)
def test_an_invalid_value_is_reported_with_what_is_allowed(
    name: str, text: str, allowed: str
) -> None:
    found = problems(CLOUD | {name: text})
    assert f"{name}={text!r} {allowed}" == found[0]


def test_every_setting_with_a_rule_has_an_invalid_value_in_the_table() -> None:
    free = {name for name in setting_names() if name.startswith("OS_")}
    free -= {"OS_AUTH_URL", "OS_AUTH_TYPE", "OS_INTERFACE", "OS_CACERT", "OS_CLIENT_CONFIG_FILE"}
    free |= {"SHIM_HEALTHCHECK_DISABLE_FILE"}  # a file that need not exist
    assert set(setting_names()) - free == {name for name, _, _ in BAD}


REMOVED = {
    "SHIM_PREVIOUS_LINKS": "SHIM_COMPAT=no-previous-links replaces the value 0",
    "SHIM_ALTERNATE_LINK_PROJECT": "SHIM_COMPAT=no-alternate-project replaces the value 0",
    "SHIM_SHOW_IMAGE_SIZE": "SHIM_COMPAT=no-image-size replaces the value 0",
    "SHIM_SHOW_DISK_CONFIG": "SHIM_COMPAT=no-disk-config replaces the value 0",
    "SHIM_COMPRESS": "SHIM_COMPAT=no-compression replaces the value 0",
    "SHIM_V2_STATUS": "SHIM_COMPAT=v2-current or v2-deprecated replaces it",
    "SHIM_GLANCE_MAX_ANSWER_BYTES": "SHIM_MAX_LIST_BYTES replaces it, for a whole list",
}


@pytest.mark.parametrize("value", ["0", "1"])
def test_a_removed_setting_is_an_error_that_names_the_new_one(value: str) -> None:
    assert [f"{name} was removed: {instead}" for name, instead in REMOVED.items()] == problems(
        CLOUD | dict.fromkeys(REMOVED, value)
    )


def test_all_problems_are_reported_at_once() -> None:
    wrong = {"SHIM_THREADS": "x", "SHIM_MAX_LIMIT": "0", "SHIM_MEMCACHED_SERVERS": "::1"}
    wrong |= {"SHIM_LOG_LEVEL": "", "OS_INTERFACE": "x", "OS_AUTH_URL": "x", "OS_PROJECT_NAME": ""}
    assert [
        "SHIM_THREADS='x' must be a whole number from 1 to 256",
        f"SHIM_MEMCACHED_SERVERS='::1' {SERVERS}",
        "SHIM_MAX_LIMIT='0' must be a whole number from 1 to 1000000000",
        f"OS_AUTH_URL='x' {AN_ADDRESS}",
        "OS_INTERFACE='x' must be public, internal or admin",
        f"OS_PROJECT_NAME or OS_PROJECT_ID {IS_MISSING}",
        HINT,
    ] == problems(CLOUD | wrong)


def test_a_problem_has_the_settings_name() -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_environ(CLOUD | {"SHIM_THREADS": "x", "OS_USERNAME": ""})
    assert ["SHIM_THREADS", "OS_USERNAME"] == [problem.name for problem in error.value.problems]


def test_all_conflicts_with_the_embedded_cloud_are_reported_at_once() -> None:
    wrong = {"SHIM_DOCS": "x", "WEB_CONCURRENCY": "2", "SHIM_BIND": "0.0.0.0:80"}
    wrong |= MEMORY | {"SHIM_CACHE_SECONDS": "5"}
    assert [
        "SHIM_DOCS='x' must be 1 (on) or 0 (off)",
        "WEB_CONCURRENCY='2' must be 1: SHIM_BACKEND=memory runs in one process",
        "SHIM_CACHE_SECONDS='5' must be 0: SHIM_BACKEND=memory has no lists to cache",
        f"SHIM_BIND='0.0.0.0:80' {A_LOOPBACK_ADDRESS}",
    ] == problems(wrong)


BLANKS = ("", " ", "\t \n")
OTHER = {"NOVA_SHIM_THREADS": "x", "SHIMMER": "1", "FORWARDED_ALLOW_IPS": "*", "PORT": "80"}
A_CLIENTS = {name: "/nonsense" for name in setting_names() if name.startswith("OS_")}


@pytest.mark.parametrize(
    "ignored", [*(dict.fromkeys(setting_names(), blank) for blank in BLANKS), OTHER, A_CLIENTS]
)
def test_the_embedded_cloud_ignores_empty_and_foreign_variables(ignored: dict[str, str]) -> None:
    assert Settings(backend="memory") == Settings.from_environ(ignored | MEMORY)


@pytest.mark.parametrize("blank", BLANKS)
def test_an_empty_variable_counts_as_unset(blank: str) -> None:
    optional = {name: blank for name in setting_names() if name not in CLOUD}
    assert Settings.from_environ(CLOUD) == Settings.from_environ(CLOUD | optional)


def test_blanks_around_a_value_are_removed_where_not_any_text_is_allowed() -> None:
    usual = {"OS_AUTH_URL": "http://keystone:5000/v3", "OS_REGION_NAME": "R", "SHIM_THREADS": "5"}
    padded = {name: f" {value}\n" for name, value in usual.items()}
    assert Settings.from_environ(CLOUD | usual) == Settings.from_environ(CLOUD | padded)


@pytest.mark.parametrize("name", ["OS_USERNAME", "SHIM_LOG_LEVEL", "OS_PASSWORD", "OS_AUTH_URL"])
def test_a_value_that_is_not_utf_8_is_reported(name: str) -> None:
    shown = "***" if name == "OS_PASSWORD" else r"'x\udcff'"
    assert f"{name}={shown} must be UTF-8 text" == problems(CLOUD | {name: "x\udcff"})[0]


@pytest.mark.parametrize("name", ["OS_PASSWORD", "OS_APPLICATION_CREDENTIAL_SECRET"])
def test_a_secret_keeps_its_blanks_and_is_not_shown(name: str) -> None:
    environ = CLOUD | {name: " hunter2 "}
    settings = Settings.from_environ(environ)
    reported = problems(environ | {"OS_USERNAME": "", "SHIM_THREADS": "x"})
    assert " hunter2 " == by_name(settings)[name]
    assert "hunter2" not in "\n".join([*reported, repr(settings)])


@pytest.mark.parametrize("user", ["user:hunter2", ":hunter2"])
@pytest.mark.parametrize("name", ["OS_AUTH_URL", "SHIM_GLANCE_ENDPOINT"])
def test_a_password_in_an_address_is_rejected_and_not_shown(name: str, user: str) -> None:
    reported = problems(CLOUD | {name: f"http://{user}@keystone:5000/v3"})
    assert reported[0].startswith(f"{name}=")
    assert reported[0].endswith(AN_ADDRESS)
    assert "hunter2" not in "\n".join(reported)


CREDENTIAL = {
    "OS_AUTH_URL": "http://keystone:5000/v3",
    "OS_APPLICATION_CREDENTIAL_ID": "an-id",
    "OS_APPLICATION_CREDENTIAL_SECRET": SECRET,
}
BY_ID = {
    "OS_AUTH_URL": "http://keystone:5000/v3",
    "OS_USER_ID": "u",
    "OS_PASSWORD": SECRET,
    "OS_PROJECT_ID": "p",
}
NO_DOMAIN_NAMES = {"OS_USER_DOMAIN_NAME": "", "OS_PROJECT_DOMAIN_NAME": ""}
DOMAIN_IDS = {"OS_USER_DOMAIN_ID": "default", "OS_PROJECT_DOMAIN_ID": "default"}
BY_CREDENTIAL = {"OS_AUTH_TYPE": "v3applicationcredential"}
BY_PASSWORD = {"OS_AUTH_TYPE": "password"}


@pytest.mark.parametrize(
    ("environ", "used"),
    [
        (CLOUD, CLOUD | BY_PASSWORD),
        (CLOUD | {"OS_AUTH_TYPE": "v3password"}, CLOUD | {"OS_AUTH_TYPE": "v3password"}),
        (BY_ID, BY_ID | BY_PASSWORD),
        (CLOUD | NO_DOMAIN_NAMES | DOMAIN_IDS, CLOUD | NO_DOMAIN_NAMES | DOMAIN_IDS | BY_PASSWORD),
        (CREDENTIAL, CREDENTIAL | BY_CREDENTIAL),
        (CREDENTIAL | CLOUD, CREDENTIAL | BY_CREDENTIAL),
        (CREDENTIAL | BY_CREDENTIAL, CREDENTIAL | BY_CREDENTIAL),
        (CREDENTIAL | CLOUD | BY_PASSWORD, CLOUD | BY_PASSWORD),
    ],
)
def test_credentials_are_the_options_of_their_plugin(
    environ: dict[str, str], used: dict[str, str]
) -> None:
    options = {name.removeprefix("OS_").lower(): text for name, text in used.items() if text}
    assert options == Settings.from_environ(environ).keystone.credentials()


USER = "OS_USERNAME or OS_USER_ID"
PROJECT = "OS_PROJECT_NAME or OS_PROJECT_ID"
USER_DOMAIN = "OS_USER_DOMAIN_NAME or OS_USER_DOMAIN_ID"
PROJECT_DOMAIN = "OS_PROJECT_DOMAIN_NAME or OS_PROJECT_DOMAIN_ID"
EVERYTHING = ["OS_AUTH_URL", USER, "OS_PASSWORD", PROJECT, USER_DOMAIN, PROJECT_DOMAIN]


@pytest.mark.parametrize(
    ("environ", "missing"),
    [
        ({}, EVERYTHING),
        ({"OS_AUTH_TYPE": "v3password"}, EVERYTHING),
        (CLOUD | {"OS_AUTH_URL": ""}, ["OS_AUTH_URL"]),
        (CLOUD | {"OS_USERNAME": ""}, [USER]),
        (CLOUD | {"OS_PASSWORD": " "}, ["OS_PASSWORD"]),
        (CLOUD | {"OS_PROJECT_NAME": ""}, [PROJECT]),
        (CLOUD | {"OS_USER_DOMAIN_NAME": ""}, [USER_DOMAIN]),
        (CLOUD | {"OS_PROJECT_DOMAIN_NAME": ""}, [PROJECT_DOMAIN]),
        (CREDENTIAL | {"OS_AUTH_URL": ""}, ["OS_AUTH_URL"]),
        (BY_CREDENTIAL, list(CREDENTIAL)),
        (
            CREDENTIAL | BY_CREDENTIAL | {"OS_APPLICATION_CREDENTIAL_SECRET": ""},
            ["OS_APPLICATION_CREDENTIAL_SECRET"],
        ),
        (CREDENTIAL | BY_PASSWORD, EVERYTHING[1:]),
    ],
)
def test_missing_login_settings_are_reported(environ: dict[str, str], missing: list[str]) -> None:
    assert [*(f"{names} {IS_MISSING}" for names in missing), HINT] == problems(environ)


LOOPBACK = (
    *("127.0.0.1:8774", "127.255.255.254:80", "localhost:8774"),
    *("[::1]:8774", "[0:0:0:0:0:0:0:1]:8774"),
)
PUBLIC = (
    *("0.0.0.0:8774", "192.0.2.1:8774", "[::]:8774", "[2001:db8::1]:8774"),
    *("shim.example:8774", "localhost.example:8774", "127.0.0.1.example:8774"),
)


@pytest.mark.parametrize("bind", LOOPBACK + PUBLIC)
def test_the_embedded_cloud_listens_on_loopback_unless_public_is_allowed(bind: str) -> None:
    address, environ = Address.parse(bind), MEMORY | {"SHIM_BIND": bind}
    assert (bind, bind in LOOPBACK) == (str(address), is_loopback(address.host))
    if bind in LOOPBACK:
        assert address == Settings.from_environ(environ).bind
    else:
        refusal = [f"SHIM_BIND={bind!r} {A_LOOPBACK_ADDRESS}"]
        assert refusal == problems(environ) == problems(environ | {"SHIM_ALLOW_PUBLIC": "0"})
    assert address == Settings.from_environ(environ | {"SHIM_ALLOW_PUBLIC": "1"}).bind
    assert address == Settings.from_environ(CLOUD | {"SHIM_BIND": bind}).bind


def test_a_unix_socket_is_no_public_address() -> None:
    bind = Settings.from_environ(MEMORY | {"SHIM_BIND": "unix:/tmp/socket"}).bind
    assert "unix:/tmp/socket" == str(bind)


URI = "SHIM_WWW_AUTHENTICATE_URI"


@pytest.mark.parametrize(
    ("environ", "processes", "login_url"),
    [
        (MEMORY, 1, None),
        (MEMORY | {"WEB_CONCURRENCY": "1", URI: "http://cloud/v3"}, 1, "http://cloud/v3"),
        (CLOUD, 2, "http://keystone:5000/v3"),
        (CLOUD | {"WEB_CONCURRENCY": "1", URI: "https://public/v3/"}, 1, "https://public/v3"),
        (CLOUD | {"WEB_CONCURRENCY": "9"}, 9, "http://keystone:5000/v3"),
    ],
)
def test_processes_and_the_login_url_follow_from_the_settings(
    environ: dict[str, str], processes: int, login_url: str | None
) -> None:
    settings = Settings.from_environ(environ)
    assert (processes, login_url) == (settings.worker_count, settings.login_url)


@pytest.mark.parametrize(
    ("environ", "drain_seconds"),
    [
        ({}, 90),
        ({"SHIM_REQUEST_TIMEOUT": "5", "SHIM_CLIENT_TIMEOUT": "7"}, 12),
        ({"SHIM_REQUEST_TIMEOUT": "0.1", "SHIM_CLIENT_TIMEOUT": "0.1"}, 1),
    ],
)
def test_the_service_stops_after_its_longest_request(
    environ: dict[str, str], drain_seconds: int
) -> None:
    settings = Settings.from_environ(CLOUD | environ)
    assert (drain_seconds, drain_seconds + 10) == (settings.drain_seconds, settings.stop_seconds)


@pytest.mark.parametrize(("name", "is_good"), [("9d66eef0.0", True), ("authority.pem", False)])
def test_certificates_may_be_in_a_directory_of_openssl(
    name: str, is_good: bool, tmp_path: Path
) -> None:
    (tmp_path / name).touch()
    environ = CLOUD | {"OS_CACERT": str(tmp_path)}
    if is_good:
        assert tmp_path == Settings.from_environ(environ).keystone.cacert
    else:
        assert [f"OS_CACERT={str(tmp_path)!r} {A_FILE}{OR_CERTIFICATES}"] == problems(environ)


def test_there_are_few_settings() -> None:
    assert len(setting_names()) <= 64


def test_settings_are_immutable() -> None:
    settings = Settings.from_environ(CLOUD)
    with pytest.raises(FrozenInstanceError):
        settings.threads = 1  # type: ignore[misc]
