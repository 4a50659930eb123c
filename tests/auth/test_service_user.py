"""The service user, and the Glance that a caller's token leads to."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from support.fakes import FakeGlance, says, token_of

from auth.over_keystone import (
    AWAY,
    EMPTY,
    FORGED,
    IMAGE_ID,
    LOGIN,
    VALIDATION,
    MoodyKeystone,
    ask,
    over,
    told,
)

PASSWORD = "service-user-password"
USER_CLEAR = {"OS_USERNAME": "", "OS_USER_DOMAIN_NAME": ""}
PROJECT_CLEAR = {"OS_PROJECT_NAME": "", "OS_PROJECT_DOMAIN_NAME": ""}
CLEAR = USER_CLEAR | PROJECT_CLEAR | {"OS_PASSWORD": ""}
DEFAULT = {"name": "Default"}


def by_password(user: dict[str, Any], project: dict[str, Any]) -> dict[str, Any]:
    password = {"user": {**user, "password": PASSWORD}}
    identity = {"methods": ["password"], "password": password}
    return {"auth": {"identity": identity, "scope": {"project": project}}}


SECRET = {"id": "credential-id", "secret": PASSWORD}
CREDENTIAL = {
    "auth": {"identity": {"methods": ["application_credential"], "application_credential": SECRET}}
}
CREDENTIAL_ENVIRON = {f"OS_APPLICATION_CREDENTIAL_{key.upper()}": SECRET[key] for key in SECRET}
SERVICE = {"name": "nova-image-shim", "domain": DEFAULT}
PROJECT = {"name": "service", "domain": DEFAULT}


@pytest.mark.parametrize(
    ("environ", "login"),
    [
        ({}, by_password(SERVICE, PROJECT)),
        ({"OS_AUTH_TYPE": "v3password"}, by_password(SERVICE, PROJECT)),
        (PROJECT_CLEAR | {"OS_PROJECT_ID": "p-id"}, by_password(SERVICE, {"id": "p-id"})),
        (USER_CLEAR | {"OS_USER_ID": "u-id"}, by_password({"id": "u-id"}, PROJECT)),
        (
            {"OS_USER_DOMAIN_NAME": "", "OS_USER_DOMAIN_ID": "default"},
            by_password({"name": "nova-image-shim", "domain": {"id": "default"}}, PROJECT),
        ),
        (
            {"OS_PROJECT_DOMAIN_NAME": "", "OS_PROJECT_DOMAIN_ID": "other"},
            by_password(SERVICE, {"name": "service", "domain": {"id": "other"}}),
        ),
        (CLEAR | CREDENTIAL_ENVIRON, CREDENTIAL),
        (CREDENTIAL_ENVIRON, CREDENTIAL),
        (CREDENTIAL_ENVIRON | {"OS_USERNAME": "admin", "OS_PASSWORD": "stray"}, CREDENTIAL),
        (CREDENTIAL_ENVIRON | {"OS_USER_ID": "stray", "OS_PROJECT_ID": "stray"}, CREDENTIAL),
        (CREDENTIAL_ENVIRON | {"OS_AUTH_TYPE": "v3applicationcredential"}, CREDENTIAL),
        (CREDENTIAL_ENVIRON | {"OS_AUTH_TYPE": "password"}, by_password(SERVICE, PROJECT)),
        ({"OS_APPLICATION_CREDENTIAL_ID": "alone"}, by_password(SERVICE, PROJECT)),
        ({"OS_APPLICATION_CREDENTIAL_SECRET": "alone"}, by_password(SERVICE, PROJECT)),
    ],
)
def test_the_service_user_logs_in_as_the_environment_says(
    environ: dict[str, str], login: dict[str, Any], moody: MoodyKeystone
) -> None:
    assert 200 == ask(over(moody, **environ)).status_code
    logins = [json.loads(seen.body) for seen in moody.seen if seen.method == "POST"]
    assert [login] == logins


def test_the_service_user_logs_in_once(moody: MoodyKeystone) -> None:
    app = over(moody, SHIM_TOKEN_CACHE_SECONDS="0")
    for project in ("one", "two", "one"):
        assert 200 == ask(app, f"/v2/{project}/images", token_of(project)).status_code
    assert {LOGIN: 1, VALIDATION: 3} == Counter(moody.calls())


@pytest.mark.parametrize("path", ["", "/detail", f"/{IMAGE_ID}", f"/{IMAGE_ID}/metadata"])
def test_glance_gets_the_callers_token_and_no_other(
    path: str, moody: MoodyKeystone, glance: FakeGlance
) -> None:
    headers = {"X-Auth-Token": token_of("demo"), **FORGED}
    over(moody).test_client().get(f"/v2/demo/images{path}", headers=headers)
    (seen,) = glance.seen
    names = "accept accept-encoding connection host user-agent x-auth-token x-openstack-request-id"
    assert names.split() == sorted(seen.headers.keys() - {"content-type"})
    assert token_of("demo") == seen.headers["x-auth-token"]
    assert token_of("service") not in str(seen)


def test_keystone_is_asked_about_the_callers_token_with_the_service_users(
    moody: MoodyKeystone,
) -> None:
    ask(over(moody))
    (seen,) = [seen for seen in moody.seen if (seen.method, seen.path) == VALIDATION]
    tokens = [seen.headers[name] for name in ("x-auth-token", "x-subject-token")]
    assert [token_of("service"), token_of("demo")] == tokens


# Access rules of an application credential


@pytest.mark.parametrize(
    ("rule", "path", "status"),
    [
        ("/v2/*/images", "/v2/demo/images", 200),
        ("/v2/*/images", "/v2//demo/images.json", 200),
        ("/v2/*/images", "/v2/demo/images/detail", 401),
        ("/v2/{project}/images/**", "/v2/demo/images/detail", 200),
        ("/v2/*/servers", "/v2/demo/images", 401),
    ],
)
def test_access_rules_of_a_credential_hold(
    rule: str, path: str, status: int, moody: MoodyKeystone
) -> None:
    def restrict(data: Any) -> None:
        rules = [{"service": "compute", "method": "GET", "path": rule}]
        data["application_credential"] = {"id": "c", "restricted": True, "access_rules": rules}
        data["catalog"].append({"type": "compute", "name": "nova", "endpoints": []})

    moody.change = restrict
    assert status == ask(over(moody), path).status_code


# Where Glance is


def image_endpoints(**urls: str) -> Callable[[Any], None]:
    """Return what puts image endpoints into a catalog, by `REGION_INTERFACE`."""

    def change(data: Any) -> None:
        endpoints = [
            {"id": name, "region": region, "region_id": region, "interface": interface, "url": url}
            for name, url in urls.items()
            for region, interface in [name.split("_")]
        ]
        kept = [service for service in data["catalog"] if service["type"] != "image"]
        data["catalog"] = [*kept, {"type": "image", "name": "glance", "endpoints": endpoints}]

    return change


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, "R_public"),
        ({"OS_REGION_NAME": "R"}, "R_public"),
        ({"OS_REGION_NAME": "R", "OS_INTERFACE": "internal"}, "R_internal"),
        ({"OS_REGION_NAME": "R", "OS_INTERFACE": "internalURL"}, "R_internal"),
        ({"OS_REGION_NAME": "R", "OS_INTERFACE": "admin"}, "R_admin"),
        ({"OS_REGION_NAME": "S"}, "S_public"),
        ({"SHIM_GLANCE_ENDPOINT": "own"}, "own"),
        ({"SHIM_GLANCE_ENDPOINT": "own", "OS_REGION_NAME": "R"}, "own"),
        ({"OS_REGION_NAME": "S", "OS_INTERFACE": "internal"}, None),
        ({"OS_REGION_NAME": "T"}, None),
    ],
)
def test_glance_is_where_the_settings_or_the_callers_catalog_say(
    environ: dict[str, str], found: str | None, moody: MoodyKeystone, glance: FakeGlance
) -> None:
    names = ("R_public", "R_internal", "R_admin", "S_public")
    moody.change = image_endpoints(**{name: f"{glance.url}/{name}" for name in names})
    own = {"SHIM_GLANCE_ENDPOINT": f"{glance.url}/own"} if "SHIM_GLANCE_ENDPOINT" in environ else {}
    glance.answers.append(says(200, {"images": []}))
    assert (EMPTY if found else AWAY) == told(ask(over(moody, **environ | own)))
    assert ([f"/{found}/v2/images"] if found else []) == [seen.path for seen in glance.seen]


@pytest.mark.parametrize("end", ["", "/", "/v2", "/v2/", "/v1", "/v1.1", "/v2.0", "/v2.9/"])
@pytest.mark.parametrize("configured", [False, True])
def test_glances_address_may_end_in_its_version(
    end: str, configured: bool, moody: MoodyKeystone, glance: FakeGlance
) -> None:
    moody.change = image_endpoints(
        R_public="http://127.0.0.1:9" if configured else glance.url + end
    )
    own = {"SHIM_GLANCE_ENDPOINT": glance.url + end} if configured else {}
    glance.answers.append(says(200, {"images": [{"id": "an-id"}]}))
    answer = ask(over(moody, **own))
    assert ["/v2/images"] == [seen.path for seen in glance.seen]
    assert answer.json
    alternate = answer.json["images"][0]["links"][2]["href"]
    assert f"{glance.url}/demo/images/an-id" == alternate


NOWHERE = "http://127.0.0.1:9"
ODD_URLS: tuple[Any, ...] = (
    *(None, "", 5, [], {}, "x", "http://[::1", "http://h:x", "ftp://h", "http://a b"),
)
ODD_CATALOGS: dict[str, Any] = {
    "null": None,
    "text": "x",
    "a number": 5,
    "an object": {},
    "empty": [],
    "a null service": [None],
    "a service of text": ["x"],
    "no type": [{"endpoints": []}],
    "null endpoints": [{"type": "image", "endpoints": None}],
    "no endpoints": [{"type": "image"}],
    "a null endpoint": [{"type": "image", "endpoints": [None]}],
    "an empty endpoint": [{"type": "image", "endpoints": [{}]}],
    "a null interface": [{"type": "image", "endpoints": [{"interface": None, "url": NOWHERE}]}],
    **{
        f"the URL {url!r}": [
            {"type": "image", "endpoints": [{"interface": "public", "region": "R", "url": url}]}
        ]
        for url in ODD_URLS
    },
}


@pytest.mark.parametrize("catalog", ODD_CATALOGS.values(), ids=ODD_CATALOGS)
@pytest.mark.parametrize("path", ["", "/detail", "/an-id", "/an-id/metadata"])
def test_an_odd_catalog_leads_to_no_glance(
    catalog: Any, path: str, moody: MoodyKeystone, glance: FakeGlance
) -> None:
    moody.change = lambda data: data.update(catalog=catalog)
    assert AWAY == told(ask(over(moody), f"/v2/demo/images{path}"))
    assert [] == glance.seen


def test_a_token_without_a_catalog_leads_to_no_glance(
    moody: MoodyKeystone, glance: FakeGlance
) -> None:
    moody.change = lambda data: data.pop("catalog")
    assert AWAY == told(ask(over(moody)))
    assert [] == glance.seen
