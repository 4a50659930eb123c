"""What a newcomer needs: the first commands to type, and what `/docs` fills in."""

import shlex
from typing import Any

from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.identity.bodies import REGION
from nova_image_shim.fakecloud.identity.identity import FIXED_TOKENS
from nova_image_shim.fakecloud.seed import Project, Seed, User


def welcome(seed: Seed, base: str) -> list[str]:
    """Return the lines that are shown when the cloud is ready at an address, `http://HOST:PORT`."""
    return [
        "An embedded cloud for tests: everything is in memory, nothing is secure.",
        f"Its control plane: {base}/_fake/",
        "",
        *(f"  {line}".rstrip() for line in first_commands(seed, base)),
    ]


def first_commands(seed: Seed, base: str) -> list[str]:
    """Return the commands of a first call and of a login; an empty line ends each of them."""
    commands = []
    fixed = [project for project in seed.projects if project.name in FIXED_TOKENS]
    if fixed:
        path = f"/v2/{fixed[0].id}/images/detail"
        commands += [f"curl -H 'X-Auth-Token: {fixed[0].name}' '{base}{path}'", ""]
    for user in seed.users:
        if own := seed.projects_of(user):
            return [*commands, *_login(user, own[0], base), ""]
    return commands


def _login(user: User, project: Project, base: str) -> list[str]:
    """Return the variables of a login; a password set in a seed file is not shown."""
    password = shlex.quote(user.password) if user.password == user.name else "..."
    name, project_name = shlex.quote(user.name), shlex.quote(project.name)
    return [
        f"export OS_AUTH_URL={base}/identity/v3 OS_IDENTITY_API_VERSION=3",
        f"export OS_USERNAME={name} OS_PASSWORD={password} OS_USER_DOMAIN_NAME=Default",
        f"export OS_PROJECT_NAME={project_name} OS_PROJECT_DOMAIN_NAME=Default "
        f"OS_REGION_NAME={REGION}",
    ]


def usual_login(cloud: FakeCloud, base: str) -> dict[str, Any]:
    """Return a token of the user `demo`, or of the first one, and `OS_*` variables to log in.

    Raises:
        ValueError: there is no user.
    """
    if not cloud.seed.users:
        raise ValueError("the seed has no user to log in as")
    user = min(cloud.seed.users, key=lambda user: user.name != "demo")
    project = next(iter(cloud.identity.projects_of(user)), None)
    name = project.name if project else ""
    environ = {
        "OS_AUTH_URL": f"{base}/identity/v3",
        "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": user.name,
        "OS_PASSWORD": user.password,
        "OS_PROJECT_NAME": name,
        "OS_TENANT_NAME": name,  # which the oldest clients read
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
    }
    return {"token": cloud.identity.token_for(user, project), "environ": environ}


def docs_token(cloud: FakeCloud) -> str:
    """Return a valid token, or an empty string if nobody can log in."""
    login = cloud.identity.usual_login()
    return cloud.identity.token_for(*login) if login else ""


def docs_examples(cloud: FakeCloud) -> dict[str, str]:
    """Return that token's project, and an image that the project may change, if it has one."""
    if (login := cloud.identity.usual_login()) is None:
        return {}
    project_id = login[1].id
    own = [each for each in cloud.images() if each["owner"] == project_id and not each["protected"]]
    own.sort(key=lambda image: (image["status"] != "active", "architecture" not in image))
    image_id = {"image_id": own[0]["id"]} if own else {}
    return {"tenant_id": project_id, **image_id}
