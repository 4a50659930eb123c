"""Keystone as the service uses it: log in and validate tokens."""

from collections.abc import Iterator
from typing import Any

import requests
from keystoneauth1 import exceptions
from keystoneauth1.access import AccessInfo
from keystoneauth1.identity import v3

from nova_image_shim.adapters.http.urls import without_version
from nova_image_shim.check.catalog import endpoint_of
from nova_image_shim.check.findings import CheckFailed, Finding, ok
from nova_image_shim.check.http import Cloud, clock_findings, reason_of
from nova_image_shim.settings import Keystone

_USER_OPTIONS = ("username", "user_id", "password", "user_domain_name", "user_domain_id")
_VALIDATING_ROLES = {"service", "admin"}  # by Keystone's default policy, identity:validate_token
_AUTH_URL_FIX = (
    "Set OS_AUTH_URL to the identity service's address, such as http://HOST:5000/v3; "
    "`openstack catalog show identity` prints it."
)


def reach_keystone(cloud: Cloud) -> Iterator[Finding]:
    """Read Keystone's version document at OS_AUTH_URL.

    Raises:
        CheckFailed: it is not there.
    """
    url = str(cloud.keystone.auth_url)
    answer = cloud.get(url, "Keystone", "OS_AUTH_URL", authenticated=False)
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


def log_in(cloud: Cloud) -> AccessInfo:
    """Return the service user's token.

    Raises:
        CheckFailed: Keystone issues none.
    """
    try:
        token: AccessInfo = cloud.plugin.get_access(cloud.session)
    except exceptions.Unauthorized as error:
        raise _rejected(cloud) from error
    except (exceptions.NotFound, exceptions.DiscoveryFailure) as error:
        if "Could not find Application Credential" in str(error):
            raise _rejected(cloud) from error
        text = f"Login is not possible at {cloud.keystone.auth_url}: {reason_of(error)}."
        raise CheckFailed(text, _AUTH_URL_FIX) from error
    except exceptions.ClientException as error:
        text = f"Keystone does not issue a token to the service user: {reason_of(error)}."
        raise CheckFailed(text, "See Keystone's log.") from error
    return token


def _rejected(cloud: Cloud) -> CheckFailed:
    keystone = cloud.keystone
    if "password" not in keystone.plugin:
        return CheckFailed(
            f"Keystone rejects the application credential {keystone.application_credential_id}: it "
            "does not exist, has expired, or its secret is wrong.",
            "Create one as the service user (openstack application credential create) and set "
            "OS_APPLICATION_CREDENTIAL_ID and OS_APPLICATION_CREDENTIAL_SECRET.",
        )
    user, project = _names(keystone)
    if _may_log_in_unscoped(cloud):
        return CheckFailed(
            f"The service user {user} cannot log in to the project {project}: the project does not "
            "exist, or the user has no role in it.",
            "Correct OS_PROJECT_NAME and OS_PROJECT_DOMAIN_NAME, or run: openstack role add "
            f"--user {user} --project {project} service",
        )
    return CheckFailed(
        f"Keystone rejects the service user {user}: the name, password or domain is wrong, or the "
        "user is disabled.",
        "Correct OS_USERNAME, OS_PASSWORD and OS_USER_DOMAIN_NAME.",
    )


def _names(keystone: Keystone) -> tuple[str, str]:
    user = keystone.username or keystone.user_id or "USER"
    return user, keystone.project_name or keystone.project_id or "PROJECT"


def _may_log_in_unscoped(cloud: Cloud) -> bool:
    options = cloud.keystone.credentials()
    who: Any = {name: options[name] for name in _USER_OPTIONS if name in options}
    url = f"{without_version(options['auth_url'])}/v3"
    try:
        v3.Password(auth_url=url, unscoped=True, **who).get_access(cloud.session)
    except exceptions.ClientException:
        return False
    return True


def validate(cloud: Cloud, token: str, whose: str) -> Finding:
    """Validate a token where the service does, at the catalog's endpoint of Keystone.

    Args:
        cloud: logged in.
        token: the token.
        whose: the token in words, for a person.

    Raises:
        CheckFailed: Keystone does not call it valid.
    """
    endpoint = endpoint_of(cloud, "identity", "Keystone")
    url = f"{without_version(endpoint)}/v3/auth/tokens"
    what = f"Keystone's {cloud.keystone.interface} endpoint in the catalog"
    headers = {"X-Subject-Token": token}
    answer = cloud.get(url, what, "OS_INTERFACE", auth=cloud.plugin, headers=headers)
    if answer.status_code == 200:
        return ok(f"Keystone validates {whose}.")
    if answer.status_code == 403:
        raise _may_not_validate(cloud, "Keystone returns 403")
    raise CheckFailed(
        f"Keystone does not validate {whose}: {url} returns {answer.status_code}.",
        "If the token is valid, check that all Keystones share their Fernet keys and that the "
        "clocks agree.",
    )


def require_validating_role(cloud: Cloud, token: AccessInfo) -> Finding:
    """Require a role that may validate other users' tokens; everyone may validate their own.

    Raises:
        CheckFailed: the service user has none.
    """
    roles = {str(name).lower() for name in token.role_names or ()}
    if not roles & _VALIDATING_ROLES:
        raise _may_not_validate(cloud, f"its roles are {', '.join(sorted(roles)) or 'none'}")
    return ok(f"The service user has the role {min(roles & _VALIDATING_ROLES)}.")


def _may_not_validate(cloud: Cloud, why: str) -> CheckFailed:
    user, project = _names(cloud.keystone)
    return CheckFailed(
        f"The service user may not validate other users' tokens: {why}.",
        f"Run: openstack role add --user {user} --project {project} service (and create the "
        "application credential anew, if there is one). If Keystone's policy is customized, use "
        "--token-file with a client's token to see what it allows.",
    )
