"""Profile a list with cProfile and group the time by the library that owns the code.

The application runs in a separate process without gunicorn. cProfile overstates the cost of small
functions, so only the shares are meaningful.
"""

from __future__ import annotations

import cProfile
import json
import logging.config
import os
import pstats
import subprocess
import sys
import tempfile
from collections import Counter
from typing import TYPE_CHECKING, Any

from werkzeug.test import EnvironBuilder, run_wsgi_app

from bench import contestants

if TYPE_CHECKING:
    from bench.stage import Stage

REQUESTS = {("shim", "25"): 1500, ("floor", "25"): 1500, ("shim", "1000"): 150}
WARM_UP = 20
REST = "rest of the service"

# The first match in a file's path is the owner.
OWNERS = {
    "limits of calls": ("/adapters/http/", "/adapters/limits/"),
    "requests and urllib3": ("/requests/", "/urllib3/"),
    "Python's own HTTP and sockets": ("/http/", "/email/", "/socket.py", "/selectors.py"),
    "keystoneauth": ("/keystoneauth1/",),
    "Flask and Werkzeug": ("/flask/", "/werkzeug/"),
    "token validation": (
        "/keystonemiddleware/",
        "/adapters/keystone/",
        "/adapters/stores/",
        "/app/auth/",
        "/oslo_",
    ),
    "JSON in and out": ("/ascii_json.py", "/adapters/glance/", "/bench/floor.py"),
    "translation": ("/app/translation/", "/app/lists/", "/bench/entries.py"),
    "metrics": ("/prometheus_client/", "/app/observability/metrics.py"),
    "log": ("/logging/", "/app/observability/"),
    REST: ("/app/", "/adapters/"),
}


def run_profile(stage: Stage) -> dict[str, dict[str, float]]:
    """Return milliseconds per request by owner, for lists of 25 and 1000 images and the floor."""
    environ = contestants.shim_environ(stage.cloud, SHIM_GLANCE_ENDPOINT=stage.glance.url)
    environ |= contestants.bare_environ(stage.glance.url)
    found = {}
    for (name, images), requests in REQUESTS.items():
        command = [sys.executable, "-m", "bench.profile", name, stage.project, str(requests)]
        with tempfile.TemporaryDirectory(prefix="metrics-") as folder:
            given = {"PROMETHEUS_MULTIPROC_DIR": folder, "TOKEN": stage.tokens[images]}
            done = subprocess.run(
                command, env={**os.environ, **environ, **given}, stdout=subprocess.PIPE, check=True
            )
        found[f"{name}, {images} images"] = json.loads(done.stdout)
    return found


def main(name: str, project: str, requests: int) -> dict[str, float]:
    """Profile an application in this process and return milliseconds per request by owner."""
    with open(os.devnull, "w") as discarded:  # noqa: PTH123 - log lines are formatted first
        os.dup2(discarded.fileno(), 2)
        app = _application(name)
        headers = [("X-Auth-Token", os.environ["TOKEN"]), ("User-Agent", "bench")]
        builder = EnvironBuilder(f"/v2/{project}/images/detail", headers=headers)
        for _ in range(WARM_UP):
            _ask(app, builder)
        profile = cProfile.Profile()
        profile.enable()
        for _ in range(requests):
            _ask(app, builder)
        profile.disable()
    return {who: 1000 * time / requests for who, time in _by_owner(profile).most_common()}


def _application(name: str) -> Any:
    if name == "floor":
        from bench.floor import app  # noqa: PLC0415

        return app
    from nova_image_shim.observability.logs import logging_config  # noqa: PLC0415
    from nova_image_shim.wsgi import application  # noqa: PLC0415

    logging.config.dictConfig(logging_config("INFO"))
    return application()


def _ask(app: Any, builder: EnvironBuilder) -> None:
    body, status, _ = run_wsgi_app(app, builder.get_environ(), buffered=True)
    assert status.startswith("200 "), (status, b"".join(body)[:500])


def _by_owner(profile: cProfile.Profile) -> Counter[str]:
    """Add up each function's own time by owner; a builtin's time belongs to its caller's owner."""
    found: Counter[str] = Counter()
    stats: dict[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    for (file, _, _), (_, _, own_seconds, _, callers) in stats.items():
        if file == "~":
            for (caller, _, _), (_, _, seconds, _) in callers.items():
                found[_owner(caller)] += seconds
        else:
            found[_owner(file)] += own_seconds
    return found


def _owner(file: str) -> str:
    for owner, parts in OWNERS.items():
        if any(part in file for part in parts):
            return owner
    return "rest of Python's library"


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
