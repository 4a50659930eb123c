"""The first commands to type, shown when the embedded cloud is ready."""

import shlex

from nova_image_shim.fakecloud.identity.bodies import REGION
from nova_image_shim.fakecloud.identity.identity import FIXED_TOKENS
from nova_image_shim.fakecloud.seed import Project, Seed, User


def welcome(seed: Seed, base: str) -> list[str]:
    """Return the lines that show a first call and a login at an address, `http://HOST:PORT`."""
    lines = [
        "An embedded cloud for tests: everything is in memory, nothing is secure.",
        f"Its control plane: {base}/_fake/",
    ]
    projects = {project.id: project for project in seed.projects}
    fixed = [project for project in seed.projects if project.name in FIXED_TOKENS]
    if fixed:
        path = f"/v2/{fixed[0].id}/images/detail"
        lines += ["", f"  curl -H 'X-Auth-Token: {fixed[0].name}' '{base}{path}'"]
    for user in seed.users:
        own = [projects[project_id] for project_id, names in user.roles.items() if names]
        if own:
            return [*lines, "", *_login(user, own[0], base), ""]
    return [*lines, ""]


def _login(user: User, project: Project, base: str) -> list[str]:
    """Return the variables of a login; a password set in a seed file is not shown."""
    password = shlex.quote(user.password) if user.password == user.name else "..."
    name, project_name = shlex.quote(user.name), shlex.quote(project.name)
    return [
        f"  export OS_AUTH_URL={base}/identity/v3 OS_IDENTITY_API_VERSION=3",
        f"  export OS_USERNAME={name} OS_PASSWORD={password} OS_USER_DOMAIN_NAME=Default",
        f"  export OS_PROJECT_NAME={project_name} OS_PROJECT_DOMAIN_NAME=Default "
        f"OS_REGION_NAME={REGION}",
    ]
