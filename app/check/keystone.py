"""Keystone as the service uses it: log in and validate tokens."""

from collections.abc import Iterator
from functools import partial

import requests
from keystoneauth1 import exceptions
from keystoneauth1.access import AccessInfo

from nova_image_shim.adapters.keystone.login import load_plugin
from nova_image_shim.adapters.keystone.session import KeystoneSession
from nova_image_shim.check.findings import CheckFailed, Finding, ok
from nova_image_shim.check.http import answer_from, clock_findings, missing_endpoint, reason_of
from nova_image_shim.settings import Keystone

_VALIDATING_ROLES = {"service", "admin"}  # by Keystone's default policy, identity:validate_token
_AUTH_URL_FIX = (
    "Set OS_AUTH_URL to the identity service's address, such as http://HOST:5000/v3; "
    "`openstack catalog show identity` prints it."
)


def reach_keystone(keystone: KeystoneSession, url: str) -> Iterator[Finding]:
    """Read Keystone's version document at OS_AUTH_URL.

    Raises:
        CheckFailed: it is not there.
    """
    call = partial(keystone.session.get, url, authenticated=False, raise_exc=False)
    answer = answer_from("Keystone", url, "OS_AUTH_URL", call)
    if not _is_v3(answer):
        raise CheckFailed(
            f"There is no Keystone v3 at {url}: it returns {answer.status_code}.", _AUTH_URL_FIX
        )
    yield ok(f"Keystone answers at {url}.")
    yield from clock_findings(answer, "Keystone")


def _is_v3(answer: requests.Response) -> bool:
    try:
        body = answer.json()
        versions = [body["version"]] if "version" in body else body["versions"]["values"]
        return any(str(version["id"]).startswith("v3") for version in versions)
    except (ValueError, KeyError, TypeError):
        return False


def log_in(keystone: KeystoneSession, user: Keystone) -> AccessInfo:
    """Return the service user's token.

    Raises:
        CheckFailed: Keystone issues none.
    """
    try:
        return keystone.log_in()
    except exceptions.Unauthorized as error:
        raise _rejected(keystone, user) from error
    except (exceptions.NotFound, exceptions.DiscoveryFailure) as error:
        if "Could not find Application Credential" in str(error):
            raise _rejected(keystone, user) from error
        text = f"Login is not possible at {user.auth_url}: {reason_of(error)}."
        raise CheckFailed(text, _AUTH_URL_FIX) from error
    except exceptions.ClientException as error:
        text = f"Keystone does not issue a token to the service user: {reason_of(error)}."
        raise CheckFailed(text, "See Keystone's log.") from error


def _rejected(keystone: KeystoneSession, user: Keystone) -> CheckFailed:
    if "password" not in user.plugin:
        return CheckFailed(
            f"Keystone rejects the application credential {user.application_credential_id}: it "
            "does not exist, has expired, or its secret is wrong.",
            "Create one as the service user (openstack application credential create) and set "
            "OS_APPLICATION_CREDENTIAL_ID and OS_APPLICATION_CREDENTIAL_SECRET.",
        )
    name, project = _names(user)
    if _may_log_in_without_project(keystone, user):
        return CheckFailed(
            f"The service user {name} cannot log in to the project {project}: the project does not "
            "exist, or the user has no role in it.",
            "Correct OS_PROJECT_NAME and OS_PROJECT_DOMAIN_NAME, or run: openstack role add "
            f"--user {name} --project {project} service",
        )
    return CheckFailed(
        f"Keystone rejects the service user {name}: the name, password or domain is wrong, or the "
        "user is disabled.",
        "Correct OS_USERNAME, OS_PASSWORD and OS_USER_DOMAIN_NAME.",
    )


def _names(user: Keystone) -> tuple[str, str]:
    name = user.username or user.user_id or "USER"
    return name, user.project_name or user.project_id or "PROJECT"


def _may_log_in_without_project(keystone: KeystoneSession, user: Keystone) -> bool:
    options = user.credentials().items()
    plugin = load_plugin({name: text for name, text in options if not name.startswith("project")})
    try:
        return bool(plugin.get_token(keystone.session))
    except exceptions.ClientException:
        return False


def validate(keystone: KeystoneSession, user: Keystone, token: str, whose: str) -> Finding:
    """Validate a token where the service does, at the catalog's endpoint of Keystone.

    Raises:
        CheckFailed: Keystone does not call it valid.
    """
    try:
        url = f"{keystone.validating_endpoint()}/auth/tokens"
    except exceptions.ClientException as error:
        raise missing_endpoint(user, keystone.log_in(), "identity", "Keystone") from error
    what = f"Keystone's {user.interface} endpoint in the catalog"
    answer = answer_from(what, url, "OS_INTERFACE", lambda: keystone.ask_about(token))
    if answer.status_code == 200:
        return ok(f"Keystone validates {whose}.")
    if answer.status_code == 403:
        raise _may_not_validate(user, "Keystone returns 403")
    raise CheckFailed(
        f"Keystone does not validate {whose}: {url} returns {answer.status_code}.",
        "If the token is valid, check that all Keystones share their Fernet keys and that the "
        "clocks agree.",
    )


def require_validating_role(token: AccessInfo, user: Keystone) -> Finding:
    """Require a role that may validate other users' tokens; everyone may validate their own.

    Raises:
        CheckFailed: the service user has none.
    """
    roles = {str(name).lower() for name in token.role_names or ()}
    if not roles & _VALIDATING_ROLES:
        raise _may_not_validate(user, f"its roles are {', '.join(sorted(roles)) or 'none'}")
    return ok(f"The service user has the role {min(roles & _VALIDATING_ROLES)}.")


def _may_not_validate(user: Keystone, why: str) -> CheckFailed:
    name, project = _names(user)
    return CheckFailed(
        f"The service user may not validate other users' tokens: {why}.",
        f"Run: openstack role add --user {name} --project {project} service (and create the "
        "application credential again, if there is one). If Keystone's policy is customized, use "
        "--token-file with a client's token to see what it allows.",
    )
