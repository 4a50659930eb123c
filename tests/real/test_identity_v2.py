"""Identity v2.0 in front of a real Keystone: each login and its v2.0 answer."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from support.live import Live, live_shim, until
from support.peers import hears, scripted, sends, waits

from .cloud import RealCloud
from .conftest import real_environ
from .services import http
from .state import USERS

API_KEY = "RAX-KSKEY:apiKeyCredentials"
REFUSED = {
    "error": {
        "code": 401,
        "title": "Unauthorized",
        "message": "The request you have made requires authentication.",
    }
}
AWAY = {
    "error": {
        "code": 503,
        "title": "Service Unavailable",
        "message": "The identity service is currently unavailable. Please try again at a later "
        "time.",
    }
}
EXPIRED = {
    "error": REFUSED["error"] | {"message": "The password is expired and needs to be changed."}
}
SEVERAL = {
    "error": REFUSED["error"]
    | {
        "message": "More than one method of authentication is required for this user; identity "
        "v2.0 has only one."
    }
}
MALFORMED = {
    "error": {
        "code": 400,
        "title": "Bad Request",
        "message": "The identity service does not accept an id, a name or a password of this form.",
    }
}
ODD = 'Ünï 日本 $PATH "quoted" \\back\\ /slash/ %(x)s & <b>'
WRONG = "wrong-password-0123456789abcdef"
SECRET = 'pä$$ "wörd" \\n / 日本  '


class World:
    """Users and projects for the table, created with Keystone's API by an administrator."""

    def __init__(self, cloud: RealCloud) -> None:
        self._url, self._http = cloud.auth_url, http()
        self._http.headers["X-Auth-Token"] = cloud.token("admin")
        self.ids: dict[str, str] = {}
        self._member = self._list("roles")["member"]
        self._create()

    def _create(self) -> None:
        self.add("domain", "other")
        default, other = "default", self.ids["domain other"]
        self.add("project", "same", domain_id=default)
        self.add("project", "same", domain_id=other, key="project same in other")
        self.add("project", "off", domain_id=default)
        self.add("project", ODD[:64], domain_id=default, key="project odd")
        self.user("same", "project same", password="same-in-default")
        self.user(
            "same", "project same in other", domain_id=other, password="same-in-other", key="other"
        )
        self.user("only-other", "project same in other", domain_id=other)
        self.user("disabled", "project same", enabled=False)
        self.user("of a disabled project", "project off")
        self.user("homeless")
        self.user("at home", "project same", default_project_id=self.ids["project same"])
        self.user(ODD, "project odd", password=SECRET, key="odd")
        self.user("expired", "project same")
        self.user("of several methods", "project same")
        self.change("user", "of several methods", options=METHODS)
        self.change("project", "off", enabled=False)

    def add(self, kind: str, name: str, key: str = "", **fields: Any) -> str:
        answer = self._http.post(f"{self._url}/{kind}s", json={kind: {"name": name, **fields}})
        answer.raise_for_status()
        self.ids[key or f"{kind} {name}"] = answer.json()[kind]["id"]
        return self.ids[key or f"{kind} {name}"]

    def user(self, name: str, project: str = "", key: str = "", **fields: Any) -> None:
        usual = {"domain_id": "default", "password": "a-password-0123456789abcdef"}
        id_ = self.add("user", name, f"user {key or name}", **usual | fields)
        if project:
            path = f"projects/{self.ids[project]}/users/{id_}/roles/{self._member}"
            self._http.put(f"{self._url}/{path}").raise_for_status()

    def change(self, kind: str, name: str, **fields: Any) -> None:
        url = f"{self._url}/{kind}s/{self.ids[f'{kind} {name}']}"
        self._http.patch(url, json={kind: fields}).raise_for_status()

    def _list(self, kind: str) -> dict[str, str]:
        found = self._http.get(f"{self._url}/{kind}").json()[kind]
        return {item["name"]: item["id"] for item in found}


METHODS = {
    "multi_factor_auth_enabled": True,
    "multi_factor_auth_rules": [["password", "application_credential"]],
}


