"""The options of gunicorn and Flask that guard the service: each is set, none left to a default."""

import ast
import subprocess
import sys
from typing import Any

import pytest
from support.live import clean_environ
from support.paths import ROOT

from nova_image_shim import create_app
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.auth.any_token import accept_any_token
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.control.app import create_control_app
from nova_image_shim.fakecloud.seed import Seed
from nova_image_shim.settings import Settings

CONFIGURATION = ROOT / "app" / "gunicorn.conf.py"

GUNICORN = {
    "limit_request_line": 8190,
    "limit_request_fields": 100,
    "limit_request_field_size": 16384,
    "header_map": "drop",
    "strip_header_spaces": False,
    "permit_obsolete_folding": False,
    "permit_unconventional_http_method": False,
    "permit_unconventional_http_version": False,
    "casefold_http_method": False,
    "http_parser": "python",
    "http_protocols": ["h1"],
    "http2_cleartext": "off",
    "protocol": "http",
    "uwsgi_allow_ips": [],
    "proxy_protocol": "off",
    "proxy_allow_ips": [],
    "forwarded_allow_ips": [],
    "forwarder_headers": [],
    "secure_scheme_headers": {},
    "control_socket_disable": True,
    "umask": 0o117,
}
# Variables that change defaults of gunicorn and Flask.
ENVIRONMENT = {"FORWARDED_ALLOW_IPS": "*", "FLASK_DEBUG": "1", "FLASK_ENV": "development"}


def test_gunicorns_guards_are_set_and_no_variable_changes_them() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", CONFIGURATION, "--print-config"],
        env=clean_environ() | {"SHIM_BACKEND": "memory"} | ENVIRONMENT,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    used = dict(line.split(" = ", 1) for line in done.stdout.splitlines() if " = " in line)
    used = {name.strip(): value for name, value in used.items()}
    assert {name: str(value) for name, value in GUNICORN.items()} == {
        name: used[name] for name in GUNICORN
    }


def test_gunicorns_guards_are_not_its_defaults_by_chance() -> None:
    body = ast.parse(CONFIGURATION.read_text()).body
    targets = [node.targets[0] for node in body if isinstance(node, ast.Assign)]
    assigned = {target.id for target in targets if isinstance(target, ast.Name)}
    assert set() == GUNICORN.keys() - assigned


FLASK = {
    "DEBUG": False,
    "TESTING": False,
    "PROPAGATE_EXCEPTIONS": False,
    "TRAP_HTTP_EXCEPTIONS": False,
    "TRAP_BAD_REQUEST_ERRORS": False,
    "MAX_CONTENT_LENGTH": 114688,
    "MAX_FORM_MEMORY_SIZE": 0,
    "MAX_FORM_PARTS": 0,
    "SECRET_KEY": None,
    "TRUSTED_HOSTS": None,
    "PROVIDE_AUTOMATIC_OPTIONS": False,
}


@pytest.mark.parametrize("debug", ["0", "1"])
def test_flasks_guards_are_set_and_no_variable_changes_them(
    debug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", debug)
    app = create_app(Settings(backend="memory"), MemoryImageService(), accept_any_token)
    control = create_control_app(FakeCloud(Seed()), "127.0.0.1:8774")
    found: Any = [{name: each.config[name] for name in FLASK} for each in (app, control)]
    assert [FLASK, FLASK | {"MAX_CONTENT_LENGTH": 64 * 2**20}] == found
    assert [False, False] == [app.debug, control.debug]
