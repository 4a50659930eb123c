"""`compare` on a real Nova and the service, in front of the same Keystone and Glance."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from parity.nova import nova
from parity.world import World
from support.canary import search
from support.fakes import serve
from support.front import FAULTS, Fault, Front, assert_found, forward_to, unexpected
from support.live import clean_environ

from .cloud import NotInstalledError, RealCloud
from .state import USERS

SHOWN = int(os.environ.get("COMPARE_IMAGES", "20"))  # of a thousand
Compare = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def real_nova(cloud: RealCloud) -> Iterator[str]:
    """Return the address of a Nova that takes Glance's from the catalog."""
    try:
        with nova(cloud, None) as url:
            yield url
    except NotInstalledError as error:
        pytest.skip(f"{error}; run `python tests/real/install.py nova`")


@pytest.fixture(scope="module")
def images(cloud: RealCloud) -> dict[str, str]:
    """Create the images of `make parity` and return their ids by name."""
    cloud.purge_images()
    return World(cloud).make_read_images()


@pytest.fixture
def compare(cloud: RealCloud, real_nova: str, tmp_path: Path) -> Compare:
    """Return the command as `demo` runs it, which gives its exit status and its JSON."""
    environ = {
        "OS_AUTH_URL": cloud.auth_url,
        "OS_USERNAME": "demo",
        "OS_PASSWORD": USERS["demo"].password,
        "OS_PROJECT_NAME": USERS["demo"].project,
        "OS_USER_DOMAIN_NAME": cloud.user_domain_name,
        "OS_PROJECT_DOMAIN_NAME": cloud.project_domain_name,
    }

    def run(shim: str, *arguments: object) -> tuple[int, dict[str, Any]]:
        page = tmp_path / "page.html"
        program = "from nova_image_shim.cli import main; raise SystemExit(main())"
        given = ["--nova", f"{real_nova}/v2/%(tenant_id)s", "--shim", f"{shim}/v2/%(tenant_id)s"]
        given += ["--rate", "1000", "--format", "json", "--html", str(page), *map(str, arguments)]
        done = subprocess.run(
            [sys.executable, "-c", program, "compare", *given],
            env=clean_environ() | {"no_proxy": "*"} | environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert "" == done.stderr
        search("answers", done.stdout + page.read_text(), environ)
        found: dict[str, Any] = json.loads(done.stdout)
        print({name: found[name] for name in ("requests", "same", "intended", "unexpected")})
        return done.returncode, found

    return run


@pytest.mark.usefixtures("images")
def test_the_test_clouds_images_differ_on_purpose_only(compare: Compare, real_shim: str) -> None:
    status, found = compare(real_shim)
    assert [] == unexpected(found)
    assert (0, 0, "") == (status, found["changing"], found["incomplete"])
    assert found["requests"] > 400


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_each_fault_is_found_and_named(fault: Fault, compare: Compare, real_shim: str) -> None:
    with serve(Front(forward_to(real_shim), fault.change)) as url:
        status, found = compare(url, "--images", 5)
    assert 1 == status
    assert_found(fault, found)


def test_a_thousand_images_differ_on_purpose_only(
    cloud: RealCloud, compare: Compare, real_shim: str
) -> None:
    cloud.purge_images()
    cloud.insert_images("demo", 1000, prefix="of-many", visibility="private", os_distro="debian")
    status, found = compare(real_shim, "--images", SHOWN)
    assert [] == unexpected(found)
    assert (0, 0, "") == (status, found["changing"], found["incomplete"])
    assert SHOWN == found["kinds"]["images"]["requests"]
