"""Send the same requests to real Nova and to this service, and compare: `make parity`.

Both use the same real Keystone and Glance. Every difference must be listed in `intended.yaml`, and
every difference listed there must occur.
"""

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

# A script cannot import its own package otherwise.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from collections.abc import Callable, Iterator

from real.cloud import RealCloud
from support.live import shim

from nova_image_shim.compare.differences import clean, differences, normal
from nova_image_shim.compare.intended import load_intended
from parity.exchange import Request, load_requests, send
from parity.nova import nova
from parity.report import INTENDED_FILES, Comparison, dump, judge, report, set_aside
from parity.world import World

# `alike`: configured so that the answers can be equal; Nova has Glance's address in its
# configuration, this service uses the links of later Nova releases and does not compress.
# `default`: only the required settings.
ALIKE = {"SHIM_COMPAT": "no-alternate-project,no-compression"}

PROJECTS = ("demo", "alt", "admin", "service")


class Setup(NamedTuple):
    """The addresses of the two services that a request is sent to."""

    nova: str
    shim: str


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
            stop, start = _switches(self._cloud)[name]
            stop()
            try:
                yield from map(self._compare, [r for r in requests if r.stopped == name])
            finally:
                start()

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
) -> Setup:
    environ = {
        "SHIM_BACKEND": "glance",
        "WEB_CONCURRENCY": "1",
        "OS_AUTH_URL": cloud.auth_url,
        "OS_USERNAME": cloud.service_user,
        "OS_PASSWORD": cloud.service_password,
        "OS_PROJECT_NAME": cloud.service_project,
        "OS_USER_DOMAIN_NAME": cloud.user_domain_name,
        "OS_PROJECT_DOMAIN_NAME": cloud.project_domain_name,
        "OS_REGION_NAME": cloud.region,
    }
    theirs = stack.enter_context(nova(cloud, glance_endpoint))
    log = cloud.folder / f"shim-{name}.log"
    return Setup(theirs, stack.enter_context(shim(log, **environ | settings)))


def _switches(cloud: RealCloud) -> dict[str, tuple[Callable[[], None], Callable[[], None]]]:
    return {
        "glance": (cloud.stop_glance, cloud.start_glance),
        "keystone": (cloud.stop_keystone, cloud.start_keystone),
    }


def main() -> int:
    """Compare all or selected requests and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ids", nargs="*", help="only requests whose id starts with this")
    parser.add_argument("--dump", type=Path, help="write all differences to this YAML file")
    arguments = parser.parse_args()
    requests = load_requests()
    if arguments.ids:
        requests = [r for r in requests if r.id.startswith(tuple(arguments.ids))]
    _, everywhere, intended, _ = load_intended(*INTENDED_FILES)
    with RealCloud() as cloud, ExitStack() as stack:
        parity = Parity(cloud, stack)
        start = time.monotonic()
        comparisons = list(parity.compare_all(requests))
        seconds = time.monotonic() - start
    comparisons, unused = set_aside(comparisons, everywhere)
    wrong = [*judge(comparisons, intended), *([] if arguments.ids else unused)]
    if arguments.dump:
        arguments.dump.write_text(dump(comparisons))
    print("\n".join([*wrong, f"\nin {seconds:.0f} s:", report(comparisons, intended)]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
