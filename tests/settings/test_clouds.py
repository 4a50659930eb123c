"""OS_CLOUD: which clouds.yaml is read, what is used of a cloud's entry, and what is noted."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.paths import CASES

from nova_image_shim.settings import Settings
from settings.test_settings import CLOUD, MEMORY, by_name, problems

FILE = CASES / "clouds.yaml"
HERE = {"OS_CLIENT_CONFIG_FILE": str(FILE)}
KEYSTONE = {"OS_AUTH_URL": "https://keystone.example:5000/v3"}
LOGIN = KEYSTONE | {"OS_USERNAME": "nova-image-shim", "OS_PASSWORD": "x"}
UNUSUAL = LOGIN | {"OS_PROJECT_ID": "12345678", "OS_USER_DOMAIN_ID": "default"}
UNUSED = "identity_api_version, profile, region_name, system_scope"


@pytest.mark.parametrize(
    ("name", "taken", "notes"),
    [
        (
            "by-password",
            LOGIN
            | {"OS_PASSWORD": "007", "OS_PROJECT_NAME": "service", "OS_INTERFACE": "internal"}
            | {"OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default"}
            | {"OS_REGION_NAME": "RegionOne"},
            [],
        ),
        (
            "by-credential",
            KEYSTONE
            | {"OS_AUTH_TYPE": "v3applicationcredential"}
            | {"OS_APPLICATION_CREDENTIAL_ID": "0e1"}
            | {"OS_APPLICATION_CREDENTIAL_SECRET": "x$z '\"#"},
            [],
        ),
        (
            "old",
            LOGIN
            | {"OS_PROJECT_NAME": "service", "OS_INTERFACE": "internal"}
            | {"OS_USER_DOMAIN_ID": "default", "OS_PROJECT_DOMAIN_ID": "default"},
            [],
        ),
        (
            "unusual",
            UNUSUAL,
            [
                *(
                    f"{option} of the cloud 'unusual' in {FILE} is ignored: certificates are "
                    "always verified. Set OS_CACERT to trust another authority."
                    for option in ("verify", "insecure")
                ),
                f"The cloud 'unusual' in {FILE} has options without effect: {UNUSED}.",
            ],
        ),
        ("verified", UNUSUAL, []),
    ],
)
def test_a_cloud_is_enough(name: str, taken: dict[str, str], notes: list[str]) -> None:
    settings = Settings.from_environ(HERE | {"OS_CLOUD": name})
    expected = by_name(Settings()) | taken | {"OS_CLOUD": name, "OS_CLIENT_CONFIG_FILE": FILE}
    assert expected == by_name(settings)
    assert (notes, (FILE,)) == (list(settings.notes), settings.files)


def test_a_variable_takes_precedence_and_what_it_replaces_is_noted() -> None:
    given = {"OS_CLOUD": "by-password", "OS_USER_ID": "u", "OS_PASSWORD": "secret"}
    settings = Settings.from_environ(HERE | given)
    assert ("u", None, "secret") == (
        settings.keystone.user_id,
        settings.keystone.username,
        settings.keystone.password,
    )
    assert [
        f"{option} of the cloud 'by-password' in {FILE} is ignored: {name} takes precedence."
        for option, name in (("username", "OS_USER_ID"), ("password", "OS_PASSWORD"))
    ] == list(settings.notes)


def test_a_cloud_is_above_the_configuration_file() -> None:
    nova = CASES / "nova-conf" / "devstack.conf"
    given = {"OS_CLOUD": "by-password", "SHIM_CONFIG_FILE": str(nova)}
    settings = Settings.from_environ(HERE | given)
    assert ("007", "nova-image-shim") == (settings.keystone.password, settings.keystone.username)
    assert ("localhost", 11211) == settings.memcached_servers[0]
    assert (FILE, nova) == settings.files


def test_the_embedded_cloud_reads_no_clouds_file() -> None:
    assert () == Settings.from_environ(MEMORY | HERE | {"OS_CLOUD": "none"}).files


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return how to write a clouds.yaml below an empty home, from which the tests run."""
    monkeypatch.chdir(tmp_path)

    def write(folder: str, name: str, user: str) -> Path:
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        entry = f"{{auth: {{auth_url: http://k, username: {user}, password: p, project_id: p}}}}"
        path.write_text(f"clouds: {{c: {entry}}}\n", encoding="utf-8-sig")
        return path

    return write


