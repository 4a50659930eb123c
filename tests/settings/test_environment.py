"""Variables that are not settings: OpenStack's old names, misspelt ones, and Kubernetes' own."""

import pytest

from nova_image_shim.check.command import findings
from nova_image_shim.settings import Settings
from settings.test_settings import CLOUD, IS_MISSING, MEMORY, by_name, problems

BARE = {name: CLOUD[name] for name in ("OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD")}
NAMES = BARE | {"OS_PROJECT_NAME": "service"}
BY_DOMAIN_ID = {"OS_USER_DOMAIN_ID": "d", "OS_PROJECT_DOMAIN_ID": "d"}
BY_DOMAIN_NAME = {"OS_USER_DOMAIN_NAME": "D", "OS_PROJECT_DOMAIN_NAME": "D"}


def takes(winner: str, *ignored: str) -> tuple[str, ...]:
    return tuple(f"{name} is ignored: {winner} takes precedence." for name in ignored)


@pytest.mark.parametrize(
    ("environ", "same", "notes"),
    [
        (BARE | BY_DOMAIN_ID | {"OS_TENANT_NAME": "service"}, NAMES | BY_DOMAIN_ID, ()),
        (
            BARE | BY_DOMAIN_ID | {"OS_TENANT_ID": "t"},
            BARE | BY_DOMAIN_ID | {"OS_PROJECT_ID": "t"},
            (),
        ),
        (
            CLOUD | {"OS_USERNAME": "", "OS_USER_NAME": "old"},
            CLOUD | {"OS_USERNAME": "old"},
            (),
        ),
        (CLOUD | {"OS_TENANT_NAME": "service"}, CLOUD, ()),
        (CLOUD | {"OS_TENANT_NAME": "x"}, CLOUD, takes("OS_PROJECT_NAME", "OS_TENANT_NAME")),
        (CLOUD | {"OS_TENANT_ID": "x"}, CLOUD, takes("OS_PROJECT_NAME", "OS_TENANT_ID")),
        (CLOUD | {"OS_USER_NAME": "x"}, CLOUD, takes("OS_USERNAME", "OS_USER_NAME")),
        (CLOUD | {"OS_ENDPOINT_TYPE": "internalURL"}, CLOUD | {"OS_INTERFACE": "internal"}, ()),
        (CLOUD | {"OS_ENDPOINT_TYPE": "admin"}, CLOUD | {"OS_INTERFACE": "admin"}, ()),
        (
            CLOUD | {"OS_ENDPOINT_TYPE": "internalURL", "OS_INTERFACE": "internal"},
            CLOUD | {"OS_INTERFACE": "internal"},
            (),
        ),
        (
            CLOUD | {"OS_ENDPOINT_TYPE": "adminURL", "OS_INTERFACE": "internal"},
            CLOUD | {"OS_INTERFACE": "internal"},
            takes("OS_INTERFACE", "OS_ENDPOINT_TYPE"),
        ),
        (NAMES | {"OS_DEFAULT_DOMAIN": "d"}, NAMES | BY_DOMAIN_ID, ()),
        (NAMES | {"OS_DEFAULT_DOMAIN_ID": "d"}, NAMES | BY_DOMAIN_ID, ()),
        (NAMES | {"OS_DEFAULT_DOMAIN_NAME": "D"}, NAMES | BY_DOMAIN_NAME, ()),
        (
            NAMES | {"OS_DEFAULT_DOMAIN_ID": "d", "OS_USER_DOMAIN_NAME": "U"},
            NAMES | {"OS_USER_DOMAIN_NAME": "U", "OS_PROJECT_DOMAIN_ID": "d"},
            (),
        ),
        (
            NAMES | {"OS_DEFAULT_DOMAIN_ID": "d", "OS_DEFAULT_DOMAIN": "x"},
            NAMES | BY_DOMAIN_ID,
            takes("OS_DEFAULT_DOMAIN_ID", "OS_DEFAULT_DOMAIN"),
        ),
        (CLOUD | {"OS_DEFAULT_DOMAIN": "default", "OS_TENANT_NAME": " "}, CLOUD, ()),
        (CLOUD | {"OS_INSECURE": "False"}, CLOUD, ()),
        (
            CLOUD | {"OS_TOKEN": "t", "OS_SYSTEM_SCOPE": "all", "OS_CERT": "c", "OS_KEY": " "},
            CLOUD,
            ("These variables have no effect: OS_CERT, OS_SYSTEM_SCOPE, OS_TOKEN.",),
        ),
        (
            CLOUD | {"OS_CLIENT_CONFIG_FILE": __file__},
            CLOUD | {"OS_CLIENT_CONFIG_FILE": __file__},
            ("These variables have no effect: OS_CLIENT_CONFIG_FILE.",),
        ),
    ],
)
def test_old_names_stand_for_the_new_ones_and_what_has_no_effect_is_noted(
    environ: dict[str, str], same: dict[str, str], notes: tuple[str, ...]
) -> None:
    settings = Settings.from_environ(environ)
    assert by_name(Settings.from_environ(same)) == by_name(settings)
    assert notes == settings.notes
    assert notes == Settings.from_environ(environ).notes
    assert () == Settings.from_environ(environ | MEMORY).notes


