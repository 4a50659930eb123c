"""Keystone, as the service uses it: reached, logged in to, asked about a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keystoneauth1 import exceptions
from keystoneauth1.identity import v3

from nova_image_shim.adapters.http.urls import without_version
from nova_image_shim.check.catalog import endpoint_of
from nova_image_shim.check.findings import Fault, Finding, fine
from nova_image_shim.check.wire import clock_findings, get, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests
    from keystoneauth1.access import AccessInfo
    from keystoneauth1.plugin import BaseAuthPlugin
    from keystoneauth1.session import Session

    from nova_image_shim.settings import Settings

_USER_OPTIONS = ("username", "user_id", "password", "user_domain_name", "user_domain_id")
_VALIDATING_ROLES = {"service", "admin"}  # by Keystone's own policy, identity:validate_token
_AUTH_URL_MEND = (
    "Set OS_AUTH_URL to the identity service's address, http://HOST:5000/v3 for one, as "
    "`openstack catalog show identity` tells it."
)


def reach_keystone(session: Session, settings: Settings) -> Iterator[Finding]:
    """See that Keystone's version document is where OS_AUTH_URL says.

    Raises:
        Fault: it is not.
    """
    url = str(settings.keystone.auth_url)
    answer = get(session, url, "Keystone", "OS_AUTH_URL", authenticated=False)
    if answer.status_code >= 500:
        raise Fault(
            f"Keystone at {url} fails: it answers {answer.status_code}.",
            "Look at Keystone's own log, and at the proxy's in front of it.",
        )
    if not _is_v3(answer):
        raise Fault(
            f"There is no Keystone v3 at {url}: it answers {answer.status_code}.", _AUTH_URL_MEND
        )
    yield fine(f"Keystone answers at {url}.")
    yield from clock_findings(answer, "Keystone")


def _is_v3(answer: requests.Response) -> bool:
    try:
        body = answer.json()
        versions = [body["version"]] if "version" in body else body["versions"]["values"]
        return any(str(version["id"]).startswith("v3") for version in versions)
    except (ValueError, KeyError, TypeError):
        return False


def log_in(session: Session, settings: Settings, plugin: BaseAuthPlugin) -> AccessInfo:
    """Return the service user's token.

    Raises:
        Fault: Keystone gives none.
    """
    try:
        token: AccessInfo = plugin.get_access(session)  # type: ignore[attr-defined] # an identity plugin
    except exceptions.Unauthorized as error:
        raise _refused_login(session, settings) from error
    except (exceptions.NotFound, exceptions.DiscoveryFailure) as error:
        if "Could not find Application Credential" in str(error):
            raise _refused_login(session, settings) from error
        url = settings.keystone.auth_url
        raise Fault(f"Nobody can log in at {url}: {reason_of(error)}.", _AUTH_URL_MEND) from error
    except exceptions.ClientException as error:
        raise Fault(
            f"Keystone gives the service user no token: {reason_of(error)}.",
            "Look at Keystone's own log.",
        ) from error
    return token


def _refused_login(session: Session, settings: Settings) -> Fault:
    keystone = settings.keystone
    if "password" not in keystone.plugin:
        return Fault(
            "Keystone refuses the application credential "
            f"{keystone.application_credential_id}: it does not exist, has expired, or its secret "
            "is wrong.",
            "Create one as the service user (openstack application credential create) and set "
            "OS_APPLICATION_CREDENTIAL_ID and OS_APPLICATION_CREDENTIAL_SECRET to it.",
        )
    user = keystone.username or keystone.user_id
    project = keystone.project_name or keystone.project_id
    if _may_log_in_unscoped(session, settings):
        return Fault(
            f"Keystone knows the service user {user} but not in the project {project}: there is "
            "no such project, or the user has no role in it.",
            "Mend OS_PROJECT_NAME and OS_PROJECT_DOMAIN_NAME, or run: openstack role add "
            f"--user {user} --project {project} service",
        )
    return Fault(
        f"Keystone refuses the service user {user}: the name, the password or the domain is "
        "wrong, or the user is disabled.",
        "Mend OS_USERNAME, OS_PASSWORD and OS_USER_DOMAIN_NAME.",
    )


def _may_log_in_unscoped(session: Session, settings: Settings) -> bool:
    options = settings.keystone.credentials()
    who: Any = {name: options[name] for name in _USER_OPTIONS if name in options}
    url = f"{without_version(options['auth_url'])}/v3"
    try:
        v3.Password(auth_url=url, unscoped=True, **who).get_access(session)
    except exceptions.ClientException:
        return False
    return True


def validate(
    session: Session, settings: Settings, plugin: BaseAuthPlugin, token: str, whose: str
) -> Finding:
    """Have Keystone validate a token where the service does: at the catalog's endpoint.

    Args:
        session: over which.
        settings: say which endpoint.
        plugin: the service user's, logged in.
        token: which one.
        whose: of it, for a person.

    Raises:
        Fault: Keystone does not say that it is good.
    """
    interface = settings.keystone.interface
    endpoint = endpoint_of(session, settings, plugin, "identity", "Keystone")
    url = f"{without_version(endpoint)}/v3/auth/tokens"
    what = f"The {interface} endpoint of Keystone in the catalog"
    headers = {"X-Subject-Token": token}
    answer = get(session, url, what, "OS_INTERFACE", auth=plugin, headers=headers)
    if answer.status_code == 200:
        return fine(f"Keystone validates {whose}.")
    if answer.status_code == 403:
        raise may_not_validate(settings, "Keystone says 403")
    raise Fault(
        f"Keystone does not validate {whose}: {url} answers {answer.status_code}.",
        "Where the token was good, look for several Keystones with different Fernet keys, or for "
        "clocks that differ.",
    )


def require_validating_role(settings: Settings, token: AccessInfo) -> Finding:
    """See that the service user has a role that may validate the tokens of others.

    Its own token anyone may validate, so that only the roles tell.

    Raises:
        Fault: it has none.
    """
    roles = {str(name).lower() for name in token.role_names or ()}
    if not roles & _VALIDATING_ROLES:
        raise may_not_validate(settings, f"its roles are {', '.join(sorted(roles)) or 'none'}")
    return fine(f"The service user has the role {min(roles & _VALIDATING_ROLES)}.")


def may_not_validate(settings: Settings, why: str) -> Fault:
    """Return the fault of a service user without the role."""
    keystone = settings.keystone
    user = keystone.username or keystone.user_id or "USER"
    project = keystone.project_name or keystone.project_id or "PROJECT"
    return Fault(
        f"The service user may not validate the tokens of others: {why}.",
        f"Run: openstack role add --user {user} --project {project} service (and where an "
        "application credential is used, create it anew). Where Keystone's policy is your own, "
        "give a client's token by --token-file to see what it allows.",
    )