def user_of(home: Path, **environ: str) -> str | None:
    given = {"OS_CLOUD": "c", "HOME": str(home), "OS_DEFAULT_DOMAIN": "default"}
    return Settings.from_environ(given | environ).keystone.username


def test_the_first_file_of_the_usual_places_is_read(
    home: Callable[..., Path], tmp_path: Path
) -> None:
    home(".config/openstack", "clouds.yml", "config")
    assert "config" == user_of(tmp_path)
    home(".config/openstack", "clouds.yaml", "yaml")
    assert "yaml" == user_of(tmp_path)
    home("xdg/openstack", "clouds.yaml", "xdg")
    assert "xdg" == user_of(tmp_path, XDG_CONFIG_HOME=str(tmp_path / "xdg"))
    home(".", "clouds.yaml", "here")
    assert "here" == user_of(tmp_path)
    named = home("named", "my.yaml", "named")
    assert "named" == user_of(tmp_path, OS_CLIENT_CONFIG_FILE=str(named))


def test_without_a_file_the_places_are_reported(home: Callable[..., Path], tmp_path: Path) -> None:
    places = f"{tmp_path}, {tmp_path}/.config/openstack, /etc/openstack"
    assert (
        f"OS_CLOUD='c': no clouds.yaml is in {places}"
        == problems({"OS_CLOUD": "c", "HOME": str(tmp_path)})[0]
    )


def test_a_file_that_does_not_exist_is_all_that_is_reported() -> None:
    wrong = "OS_CLIENT_CONFIG_FILE='/nowhere' must be the path of an existing file"
    assert [wrong] == problems({"OS_CLOUD": "c", "OS_CLIENT_CONFIG_FILE": "/nowhere"})


CANNOT = "cannot be read"
NONE = "has only the clouds (none)"


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"clouds: {a: {}, b: {}}", "has only the clouds a, b"),
        (b"clouds: {c: hunter2}", "has only the clouds c"),
        (b"", NONE),
        (b"- hunter2", NONE),
        (b"clouds: hunter2", NONE),
        (b"clouds:\n  c:\n    auth: {password: hunter2", "is not YAML in line 3"),
        (b"clouds:\n\tc: hunter2", "is not YAML in line 2"),
        (b"clouds: !!int hunter2", f"{CANNOT} (ValueError)"),
        (b"clouds: !!timestamp hunter2", f"{CANNOT} (AttributeError)"),
        (b"clouds: !!python/name:os.system hunter2", "is not YAML in line 1"),
        (b"clouds: hunter2\xff", f"{CANNOT} (ReaderError)"),
    ],
)
def test_a_file_without_the_cloud_is_reported_without_its_content(
    content: bytes, wrong: str, tmp_path: Path
) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_bytes(content)
    found = problems({"OS_CLOUD": "c", "OS_CLIENT_CONFIG_FILE": str(path)})
    assert f"OS_CLOUD='c': {path} {wrong}" == found[0]
    assert "hunter2" not in "\n".join(found)


def test_a_bad_value_is_reported_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_text("clouds: {c: {auth: {auth_url: keystone, password: {a: b}}, cacert: /nowhere}}")
    found = problems(
        CLOUD | {"OS_AUTH_URL": "", "OS_CLOUD": "c", "OS_CLIENT_CONFIG_FILE": str(path)}
    )
    assert [f"(auth_url of the cloud 'c' in {path})", f"(cacert of the cloud 'c' in {path})"] == [
        problem[problem.index("(") :] for problem in found
    ]


def test_no_test_finds_a_clouds_file_by_chance() -> None:
    assert "OS_CLOUD" not in os.environ
