"""Whether the service answers and is ready, and what it says where it is not."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from flask.testing import FlaskClient
from support.fakes import FakeGlance, FakeKeystone, says
from support.live import glance_environ, shim

from nova_image_shim import create_app
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.auth.any_token import accept_any_token
from nova_image_shim.observability.readiness import Readiness
from nova_image_shim.settings import Settings

TEXT = "text/plain; charset=UTF-8"
JSON = "application/json; charset=UTF-8"


def client_over(checks: dict[str, Callable[[], object]], **environ: str) -> FlaskClient:
    settings = Settings.from_environ({"SHIM_BACKEND": "memory"} | environ)
    return create_app(settings, MemoryImageService(), accept_any_token, checks=checks).test_client()


def fails() -> None:
    raise ValueError("http://internal:5000 said no")


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, TEXT),
        ("*/*", TEXT),
        ("text/plain", TEXT),
        ("text/html", TEXT),
        ("image/png", TEXT),
        ("application/json", JSON),
        ("text/plain;q=0.5, application/json", JSON),
    ],
)
def test_the_form_is_the_one_asked_for(accept: str | None, content_type: str) -> None:
    client = client_over({"keystone": fails})
    headers = {"Accept": accept} if accept else {}
    for path, status, reason in (
        ("/healthcheck", 200, "OK"),
        ("/healthcheck/ready", 503, "KEYSTONE NOT READY"),
    ):
        answer = client.get(path, headers=headers)
        assert (status, content_type) == (answer.status_code, answer.headers["Content-Type"])
        if content_type == JSON:
            assert {"detailed": False, "reasons": [reason]} == answer.json
        else:
            assert reason == answer.text


def test_head_has_a_status_only() -> None:
    client = client_over({"keystone": fails})
    answers = [client.head(path) for path in ("/healthcheck", "/healthcheck/ready")]
    assert [(204, b""), (503, b"")] == [(answer.status_code, answer.data) for answer in answers]


def test_a_file_takes_the_service_out(tmp_path: Path) -> None:
    asked: list[None] = []
    file = tmp_path / "disabled"
    client = client_over(
        {"glance": lambda: asked.append(None)}, SHIM_HEALTHCHECK_DISABLE_FILE=str(file)
    )
    paths = ("/healthcheck", "/healthcheck/ready")
    assert "OK" == client.get("/healthcheck/live").text
    assert [200, 200] == [client.get(path).status_code for path in paths]
    file.touch()
    for path in paths:
        answer = client.get(path)
        assert (503, "DISABLED BY FILE") == (answer.status_code, answer.text)
        assert 503 == client.head(path).status_code
    alive = client.get("/healthcheck/live")  # draining must not make a supervisor kill it
    assert (200, "OK") == (alive.status_code, alive.text)
    assert 200 == client.get("/v2/demo/images", headers={"X-Auth-Token": "demo"}).status_code
    file.unlink()
    assert [200, 200] == [client.get(path).status_code for path in paths]


def test_everything_that_is_wrong_is_named() -> None:
    client = client_over({"keystone": fails, "memcached": lambda: None, "glance": fails})
    answer = client.get("/healthcheck/ready")
    assert (503, "KEYSTONE NOT READY\nGLANCE NOT READY") == (answer.status_code, answer.text)


def test_a_hundred_concurrent_probes_share_one_check() -> None:
    checks: list[None] = []
    all_started = threading.Barrier(101)

    def probe() -> None:
        all_started.wait(20)
        readiness.failing()

    readiness = Readiness({"glance": lambda: checks.append(None)}, clock=lambda: 0.0)
    threads = [threading.Thread(target=probe) for _ in range(100)]
    for thread in threads:
        thread.start()
    all_started.wait(20)
    for thread in threads:
        thread.join()
    assert 1 == len(checks)


def test_a_result_is_repeated_until_it_is_stale() -> None:
    now = 0.0
    works = False

    def check() -> None:
        if not works:
            fails()

    readiness = Readiness({"glance": check}, fresh_seconds=1, clock=lambda: now)
    assert ["glance"] == readiness.failing()
    now, works = 0.9, True
    assert ["glance"] == readiness.failing()
    now = 1.0
    assert [] == readiness.failing()


def test_a_silent_check_is_given_up_after_a_time_and_never_runs_twice() -> None:
    release, done = threading.Event(), threading.Event()
    checks: list[None] = []

    def silent() -> None:
        checks.append(None)
        release.wait(20)

    readiness = Readiness({"glance": silent, "keystone": done.set}, 0.01, fresh_seconds=0)
    assert [["glance"]] * 3 == [readiness.failing() for _ in range(3)]
    assert (1, True) == (len(checks), done.is_set())
    release.set()
    until_ready = time.monotonic() + 10
    while readiness.failing():
        assert time.monotonic() < until_ready


@pytest.fixture
def live(tmp_path: Path, keystone: FakeKeystone, glance: FakeGlance) -> Iterator[str]:
    with shim(tmp_path / "log", **glance_environ(keystone)) as url:
        yield url


def ready(url: str) -> tuple[int, str]:
    time.sleep(1.05)  # so that the checks run again
    answer = requests.get(f"{url}/healthcheck/ready", timeout=20)
    return answer.status_code, answer.text


@pytest.mark.live
def test_the_service_says_which_of_the_two_is_wrong(
    live: str, keystone: FakeKeystone, glance: FakeGlance, tmp_path: Path
) -> None:
    assert (200, "OK") == ready(live)
    asked = [(seen.method, seen.path) for seen in (*keystone.seen, *glance.seen)]
    assert ("GET", "/v2/images") == asked[-1]
    assert ("GET", "/v3/auth/tokens") in asked
    glance.answers.append(says(503))
    assert (503, "GLANCE NOT READY") == ready(live)
    keystone.answers[:] = [says(503)] * 3
    assert (503, "KEYSTONE NOT READY") == ready(live)
    keystone.answers.clear()
    assert (200, "OK") == ready(live)
    log = (tmp_path / "log").read_text()
    for told in ("glance: ImageServiceUnavailable: ", "glance: answers again", "keystone: "):
        assert told in log


@pytest.mark.live
def test_a_wrong_password_is_keystones_and_glances_matter(
    tmp_path: Path, keystone: FakeKeystone
) -> None:
    environ = glance_environ(keystone) | {"OS_PASSWORD": "wrong-password"}
    with shim(tmp_path / "log", **environ) as url:
        assert (503, "KEYSTONE NOT READY\nGLANCE NOT READY") == ready(url)
    assert "wrong-password" not in (tmp_path / "log").read_text()


@pytest.mark.live
def test_liveness_asks_nobody(live: str, keystone: FakeKeystone, glance: FakeGlance) -> None:
    keystone.reset()
    glance.reset()
    assert 200 == requests.get(f"{live}/healthcheck", timeout=10).status_code
    assert ([], []) == (keystone.seen, glance.seen)


@pytest.mark.live
def test_a_token_of_the_service_user_that_was_revoked_is_renewed(
    live: str, keystone: FakeKeystone
) -> None:
    assert (200, "OK") == ready(live)
    keystone.answers.append(says(404, {"error": {"code": 404, "message": "revoked"}}))
    assert (200, "OK") == ready(live)
    assert 2 == sum(seen.method == "POST" for seen in keystone.seen)
