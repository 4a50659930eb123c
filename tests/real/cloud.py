"""A small real cloud for the tests: Keystone, Glance and memcached on loopback.

Run `python tests/real/install.py` first. Everything is in a temporary folder. The context stops the
processes and removes the folder, also after Ctrl-C or SIGTERM; after SIGKILL, the kernel kills the
processes and the folder is left.
"""

import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import requests
from keystoneauth1.identity import v3
from keystoneauth1.session import Session

from . import glance_rows, services, state
from .calls import USER_AGENT, Call, CallLog
from .install import PACKAGES, is_installed
from .processes import Daemon, free_ports
from .state import USERS

HTTP_SECONDS = 60


class NotInstalledError(Exception):
    """The services are not installed with the current pins."""


class Counted:
    """The calls made within `RealCloud.counting`, complete once that block has ended."""

    def __init__(self) -> None:
        self.glance: list[Call] = []
        self.keystone: list[Call] = []


class RealCloud:
    """The cloud, running while its context is open.

    The users `demo`, `alt` and `third` (role member) and `admin` each have a project of the same
    name, `reader` (role reader) has the project `demo`, and `nova-image-shim` (roles service and
    admin) has the project `service`. All are in the domain
    `default`, named `Default`. Start it and its services from a thread that stays alive, because
    the kernel kills a service when the thread that started it ends.

    Args:
        compute_url: URL of the compute endpoints in the catalog; may contain `%(tenant_id)s`.
        reference: run the Glance that the embedded cloud imitates, which has fewer features.
    """

    region = services.REGION
    service_user = "nova-image-shim"
    service_password = USERS["nova-image-shim"].password
    service_project = USERS["nova-image-shim"].project
    user_domain_id = project_domain_id = "default"
    user_domain_name = project_domain_name = "Default"

    def __init__(
        self,
        compute_url: str = "http://127.0.0.1:8774/v2/%(tenant_id)s",
        *,
        reference: bool = False,
    ) -> None:
        keystone_port, glance_port, self._memcached_port = free_ports(3)
        self.keystone_url = f"http://{services.HOST}:{keystone_port}"
        self.auth_url = f"{self.keystone_url}/v3"
        self.glance_url = f"http://{services.HOST}:{glance_port}"
        self.memcached = f"{services.HOST}:{self._memcached_port}"
        self.compute_url = compute_url
        self._reference = reference
        self._ports = {"keystone": keystone_port, "glance": glance_port}
        self._short_keystones: dict[int, str] = {}
        self._sessions: dict[str, Session] = {}

    # The context

    def __enter__(self) -> Self:
        """Start all services and return when they answer.

        Raises:
            NotInstalledError: `install.py` has not been run since its pins changed.
            ProcessError: a service did not start.
        """
        missing = [service for service in PACKAGES if not is_installed(service)]
        if missing or shutil.which("memcached") is None:
            raise NotInstalledError("run python tests/real/install.py first")
        with ExitStack() as stack:
            stack.enter_context(_interrupted_by_sigterm())
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes and remove the folder."""
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="real-cloud-"))
        stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._prepare_state()
        self._memcached = services.memcached(self.folder / "memcached", self._memcached_port)
        self._keystone, self._keystone_log = self._prepare_keystone()
        self._glance, self._glance_log = self._prepare_glance()
        daemons = (self._memcached, self._keystone, self._glance)
        for daemon in daemons:
            stack.callback(daemon.kill)
            daemon.launch()
        for daemon in daemons:
            daemon.wait()
        # Makes Glance get its token and call Keystone now, so that tests do not count those calls.
        self._ask_glance("demo", "GET", "/v2/images?limit=1")

    def _prepare_state(self) -> None:
        urls = {"identity": self.auth_url, "image": self.glance_url, "compute": self.compute_url}
        self._state = self.folder / "state"
        state.open_state(self._state, urls)
        self._glance_database = self._state / "glance.db"
        self.projects = state.project_ids(self._state)
        self.application_credential = state.application_credential(self._state)

    def _prepare_keystone(self) -> tuple[Daemon, CallLog]:
        folder = self.folder / "keystone"
        services.configure_keystone(folder, self._state, self.memcached)
        return services.keystone(folder, self._ports["keystone"])

    def _prepare_glance(self) -> tuple[Daemon, CallLog]:
        folder = self.folder / "glance"
        self._image_files = folder / "images"
        services.configure_glance(
            folder,
            self._state,
            self.glance_url,
            self.keystone_url,
            self.memcached,
            reference=self._reference,
        )
        return services.glance(folder, self._ports["glance"])

    # Tokens

    def session(self, user: str) -> Session:
        """Open a keystoneauth session of the user, scoped to the user's project."""
        return self._open_session(user)

    def _open_session(self, user: str, user_agent: str | None = None) -> Session:
        auth = v3.Password(
            self.auth_url,
            username=user,
            password=USERS[user].password,
            user_domain_id=self.user_domain_id,
            project_name=USERS[user].project,
            project_domain_id=self.project_domain_id,
        )
        return Session(
            auth=auth, session=_plain_http(), timeout=HTTP_SECONDS, user_agent=user_agent
        )

    def token(self, user: str, auth_url: str | None = None) -> str:
        """Return a new token of the user, scoped to the user's project.

        Args:
            auth_url: another identity with the same users; None means this cloud's.
        """
        return self._issue(auth_url or self.auth_url, user, scoped=True)

    def unscoped_token(self, user: str) -> str:
        """Return a new unscoped token of the user, which has no catalog."""
        return self._issue(self.auth_url, user, scoped=False)

    def short_token(self, user: str, seconds: int) -> str:
        """Return a new scoped token that expires after the given seconds.

        An additional Keystone with the same database and keys issues it. There is one for each
        lifetime, started on first use.
        """
        if seconds not in self._short_keystones:
            self._short_keystones[seconds] = self._start_short_keystone(seconds)
        return self._issue(self._short_keystones[seconds], user, scoped=True)

    def revoke(self, token: str) -> None:
        """Revoke a token with the token itself."""
        headers = {"X-Auth-Token": token, "X-Subject-Token": token}
        self._ask_keystone("DELETE", f"{self.auth_url}/auth/tokens", headers=headers)

    def validates(self, token: str) -> bool:
        """Return whether Keystone considers the token valid."""
        headers = {"X-Auth-Token": self.token("admin"), "X-Subject-Token": token}
        with services.http() as http:
            answer = http.get(f"{self.auth_url}/auth/tokens", headers=headers, timeout=HTTP_SECONDS)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return False
        answer.raise_for_status()
        return True

    def _issue(self, auth_url: str, user: str, *, scoped: bool) -> str:
        domain = {"id": self.user_domain_id}
        who = {"name": user, "password": USERS[user].password, "domain": domain}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": who}}}
        project = {"name": USERS[user].project, "domain": {"id": self.project_domain_id}}
        auth["scope"] = {"project": project} if scoped else "unscoped"
        answer = self._ask_keystone("POST", f"{auth_url}/auth/tokens", json={"auth": auth})
        return answer.headers["X-Subject-Token"]

    def _ask_keystone(self, method: str, url: str, **request: Any) -> requests.Response:
        with services.http() as http:
            answer = http.request(method, url, timeout=HTTP_SECONDS, **request)
        answer.raise_for_status()
        return answer

    def _start_short_keystone(self, seconds: int) -> str:
        folder = self.folder / f"keystone-{seconds}s"
        services.configure_keystone(folder, self._state, self.memcached, expiration_seconds=seconds)
        (port,) = free_ports(1)
        daemon, _ = services.keystone(folder, port)
        self._stack.callback(daemon.kill)
        daemon.start()
        return f"http://{services.HOST}:{port}/v3"

    # The processes

    def stop_keystone(self) -> None:
        """End Keystone: connections to it are refused."""
        self._keystone.stop()

    def start_keystone(self) -> None:
        """Restart Keystone on the same port; its tokens stay valid."""
        self._keystone.start()

    def freeze_keystone(self) -> None:
        """Make Keystone silent: it accepts connections and never answers."""
        self._keystone.freeze()

    def thaw_keystone(self) -> None:
        """End `freeze_keystone`."""
        self._keystone.thaw()

    def stop_glance(self) -> None:
        """End Glance: connections to it are refused."""
        self._glance.stop()

    def start_glance(self) -> None:
        """Restart Glance on the same port with the same images."""
        self._glance.start()

    def freeze_glance(self) -> None:
        """Make Glance silent: it accepts connections and never answers."""
        self._glance.freeze()

    def thaw_glance(self) -> None:
        """End `freeze_glance`."""
        self._glance.thaw()

    def stop_memcached(self) -> None:
        """Stop memcached; it loses its data."""
        self._memcached.stop()

    def start_memcached(self) -> None:
        """Restart memcached, empty, on the same port."""
        self._memcached.start()

    @property
    def glance_pid(self) -> int:
        """Return the pid of Glance's first process, to measure its resource usage."""
        return self._glance.pid

    # Calls to the services

    def glance_calls(self) -> list[Call]:
        """Return all calls to Glance so far, without those of the harness."""
        return self._glance_log.calls(wait=not self._glance.frozen)

    def keystone_calls(self) -> list[Call]:
        """Return all calls to Keystone so far, including Glance's, without those of the harness."""
        return self._keystone_log.calls(wait=not self._keystone.frozen)

    @contextmanager
    def counting(self) -> Iterator[Counted]:
        """Count the calls inside the block; the result is complete after it."""
        counted = Counted()
        glance, keystone = len(self.glance_calls()), len(self.keystone_calls())
        try:
            yield counted
        finally:
            counted.glance = self.glance_calls()[glance:]
            counted.keystone = self.keystone_calls()[keystone:]

    # Images

    def create_image(
        self,
        user: str,
        *,
        data: bytes | None = b"x",
        members: dict[str, str] | None = None,
        deactivate: bool = False,
        **fields: Any,
    ) -> dict[str, Any]:
        """Create an image with Glance's API and return it as its owner sees it.

        Args:
            data: the image's data; `None` leaves it queued.
            members: `pending`, `accepted` or `rejected` by the name of a project and its user.
            deactivate: deactivate the image at the end, as the administrator.
            fields: attributes and properties in Glance's form.

        Raises:
            requests.HTTPError: Glance refused a step.
        """
        body = {"disk_format": "raw", "container_format": "bare", **fields}
        path = f"/v2/images/{self._ask_glance(user, 'POST', '/v2/images', json=body).json()['id']}"
        if data is not None:
            headers = {"Content-Type": "application/octet-stream"}
            self._ask_glance(user, "PUT", f"{path}/file", data=data, headers=headers)
        for project, status in (members or {}).items():
            self.share_image(user, path.rpartition("/")[2], project, status)
        if deactivate:
            self._ask_glance("admin", "POST", f"{path}/actions/deactivate")
        image: dict[str, Any] = self._ask_glance(user, "GET", path).json()
        return image

    def share_image(self, user: str, image_id: str, project: str, status: str) -> None:
        """Share an image with a project; status is `pending`, `accepted` or `rejected`."""
        path = f"/v2/images/{image_id}"
        member = self.projects[project]
        self._ask_glance(user, "POST", f"{path}/members", json={"member": member})
        if status != "pending":
            self._ask_glance(project, "PUT", f"{path}/members/{member}", json={"status": status})

    def delete_image(self, user: str, image_id: str) -> None:
        """Delete an image as the user; raise `requests.HTTPError` if Glance refuses."""
        self._ask_glance(user, "DELETE", f"/v2/images/{image_id}")

    def get_image(self, user: str, image_id: str) -> dict[str, Any]:
        """Return an image as the user sees it; raise `requests.HTTPError` if Glance refuses."""
        image: dict[str, Any] = self._ask_glance(user, "GET", f"/v2/images/{image_id}").json()
        return image

    def members(self, user: str, image_id: str) -> dict[str, str]:
        """Return the members of a shared image as the user sees them: project id to status."""
        answer = self._ask_glance(user, "GET", f"/v2/images/{image_id}/members").json()
        return {member["member_id"]: member["status"] for member in answer["members"]}

    def insert_images(
        self, user: str, count: int, *, prefix: str, status: str = "active", **fields: Any
    ) -> list[str]:
        """Insert images of the user's project into Glance's database; return ids, oldest first.

        They are named `prefix-00000` and so on, and have no file. Their times are a second apart
        from 2024-01-01, except that every tenth has the time of the one before. `status` may also
        be one that only Glance sets.

        Args:
            fields: see `glance_rows.insert_images`.
        """
        owner = self.projects[USERS[user].project]
        fields = {"owner": owner, "status": status, **fields}
        return glance_rows.insert_images(self._glance_database, count, prefix, fields)

    def purge_images(self) -> None:
        """Remove all images, including protected ones, and their files."""
        glance_rows.purge_images(self._glance_database)
        for file in self._image_files.iterdir():
            file.unlink()

    def _ask_glance(self, user: str, method: str, path: str, **request: Any) -> requests.Response:
        """Call Glance as the harness, with one session per user."""
        if user not in self._sessions:
            self._sessions[user] = self._open_session(user, USER_AGENT)
        session = self._sessions[user]
        url = self.glance_url + path
        answer: requests.Response = session.request(url, method, raise_exc=False, **request)
        answer.raise_for_status()
        return answer


def _plain_http() -> requests.Session:
    http = requests.Session()
    http.trust_env = False
    return http


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, so that contexts are closed, unless another handler is set."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
