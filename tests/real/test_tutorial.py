"""Run every console block of the tutorial for operators, in which they create the service user."""

import contextlib
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from wsgiref.types import WSGIApplication

import pytest
from support.console import TUTORIALS, clone, environ_on, run_page
from support.fakes import serve
from support.front import forward_to
from support.live import free_port
from werkzeug.wrappers import Request, Response

from .cloud import NotInstalledError, RealCloud
from .state import USERS

# Debian has nginx where only root's PATH leads.
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin"


def nova_beside(shim: str) -> WSGIApplication:
    """Return a Nova without servers, which gets no image calls but those of `compare`."""
    forward = forward_to(f"http://{shim}")

    @Request.application
    def nova(request: Request) -> WSGIApplication:
        if request.user_agent.string == "nova-image-shim-compare":
            return forward
        assert "/images" not in request.path
        return Response('{"servers":[]}', mimetype="application/json")

    return nova


@pytest.fixture
def fresh_cloud() -> Iterator[RealCloud]:
    """Return a cloud in which no service user has been created; the other tests share theirs."""
    try:
        cloud = RealCloud()
        cloud.__enter__()
    except NotInstalledError as error:
        pytest.skip(f"{error}; run `python tests/real/install.py`")
    try:
        users = f"{cloud.auth_url}/users"
        admin = cloud.session("admin")
        (user,) = admin.get(f"{users}?name={cloud.service_user}").json()["users"]
        admin.delete(f"{users}/{user['id']}")
        yield cloud
    finally:
        cloud.__exit__()


def write_openrc(cloud: RealCloud, user: str, folder: Path) -> None:
    """Write the file with a user's variables that an operator has."""
    environ = {
        "OS_AUTH_URL": cloud.auth_url,
        "OS_USERNAME": user,
        "OS_PASSWORD": USERS[user].password,
        "OS_PROJECT_NAME": USERS[user].project,
        "OS_USER_DOMAIN_NAME": cloud.user_domain_name,
        "OS_PROJECT_DOMAIN_NAME": cloud.project_domain_name,
        "OS_IDENTITY_API_VERSION": "3",
        "OS_REGION_NAME": cloud.region,
    }
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in environ.items()]
    (folder / f"{user}-openrc").write_text("".join(lines))


@contextlib.contextmanager
def without_nginx_after(folder: Path) -> Iterator[None]:
    """Stop the tutorial's nginx, a daemon, if the tutorial does not come to its end."""
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.kill(int((folder / "proxy" / "nginx.pid").read_text()), signal.SIGTERM)


@pytest.mark.skipif(
    not shutil.which("openstack", path=PATH),
    reason="python-openstackclient is not installed; run `pip install .[real]`",
)
@pytest.mark.skipif(
    not shutil.which("nginx", path=PATH),
    reason="nginx is not installed; run `apt-get install nginx`",
)
def test_the_tutorial_for_operators(fresh_cloud: RealCloud, tmp_path: Path) -> None:
    fresh_cloud.create_image("demo", name="debian-12")
    folder = clone(tmp_path)
    for user in ("admin", "demo"):
        write_openrc(fresh_cloud, user, folder)
    shim, proxy = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    with serve(nova_beside(shim)) as nova_url, without_nginx_after(folder):
        page = (TUTORIALS / "operators.md").read_text()
        for address, own in (
            ("127.0.0.1:8774", shim),
            ("127.0.0.1:8780", proxy),
            ("http://nova.example:8774", nova_url),
        ):
            assert address in page
            page = page.replace(address, own)
        assert 26 < run_page(page, folder, environ_on(shim) | {"PATH": PATH})
