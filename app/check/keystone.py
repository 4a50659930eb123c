"""Keystone as the service uses it: log in and validate tokens."""

from flask import Request
from keystoneauth1.access import AccessInfo
from keystoneauth1.session import Session
from werkzeug.datastructures import Headers
from werkzeug.test import create_environ

from nova_image_shim.adapters.keystone.login import load_plugin
from nova_image_shim.auth.caller import Authenticate, Caller, Unauthenticated
from nova_image_shim.check.findings import CheckFailed, Finding, ok
from nova_image_shim.check.wire import Step, Wire
from nova_image_shim.settings import Keystone

_VALIDATING_ROLES = {"service", "admin"}  # by Keystone's default policy, identity:validate_token
_PATH = "/v2/PROJECT/images/detail"
_NO_REASON = "The request you have made requires authentication"  # hides Keystone's reason
_AUTH_URL_FIX = (
    "Set OS_AUTH_URL to the identity service's address, such as http://HOST:5000/v3; "
    "`openstack catalog show identity` prints it."
)
_CREDENTIAL_FIX = (
    "Create an application credential as the service user (openstack application credential "
    "create) and set OS_APPLICATION_CREDENTIAL_ID and OS_APPLICATION_CREDENTIAL_SECRET."
)
_USER_FIX = (
    "Correct OS_USERNAME, OS_PASSWORD and OS_USER_DOMAIN_NAME, or enable the user if it is "
    "disabled."
)


def login_step(session: Session, user: Keystone, section: str = "") -> Step:
    """Return the step of a login; the section is that of a configuration file, if it has one."""

    def advise(status: int, said: str) -> str:
        if section:  # whose options have other names
            return ""
        if status in {300, 404, 405} and not said.startswith("Could not find"):
            return _AUTH_URL_FIX
        if "password" not in user.plugin:
            return _CREDENTIAL_FIX if said and status in {401, 404} else ""
        if status == 401 and said.startswith(_NO_REASON):
            return _project_fix(user) if _may_log_in_without_project(session, user) else _USER_FIX
        return ""

    name = _names(user)[0] if "password" in user.plugin else user.application_credential_id
    where = f" of {section}" if section else ""
    return Step(
        failed=f"The service user {name}{where} cannot log in",
        server="Keystone",
        address=str(user.auth_url),
        origin=f"auth_url in {section}" if section else "OS_AUTH_URL",
        expected="a token",
        session=session,
        advise=advise,
    )


def _project_fix(user: Keystone) -> str:
    name, project = _names(user)
    return (
        "Correct OS_PROJECT_NAME and OS_PROJECT_DOMAIN_NAME, which name no project of this user, "
        f"or run: openstack role add --user {name} --project {project} service"
    )


def _names(user: Keystone) -> tuple[str, str]:
    name = user.username or user.user_id or "USER"
    return name, user.project_name or user.project_id or "PROJECT"


def _may_log_in_without_project(session: Session, user: Keystone) -> bool:
    options = user.credentials().items()
    plugin = load_plugin({name: text for name, text in options if not name.startswith("project")})
    try:
        return bool(plugin.get_token(session))
    except Exception:  # noqa: BLE001 - it was only a guess
        return False


def validation_step(session: Session, user: Keystone, address: str, whose: str) -> Step:
    """Return the step of a validation, at the address that the catalog has for Keystone."""

    def advise(status: int, said: str) -> str:
        return _role_fix(user) if status == 403 and said else ""

    return Step(
        failed=f"{whose} cannot be validated",
        server=f"Keystone's {user.interface} endpoint",
        address=address,
        origin="that endpoint in the catalog",
        expected="a token",
        session=session,
        advise=advise,
    )


def validate(wire: Wire, authenticate: Authenticate, token: str) -> Caller:
    """Validate a token as that of a client's request.

    Raises:
        CheckFailed: it is refused although Keystone calls it valid.
        Unauthenticated: Keystone does not call it valid.
        KeystoneUnavailable: Keystone does not answer, or not with a token.
    """
    request = Request(create_environ(_PATH, headers=Headers({"X-Auth-Token": token})))
    try:
        return authenticate(request, None)
    except Unauthenticated as error:
        if wire.last.status_code != 200:
            raise
        raise CheckFailed(
            f"{wire.step.failed}: {wire.server_at(wire.last.url)} returns it, but it has expired "
            "by this machine's clock, or the access rules of its application credential do not "
            f"allow GET {_PATH}."
        ) from error


def require_validating_role(token: AccessInfo, user: Keystone) -> Finding:
    """Require a role that may validate other users' tokens; everyone may validate their own.

    Raises:
        CheckFailed: the service user has none.
    """
    roles = {str(name).lower() for name in token.role_names or ()}
    if roles & _VALIDATING_ROLES:
        return ok(f"The service user has the role {min(roles & _VALIDATING_ROLES)}.")
    text = "The service user may not validate other users' tokens: its roles are "
    raise CheckFailed(f"{text}{', '.join(sorted(roles)) or 'none'}.", _role_fix(user))


def _role_fix(user: Keystone) -> str:
    name, project = _names(user)
    return (
        f"Run: openstack role add --user {name} --project {project} service (and create the "
        "application credential again, if there is one). If Keystone's policy is customized, use "
        "--token-file with a client's token to see what it allows."
    )
