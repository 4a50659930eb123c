"""The environment of the contestants: a real Keystone, the static Glance, tokens and lists."""

from __future__ import annotations

import json
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
    from collections.abc import Callable, Collection

    from bench.contestants import Contestant

USER = "demo"
NON_ASCII = "1000 non-ASCII"
IMAGES = {"1": 1, "25": 25, "100": 100, "1000": 1000, NON_ASCII: 1000, "10000": 10000}
WARM_UP = 4 * contestants.WORKERS
FOR_NGINX = 0o755  # started by root, it runs its workers as another user
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
            self._folder.chmod(FOR_NGINX)
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
        path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder))
        path.chmod(FOR_NGINX)
        return path

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
        return json.loads(self.body(contestant, page_set))

    def size(self, contestant: Contestant, page_set: str) -> int:
        """Return the size of a contestant's response in bytes."""
        return len(self.body(contestant, page_set))

    def body(self, contestant: Contestant, page_set: str) -> bytes:
        """Return a contestant's response as it was sent.

        The request is on a new connection and, as in the load, uncompressed by default.
        """
        plain = {"Host": ANY_HOST, "Accept-Encoding": "identity"}
        headers = {**plain, **self.headers(page_set, contestant)}
        with services.http() as http:
            url = contestant.address(self.project)
            answer = http.get(url, headers=headers, timeout=120, stream=True)
            answer.raise_for_status()
            return bytes(answer.raw.read())

    def headers(self, page_set: str, contestant: Contestant | None = None) -> dict[str, str]:
        """Return the headers for a list, with those of a contestant."""
        own = contestant.headers if contestant else {}
        return {"X-Auth-Token": self.tokens[page_set], **own}


def start_contestants(stage: Stage, names: Collection[str]) -> list[Contestant]:
    """Start the named contestants, as far as they are installed, with the static Glance."""
    folder, cloud, url = stage.folder, stage.cloud, stage.glance.url
    over = {"SHIM_GLANCE_ENDPOINT": url}
    makers: dict[str, Callable[[], Contestant]] = {
        "shim": lambda: contestants.shim(folder("shim"), cloud, over),
        "sharing": lambda: contestants.shim(
            folder("shim"), cloud, {**over, "SHIM_SHARED_LISTS": "2"}, name="sharing"
        ),
        "cached": lambda: contestants.shim(
            folder("shim"), cloud, {**over, "SHIM_CACHE_SECONDS": "3600"}, name="cached"
        ),
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
    chosen = [name for name in names if not absent.get(name)]
    # One at a time, because a chosen port may be taken by another.
    return [stage.start(makers[name]()) for name in chosen]
