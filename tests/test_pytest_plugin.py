"""The pytest plugin, used by other projects' tests in processes of their own."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from support.live import clean_environ
from support.paths import ROOT

from nova_image_shim.fakecloud.document import ImageFileError
from nova_image_shim.fakecloud.testing import LegacyCloud, serve_legacy_cloud
from nova_image_shim.pytest_plugin import CloudError, serve_by

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGE = ROOT / "docs" / "reference" / "pytest-fixture.md"
EXAMPLE, SEED_FIXTURE, COMMAND_FIXTURE = BLOCK.findall(PAGE.read_text("utf-8"))


def run_pytest(
    folder: Path, *args: str, python: str = sys.executable, **files: str
) -> tuple[int, str]:
    """Run pytest over files written to a folder; return its exit code and what it printed."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *args],
        cwd=folder,
        env=clean_environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout


FIRST_IMPORTS_NOTHING = """
import sys

IMPORTED = {"flask", "werkzeug", "requests"} & sys.modules.keys()  # the next file imports some


def test_modules(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("nova_image_shim")
    assert set() == IMPORTED
"""
EACH_TEST_STARTS_FROM_THE_SEED = """
import pytest


@pytest.mark.parametrize("number", range(2))
def test_anew(legacy_cloud, number):
    assert [] == legacy_cloud.requests() == legacy_cloud.rules()
    assert legacy_cloud.images()
    assert 0 == legacy_cloud.ahead_seconds
    assert 3600 == legacy_cloud.token_seconds
    legacy_cloud.load_images([])
    legacy_cloud.add_rule(status=503)
    legacy_cloud.advance_clock(60)
    legacy_cloud.set_token_seconds(60)
"""


def test_a_project_uses_the_plugin_as_documented(tmp_path: Path) -> None:
    """Before the fixture's first use, the plugin has imported no web framework."""
    assert len(EXAMPLE.strip().splitlines()) <= 10
    files = {
        "test_1_modules": FIRST_IMPORTS_NOTHING,
        "test_2_example": EXAMPLE,
        "test_3_anew": EACH_TEST_STARTS_FROM_THE_SEED,
    }
    # schemathesis, which is installed for our own tests, is a plugin that imports much.
    code, output = run_pytest(tmp_path, "-p", "no:schemathesis", **files)
    assert (0, "4 passed") == (code, output.splitlines()[-1][:8]), output


def test_a_project_can_bring_its_own_seed(tmp_path: Path) -> None:
    seed = (
        "images: [{id: mine, name: my-image}]\n"
        "projects: [{id: p-1, name: acme}]\n"
        "users: [{name: ann, password: a-secret, roles: {p-1: [member]}}]\n"
    )
    (tmp_path / "seed.yaml").write_text(seed, encoding="utf-8")
    test = """
import requests


def test_login(legacy_cloud):
    cloud = legacy_cloud
    assert ["my-image"] == [image["name"] for image in cloud.images()]
    assert ("ann", "a-secret", "acme") == (cloud.username, cloud.password, cloud.project_name)
    headers = {"X-Auth-Token": cloud.token}
    assert 200 == requests.get(f"{cloud.url}/v2/p-1/images", headers=headers).status_code
"""
    code, output = run_pytest(tmp_path, conftest=SEED_FIXTURE, test_login=test)
    assert (0, "1 passed") == (code, output.splitlines()[-1][:8]), output


NO_SEED = (
    "must be the path of a seed file, a list of images, an object with `images`, `projects` or "
    "`users`, or None; not "
)
SEED = {"images": [{"id": "mine"}], "projects": [{"name": "acme"}]}


@pytest.mark.parametrize("given", ["a string", "a path", "an object", "a list"])
def test_a_seed_is_a_path_or_its_content(given: str, tmp_path: Path) -> None:
    (path := tmp_path / "seed.json").write_text(json.dumps(SEED), encoding="utf-8")
    seeds: dict[str, Any] = {"a string": str(path), "a path": path, "an object": SEED}
    seed = seeds.get(given, SEED["images"])
    with serve_legacy_cloud(seed) as cloud:
        project = "demo" if given == "a list" else "acme"
        assert (["mine"], project) == ([image["id"] for image in cloud.images()], cloud.username)
        headers = {"X-Auth-Token": cloud.token}
        answer = requests.get(f"{cloud.url}/v2/{project}/images", headers=headers, timeout=10)
        assert ["mine"] == [image["id"] for image in answer.json()["images"]]


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ([{"id": "a", "size": "x"}], "image 1 (id a): size: Not a valid integer."),
        ({"projects": [{"name": 1}]}, "project 1 (name 1): name: Not a valid string."),
        ({"image": []}, "image: Unknown field."),
        ((), f"{NO_SEED}tuple"),
        (7, f"{NO_SEED}int"),
        (b"seed.yaml", f"{NO_SEED}bytes"),
        (lambda: None, f"{NO_SEED}function"),
    ],
)
def test_a_seed_that_cannot_be_used_is_refused(seed: Any, message: str) -> None:
    with pytest.raises(ImageFileError) as refusal, serve_legacy_cloud(seed):
        pass
    assert f"legacy_cloud_seed: {message}" == str(refusal.value)


