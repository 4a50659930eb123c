"""The embedded cloud inside a test's own process, for the pytest fixture `legacy_cloud`."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from nova_image_shim.adapters.address import Address
from nova_image_shim.fakecloud import create_cloud_app
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.document import Document, ImageFileError
from nova_image_shim.fakecloud.seed import Seed, load_seed, to_seed
from nova_image_shim.fakecloud.welcome import usual_login
from nova_image_shim.settings import Settings

GivenSeed = str | os.PathLike[str] | list[Any] | dict[str, Any] | None


class LegacyCloud(FakeCloud):
    """A running cloud: its address, a login, and the control plane as methods."""

    def __init__(self, seed: Seed, url: str) -> None:
        super().__init__(seed)
        self.url = url
        self.auth_url = f"{url}/identity/v3"
        login = usual_login(self, url)["environ"]
        self.username, self.password = login["OS_USERNAME"], login["OS_PASSWORD"]
        self.project_name = login["OS_PROJECT_NAME"]

    @property
    def token(self) -> str:
        """Return a valid token for the user and project; the fixed one if there is one."""
        return str(usual_login(self, self.url)["token"])

    def environ(self) -> dict[str, str]:
        """Return the environment with which OpenStack's clients log in, without a proxy."""
        others = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
        direct = ",".join(filter(None, [others, "127.0.0.1,localhost"]))
        return {**usual_login(self, self.url)["environ"], "no_proxy": direct, "NO_PROXY": direct}


@contextlib.contextmanager
def serve_legacy_cloud(seed: GivenSeed = None) -> Iterator[LegacyCloud]:
    """Serve a cloud in threads of this process, on a free loopback port.

    Args:
        seed: the path of a seed file, or its content; None for the one in this package.

    Raises:
        ImageFileError: the seed cannot be used; the text names the item and the reason.
    """
    found = _read(seed)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        cloud = LegacyCloud(found, f"http://127.0.0.1:{port}")
        settings = Settings(backend="memory", bind=Address("127.0.0.1", port))
        app = create_cloud_app(settings, cloud)
        options: Any = {"request_handler": _QuietHandler, "fd": listener.fileno()}
        server = make_server("127.0.0.1", port, app, threaded=True, **options)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield cloud
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _read(seed: GivenSeed) -> Seed:
    if seed is None or isinstance(seed, str | os.PathLike):
        return load_seed(None if seed is None else Path(seed))
    if isinstance(seed, list | dict):
        return to_seed(Document("legacy_cloud_seed", seed))
    raise ImageFileError(
        "legacy_cloud_seed: must be the path of a seed file, a list of images, an object with "
        f"`images`, `projects` or `users`, or None; not {type(seed).__name__}"
    )


class _QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *args: Any, **kwargs: Any) -> None:
        """Log nothing: the journal has every request."""
