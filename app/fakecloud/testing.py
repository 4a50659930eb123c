"""The embedded cloud inside a test's own process: what the pytest fixture `legacy_cloud` gives."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler, make_server

from nova_image_shim.adapters.address import Address
from nova_image_shim.fakecloud import create_cloud_app
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.control.plane import ControlPlane
from nova_image_shim.fakecloud.seed import load_seed
from nova_image_shim.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from nova_image_shim.fakecloud.seed import User


class LegacyCloud(ControlPlane):
    """A running cloud: where it is, how to log in, and the control plane as methods.

    Args:
        cloud: its state.
        url: its address, without a final slash.
    """

    def __init__(self, cloud: FakeCloud, url: str) -> None:
        super().__init__(cloud)
        self._identity = cloud.identity
        self._user = _usual_user(cloud.seed.users)
        self._project = next(iter(cloud.identity.projects_of(self._user)), None)
        self.url = url
        self.auth_url = f"{url}/identity/v3"
        self.username = self._user.name
        self.password = self._user.password
        self.project_name = self._project.name if self._project else ""

    @property
    def token(self) -> str:
        """Return a good token for the user and project; the fixed one if there is one."""
        if self._identity.validate(self.project_name):
            return self.project_name
        return self._identity.issue(self._user, self._project, ("password",)).id

    def environ(self) -> dict[str, str]:
        """Return the variables that OpenStack's command lines and libraries log in by."""
        return {
            "OS_AUTH_URL": self.auth_url,
            "OS_IDENTITY_API_VERSION": "3",
            "OS_USERNAME": self.username,
            "OS_PASSWORD": self.password,
            "OS_PROJECT_NAME": self.project_name,
            "OS_TENANT_NAME": self.project_name,  # as the oldest clients call it
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_DOMAIN_NAME": "Default",
        }

    def add_image(self, image: Any = None, /, **attributes: Any) -> dict[str, Any]:
        """Keep one more image, told as an object, by keywords or both, and return it whole."""
        return super().add_image({**(image or {}), **attributes})

    def change_image(
        self, image_id: str, changes: Any = None, /, **attributes: Any
    ) -> dict[str, Any]:
        """Change an image, by an object, by keywords or both; None takes a property away."""
        return super().change_image(image_id, {**(changes or {}), **attributes})

    def add_rule(self, rule: Mapping[str, Any] | None = None, /, **fields: Any) -> dict[str, Any]:
        """Add a fault rule, told as an object, by keywords or both, and return it."""
        return super().add_rule({**(rule or {}), **fields})


@contextlib.contextmanager
def serve_legacy_cloud(seed: Path | None = None) -> Iterator[LegacyCloud]:
    """Serve a cloud in threads of this process, on a free loopback port.

    Args:
        seed: the file that it begins with; None for the one that ships with us.

    Raises:
        ImageFileError: the file cannot be used; the text names the item and the reason.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        cloud = FakeCloud(load_seed(seed))
        plane = LegacyCloud(cloud, f"http://127.0.0.1:{port}")
        settings = Settings(backend="memory", bind=Address("127.0.0.1", port))
        app = create_cloud_app(settings, cloud, plane)
        server = make_server(
            "127.0.0.1",
            port,
            app,
            threaded=True,
            request_handler=_QuietHandler,
            fd=listener.fileno(),
        )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield plane
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _usual_user(users: Sequence[User]) -> User:
    """Return `demo`, or else the first user.

    Raises:
        ValueError: there is none.
    """
    if not users:
        raise ValueError("the seed has no user to log in as")
    return min(users, key=lambda user: user.name != "demo")


class _QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *args: Any, **kwargs: Any) -> None:
        """Say nothing: the journal tells."""
