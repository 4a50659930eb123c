"""The embedded cloud answers as a real Keystone and a real Glance do, side by side."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from nova_image_shim.fakecloud import create_cloud_app
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.seed import Project, Seed, User
from nova_image_shim.settings import Settings

from .cloud import RealCloud
from .state import USERS
from .test_contract import create

Answer = tuple[int, Any, str]
Login = Callable[[dict[str, Any]], Answer]
Listing = Callable[[str, str], Any]
SERVICE = "nova-image-shim"
DEFAULT = {"id": "default"}


@pytest.fixture(scope="module")
def embedded(cloud: RealCloud) -> FlaskClient:
    """Return a client of an embedded cloud with the real one's projects, users and passwords."""
    seed = Seed(
        projects=tuple(Project(id_, name) for name, id_ in cloud.projects.items()),
        users=tuple(
            User(name, name, user.password, "", {cloud.projects[user.project]: user.roles})
            for name, user in USERS.items()
        ),
    )
    return create_cloud_app(Settings(), FakeCloud(seed)).test_client()


@pytest.fixture(scope="module")
def logins(cloud: RealCloud, embedded: FlaskClient) -> list[Login]:
    """Return how to log in to the real and to the embedded identity."""
    grant_domain_role(cloud)
    id_, secret = cloud.application_credential

    def real(auth: dict[str, Any]) -> Answer:
        body = filled({"auth": auth}, id=id_, secret=secret)
        answer = requests.post(f"{cloud.auth_url}/auth/tokens/", json=body, timeout=60)
        return answer.status_code, answer.json(), answer.headers.get("X-Subject-Token", "")

    def fake(auth: dict[str, Any]) -> Answer:
        body = filled({"auth": auth}, id=SERVICE, secret=USERS[SERVICE].password)
        answer = embedded.post("/identity/v3/auth/tokens/", json=body)
        return answer.status_code, answer.json, answer.headers.get("X-Subject-Token", "")

    return [real, fake]


def grant_domain_role(cloud: RealCloud) -> None:
    """Make the real administrator one of the domain, too, as the embedded one is."""
    session = cloud.session("admin")
    admin = session.get_user_id()
    roles = session.get(f"{cloud.auth_url}/roles?name=admin").json()["roles"]
    session.put(f"{cloud.auth_url}/domains/default/users/{admin}/roles/{roles[0]['id']}")


def filled(body: dict[str, Any], **values: str) -> dict[str, Any]:
    """Replace `$id` and `$secret` by those of a world's application credential."""
    text = json.dumps(body)
    for name, value in values.items():
        text = text.replace(f"${name}", value)
    filled: dict[str, Any] = json.loads(text)
    return filled


def by_password(name: str, **scope: Any) -> dict[str, Any]:
    user = {"name": name, "password": USERS[name].password, "domain": {"name": "Default"}}
    identity = {"methods": ["password"], "password": {"user": user}}
    return {"identity": identity} | ({"scope": scope} if scope else {})


def by_token(**scope: Any) -> dict[str, Any]:
    return {"identity": {"methods": ["token"], "token": {"id": "$token"}}, "scope": scope}


def by_credential(**credential: Any) -> dict[str, Any]:
    method = "application_credential"
    return {"identity": {"methods": [method], method: {"secret": "$secret"} | credential}}


ADMIN = {"project": {"name": "admin", "domain": DEFAULT}}
DEMO = {"project": {"name": "demo", "domain": DEFAULT}}
OWNER = {"name": SERVICE, "domain": DEFAULT}
SYSTEM: dict[str, Any] = {"system": {"all": True}}
DOMAIN = {"domain": {"name": "Default"}}
CASES: dict[str, list[dict[str, Any]]] = {
    "unscoped": [by_password("demo")],
    "project": [by_password("demo", **DEMO)],
    "system": [by_password("admin", **SYSTEM)],
    "system without a role": [by_password("demo", **SYSTEM)],
    "domain by name": [by_password("admin", **DOMAIN)],
    "domain by id": [by_password("admin", domain=DEFAULT)],
    "domain without a role": [by_password("demo", **DOMAIN)],
    "an unknown domain": [by_password("admin", domain={"id": "nowhere"})],
    "two scopes": [by_password("admin", **SYSTEM, **DOMAIN)],
    "a domain without id and name": [by_password("admin", domain={})],
    "a credential by id": [by_credential(id="$id")],
    "a credential by name": [by_credential(name=SERVICE, user=OWNER)],
    "a credential by name without its owner": [by_credential(name=SERVICE)],
    "a credential without name and id": [by_credential()],
    "a credential of another name": [by_credential(name="other", user=OWNER)],
    "an unknown credential": [by_credential(id="nowhere")],
    "a wrong secret": [by_credential(id="$id", secret="wrong")],
    "a credential and a scope": [by_credential(id="$id") | {"scope": DEMO}],
    "a credential and no scope": [by_credential(id="$id") | {"scope": "unscoped"}],
    "a method without data": [{"identity": {"methods": ["application_credential"]}}],
    "from unscoped to system": [by_password("admin"), by_token(**SYSTEM)],
    "from project to domain": [by_password("admin", **ADMIN), by_token(**DOMAIN)],
    "from system to project": [by_password("admin", **SYSTEM), by_token(**DEMO)],
    "from system to domain": [by_password("admin", **SYSTEM), by_token(**DOMAIN)],
    "from system to system": [by_password("admin", **SYSTEM), by_token(**SYSTEM)],
    "from a credential": [by_credential(id="$id"), by_token(**DEMO)],
}