@pytest.fixture(scope="module")
def world(cloud: RealCloud) -> World:
    found = World(cloud)
    expire_password(cloud, found.ids["user expired"])
    return found


def expire_password(cloud: RealCloud, user_id: str) -> None:
    """Let a password end in the past, which no call of Keystone's can do."""
    past = datetime.now(UTC) - timedelta(days=1)
    times = past.strftime("%Y-%m-%d %H:%M:%S.%f"), int(past.timestamp() * 10**6)
    path = cloud.folder / "state" / "keystone.db"
    statement = (
        "UPDATE password SET expires_at = ?, expires_at_int = ? WHERE local_user_id IN "
        "(SELECT id FROM local_user WHERE user_id = ?)"
    )
    with closing(sqlite3.connect(path, timeout=30)) as database, database:
        database.execute(statement, (*times, user_id))


@pytest.fixture(scope="module")
def live(cloud: RealCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Return the service with identity v2.0; its output is searched for secrets when it ends."""
    settings = real_environ(cloud) | {"SHIM_IDENTITY_V2": "1", "SHIM_LOG_LEVEL": "DEBUG"}
    with live_shim(tmp_path_factory.mktemp("identity") / "log", **settings) as live:
        yield live


def log_in(url: str, auth: Any) -> requests.Response:
    return requests.post(f"{url}/identity/v2.0/tokens", json={"auth": auth}, timeout=30)


def by_name(name: str, secret: str = "a-password-0123456789abcdef", **more: str) -> dict[str, Any]:
    return {"passwordCredentials": {"username": name, "password": secret}, **more}


def by_id(world: World, key: str, secret: str, **more: str) -> dict[str, Any]:
    credentials = {"userId": world.ids[f"user {key}"], "password": secret}
    return {"passwordCredentials": credentials, **more}


DEMO = by_name("demo", USERS["demo"].password)
Auth = Callable[[World], dict[str, Any]]

# A login, and the name and domain-less id of its user and tenant; None for none.
ACCEPTED: dict[str, tuple[Auth, str, str | None]] = {
    "by name": (lambda _: DEMO | {"tenantName": "demo"}, "demo", "demo"),
    "unscoped": (lambda _: DEMO, "demo", None),
    "a name in two domains": (
        lambda _: by_name("same", "same-in-default", tenantName="same"),
        "same",
        "same",
    ),
    "a user of another domain, by id": (
        lambda world: by_id(
            world, "other", "same-in-other", tenantId=world.ids["project same in other"]
        ),
        "same",
        "same",
    ),
    "no default project": (lambda _: by_name("homeless"), "homeless", None),
    "an API key without a default project": (
        lambda _: {API_KEY: {"username": "homeless", "apiKey": "a-password-0123456789abcdef"}},
        "homeless",
        None,
    ),
    "an API key": (
        lambda _: {API_KEY: {"username": "at home", "apiKey": "a-password-0123456789abcdef"}},
        "at home",
        "same",
    ),
    "unscoped, with a default project": (lambda _: by_name("at home"), "at home", None),
    "odd characters": (lambda _: by_name(ODD, SECRET, tenantName=ODD[:64]), ODD, ODD[:64]),
    "odd characters, unscoped": (lambda _: by_name(ODD, SECRET), ODD, None),
    "odd characters as an API key": (
        lambda _: {API_KEY: {"username": ODD, "apiKey": SECRET}, "tenantName": ODD[:64]},
        ODD,
        ODD[:64],
    ),
}


@pytest.mark.parametrize(("auth", "user", "tenant"), ACCEPTED.values(), ids=ACCEPTED)
def test_a_good_login_gets_keystones_own_token(
    cloud: RealCloud, live: Live, world: World, auth: Auth, user: str, tenant: str | None
) -> None:
    sent = auth(world)
    with cloud.counting() as counted:
        answer = log_in(live.url, sent)
    assert 200 == answer.status_code, answer.text
    assert [("POST", "/v3/auth/tokens")] == [(c.method, c.path) for c in counted.keystone]
    access = answer.json()["access"]
    found = access["token"].get("tenant", {})
    assert (user, tenant) == (access["user"]["name"], found.get("name"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", access["token"]["expires"])
    assert cloud.validates(access["token"]["id"])
    names = {service["type"]: service["name"] for service in access["serviceCatalog"]}
    compute = "cloudServersOpenStack" if API_KEY in sent else "nova"
    usual = {"identity": "keystone", "image": "glance", "compute": compute}
    assert (usual if tenant else {}) == names
    for service in access["serviceCatalog"]:
        (endpoint,) = service["endpoints"]
        assert cloud.region == endpoint["region"]
        assert {"publicURL", "internalURL", "adminURL"} <= endpoint.keys()
        if service["type"] == "identity":
            assert f"{live.url}/identity/v2.0" == endpoint["publicURL"]


REFUSALS: dict[str, tuple[Auth, int, Any]] = {
    "a wrong password": (
        lambda _: by_name("demo", WRONG),
        401,
        REFUSED,
    ),
    "an empty password": (lambda _: by_name("demo", ""), 401, REFUSED),
    "an unknown user": (lambda _: by_name("nobody"), 401, REFUSED),
    "an unknown id": (
        lambda _: {"passwordCredentials": {"userId": "0" * 32, "password": "x"}},
        401,
        REFUSED,
    ),
    "a disabled user": (lambda _: by_name("disabled", tenantName="same"), 401, REFUSED),
    "a disabled user, unscoped": (lambda _: by_name("disabled"), 401, REFUSED),
    "a disabled project": (
        lambda _: by_name("of a disabled project", tenantName="off"),
        401,
        REFUSED,
    ),
    "an unknown project": (lambda _: DEMO | {"tenantName": "nowhere"}, 401, REFUSED),
    "a project without a role": (lambda _: DEMO | {"tenantName": "alt"}, 401, REFUSED),
    "a user of another domain, by name": (lambda _: by_name("only-other"), 401, REFUSED),
    "the password of the other domain's user": (
        lambda _: by_name("same", "same-in-other"),
        401,
        REFUSED,
    ),
    "an expired password": (lambda _: by_name("expired", tenantName="same"), 401, EXPIRED),
    "several methods": (lambda _: by_name("of several methods", tenantName="same"), 401, SEVERAL),
    "a wrong API key": (
        lambda _: {API_KEY: {"username": "demo", "apiKey": WRONG}},
        401,
        REFUSED,
    ),
    "gibberish as a token": (lambda _: {"token": {"id": "gibberish"}}, 401, REFUSED),
    "a long name": (lambda _: by_name("x" * 1000), 401, REFUSED),
    "an odd id": (
        lambda _: {"passwordCredentials": {"userId": "a b/../c", "password": "x"}},
        401,
        REFUSED,
    ),
}


@pytest.mark.parametrize(("auth", "status", "body"), REFUSALS.values(), ids=REFUSALS)
def test_a_bad_login_gets_its_answer_for_one_call(
    cloud: RealCloud, live: Live, world: World, auth: Auth, status: int, body: Any
) -> None:
    with cloud.counting() as counted:
        answer = log_in(live.url, auth(world))
    assert (status, body) == (answer.status_code, answer.json())
    assert 1 == len(counted.keystone)


def test_a_token_is_rescoped_shown_listed_and_revoked(cloud: RealCloud, live: Live) -> None:
    unscoped = log_in(live.url, DEMO).json()["access"]["token"]["id"]
    scoped = log_in(live.url, {"token": {"id": unscoped}, "tenantName": "demo"}).json()
    token = scoped["access"]["token"]["id"]
    path, headers = f"{live.url}/v2.0/tokens/{token}", {"X-Auth-Token": token}
    shown = requests.get(path, headers=headers, timeout=30)
    assert (200, scoped) == (shown.status_code, shown.json())
    assert 200 == requests.head(path, headers=headers, timeout=30).status_code
    tenants = requests.get(f"{live.url}/v2.0/tenants", headers=headers, timeout=30).json()
    assert ["demo"] == [tenant["name"] for tenant in tenants["tenants"]]
    images = f"{live.url}/v2/{cloud.projects['demo']}/images"
    assert 200 == requests.get(images, headers=headers, timeout=30).status_code
    assert 204 == requests.delete(path, headers=headers, timeout=30).status_code
    assert 401 == requests.get(images, headers=headers, timeout=30).status_code  # at once
    again = log_in(live.url, {"token": {"id": token}, "tenantName": "demo"})
    assert (401, REFUSED) == (again.status_code, again.json())


def test_another_users_token_is_shown_as_keystones_policy_says(
    cloud: RealCloud, live: Live
) -> None:
    path = f"{live.url}/v2.0/tokens/{cloud.token('alt')}"
    answers = {
        user: requests.get(path, headers={"X-Auth-Token": cloud.token(user)}, timeout=30)
        for user in ("demo", "admin")
    }
    assert (403, 200) == (answers["demo"].status_code, answers["admin"].status_code)


def test_an_expired_token_is_refused(cloud: RealCloud, live: Live) -> None:
    token = cloud.short_token("demo", 3)
    until(lambda: not cloud.validates(token))
    answer = log_in(live.url, {"token": {"id": token}, "tenantName": "demo"})
    assert (401, REFUSED) == (answer.status_code, answer.json())


def test_tenants_of_another_domain_are_not_listed(live: Live, world: World) -> None:
    sent = by_id(world, "other", "same-in-other", tenantId=world.ids["project same in other"])
    token = log_in(live.url, sent).json()["access"]["token"]["id"]
    headers = {"X-Auth-Token": token}
    tenants = requests.get(f"{live.url}/v2.0/tenants", headers=headers, timeout=30)
    assert {"tenants": [], "tenants_links": []} == tenants.json()


def test_a_delegated_token_is_not_exchanged(cloud: RealCloud, live: Live) -> None:
    id_, secret = cloud.application_credential
    credential = {"methods": ["application_credential"]}
    credential["application_credential"] = {"id": id_, "secret": secret}  # type: ignore[assignment]
    login = http().post(f"{cloud.auth_url}/auth/tokens", json={"auth": {"identity": credential}})
    answer = log_in(live.url, {"token": {"id": login.headers["X-Subject-Token"]}})
    message = "You are not authorized to perform the requested action."
    assert {"error": {"code": 403, "title": "Forbidden", "message": message}} == answer.json()


def test_a_keystone_that_refuses_or_is_silent_is_a_503(
    cloud: RealCloud, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = real_environ(cloud) | {"SHIM_IDENTITY_V2": "1", "SHIM_KEYSTONE_TIMEOUT": "1"}
    with live_shim(tmp_path_factory.mktemp("away") / "log", **settings) as live:
        for begin, end in (
            (cloud.stop_keystone, cloud.start_keystone),
            (cloud.freeze_keystone, cloud.thaw_keystone),
        ):
            begin()
            try:
                answer = log_in(live.url, DEMO)
            finally:
                end()
            assert (503, AWAY) == (answer.status_code, answer.json())
            assert answer.headers["Retry-After"].isdecimal()
            assert answer.elapsed.total_seconds() < 3
        until(lambda: log_in(live.url, DEMO).status_code == 200)


SLOW = [hears, sends(b"HTTP/1.1 201 CREATED\r\nContent-Length: 9\r\n\r\n{"), waits()]
NONSENSE = [hears, sends(b"HTTP/1.1 201 CREATED\r\nContent-Length: 4\r\n\r\nnull")]


@pytest.mark.parametrize("script", [SLOW, NONSENSE], ids=["slow", "nonsense"])
def test_a_slow_or_odd_keystone_is_a_503(
    cloud: RealCloud, tmp_path_factory: pytest.TempPathFactory, script: Any
) -> None:
    with scripted(*[script] * 4) as server:
        settings = real_environ(cloud) | {"SHIM_IDENTITY_V2": "1", "SHIM_KEYSTONE_TIMEOUT": "1"}
        settings["OS_AUTH_URL"] = f"{server.url}/v3"
        with live_shim(tmp_path_factory.mktemp("odd") / "log", **settings) as live:
            answer = log_in(live.url, DEMO)
    assert (503, AWAY, "1") == (answer.status_code, answer.json(), answer.headers["Retry-After"])
