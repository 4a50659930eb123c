"""The environment of the contestants: a real Keystone, the static Glance, tokens and lists."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from real import services
from real.cloud import RealCloud
from real.install import is_installed

from bench import contestants
from bench.page_sets import make_page_set
from bench.static_glance import StaticGlance

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import requests

    from bench.contestants import Contestant

USER = "demo"
NON_ASCII = "1000 non-ASCII"
IMAGES = {"25": 25, "100": 100, "1000": 1000, NON_ASCII: 1000, "10000": 10000}
WARM_UP = 4 * contestants.WORKERS
ANY_HOST = "compute.example:8774"  # so that all return the same links


class Stage:
    """The running services; a context manager.

    Args:
        before: another checkout of this project to measure as well, with its own environment.
    """

    def __init__(self, before: Path | None = None) -> None:
        self.before = before

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.cloud = stack.enter_context(RealCloud())
            folder = tempfile.TemporaryDirectory(prefix="bench-")
            self._folder = Path(stack.enter_context(folder))
            self._folder.chmod(0o755)  # nginx started by root runs its workers as another user
            self.project = self.cloud.projects[USER]
            self.tokens = {name: self.cloud.token(USER) for name in IMAGES}
            self.page_sets = {
                name: make_page_set(name, count, ascii_names=name != NON_ASCII)
                for name, count in IMAGES.items()
            }
            by_token = {token: self.page_sets[name] for name, token in self.tokens.items()}
            self.glance = StaticGlance(self._folder / "glance", by_token, self._schema())
            self._stack = stack
            self.start(contestants.Contestant("static Glance", self.glance.url, self.glance.daemon))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _schema(self) -> bytes:
        url = f"{self.cloud.glance_url}/v2/schemas/image"
        with services.http() as http:
            answer = http.get(url, headers={"X-Auth-Token": self.cloud.token(USER)}, timeout=60)
        answer.raise_for_status()
        return answer.content

    def folder(self, name: str) -> Path:
        """Return a new folder."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder))

    def start(self, contestant: Contestant) -> Contestant:
        """Start a contestant; it stops with the stage or by its own `stop`."""
        self._stack.callback(contestant.daemon.kill)
        contestant.daemon.start()
        return contestant

    def warm_up(self, contestant: Contestant, page_set: str) -> None:
        """Send requests to each worker, so that its first one is not measured."""
        for _ in range(WARM_UP):
            self.size(contestant, page_set)

    def ask(self, contestant: Contestant, page_set: str) -> Any:
        """Return a contestant's response."""
        return self._get(contestant, page_set).json()

    def size(self, contestant: Contestant, page_set: str) -> int:
        """Return the size of a contestant's response in bytes."""
        return len(self._get(contestant, page_set).content)

    def _get(self, contestant: Contestant, page_set: str) -> requests.Response:
        """Send a request on a new connection, uncompressed as in the load."""
        headers = {"Host": ANY_HOST, "Accept-Encoding": "identity", **self.headers(page_set)}
        with services.http() as http:
            url = contestant.address(self.project)
            answer = http.get(url, headers=headers, timeout=120)
        answer.raise_for_status()
        return answer

    def headers(self, page_set: str) -> Mapping[str, str]:
        """Return the headers for a list."""
        return {"X-Auth-Token": self.tokens[page_set]}


def start_contestants(stage: Stage, names: Collection[str] | None = None) -> list[Contestant]:
    """Start all installed contestants, or those named, with the static Glance."""
    folder, cloud, url = stage.folder, stage.cloud, stage.glance.url
    over = {"SHIM_GLANCE_ENDPOINT": url}
    makers: dict[str, Callable[[], Contestant]] = {
        "shim": lambda: contestants.shim(folder("shim"), cloud, over),
        "before": lambda: contestants.shim(
            folder("before"), cloud, over, name="before", checkout=stage.before
        ),
        "floor": lambda: contestants.wsgi_app(folder("floor"), "floor", url),
        "bare floor": lambda: contestants.wsgi_app(
            folder("floor"), "floor", url, name="bare floor", trust_env=False
        ),
        "alone": lambda: contestants.wsgi_app(folder("alone"), "alone", url),
        "nginx": lambda: contestants.nginx(folder("nginx"), url),
        "models": lambda: contestants.wsgi_app(folder("models"), "models", url),
        "nova": lambda: contestants.nova(folder("nova"), cloud, url),
    }
    absent = {"nova": not is_installed("nova"), "before": stage.before is None}
    able = [name for name in makers if not absent.get(name)]
    chosen = [name for name in able if names is None or name in names]
    # One at a time, because a chosen port may be taken by another.
    return [stage.start(makers[name]()) for name in chosen]