def described(answer: Answer) -> Any:
    """Return what of an answer is the same in both clouds: no ids, no times, no addresses."""
    status, body, _ = answer
    if "error" in body:
        body["error"].pop("identity", None)  # always empty
        return status, body if status in {401, 403, 404} else body["error"]["title"]
    token = body["token"]
    return (
        status,
        token.keys() - {"is_domain"},
        sorted(token["methods"]),
        {role["name"] for role in token.get("roles", [])} & GIVEN_ROLES,
        [token.get(scope) for scope in ("domain", "system")],
        token.get("project", {}).get("name"),
        {
            (service["type"], len(service["endpoints"]))
            for service in token.get("catalog", [])
            if service["type"] != "computev21"
        },
        token.get("application_credential", {}).keys(),
    )


GIVEN_ROLES = {"admin", "service"}  # in Keystone they imply others


@pytest.mark.parametrize("steps", CASES.values(), ids=CASES)
def test_logins(logins: list[Login], steps: list[dict[str, Any]]) -> None:
    answers = []
    for login in logins:
        token = ""
        for auth in steps:
            answer = login(filled(auth, token=token))
            token = answer[2]
        answers.append(described(answer))
    real, fake = answers
    assert real == fake


def variants() -> list[dict[str, Any]]:
    """Return images of every visibility, of two owners, listed and hidden."""
    found = []
    for os_hidden in (False, True):
        for owner, other in (("demo", "alt"), ("alt", "demo")):
            usual: dict[str, Any] = {"owner": owner, "os_hidden": os_hidden}
            found += [
                {**usual, "visibility": visibility}
                for visibility in ("public", "private", "community", "shared")
            ]
            found += [
                {**usual, "visibility": "shared", "members": {other: status}}
                for status in ("pending", "accepted", "rejected")
            ]
    return [{"name": f"image {number}", **image} for number, image in enumerate(found)]


@pytest.fixture(scope="module")
def listings(cloud: RealCloud, embedded: FlaskClient) -> Iterator[list[Listing]]:
    """Fill both clouds with the same images, and yield how to list those of each."""
    cloud.purge_images()
    images = []
    for image in variants():
        create(cloud, image)
        members = {cloud.projects[name]: state for name, state in image.get("members", {}).items()}
        owner = cloud.projects[image["owner"]]
        images.append({**image, "id": image["name"][6:], "owner": owner, "members": members})
    embedded.application.extensions["fake_cloud"].load_images(images)

    def real(user: str, query: str) -> Any:
        session = cloud.session(user)
        url = f"{cloud.glance_url}/v2/images?limit=100&{query}"
        answer = session.get(url, headers={"Accept": "application/json"}, raise_exc=False)
        return names(answer.json())

    def fake(user: str, query: str) -> Any:
        headers = {"X-Auth-Token": user, "Accept": "application/json"}
        answer: Any = embedded.get(f"/image/v2/images?limit=100&{query}", headers=headers)
        return names(answer.json)

    yield [real, fake]
    cloud.purge_images()


def names(body: dict[str, Any]) -> Any:
    """Return the names of a list's images, or the error."""
    return sorted(image["name"] for image in body["images"]) if "images" in body else body


@pytest.mark.parametrize("user", ["demo", "alt", "admin"])
@pytest.mark.parametrize("hidden", ["", "os_hidden=true", "os_hidden=False", "os_hidden=Yes"])
@pytest.mark.parametrize(
    "visibility",
    ["", *(f"visibility={name}" for name in ("public", "private", "community", "shared", "all"))],
)
@pytest.mark.parametrize("members", ["", "member_status=pending", "member_status=all"])
def test_lists(
    user: str,
    hidden: str,
    visibility: str,
    members: str,
    listings: list[Listing],
) -> None:
    query = "&".join(filter(None, [hidden, visibility, members]))
    real, fake = [listing(user, query) for listing in listings]
    assert real == fake


@pytest.mark.parametrize("query", ["visibility=", "visibility=x", "os_hidden="])
def test_odd_lists(query: str, listings: list[Listing]) -> None:
    real, fake = [listing("demo", query) for listing in listings]
    assert real == fake
