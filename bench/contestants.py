"""The contestants: how to start each, and its URL."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from parity.nova import prepare_nova
from real import services
from real.processes import Daemon, free_ports

from bench.static_glance import passing_nginx

if TYPE_CHECKING:
    from collections.abc import Mapping

    from real.cloud import RealCloud

ROOT = Path(__file__).resolve().parent.parent
WORKERS = 2
THREADS = 16

# For all contestants except the service: like gunicorn.conf.py, without its logging and worker.
GUNICORN_CONF = """
bind = "{bind}"
worker_class = "gthread"
workers = {workers}
threads = {threads}
keepalive = 75
control_socket_disable = True
"""


@dataclass(frozen=True)
class Contestant:
    """A server that lists images.

    Args:
        name: its name in tables.
        url: its URL.
        daemon: the root of the process tree to measure.
        path: the path of the list, with `{project}`.
        headers: of each request, besides the token.
    """

    name: str
    url: str
    daemon: Daemon
    path: str = "/v2/{project}/images/detail"
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)

    def address(self, project: str) -> str:
        """Return the URL of a project's list."""
        return self.url + self.path.format(project=project)


def shim_environ(cloud: RealCloud, **settings: str) -> dict[str, str]:
    """Return the service's default settings with the real Keystone, and metrics enabled.

    Sharing is off, because the cost of a list is measured with equal requests.
    """
    port, metrics_port = free_ports(2)
    return {
        "SHIM_BACKEND": "glance",
        "SHIM_BIND": f"{services.HOST}:{port}",
        "SHIM_METRICS_BIND": f"{services.HOST}:{metrics_port}",
        "WEB_CONCURRENCY": str(WORKERS),
        "SHIM_THREADS": str(THREADS),
        "SHIM_SHARED_LISTS": "0",
        "OS_AUTH_URL": cloud.auth_url,
        "OS_USERNAME": cloud.service_user,
        "OS_PASSWORD": cloud.service_password,
        "OS_PROJECT_NAME": cloud.service_project,
        "OS_USER_DOMAIN_NAME": cloud.user_domain_name,
        "OS_PROJECT_DOMAIN_NAME": cloud.project_domain_name,
        "OS_REGION_NAME": cloud.region,
        **settings,
    }


def shim(
    folder: Path,
    cloud: RealCloud,
    settings: Mapping[str, str],
    *,
    name: str = "shim",
    checkout: Path | None = None,
    conf: str = "",
) -> Contestant:
    """Prepare the service.

    Args:
        folder: where it may write.
        cloud: whose Keystone it uses.
        settings: see `shim_environ`.
        name: in tables.
        checkout: another one than this, with an environment in `.venv`.
        conf: lines that gunicorn executes after the service's own configuration.
    """
    environ = shim_environ(cloud, **settings)
    port = int(environ["SHIM_BIND"].rpartition(":")[2])
    own = (checkout or ROOT) / "app" / "gunicorn.conf.py"
    path = folder / "gunicorn.conf.py"
    path.write_text(f"exec(open({str(own)!r}).read())\n{conf}\n")
    command = ["-c", str(path)]
    program = checkout and checkout / ".venv" / "bin" / "gunicorn"
    return Contestant(
        name, *_gunicorn(folder, command, port, environ, "/healthcheck", program=program)
    )


def wsgi_app(
    folder: Path,
    module: str,
    glance_url: str,
    *,
    name: str = "",
    threads: int = THREADS,
    trust_env: bool = True,
    conf: str = "",
) -> Contestant:
    """Prepare one of the applications of this folder: `floor`, `alone` or `models`.

    Args:
        folder: a folder for its files.
        module: the name of the application's module.
        glance_url: Glance's URL.
        name: its name in tables; the module's by default.
        threads: the number of threads per worker.
        trust_env: whether requests in the floor looks for proxies on every request.
        conf: further lines of gunicorn's configuration.
    """
    (port,) = free_ports(1)
    bind = f"{services.HOST}:{port}"
    own = GUNICORN_CONF.format(bind=bind, workers=WORKERS, threads=threads)
    (folder / "gunicorn.conf.py").write_text(own + conf)
    environ = {
        "PYTHONPATH": str(ROOT),
        **bare_environ(glance_url, threads=threads, trust_env=trust_env),
    }
    return Contestant(
        name or module, *_gunicorn(folder, [f"bench.{module}:app"], port, environ, "/")
    )


def bare_environ(
    glance_url: str, *, threads: int = THREADS, trust_env: bool = True
) -> dict[str, str]:
    """Return the environment variables of the applications in this folder; see `wsgi_app`."""
    return {
        "BENCH_GLANCE": glance_url,
        "BENCH_THREADS": str(threads),
        "BENCH_TRUST_ENV": str(int(trust_env)),
    }


def nginx(folder: Path, glance_url: str) -> Contestant:
    """Prepare nginx as a plain proxy."""
    daemon, url = passing_nginx(folder, glance_url)
    return Contestant("nginx", url, daemon, "/v2/images?limit=1000")


def nova(folder: Path, cloud: RealCloud, glance_url: str) -> Contestant:
    """Prepare a real Nova in its best configuration."""
    api = "response_validation = ignore"
    url, daemon = prepare_nova(
        folder, cloud, glance_url, api=api, hooked=False, workers=WORKERS, threads=THREADS
    )
    return Contestant("nova", url, daemon)


def _gunicorn(
    folder: Path,
    arguments: list[str],
    port: int,
    environ: Mapping[str, str],
    probe: str,
    *,
    program: Path | None = None,
) -> tuple[str, Daemon]:
    folder.mkdir(parents=True, exist_ok=True)
    url = f"http://{services.HOST}:{port}"
    command = [str(program or Path(sys.executable).with_name("gunicorn")), *arguments]
    # Like an operator's environment: it configures no proxies, but requests still searches it.
    plain = {"no_proxy": "", "HOME": os.environ.get("HOME", "/")}
    return url, Daemon(command, folder, lambda: _answers(url + probe), {**plain, **environ})


def _answers(url: str) -> bool:
    with services.http() as http:
        try:
            return http.get(url, timeout=5).status_code < 500
        except OSError:
            return False
