"""Run every file in examples/ against an embedded cloud, where its tool chain is installed."""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.live import clean_environ, shim
from support.paths import ROOT

from nova_image_shim.fakecloud import create_cloud_app
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.seed import load_seed
from nova_image_shim.settings import Settings

pytestmark = pytest.mark.clients

EXAMPLES = ROOT / "examples"
IN_CONTAINERS = {"SHIM_BIND": "0.0.0.0:8774"}  # the Containerfile sets it

# The folder, its command, and the program and Debian package that it needs.
TESTS = [
    ("python", [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "."], "python3"),
    ("node", ["node", "--test"], "nodejs"),
    ("go", ["go", "test", "-count=1", "./..."], "golang-go"),
    ("ruby", ["ruby", "test_images.rb"], "ruby"),
]


@pytest.fixture(scope="module")
def cloud_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with shim(tmp_path_factory.mktemp("examples") / "log", SHIM_BACKEND="memory") as url:
        yield url


def skip_without(program: str, package: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed; run `apt-get install {package}`")


def run(command: list[str], folder: Path, **environ: str) -> str:
    """Run a command without proxies, and return its output; it must succeed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environ() | {"NO_PROXY": "*", "no_proxy": "*"} | environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stdout
    return done.stdout


@pytest.mark.parametrize(("folder", "command", "package"), TESTS, ids=[row[0] for row in TESTS])
def test_the_test_of_a_client_passes(
    folder: str, command: list[str], package: str, cloud_url: str
) -> None:
    skip_without(command[0], package)
    run(command, EXAMPLES / folder, LEGACY_CLOUD_URL=cloud_url)


def test_every_folder_has_been_run() -> None:
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    assert {row[0] for row in TESTS} == folders


def test_clouds_yaml_logs_in(cloud_url: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("openstack") is None:
        pytest.skip("openstacksdk is not installed; run `pip install openstacksdk`")
    text = (EXAMPLES / "clouds.yaml").read_text()
    (tmp_path / "clouds.yaml").write_text(text.replace("http://127.0.0.1:8774", cloud_url))
    (name,) = yaml.safe_load(text)["clouds"]
    program = f"""
import openstack
cloud = openstack.connect({name!r})
print(sorted(image.name for image in cloud.image.images()))
print(sorted(image.name for image in cloud.compute.images()))
"""
    glance, compute = run([sys.executable, "-c", program], tmp_path).splitlines()
    assert "fakeimage7" in glance
    assert glance == compute


def github() -> tuple[dict[str, Any], list[str], str]:
    """Return the service's variables, the commands, and the address that the job has for it."""
    job = yaml.safe_load((EXAMPLES / "github-actions.yml").read_text())["jobs"]["test"]
    commands = [step["run"] for step in job["steps"] if "run" in step]
    return job["services"]["legacy-cloud"]["env"], commands, job["env"]["LEGACY_CLOUD_URL"]


def gitlab() -> tuple[dict[str, Any], list[str], str]:
    """Return the same of GitLab."""
    job = yaml.safe_load((EXAMPLES / "gitlab-ci.yml").read_text())["test"]
    (service,) = job["services"]
    address = job["variables"]["LEGACY_CLOUD_URL"]
    assert f"http://{service['alias']}:8774" == address
    return service["variables"], job["script"], address


def compose() -> tuple[dict[str, Any], list[str], str]:
    """Return the same of compose, whose cloud has no commands."""
    services = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())["services"]
    return services["legacy-cloud"]["environment"], [], "http://127.0.0.1:8774"


CONTAINERS = pytest.mark.parametrize("read", [github, gitlab, compose])


@CONTAINERS
def test_the_cloud_in_a_container_answers_at_its_address(read: Any) -> None:
    environ, _, address = read()
    settings = Settings.from_environ(environ | IN_CONTAINERS)
    client = create_cloud_app(settings, FakeCloud(load_seed())).test_client()
    response = client.get("/v2/demo/images", base_url=address, headers={"X-Auth-Token": "demo"})
    assert 200 == response.status_code, response.text


@CONTAINERS
def test_the_commands_of_the_job_pass(read: Any, cloud_url: str) -> None:
    _, commands, _ = read()
    for program, package in (("curl", "curl"), ("node", "nodejs")):
        skip_without(program, package)
    for command in commands:
        run(["bash", "-ec", command], EXAMPLES / "node", LEGACY_CLOUD_URL=cloud_url)


def test_compose_runs_the_containerfile_and_waits_for_requests() -> None:
    services = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())["services"]
    for name in ("legacy-cloud", "shim"):
        build = services[name]["build"]
        context = EXAMPLES / build["context"]
        assert (context / build["dockerfile"]).is_file()
        assert services[name]["read_only"]
    assert Settings.from_environ({"SHIM_BACKEND": "memory"}).stop_seconds == float(
        services["shim"]["stop_grace_period"].removesuffix("s")
    )


def test_compose_reads_its_file() -> None:
    command = ["docker", "compose"]
    if (
        shutil.which("docker") is None
        or subprocess.run([*command, "version"], check=False).returncode
    ):
        pytest.skip("docker compose is not installed: https://docs.docker.com/compose/install/")
    options = ["-f", "compose.yaml", "--profile", "*", "config", "--services"]
    services = run([*command, *options], EXAMPLES).split()
    assert {"legacy-cloud", "shim", "memcached"} == set(services)