def test_a_seed_without_users_is_refused(tmp_path: Path) -> None:
    (seed := tmp_path / "seed.yaml").write_text("users: []\n", encoding="utf-8")
    with (
        pytest.raises(ValueError, match=r"^the seed has no user to log in as$"),
        serve_legacy_cloud(seed),
    ):
        pass


NO_YAML = "import sys\n\nsys.modules['yaml'] = None\n"
STATUS = "seed.yaml: image 1 (id mine): status: Must be one of: queued, saving, "


@pytest.mark.parametrize(
    ("args", "conftest", "texts"),
    [
        ((), SEED_FIXTURE, [STATUS, "1 passed, 1 error"]),
        (("no:schemathesis",), NO_YAML, ["yaml", "run pip install 'nova-image-shim[fake]'"]),
        (("no:nova_image_shim",), "", ["fixture 'legacy_cloud' not found", "1 passed, 1 error"]),
    ],
    ids=["an invalid seed", "a missing package", "disabled"],
)
def test_what_prevents_the_fixture_is_reported(
    args: tuple[str, ...], conftest: str, texts: list[str], tmp_path: Path
) -> None:
    (tmp_path / "seed.yaml").write_text("- {id: mine, status: odd}\n", encoding="utf-8")
    test = "def test_one():\n    pass\n\n\ndef test_two(legacy_cloud):\n    pass\n"
    options = [option for name in args for option in ("-p", name)]
    code, output = run_pytest(tmp_path, *options, conftest=conftest, test_both=test)
    assert (1, []) == (code, [text for text in texts if text not in output])


