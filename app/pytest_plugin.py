"""pytest's fixture `legacy_cloud`, a fake cloud to test a client against.

pytest imports this module in every run, beside any other packages, so it needs only pytest and the
standard library. The cloud is imported on first use, or never, if `legacy_cloud_command` names the
command of another environment.
"""

import contextlib
import json
import os
import shlex
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from functools import partialmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from nova_image_shim.fakecloud.testing import GivenSeed, LegacyCloud

_START_SECONDS = 60
_STOP_SECONDS = 10
_POLL_SECONDS = 0.05
_WITH_BODY = {"POST", "PUT", "PATCH"}


@pytest.fixture(scope="session")
def legacy_cloud_seed() -> "GivenSeed":
    """Return the path of the cloud's seed file, or its content; override it in `conftest.py`."""
    return None


@pytest.fixture(scope="session")
def legacy_cloud_command() -> list[str] | str | None:
    """Return the command of another environment, `/opt/shim/bin/nova-image-shim`, or None."""
    return None


@pytest.fixture(scope="session")
def legacy_cloud_server(
    legacy_cloud_seed: "GivenSeed", legacy_cloud_command: list[str] | str | None
) -> "Iterator[LegacyCloud | ServedCloud]":
    """Serve one cloud for the whole session; tests use `legacy_cloud`."""
    if legacy_cloud_command:
        with serve_by(legacy_cloud_command, legacy_cloud_seed) as served:
            yield served
        return
    try:
        with warnings.catch_warnings():  # webob imports the old `cgi`
            warnings.simplefilter("ignore", DeprecationWarning)
            from nova_image_shim.fakecloud.testing import serve_legacy_cloud  # noqa: PLC0415
    except ModuleNotFoundError as error:
        pytest.fail(f"{error}: run pip install 'nova-image-shim[fake]'", pytrace=False)
    with serve_legacy_cloud(legacy_cloud_seed) as cloud:
        yield cloud


@pytest.fixture
def legacy_cloud(
    legacy_cloud_server: "LegacyCloud | ServedCloud",
) -> "LegacyCloud | ServedCloud":
    """Return a running fake cloud in the state of its seed, with `url`, `auth_url` and a login."""
    legacy_cloud_server.reset()
    return legacy_cloud_server


