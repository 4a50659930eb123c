"""The service user, and the Glance that a caller's token leads to."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from support.fakes import FakeGlance, says, token_of
from support.live import glance_environ

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
from nova_image_shim.check.command import findings

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


# Values that a shell, oslo.config, YAML or string formatting would change.
ODD = (
    "x$z",
    "x$$z ${HOME} a\\b %(x)s 100% {x} [x] # ; ' \" = : é☃𝄞 $",
    " both\t",
    "'x'",
    "#x",
    "007",
    "null",
)
IN_ENVIRON = (*ODD, '"x"', "two\nlines\n", "a\\$b")  # oslo.config cannot write the last one


def bodies(moody: MoodyKeystone) -> list[Any]:
    return [json.loads(seen.body) for seen in moody.seen if seen.method == "POST"]


def both_logins(moody: MoodyKeystone, environ: dict[str, str]) -> list[Any]:
    """Return what the service and `check` send to Keystone to log in."""
    moody.password = environ.get("OS_PASSWORD", moody.password)
    over(moody, **environ).test_client().get("/v2/demo/images", headers={"X-Auth-Token": "x"})
    list(findings(glance_environ(moody) | environ))
    return bodies(moody)[:2]


def by_name(text: str) -> dict[str, Any]:
    user = {"name": text, "domain": {"name": text}, "password": text}
    project = {"name": text, "domain": {"name": text}}
    identity = {"methods": ["password"], "password": {"user": user}}
    return {"auth": {"identity": identity, "scope": {"project": project}}}


def by_id(text: str) -> dict[str, Any]:
    identity = {"methods": ["password"], "password": {"user": {"id": text, "password": text}}}
    return {"auth": {"identity": identity, "scope": {"project": {"id": text}}}}


def by_domain_id(text: str) -> dict[str, Any]:
    user = {"name": text, "domain": {"id": text}, "password": text}
    identity = {"methods": ["password"], "password": {"user": user}}
    project = {"name": text, "domain": {"id": text}}
    return {"auth": {"identity": identity, "scope": {"project": project}}}


def by_credential(text: str) -> dict[str, Any]:
    credential = {"id": text, "secret": text}
    methods = ["application_credential"]
    return {"auth": {"identity": {"methods": methods, "application_credential": credential}}}


LOGINS: list[tuple[str, Callable[[str], dict[str, Any]]]] = [
    ("username password project_name user_domain_name project_domain_name", by_name),
    ("username password project_name user_domain_id project_domain_id", by_domain_id),
    ("user_id password project_id", by_id),
    ("application_credential_id application_credential_secret", by_credential),
]
EMPTY_LOGIN = CLEAR | {"OS_AUTH_URL": ""}


@pytest.mark.parametrize("text", IN_ENVIRON)
@pytest.mark.parametrize(("options", "login"), LOGINS)
def test_each_value_of_the_environment_reaches_keystone_unchanged(
    options: str, login: Callable[[str], dict[str, Any]], text: str, moody: MoodyKeystone
) -> None:
    environ = CLEAR | {f"OS_{option.upper()}": text for option in options.split()}
    assert [login(text)] * 2 == both_logins(moody, environ)


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize(("options", "login"), LOGINS)
def test_each_value_of_a_configuration_file_reaches_keystone_unchanged(
    options: str,
    login: Callable[[str], dict[str, Any]],
    text: str,
    moody: MoodyKeystone,
    tmp_path: Path,
) -> None:
    quoted = '"' + text.replace("$", "$$") + '"'
    lines = [f"{option} = {quoted}" for option in ("auth_url", *options.split())]
    lines[0] = f"auth_url = {moody.url}/v3"
    path = tmp_path / "nova.conf"
    path.write_text("\n".join(["[keystone_authtoken]", *lines]), encoding="utf-8")
    environ = EMPTY_LOGIN | {"SHIM_CONFIG_FILE": str(path)}
    assert [login(text)] * 2 == both_logins(moody, environ)


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize(("options", "login"), LOGINS)
def test_each_value_of_a_clouds_file_reaches_keystone_unchanged(
    options: str,
    login: Callable[[str], dict[str, Any]],
    text: str,
    moody: MoodyKeystone,
    tmp_path: Path,
) -> None:
    auth = {"auth_url": f"{moody.url}/v3", **dict.fromkeys(options.split(), text)}
    path = tmp_path / "clouds.yaml"
    path.write_text(yaml.safe_dump({"clouds": {"c": {"auth": auth}}}), encoding="utf-8")
    environ = EMPTY_LOGIN | {"OS_CLOUD": "c", "OS_CLIENT_CONFIG_FILE": str(path)}
    assert [login(text)] * 2 == both_logins(moody, environ)


@pytest.mark.parametrize("end", ["", "/x$z", "/x$$z", "/${HOME}", "/a%20b", "/%(x)s", "/~a;b=c"])
@pytest.mark.parametrize("is_in_file", [False, True])
def test_an_address_is_called_unchanged(
    end: str, is_in_file: bool, moody: MoodyKeystone, tmp_path: Path
) -> None:
    url = f"{moody.url}{end}/v3"
    path = tmp_path / "nova.conf"
    path.write_text(f"[keystone_authtoken]\nauth_url = {url.replace('$', '$$')}\n")
    from_file = {"OS_AUTH_URL": "", "SHIM_CONFIG_FILE": str(path)}
    over(moody, **(from_file if is_in_file else {"OS_AUTH_URL": url})).test_client().get(
        "/v2/demo/images", headers={"X-Auth-Token": "x"}
    )
    assert unquote(f"{end}/v3/auth/tokens") == moody.seen[0].path


def test_the_user_of_the_service_token_logs_in_in_check_as_in_the_service(
    moody: MoodyKeystone, tmp_path: Path
) -> None:
    path, text = tmp_path / "nova.conf", "x$z'"
    moody.password = text
    own = "user_id = {0}\npassword = {0}\nproject_id = {0}\n".format(text.replace("$", "$$"))
    send = "send_service_user_token = Yes\n"
    path.write_text(f"[keystone_authtoken]\n{own}[service_user]\n{send}{own}")
    environ = CLEAR | {"SHIM_CONFIG_FILE": str(path)}
    app = over(moody, **environ)
    ask(app)
    in_service = bodies(moody)
    moody.seen.clear()
    token_file = tmp_path / "token"
    token_file.write_text(token_of("demo"))
    list(findings(glance_environ(moody) | environ, token_file))
    assert [by_id(text)] * 2 == in_service
    # check lists an image with the service user's token beside it, too
    assert [by_id(text)] * 3 == bodies(moody)


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
    names = "accept accept-encoding host user-agent x-auth-token x-openstack-request-id"
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


@pytest.mark.parametrize(
    ("service", "status"),
    [(None, 401), ("", 401), ("nova", 200), ("demo", 401), ("other", 401), ("bad", 401)],
)
def test_only_a_service_lifts_the_access_rules_of_a_credential(
    service: str | None, status: int, moody: MoodyKeystone
) -> None:
    def restrict(data: Any) -> None:
        if data["project"]["id"] == "nova":
            data["roles"].append({"id": "s", "name": "service"})
        rules = [{"service": "compute", "method": "GET", "path": "/v2/*/servers"}]
        data["application_credential"] = {"id": "c", "restricted": True, "access_rules": rules}
        data["catalog"].append({"type": "compute", "name": "nova", "endpoints": []})

    moody.change = restrict
    token = token_of(service) if service not in {None, "", "bad"} else str(service or "")
    more = {} if service is None else {"X-Service-Token": token}
    assert status == ask(over(moody), **more).status_code


@pytest.mark.parametrize("bind", [{"kerberos": "user"}, {"x509": "user"}, {"unknown": "user"}])
def test_a_token_that_is_bound_to_something_else_is_not_valid(
    bind: dict[str, str], moody: MoodyKeystone
) -> None:
    moody.change = lambda data: data.update(bind=bind)
    headers = {"REMOTE_USER": "user", "AUTH_TYPE": "Negotiate"}
    assert 401 == ask(over(moody), **headers).status_code


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
