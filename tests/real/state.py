"""Build the cloud's initial state once and copy it: databases, keys, users and the catalog.

Building takes half a minute. Only the endpoints' URLs differ between runs; `open_state` rewrites
them.
"""

import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from . import services
from .install import PACKAGES, REAL, fingerprint
from .processes import free_ports

SECRET = "application-credential-secret"
APPLICATION_CREDENTIAL = "nova-image-shim"

INTERFACES = ("public", "internal", "admin")


class User(NamedTuple):
    """A user in the default domain, with a project and roles in it."""

    password: str
    project: str
    roles: tuple[str, ...]


USERS = {
    "admin": User("admin-password", "admin", ("admin",)),  # by Keystone's bootstrap
    "demo": User("demo-password", "demo", ("member",)),
    "reader": User("reader-password", "demo", ("reader",)),
    "alt": User("alt-password", "alt", ("member",)),
    "third": User("third-password", "third", ("member",)),
    "glance": User(services.GLANCE_PASSWORD, "service", ("service", "admin")),
    "nova": User(services.NOVA_PASSWORD, "service", ("service", "admin")),
    "nova-image-shim": User("shim-password", "service", ("service", "admin")),
}


def open_state(folder: Path, urls: Mapping[str, str]) -> None:
    """Copy the initial state into `folder`, and build it first if there is none.

    Args:
        folder: created with `keystone.db`, `glance.db`, `fernet/` and `credential/`.
        urls: the URL of all endpoints, by service type.
    """
    cached = REAL / "cache" / _key()
    if not cached.exists():
        _build(cached)
    shutil.copytree(cached, folder)
    with closing(sqlite3.connect(folder / "keystone.db")) as database, database:
        database.executemany(
            "UPDATE endpoint SET url = ?"
            " WHERE service_id IN (SELECT id FROM service WHERE type = ?)",
            [(url, service_type) for service_type, url in urls.items()],
        )


def project_ids(folder: Path) -> dict[str, str]:
    """Return project ids by name from a folder of `open_state`."""
    with closing(sqlite3.connect(folder / "keystone.db")) as database:
        return dict(database.execute("SELECT name, id FROM project WHERE is_domain = 0"))


def application_credential(folder: Path) -> tuple[str, str]:
    """Return id and secret of the shim's application credential from a folder of `open_state`."""
    with closing(sqlite3.connect(folder / "keystone.db")) as database:
        query = "SELECT id FROM application_credential WHERE name = ?"
        return database.execute(query, [APPLICATION_CREDENTIAL]).fetchone()[0], SECRET


def _key() -> str:
    """Return a hash of everything that determines the state: the pins and the filling code."""
    parts = [fingerprint(service) for service in PACKAGES]
    parts += [Path(path).read_text() for path in (__file__, services.__file__)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _build(target: Path) -> None:
    """Build in a temporary folder and rename it, so that no one sees an incomplete state."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="building-") as building:
        work = Path(building)
        state = work / "state"
        state.mkdir()
        with ThreadPoolExecutor() as pool:
            for job in [
                pool.submit(_build_glance, work, state),
                pool.submit(_build_keystone, work, state),
            ]:
                job.result()
        _fill_keystone(work)
        try:
            state.rename(target)
        except OSError:
            if not target.exists():
                raise


def _build_glance(work: Path, state: Path) -> None:
    folder = work / "glance"
    services.configure_glance(folder, state, "http://glance.invalid", "http://keystone.invalid", "")
    services.glance_manage(folder, "db_sync")


def _build_keystone(work: Path, state: Path) -> None:
    folder = work / "keystone"
    services.configure_keystone(folder, state, memcached=None)
    services.keystone_manage(folder, "db_sync")
    for command, keys in (("fernet_setup", "fernet"), ("credential_setup", "credential")):
        (state / keys).mkdir(mode=0o700)
        owner = ["--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid())]
        services.keystone_manage(folder, command, *owner)
    url = "http://keystone.invalid/v3"
    endpoints = [part for name in INTERFACES for part in (f"--bootstrap-{name}-url", url)]
    password = ["--bootstrap-password", USERS["admin"].password]
    region = ["--bootstrap-region-id", services.REGION]
    services.keystone_manage(folder, "bootstrap", *password, *region, *endpoints)


def _fill_keystone(work: Path) -> None:
    (port,) = free_ports(1)
    daemon, _ = services.keystone(work / "keystone", port)
    try:
        daemon.start()
        _Filler(f"http://{services.HOST}:{port}/v3").fill()
    finally:
        daemon.kill()


class _Filler:
    """Creates with Keystone's API what its bootstrap does not create."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = services.http()

    def fill(self) -> None:
        self._log_in("admin")
        for service_type, name in (("image", "glance"), ("compute", "nova")):
            self._create_service(service_type, name)
        projects = self._ids("project")
        for name in sorted({user.project for user in USERS.values()} - projects.keys()):
            self._post("project", name=name, domain_id="default")
        for name in USERS.keys() - {"admin"}:
            self._create_user(name, USERS[name])
        self._create_application_credential("nova-image-shim")

    def _log_in(self, name: str) -> None:
        default = {"id": "default"}
        user = {"name": name, "password": USERS[name].password, "domain": default}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": USERS[name].project, "domain": default}}
        body: dict[str, Any] = {"auth": {"identity": identity, "scope": scope}}
        answer = self._http.post(f"{self._url}/auth/tokens", json=body)
        answer.raise_for_status()
        self._http.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]

    def _create_service(self, service_type: str, name: str) -> None:
        service = self._post("service", type=service_type, name=name)
        url = f"http://{service_type}.invalid"
        for interface in INTERFACES:
            self._post(
                "endpoint",
                service_id=service["id"],
                interface=interface,
                url=url,
                region_id=services.REGION,
            )

    def _create_user(self, name: str, user: User) -> None:
        created = self._post("user", name=name, password=user.password, domain_id="default")
        roles = self._ids("role")
        project = self._ids("project")[user.project]
        for role in user.roles:
            path = f"projects/{project}/users/{created['id']}/roles/{roles[role]}"
            self._http.put(f"{self._url}/{path}").raise_for_status()

    def _create_application_credential(self, name: str) -> None:
        """Log in as its owner first, since Keystone lets no other user create one."""
        user_id = self._ids("user")[name]
        self._log_in(name)
        fields = {"name": APPLICATION_CREDENTIAL, "secret": SECRET}
        self._post(
            "application_credential", path=f"users/{user_id}/application_credentials", **fields
        )

    def _ids(self, kind: str) -> dict[str, str]:
        answer = self._http.get(f"{self._url}/{kind}s")
        answer.raise_for_status()
        return {item["name"]: item["id"] for item in answer.json()[f"{kind}s"]}

    def _post(self, kind: str, path: str | None = None, **fields: str) -> dict[str, Any]:
        answer = self._http.post(f"{self._url}/{path or kind + 's'}", json={kind: fields})
        answer.raise_for_status()
        created: dict[str, Any] = answer.json()[kind]
        return created
