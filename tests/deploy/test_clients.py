"""Old clients find the service in Keystone's catalog, where deploy/'s script registered it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from clients.install import CLIENTS as FOLDER
from real.state import USERS

from .conftest import Deployment
from .fronts import DEPLOY, PROXIES

FRONTS = [(name, scheme) for name in PROXIES for scheme in ("http", "https")]
NOVA = FOLDER / "novaclient-7.1.2" / "bin" / "nova"

# Lists images like an old program; the driver uses the API 1.1 that Nova started with.
LIBCLOUD = """
import json, os
import libcloud.security
from libcloud.compute.providers import get_driver

libcloud.security.CA_CERTS_PATH = os.environ["OS_CACERT"]
driver = get_driver("openstack")(
    os.environ["OS_USERNAME"],
    os.environ["OS_PASSWORD"],
    ex_force_auth_url=os.environ["OS_AUTH_URL"].rpartition("/")[0],
    ex_force_auth_version="3.x_password",
    ex_tenant_name=os.environ["OS_PROJECT_NAME"],
    ex_domain_name=os.environ["OS_USER_DOMAIN_NAME"],
    ex_force_service_type="compute_legacy",
    ex_force_service_name="nova_legacy",
    ex_force_service_region=os.environ["OS_REGION_NAME"],
    api_version="1.1",
)
print(json.dumps([image.id for image in driver.list_images(ex_only_active=False)]))
"""


def environ_of(deployment: Deployment, user: str, region: str) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
        "OS_AUTH_URL": deployment.cloud.auth_url,
        "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": user,
        "OS_PASSWORD": USERS[user].password,
        "OS_PROJECT_NAME": USERS[user].project,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": region,
        "OS_CACERT": str(deployment.ca),
        "LC_ALL": "C.UTF-8",
        "PYTHONWARNINGS": "ignore",
    }


def run(command: list[str], environ: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def regions(deployment: Deployment) -> dict[str, str]:
    """Return the catalog's address by region; each entry point has its own region."""
    found = {
        f"{name}-{scheme}": deployment.fronts[name].url(scheme)
        for name, scheme in FRONTS
        if name in deployment.fronts
    }
    openstack = str(Path(sys.executable).parent / "openstack")
    for region, url in found.items():
        run([openstack, "region", "create", region], environ_of(deployment, "admin", "RegionOne"))
        register(deployment, region, url)
    return found


def register(deployment: Deployment, region: str, url: str) -> None:
    script = DEPLOY / "catalog" / "compute-legacy.sh"
    run([str(script), region, url], environ_of(deployment, "admin", "RegionOne"))


def catalog(deployment: Deployment) -> list[tuple[str, str]]:
    """Return region and URL of the service's endpoints in a new token of `demo`."""
    answer = deployment.session().get(f"{deployment.cloud.auth_url}/auth/catalog", timeout=60)
    services = [each for each in answer.json()["catalog"] if each["name"] == "nova_legacy"]
    assert ["compute_legacy"] == [service["type"] for service in services]
    return [(each["region"], each["url"]) for each in services[0]["endpoints"]]


def test_the_catalog_has_an_address_for_each_project(
    regions: dict[str, str], deployment: Deployment
) -> None:
    project = deployment.cloud.projects["demo"]
    wanted = [(region, f"{url}/v2/{project}") for region, url in regions.items()]
    assert sorted(wanted) == sorted(catalog(deployment))


def test_the_script_can_run_again(regions: dict[str, str], deployment: Deployment) -> None:
    before = sorted(catalog(deployment))
    region, url = next(iter(regions.items()))
    register(deployment, region, "https://elsewhere.example:8774/")
    project = deployment.cloud.projects["demo"]
    assert (region, f"https://elsewhere.example:8774/v2/{project}") in catalog(deployment)
    register(deployment, region, url)
    assert before == sorted(catalog(deployment))


@pytest.fixture(params=["-".join(front) for front in FRONTS])
def region(request: pytest.FixtureRequest, regions: dict[str, str]) -> str:
    """Return each region."""
    if request.param not in regions:
        package = request.param.partition("-")[0]
        pytest.skip(f"{package} is not installed; run `apt-get install {package}`")
    name: str = request.param
    return name


def test_libcloud_lists_all_images(region: str, deployment: Deployment, stocked: list[str]) -> None:
    environ = environ_of(deployment, "demo", region)
    listed = json.loads(run([sys.executable, "-c", LIBCLOUD], environ))
    assert stocked == listed


@pytest.mark.skipif(
    not NOVA.exists(), reason="novaclient is not installed; run `make test-clients`"
)
def test_novaclient_lists_all_images(
    region: str, deployment: Deployment, stocked: list[str]
) -> None:
    command = [str(NOVA), "--service-type", "compute_legacy", "image-list"]
    table = run(command, environ_of(deployment, "demo", region)).splitlines()
    assert sorted(stocked) == sorted(row.split()[1] for row in table if "ACTIVE" in row)