class CloudError(Exception):
    """The cloud refused a call of its control plane: `status`, and the reason as text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class ServedCloud:
    """A cloud in another process, with the attributes and methods of one in this process."""

    def __init__(self, url: str) -> None:
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        self.url = url
        self.auth_url = f"{url}/identity/v3"
        self._environ: dict[str, str] = self._call("GET", "login")["environ"]
        self.username, self.password = self._environ["OS_USERNAME"], self._environ["OS_PASSWORD"]
        self.project_name = self._environ["OS_PROJECT_NAME"]

    def _read(self, method: str, path: str, body: Any = None) -> bytes:
        data = json.dumps({} if body is None else body).encode() if method in _WITH_BODY else None
        request = urllib.request.Request(  # noqa: S310 - the address is the cloud's own
            f"{self.url}/_fake/{path}", data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with self._open(request) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise CloudError(error.code, json.load(error)["error"]["message"]) from None

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        return json.loads(self._read(method, path, body) or b"null")

    # Calls that only do what they are named after.
    reset = partialmethod(_call, "POST", "reset")
    clear_requests = partialmethod(_call, "DELETE", "requests")
    clear_rules = partialmethod(_call, "DELETE", "rules")
    reset_clock = partialmethod(_call, "DELETE", "clock")
    forget_tokens = partialmethod(_call, "DELETE", "tokens")

    @property
    def token(self) -> str:
        """Return a valid token for the user and project; the fixed one if there is one."""
        return str(self._call("GET", "login")["token"])

    @property
    def token_seconds(self) -> float:
        """Return how long new tokens last."""
        return float(self._call("GET", "tokens")["token_seconds"])

    @property
    def ahead_seconds(self) -> float:
        """Return how far the cloud's clock is ahead of the machine's."""
        return float(self._call("GET", "clock")["ahead_seconds"])

    def environ(self) -> dict[str, str]:
        """Return the environment with which OpenStack's clients log in, without a proxy."""
        others = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
        direct = ",".join(filter(None, [others, "127.0.0.1,localhost"]))
        return {**self._environ, "no_proxy": direct, "NO_PROXY": direct}

    def images(self) -> list[dict[str, Any]]:
        """Return all images of all projects."""
        return list(self._call("GET", "images")["images"])

    def image(self, image_id: str) -> dict[str, Any]:
        """Return one image."""
        return dict(self._call("GET", f"images/{image_id}"))

    def image_data(self, image_id: str) -> bytes:
        """Return an image's data."""
        return self._read("GET", f"images/{image_id}/data")

    def load_images(self, images: Any) -> None:
        """Replace all images."""
        self._call("PUT", "images", images)

    def add_image(self, image: Mapping[str, Any] = {}, /, **attributes: Any) -> dict[str, Any]:
        """Add an image and return it complete."""
        return dict(self._call("POST", "images", {**image, **attributes}))

    def change_image(
        self,
        image_id: str,
        changes: Mapping[str, Any] = {},
        /,
        **attributes: Any,
    ) -> dict[str, Any]:
        """Change an image and return it; None removes a property."""
        return dict(self._call("PATCH", f"images/{image_id}", {**changes, **attributes}))

    def delete_image(self, image_id: str) -> None:
        """Delete an image."""
        self._call("DELETE", f"images/{image_id}")

    def requests(self, after: int = 0, limit: int = 10_000) -> list[dict[str, Any]]:
        """Return the recorded requests."""
        return list(self._call("GET", f"requests?after={after}&limit={limit}")["requests"])

    def rules(self) -> list[dict[str, Any]]:
        """Return all fault rules."""
        return list(self._call("GET", "rules")["rules"])

    def rule(self, number: int) -> dict[str, Any]:
        """Return one fault rule."""
        return dict(self._call("GET", f"rules/{number}"))

    def add_rule(self, rule: Mapping[str, Any] = {}, /, **fields: Any) -> dict[str, Any]:
        """Add a fault rule."""
        return dict(self._call("POST", "rules", {**rule, **fields}))

    def delete_rule(self, number: int) -> None:
        """Delete a fault rule."""
        self._call("DELETE", f"rules/{number}")

    def now(self) -> str:
        """Return the cloud's time."""
        return str(self._call("GET", "clock")["now"])

    def advance_clock(self, seconds: float) -> None:
        """Advance the cloud's clock."""
        self._call("POST", "clock", {"advance_seconds": seconds})

    def set_token_seconds(self, seconds: float) -> None:
        """Set how long new tokens last."""
        self._call("PUT", "tokens", {"token_seconds": seconds})


@contextlib.contextmanager
def serve_by(command: list[str] | str, seed: "GivenSeed" = None) -> Iterator[ServedCloud]:
    """Serve a cloud by a command, in a process that ends with the block."""
    given = (
        shlex.split(command) if isinstance(command, str) else [os.fspath(part) for part in command]
    )
    with tempfile.TemporaryDirectory() as folder:
        ready, log = Path(folder, "ready"), Path(folder, "log")
        options = ["fake", "--port", "0", "--ready-file", str(ready)]
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - the command is the tests' own
                [*given, *options],
                env=_environ(Path(folder), seed),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            yield ServedCloud(_wait(process, ready, log))
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environ(folder: Path, seed: "GivenSeed") -> dict[str, str]:
    """Return the environment of a process with other packages than the tests'."""
    environ = {
        name: os.environ[name] for name in os.environ if name[:6] not in {"PYTHON", "SHIM_B"}
    }
    if isinstance(seed, list | dict):
        (path := folder / "seed.json").write_text(json.dumps(seed), encoding="utf-8")
        seed = path
    return environ | ({"SHIM_MEMORY_IMAGES": os.fspath(seed)} if seed is not None else {})


def _wait(process: "subprocess.Popen[bytes]", ready: Path, log: Path) -> str:
    """Return the address of a cloud that has started."""
    deadline = time.monotonic() + _START_SECONDS
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"legacy_cloud_command: {log.read_text(errors='replace')[-2000:]}", False)
        time.sleep(_POLL_SECONDS)
    return ready.read_text(encoding="utf-8").strip()
