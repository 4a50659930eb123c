"""The command, what it says when it is ready, and how it refuses to start: the real process."""

import re
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from support.live import COMMAND, clean_environ, serving

from nova_image_shim.cli import main
from nova_image_shim.fakecloud.image_file import complete
from nova_image_shim.fakecloud.seed import Project, Seed, User
from nova_image_shim.fakecloud.welcome import welcome
from nova_image_shim.serving.announce import announce


@pytest.mark.live
def test_it_answers_once_it_says_so_at_the_port_that_it_names(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, said):
        answer = requests.get(f"{url}/v2/demo/images", headers={"X-Auth-Token": "demo"}, timeout=10)
        assert 200 == answer.status_code
        assert 0 != int(url.rpartition(":")[2])
    assert [*welcome(Seed(), url), f"nova-image-shim ready: {url}"] == "".join(said).splitlines()
    assert "it is NOT secure" in (tmp_path / "log").read_text()


@pytest.mark.live
@pytest.mark.parametrize("bind", ["0.0.0.0:0", "[::1]:0"])
def test_the_address_named_can_be_gone_to(tmp_path: Path, bind: str) -> None:
    with serving(tmp_path, SHIM_BIND=bind, SHIM_ALLOW_PUBLIC="1") as (url, _said):
        assert "OK" == requests.get(f"{url}/healthcheck", timeout=10).text
    assert url.startswith("http://[::1]:" if "::" in bind else "http://127.0.0.1:")


