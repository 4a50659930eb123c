"""The service user: the login that every OpenStack client takes from `OS_*` variables."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from nova_image_shim.settings import values
from nova_image_shim.settings.fields import Problem, read, setting
from nova_image_shim.settings.given import Given

_USER = ("username", "user_id", "password", "user_domain_name", "user_domain_id")
_PROJECT = ("project_name", "project_id", "project_domain_name", "project_domain_id")
_CREDENTIAL = ("application_credential_id", "application_credential_secret")
_PLUGIN_OPTIONS = {
    "password": _USER + _PROJECT,
    "v3password": _USER + _PROJECT,
    "v3applicationcredential": _CREDENTIAL,
}
DEFAULT_DOMAINS = ("OS_DEFAULT_DOMAIN_ID", "OS_DEFAULT_DOMAIN_NAME")
# OpenStack's old names of options, in variables and files alike.
OLD_OPTIONS = {
    "user_name": "OS_USERNAME",
    "tenant_name": "OS_PROJECT_NAME",
    "tenant_id": "OS_PROJECT_ID",
    "endpoint_type": "OS_INTERFACE",
    "default_domain": "OS_DEFAULT_DOMAIN_ID",
}
_LOGIN = ("auth_url", "auth_type", *_USER, *_PROJECT, *_CREDENTIAL)
# Option of a login to setting; the first option present wins where several have the same setting.
LOGIN_OPTIONS = {
    **{option: f"OS_{option.upper()}" for option in _LOGIN},
    **{name.removeprefix("OS_").lower(): name for name in DEFAULT_DOMAINS},
    **OLD_OPTIONS,
}


@dataclass(frozen=True, slots=True)
class Keystone:
    """The service user and its Keystone: the variables of every OpenStack client."""

    auth_url: str | None = setting("OS_AUTH_URL", None, values.url)
    auth_type: str | None = setting("OS_AUTH_TYPE", None, values.choice(*_PLUGIN_OPTIONS))
    username: str | None = setting("OS_USERNAME", None)
    user_id: str | None = setting("OS_USER_ID", None)
    password: str | None = setting("OS_PASSWORD", None)
    project_name: str | None = setting("OS_PROJECT_NAME", None)
    project_id: str | None = setting("OS_PROJECT_ID", None)
    user_domain_name: str | None = setting("OS_USER_DOMAIN_NAME", None)
    user_domain_id: str | None = setting("OS_USER_DOMAIN_ID", None)
    project_domain_name: str | None = setting("OS_PROJECT_DOMAIN_NAME", None)
    project_domain_id: str | None = setting("OS_PROJECT_DOMAIN_ID", None)
    application_credential_id: str | None = setting("OS_APPLICATION_CREDENTIAL_ID", None)
    application_credential_secret: str | None = setting("OS_APPLICATION_CREDENTIAL_SECRET", None)
    region_name: str | None = setting("OS_REGION_NAME", None, str.strip)
    interface: str = setting("OS_INTERFACE", "public", values.interface)
    cacert: Path | None = setting("OS_CACERT", None, values.certificates)
    cloud: str | None = setting("OS_CLOUD", None)
    clouds_file: Path | None = setting("OS_CLIENT_CONFIG_FILE", None, values.existing_file)

    @classmethod
    def read(cls, given: Given, problems: list[Problem]) -> Self:
        """Return the login that is given; a default domain replaces one that is missing.

        Args:
            given: the settings by name.
            problems: gets one for each value that cannot be used.
        """
        return read(cls, Given(_with_domains(given.texts), given.origins), problems)

    def beside(self, other: Self) -> Self:
        """Return this login at the endpoints, and with the authorities, of another one."""
        return replace(
            self,
            region_name=other.region_name,
            interface=other.interface,
            cacert=other.cacert,
        )

    @property
    def plugin(self) -> str:
        """Return the keystoneauth plugin; an application credential takes precedence."""
        both = self.application_credential_id and self.application_credential_secret
        return self.auth_type or ("v3applicationcredential" if both else "password")

    def credentials(self) -> dict[str, str]:
        """Return the plugin's options by keystoneauth's names.

        Other options, such as OS_USERNAME beside an application credential, must not reach it.
        """
        names = ["auth_url", *_PLUGIN_OPTIONS[self.plugin]]
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return {"auth_type": self.plugin, **given}

    def missing(
        self, refused: Set[str] = frozenset(), origin: str = "", hint: str = ""
    ) -> list[Problem]:
        """Return a problem for each setting that a login lacks.

        Args:
            refused: settings whose values cannot be used: they are not missing.
            origin: where the login is from, unless from the environment.
            hint: what to add to the last problem.
        """
        found: list[Problem] = []
        for fields in self._required():
            names = [f"OS_{name.upper()}" for name in fields]
            given = any(getattr(self, name) for name in fields)
            if not given and refused.isdisjoint(names):
                text = f"{' or '.join(names)} is not set: the login to Keystone needs it"
                found.append(Problem(names[0], text, origin))
        return [*found[:-1], *(last._replace(hint=hint) for last in found[-1:])]

    def _required(self) -> list[tuple[str, ...]]:
        """Return the fields that a login needs, alternatives together."""
        if "password" not in self.plugin:
            return [("auth_url",), *((name,) for name in _CREDENTIAL)]
        required: list[tuple[str, ...]] = [("auth_url",), ("username", "user_id"), ("password",)]
        required += [("project_name", "project_id")]
        required += [] if self.user_id else [("user_domain_name", "user_domain_id")]
        required += [] if self.project_id else [("project_domain_name", "project_domain_id")]
        return required


def _with_domains(texts: Mapping[str, str]) -> dict[str, str]:
    found = dict(texts)
    for owner in ("USER", "PROJECT"):
        default = {
            f"OS_{owner}_DOMAIN_{kind}": texts.get(f"OS_DEFAULT_DOMAIN_{kind}", "")
            for kind in ("ID", "NAME")
        }
        if texts.keys().isdisjoint(default):
            found |= default
    return found