def test_the_environment_leads_past_a_proxy(
    legacy_cloud: LegacyCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    for name, value in (environ := legacy_cloud.environ()).items():
        monkeypatch.setenv(name, value)
    assert {"intranet.example,127.0.0.1,localhost"} == {environ["NO_PROXY"], environ["no_proxy"]}
    assert 200 == requests.get(f"{legacy_cloud.url}/v2", timeout=10).status_code


def test_the_login_works_with_the_embedded_identity(
    legacy_cloud: LegacyCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    environ = legacy_cloud.environ()
    assert {
        "OS_AUTH_URL": f"{legacy_cloud.url}/identity/v3",
        "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": "demo",
        "OS_PASSWORD": "demo",
        "OS_PROJECT_NAME": "demo",
        "OS_TENANT_NAME": "demo",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "no_proxy": "127.0.0.1,localhost",
        "NO_PROXY": "127.0.0.1,localhost",
    } == environ
    unused = ("OS_IDENTITY_API_VERSION", "OS_TENANT_NAME", "no_proxy", "NO_PROXY")
    login: Any = {
        name.removeprefix("OS_").lower(): environ[name] for name in environ if name not in unused
    }
    session = Session(v3.Password(**login))
    images = session.get("/images", endpoint_filter={"service_type": "compute"}).json()["images"]
    session.session.close()
    fixed = requests.get(
        f"{legacy_cloud.url}/v2/demo/images",
        headers={"X-Auth-Token": legacy_cloud.token},
        timeout=10,
    )
    assert images
    assert fixed.json()["images"] == images


def test_the_fixture_has_the_control_plane_as_methods(legacy_cloud: LegacyCloud) -> None:
    image = legacy_cloud.add_image({"id": "one", "os-distro": "debian"}, status="queued")
    assert ("queued", "debian") == (image["status"], image["os-distro"])
    changed = legacy_cloud.change_image("one", {"os-distro": None}, status="active")
    assert "active" == changed["status"]
    assert changed == legacy_cloud.image("one")
    assert "os-distro" not in changed
    legacy_cloud.delete_image("one")
    rule = legacy_cloud.add_rule({"path": "/v2"}, status=503)
    assert [rule] == legacy_cloud.rules() == [legacy_cloud.rule(rule["id"])]
    assert 503 == requests.get(f"{legacy_cloud.url}/v2", timeout=10).status_code
    legacy_cloud.delete_rule(rule["id"])
    assert [503] == [seen["status"] for seen in legacy_cloud.requests()]
    legacy_cloud.clear_requests()
    assert [] == legacy_cloud.requests() == legacy_cloud.rules()
    legacy_cloud.advance_clock(60)
    assert 60 == legacy_cloud.ahead_seconds
    legacy_cloud.reset()
    assert 0 == legacy_cloud.ahead_seconds


COMMAND = str(Path(sys.executable).with_name("nova-image-shim"))
SERVED = """
import sys

from nova_image_shim.pytest_plugin import CloudError


def test_methods(legacy_cloud):
    cloud = legacy_cloud
    image = cloud.add_image({"id": "one", "os-distro": "debian"}, status="queued", owner="demo")
    assert ("queued", "debian") == (image["status"], image["os-distro"])
    assert "active" == cloud.change_image("one", {"os-distro": None}, status="active")["status"]
    assert "os-distro" not in cloud.image("one")
    assert b"" == cloud.image_data("one")
    cloud.delete_image("one")
    try:
        cloud.image("one")
    except CloudError as error:
        assert (404, "image one does not exist") == (error.status, error.message)
    cloud.load_images([{"id": "two"}])
    assert ["two"] == [image["id"] for image in cloud.images()]
    rule = cloud.add_rule({"path": "/v2"}, status=503)
    assert [rule] == cloud.rules() == [cloud.rule(rule["id"])]
    cloud.delete_rule(rule["id"])
    cloud.clear_rules()
    cloud.advance_clock(60)
    assert (60, "Z") == (cloud.ahead_seconds, cloud.now()[-1])
    cloud.reset_clock()
    cloud.set_token_seconds(60)
    assert 60 == cloud.token_seconds
    cloud.forget_tokens()
    cloud.clear_requests()
    assert [] == cloud.requests(after=1, limit=2)
    assert ("demo", "demo", "demo", "demo") == (
        cloud.username, cloud.password, cloud.project_name, cloud.token
    )
    assert f"{cloud.url}/identity/v3" == cloud.auth_url == cloud.environ()["OS_AUTH_URL"]
    assert "127.0.0.1,localhost" in cloud.environ()["no_proxy"]


def test_imports(legacy_cloud):
    names = {name for name in sys.modules if name.startswith("nova_image_shim.")}
    assert {"nova_image_shim.pytest_plugin"} == names
"""


@pytest.mark.live
def test_a_command_serves_the_cloud_to_each_worker(tmp_path: Path) -> None:
    conftest = COMMAND_FIXTURE.replace("/opt/shim/bin/nova-image-shim", COMMAND)
    options = ("-p", "no:schemathesis", "-n", "2")
    code, output = run_pytest(
        tmp_path, *options, conftest=conftest, test_served=SERVED, test_example=EXAMPLE
    )
    assert (0, "3 passed") == (code, output.splitlines()[-1][:8]), output


@pytest.mark.live
def test_a_command_serves_a_seed_and_reports_why_it_cannot(tmp_path: Path) -> None:
    seed = {"images": [{"id": "mine"}], "users": []}
    with (
        pytest.raises(CloudError, match=r"404: the seed has no user to log in as"),
        serve_by([COMMAND], seed),
    ):
        pass
    with pytest.raises(pytest.fail.Exception, match="status: Must be one of"):  # noqa: SIM117
        with serve_by(COMMAND, [{"id": "a", "status": "odd"}]):
            pass
    with serve_by(COMMAND, [{"id": "mine"}]) as cloud:
        assert ["mine"] == [image["id"] for image in cloud.images()]


@pytest.mark.live
@pytest.mark.wheel
def test_another_project_can_use_it_from_the_wheel(tmp_path: Path) -> None:
    """Nothing of this repository but the wheel is at hand: files left out of it are missed."""
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(tmp_path / "dist"), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True, timeout=120)
    python = str(tmp_path / "venv" / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, f"{wheel}[fake]", "pytest"], check=True, timeout=500)
    page = (
        "import requests\n\n\n"
        "def test_page(legacy_cloud):\n"
        "    page = requests.get(legacy_cloud.url + '/_fake/', headers={'Accept': 'text/html'})\n"
        "    style = requests.get(legacy_cloud.url + '/_fake/static/control.css')\n"
        "    assert '<h1>Fake cloud <small>nova-image-shim ' in page.text\n"
        "    assert 200 == style.status_code\n"
    )
    (project := tmp_path / "project").mkdir()
    code, output = run_pytest(project, python=python, test_example=EXAMPLE, test_page=page)
    assert (0, "2 passed") == (code, output.splitlines()[-1][:8]), output
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "old")], check=True, timeout=120)
    old = str(tmp_path / "old" / "bin" / "python")
    install[0] = old
    subprocess.run([*install, "requests==2.31.0", "pytest"], check=True, timeout=500)
    subprocess.run([*install, "--no-deps", str(wheel)], check=True, timeout=100)
    command = str(tmp_path / "venv" / "bin" / "nova-image-shim")
    conftest = COMMAND_FIXTURE.replace("/opt/shim/bin/nova-image-shim", command)
    (others := tmp_path / "others").mkdir()
    code, output = run_pytest(
        others, python=old, conftest=conftest, test_example=EXAMPLE, test_served=SERVED
    )
    assert (0, "3 passed") == (code, output.splitlines()[-1][:8]), output