@pytest.mark.parametrize(
    ("name", "scheme", "address"),
    [
        (("127.0.0.1", 80), "http", "http://127.0.0.1:80"),
        (("0.0.0.0", 80), "https", "https://127.0.0.1:80"),
        (("::", 80, 0, 0), "https", "https://[::1]:80"),
        ("/run/shim/socket", "http", "unix:/run/shim/socket"),
        (b"\0shim", "http", "unix:@shim"),  # of the abstract name space
    ],
)
def test_the_last_line_names_the_socket(
    name: Any, scheme: str, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    announce(Flask("any"), name, scheme)
    assert f"nova-image-shim ready: {address}\n" == capsys.readouterr().out


@pytest.mark.live
def test_a_login_as_shown_works(tmp_path: Path) -> None:
    with serving(tmp_path) as (_url, said):
        shown = re.findall(r"export (.*)", "".join(said))
        variables = dict(pair.split("=") for line in shown for pair in line.split())
        user = {
            "name": variables["OS_USERNAME"],
            "password": variables["OS_PASSWORD"],
            "domain": {"name": variables["OS_USER_DOMAIN_NAME"]},
        }
        project = {
            "name": variables["OS_PROJECT_NAME"],
            "domain": {"name": variables["OS_PROJECT_DOMAIN_NAME"]},
        }
        identity = {"methods": ["password"], "password": {"user": user}}
        body = {"auth": {"identity": identity, "scope": {"project": project}}}
        address = f"{variables['OS_AUTH_URL']}/auth/tokens"
        assert 201 == requests.post(address, json=body, timeout=10).status_code


@pytest.mark.live
@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"SHIM_THREADS": "x"}, "SHIM_THREADS='x' must be a whole number from 1 to 256"),
        (
            {"SHIM_MEMORY_IMAGES": "seed.json"},
            "seed.json: user 1 (name a): password: Not a valid string.",
        ),
        (
            {"GUNICORN_CMD_ARGS": "--workers 2"},
            "SHIM_BACKEND=memory runs in one process at SHIM_BIND",
        ),
    ],
)
def test_a_start_that_is_refused_says_why(
    tmp_path: Path, environ: dict[str, str], reason: str
) -> None:
    (tmp_path / "seed.json").write_text('{"users": [{"name": "a", "password": 1}]}')
    done = subprocess.run(
        [COMMAND, "serve"],
        cwd=tmp_path,
        env=clean_environ() | {"SHIM_BACKEND": "memory"} | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (1, "") == (done.returncode, done.stdout)
    assert "nova-image-shim cannot start:" in done.stderr
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


LOGIN = {
    "OS_AUTH_URL": "http://127.0.0.1:1/v3",
    "OS_USERNAME": "u",
    "OS_PASSWORD": "p",
    "OS_PROJECT_NAME": "service",
    "OS_USER_DOMAIN_NAME": "Default",
    "OS_PROJECT_DOMAIN_NAME": "Default",
}
IN_USE = "the port is in use: stop the process that has it, or choose another port"
NOT_OURS = "this machine does not have that address: choose one of its own"


@pytest.mark.live
@pytest.mark.parametrize(
    ("command", "setting", "bind", "reason"),
    [
        ("fake", "SHIM_BIND", "127.0.0.1:{port}", IN_USE),
        ("fake", "SHIM_BIND", "0.0.0.0:{port}", IN_USE),
        ("fake", "SHIM_BIND", "[::]:{port}", IN_USE),
        ("fake", "SHIM_BIND", "192.0.2.1:{port}", NOT_OURS),
        ("fake", "SHIM_METRICS_BIND", "127.0.0.1:{port}", IN_USE),
        ("fake", "SHIM_METRICS_BIND", "192.0.2.1:{port}", NOT_OURS),
        ("serve", "SHIM_BIND", "127.0.0.1:{port}", IN_USE),
        ("serve", "SHIM_METRICS_BIND", "127.0.0.1:{port}", IN_USE),
    ],
)
def test_a_port_that_cannot_be_had_is_one_line(
    tmp_path: Path, command: str, setting: str, bind: str, reason: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = bind.format(port=taken.getsockname()[1])
        environ = {"SHIM_BIND": "127.0.0.1:0", "SHIM_ALLOW_PUBLIC": "1", setting: address}
        done = subprocess.run(
            [COMMAND, command],
            cwd=tmp_path,
            env=clean_environ() | LOGIN | environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    lines = [line for line in done.stderr.splitlines() if " INFO " not in line]
    expected = f"nova-image-shim cannot start: {setting}='{address}': {reason}"
    assert (1, "", [expected]) == (done.returncode, done.stdout, lines)


@pytest.mark.parametrize(("arguments", "status"), [([], 2), (["x"], 2), (["serve", "x"], 2)])
def test_a_bad_command_is_refused(
    arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert (status, True) == (end.value.code, "usage: nova-image-shim" in capsys.readouterr().err)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--help"], "serve an embedded cloud to test clients against"),
        (["serve", "--help"], "OS_AUTH_URL"),
        (["fake", "--help"], "NOT secure"),
        (["check", "--help"], "Exit status: 0 ok, 1 warnings, 2 an error."),
        (["translate", "--help"], "standard input"),
        (["usage", "--help"], "a file (default: standard input)"),
    ],
)
def test_help_explains_each_command(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert (0, True) == (end.value.code, word in capsys.readouterr().out)


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_the_version_is_the_packages(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([option])
    expected = f"nova-image-shim {metadata.version('nova-image-shim')}\n"
    assert (0, expected) == (end.value.code, capsys.readouterr().out)


def test_the_package_is_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nova_image_shim", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "usage: nova-image-shim [-h] [-V] COMMAND ...") == (
        done.returncode,
        done.stdout.partition("\n")[0],
    )


BASE = "http://cloud:1"
HEAD = [
    "An embedded cloud for tests: everything is in memory, nothing is secure.",
    f"Its control plane: {BASE}/_fake/",
    "",
]


def login(user: str, password: str, project: str) -> list[str]:
    return [
        f"  export OS_AUTH_URL={BASE}/identity/v3 OS_IDENTITY_API_VERSION=3",
        f"  export OS_USERNAME={user} OS_PASSWORD={password} OS_USER_DOMAIN_NAME=Default",
        f"  export OS_PROJECT_NAME={project} OS_PROJECT_DOMAIN_NAME=Default "
        "OS_REGION_NAME=RegionOne",
        "",
    ]


CURL = [f"  curl -H 'X-Auth-Token: demo' '{BASE}/v2/demo/images/detail'", ""]
ACME = (Project("1", "acme corp"),)


@pytest.mark.parametrize(
    ("seed", "lines"),
    [
        ({}, [*HEAD, *CURL, *login("demo", "demo", "demo")]),
        ({"users": ()}, [*HEAD, *CURL]),
        ({"projects": ACME, "users": ()}, HEAD),
        (
            {
                "projects": ACME,
                "users": (
                    User("0", "nobody", "x", "x", {}),
                    User("1", "ann bee", "secret", "x", {"1": ("a",)}),
                ),
            },
            [*HEAD, *login("'ann bee'", "...", "'acme corp'")],
        ),
    ],
)
def test_the_welcome_shows_what_the_seed_has_and_no_password_of_it(
    seed: dict[str, Any], lines: list[str]
) -> None:
    assert lines == welcome(Seed([complete({"id": "a"})], **seed), BASE)