def test_a_bad_value_of_an_old_name_is_reported_with_that_name() -> None:
    wrong = "OS_INTERFACE='x' must be public, internal or admin (OS_ENDPOINT_TYPE)"
    assert [wrong] == problems(CLOUD | {"OS_ENDPOINT_TYPE": "x"})


@pytest.mark.parametrize("value", ["1", "true", "Yes", "on", "whatever"])
def test_insecure_is_refused_with_the_alternative(value: str) -> None:
    refusal = (
        f"OS_INSECURE={value!r} is refused: certificates are always verified. Set OS_CACERT to "
        "trust another authority"
    )
    assert [refusal] == problems(CLOUD | {"OS_INSECURE": value})
    Settings.from_environ(MEMORY | {"OS_INSECURE": value})


KUBERNETES = {
    "SHIM_SERVICE_HOST": "10.0.0.1",
    "SHIM_SERVICE_PORT": "8774",
    "SHIM_SERVICE_PORT_HTTP": "8774",
    "SHIM_PORT": "tcp://10.0.0.1:8774",
    "SHIM_PORT_8774_TCP": "tcp://10.0.0.1:8774",
    "SHIM_PORT_8774_TCP_PROTO": "tcp",
    "SHIM_PORT_8774_TCP_PORT": "8774",
    "SHIM_PORT_8774_TCP_ADDR": "10.0.0.1",
    "SHIM_API_SERVICE_HOST": "10.0.0.2",
    "SHIM_API_SERVICE_PORT_HTTP_METRICS": "9774",
    "SHIM_API_PORT_53_UDP_ADDR": "10.0.0.2",
    "SHIM_SERVICE_SERVICE_HOST": "10.0.0.3",
}
UNKNOWN = [
    (
        {"SHIM_CACHE_SECOND": "5"},
        ["SHIM_CACHE_SECOND is not a setting; the nearest one is SHIM_CACHE_SECONDS"],
    ),
    ({"shim_threads": "5"}, ["shim_threads is not a setting; the nearest one is SHIM_THREADS"]),
    ({"Shim_Bind": "x"}, ["Shim_Bind is not a setting; the nearest one is SHIM_BIND"]),
    ({"SHIM_NOWHERE": "secret"}, ["SHIM_NOWHERE is not a setting"]),
    ({"SHIM_NOWHERE": " "}, []),
    ({"SHIM_PORT": "8774"}, ["SHIM_PORT is not a setting"]),
    ({"SHIM_PORT": "8774", "SHIM_API_SERVICE_HOST": "10.0.0.2"}, ["SHIM_PORT is not a setting"]),
    ({"SHIM_PORT_8774_TCP": "x"}, ["SHIM_PORT_8774_TCP is not a setting"]),
    (
        {"SHIM_SERVICE_PORT": "8774"},
        ["SHIM_SERVICE_PORT is not a setting; the nearest one is SHIM_SEND_SERVICE_TOKEN"],
    ),
    (KUBERNETES, []),
    (
        KUBERNETES | {"SHIM_PORTS": "8774", "SHIM_PORT_8774_TCP_HOST": "x"},
        [
            "SHIM_PORTS is not a setting",
            "SHIM_PORT_8774_TCP_HOST is not a setting",
        ],
    ),
]


@pytest.mark.parametrize(("environ", "texts"), UNKNOWN)
@pytest.mark.parametrize("usual", [CLOUD, MEMORY])
def test_an_unknown_name_is_reported_with_the_nearest_one(
    environ: dict[str, str], texts: list[str], usual: dict[str, str]
) -> None:
    assert sorted(texts) == sorted(map(str, Settings.from_environ(usual | environ).unknown))


def test_an_unknown_name_is_reported_beside_what_it_was_to_set() -> None:
    assert [
        "SHIM_THREAD is not a setting; the nearest one is SHIM_THREADS",
        f"OS_PASSWORD {IS_MISSING}",
    ] == problems(CLOUD | {"SHIM_THREAD": "5", "OS_PASSWORD": ""})[:2]


def test_check_fails_for_an_unknown_name_and_goes_on() -> None:
    first, last = findings(MEMORY | {"SHIM_CACHE_SECOND": "5"})
    assert str(first) == (
        "error   SHIM_CACHE_SECOND is not a setting; the nearest one is SHIM_CACHE_SECONDS. "
        "fix: Correct it in the environment; docs/reference/settings.md describes them all."
    )
    assert str(last).startswith("ok      The embedded cloud needs nothing else")
