"""The search that all logs, metrics and answers go through finds what it is to find."""

from pathlib import Path

import pytest
import requests
from flask import Flask, Response
from support import canary
from support.fakes import FakeGlance, FakeKeystone, serve, token_of
from support.live import glance_environ, live_shim

from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.fakecloud.image_file import complete

ENVIRON = {"OS_PASSWORD": "pass.word", "OS_USERNAME": "nova-image-shim"}


@pytest.mark.parametrize(
    "secret",
    [
        *(token_of("demo"), "gAAAAAB" + "x-_Y" * 20, "pass.word", f"%20{token_of('a%2Fb')}"),
        *("ann-password-0123456789abcdef", "demo-password"),
    ],
)
def test_a_secret_is_found_wherever_it_stands(secret: str) -> None:
    with pytest.raises(AssertionError, match="a secret is in the logs: line 1"):
        canary.search("logs", f"line 1\n{{'X-Auth-Token': '{secret}'}}\n", ENVIRON)


LOGIN = f'{{"access":{{"token":{{"id":"{token_of("demo")}"}}'


def test_a_login_returns_its_token_once_and_only_in_the_answer() -> None:
    canary.search("answers", f"200 OK\n{LOGIN}", ENVIRON)
    for kind, text in (("logs", LOGIN), ("answers", LOGIN + token_of("demo"))):
        with pytest.raises(AssertionError, match=f"a secret is in the {kind}"):
            canary.search(kind, text, ENVIRON)


def test_what_is_none_is_let_be() -> None:
    canary.search("logs", "passXword demo nova-image-shim *** gAAAA token-0123", ENVIRON)


@pytest.mark.live
@pytest.mark.parametrize("coding", ["identity", "gzip", "deflate"])
def test_a_secret_in_an_answer_of_a_live_service_is_found(
    coding: str, keystone: FakeKeystone, tmp_path: Path
) -> None:
    images = [complete({"id": f"i{number}", "name": token_of("leak")}) for number in range(30)]
    glance = FakeGlance(service=MemoryImageService(images))
    with serve(glance) as glance.url:
        environ = glance_environ(keystone) | {"SHIM_GLANCE_ENDPOINT": glance.url}
        service = live_shim(tmp_path / "log", **environ)
        live = service.__enter__()
        headers = {"X-Auth-Token": token_of("demo"), "Accept-Encoding": coding}
        answer = requests.get(f"{live.url}/v2/demo/images", headers=headers, timeout=10)
        assert (200, token_of("leak")) == (answer.status_code, answer.json()["images"][0]["name"])
        with pytest.raises(
            AssertionError, match=r'in the answers: [^\0]*"name":"gAAAAAleak-token-'
        ):
            service.__exit__(None, None, None)


def test_a_secret_in_an_answer_in_this_process_is_found() -> None:
    app = Flask("leaks")
    app.add_url_rule("/", view_func=lambda: Response(headers={"X-Sent": token_of("leak")}))
    app.testing = True
    with pytest.raises(AssertionError, match="a secret is in the answers"):
        app.test_client().get("/")
