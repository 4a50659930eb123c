"""Send the same requests to real Nova and to this service, and compare: `make parity`.

Both use the same real Keystone and Glance. Every difference must be listed in `intended.yaml`, and
every difference listed there must occur.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

# A script cannot import its own package otherwise.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from collections.abc import Iterator

from real.cloud import RealCloud
from real.conftest import real_environ
from support.live import shim

from nova_image_shim.compare.differences import clean, differences, normal
from parity.exchange import FILES, Request, send
from parity.nova import nova
from parity.report import INTENDED_FILES, Comparison, run
from parity.world import World

# `alike`: configured so that the answers can be equal; Nova has Glance's address in its
# configuration, this service uses the links of later Nova releases and does not compress.
# `default`: only the required settings.
ALIKE = {"SHIM_COMPAT": "no-alternate-project,no-compression"}

PROJECTS = ("demo", "alt", "admin", "service")


class Parity:
    """Runs the services, creates the images and compares requests.

    Args:
        cloud: a running cloud.
        stack: stops the services when it is closed.
    """

    def __init__(self, cloud: RealCloud, stack: ExitStack) -> None:
        self._cloud = cloud
        self._world = World(cloud)
        self._images = self._world.make_read_images()
        self._projects = {name: cloud.projects[name] for name in PROJECTS}
        self._tokens = _make_tokens(cloud)
        self._setups = {
            "alike": _start(cloud, stack, "alike", cloud.glance_url, ALIKE),
            "default": _start(cloud, stack, "default", None, {}),
        }
        self._pool = stack.enter_context(ThreadPoolExecutor(2))

    def compare_all(self, requests: list[Request]) -> Iterator[Comparison]:
        """Compare the requests one by one; those that need a stopped service come last."""
        yield from map(self._compare, [r for r in requests if r.stopped is None])
        for name in sorted({r.stopped for r in requests if r.stopped is not None}):
            getattr(self._cloud, f"stop_{name}")()
            try:
                yield from map(self._compare, [r for r in requests if r.stopped == name])
            finally:
                getattr(self._cloud, f"start_{name}")()

    def _compare(self, request: Request) -> Comparison:
        """Send a request to both services; compare the answers, and after a write the images."""
        images = self._world.make_pair(request.image) if request.image else (None, None)
        sides = zip(self._setups[request.setup], images, strict=True)
        theirs, ours = self._pool.map(lambda side: self._result(request, *side), sides)
        return Comparison(request, differences(theirs, ours), theirs["status"])

    def _result(self, request: Request, url: str, image: str | None) -> dict[str, Any]:
        own = {"project": self._projects[request.as_]} | ({"image": image} if image else {})
        ids = self._projects | self._images | own
        answer = send(request, url, self._tokens[request.token or request.as_], ids)
        names = {url: "http://compute"} | {self._cloud.glance_url: "http://glance"}
        names |= {self._cloud.keystone_url: "http://keystone"}
        names |= {changing: f"<{name}>" for name, changing in ids.items() if name != "project"}
        result = normal(answer, names, times=image is None)
        return result | (clean(self._world.held(image), names) if image else {})


def _make_tokens(cloud: RealCloud) -> dict[str, str | None]:
    revoked = cloud.token("demo")
    cloud.revoke(revoked)
    return {
        **{user: cloud.token(user) for user in ("demo", "alt", "admin")},
        "service": cloud.token(cloud.service_user),
        "unscoped": cloud.unscoped_token("demo"),
        "revoked": revoked,
        "none": None,
        "empty": "",
        "gibberish": "gibberish",
        "gibberish-2": "gibberish-2",
        "fernet-like": "gAAAAA" + "x" * 180,
    }


def _start(
    cloud: RealCloud,
    stack: ExitStack,
    name: str,
    glance_endpoint: str | None,
    settings: dict[str, str],
) -> tuple[str, str]:
    """Start Nova and the service, and return their addresses."""
    theirs = stack.enter_context(nova(cloud, glance_endpoint))
    log = cloud.folder / f"shim-{name}.log"
    return theirs, stack.enter_context(shim(log, **real_environ(cloud) | settings))


def compare(requests: list[Request]) -> Iterator[Comparison]:
    """Run the services and compare the requests."""
    with RealCloud() as cloud, ExitStack() as stack:
        yield from Parity(cloud, stack).compare_all(requests)


if __name__ == "__main__":
    sys.exit(run(__doc__, FILES, INTENDED_FILES, compare))
