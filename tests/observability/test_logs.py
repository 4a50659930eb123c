"""What is logged, and what never is."""

import contextvars
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.fakes import FakeGlance, FakeKeystone, token_of
from support.live import glance_environ, shim

from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.fakecloud.image_file import load_images
from nova_image_shim.observability.client_families import client_of
from nova_image_shim.observability.logs import JsonFormatter, RequestFormatter
from nova_image_shim.observability.trace import ACCESS_LOGGER, CURRENT, Trace

TOKEN = 'a"token\\of-some-length'
FERNET = "gAAAAABm" + "x" * 150 + "=="
SENT = "req-11111111-2222-3333-4444-555555555555"
FORMATTERS = [RequestFormatter, JsonFormatter]


@pytest.fixture
def trace() -> Iterator[Trace]:
    trace = Trace("req-own", SENT, TOKEN, client=client_of(""), user_id="u1", project_id="p1")
    reset = CURRENT.set(trace)
    yield trace
    CURRENT.reset(reset)


def record(
    message: str, *args: Any, error: Exception | None = None, name: str = "some.logger"
) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord(name, logging.INFO, __file__, 1, message, args, exc_info)
    made.created, made.msecs, made.process = 0.0, 7.0, 42
    return made


def raised(text: str) -> ValueError:
    """Return an error as an `except` has it, traceback and all."""
    try:
        raise ValueError(text)  # noqa: TRY301 - it is the point
    except ValueError as error:
        return error


@pytest.mark.usefixtures("trace")
def test_a_line_has_openstacks_form() -> None:
    line = RequestFormatter().format(record("hello %s", "there"))
    assert re.fullmatch(
        rf"[\d-]{{10}} [\d:]{{8}}\.007 42 INFO some\.logger "
        rf"\[{SENT} req-own u1 p1\] hello there",
        line,
    )


def test_outside_of_a_request_nobody_asks() -> None:
    nowhere = contextvars.Context()
    assert "[- - - -] hello" in nowhere.run(RequestFormatter().format, record("hello"))


@pytest.mark.usefixtures("trace")
def test_a_json_line_has_oslo_logs_names() -> None:
    line = json.loads(JsonFormatter().format(record("hello %s", "there")))
    assert re.fullmatch(r"[\d-]{10} [\d:]{8}\.007", line.pop("asctime"))
    assert {
        "name": "some.logger",
        "levelname": "INFO",
        "process": 42,
        "message": "hello there",
        "context": {
            "request_id": "req-own",
            "global_request_id": SENT,
            "user_id": "u1",
            "project_id": "p1",
        },
    } == line


@pytest.mark.usefixtures("trace")
def test_a_json_line_tells_a_traceback() -> None:
    line = json.loads(JsonFormatter().format(record("oh", error=raised("what went wrong"))))
    assert line["traceback"].startswith("Traceback (most recent call last):\n")
    assert line["traceback"].endswith("ValueError: what went wrong")


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize("sent", ["a\nb", "a\rb", "a\x85b", "a\u2028b", "a\x1b[31mb", "a\x00b"])
@pytest.mark.usefixtures("trace")
def test_nothing_begins_a_line_of_its_own(formatter: type[RequestFormatter], sent: str) -> None:
    line = formatter().format(record("said %s", sent))
    assert line.isprintable()
    assert 1 == len(line.splitlines())


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize("secret", [TOKEN, FERNET, "the service user's \\ secret"])
@pytest.mark.usefixtures("trace")
def test_no_secret_is_logged(formatter: type[RequestFormatter], secret: str) -> None:
    formatted = formatter(["the service user's \\ secret"])
    access = {"target": secret, "status": 200, "method": "GET"}
    lines = [
        formatted.format(record("said %s.", secret)),
        formatted.format(record(f"said {secret}.")),
        formatted.format(record("said", error=raised(f"bad {secret}"))),
        formatted.format(record("%(target)s %(status)s %(method)s", access, name=ACCESS_LOGGER)),
    ]
    for line in lines:
        assert "***" in line
        assert secret not in line
        assert json.dumps(secret)[1:-1] not in line


def test_a_token_of_keystone_is_struck_out_wherever_it_comes_from() -> None:
    assert "token *** of" in RequestFormatter().format(record(f"token {FERNET} of nobody"))


def test_a_word_is_no_secret() -> None:
    reset = CURRENT.set(Trace("req-own", token="demo"))
    line = RequestFormatter(["service"]).format(record("the project demo of the service"))
    CURRENT.reset(reset)
    assert "the project demo of the service" in line


ACCESS = re.compile(
    r"(?P<time>[\d-]{10} [\d:]{8}\.\d{3}) \d+ INFO nova_image_shim\.access "
    r"\[(?P<sent>\S+) (?P<own>\S+) (?P<user>\S+) (?P<project>\S+)\] "
    r'127\.0\.0\.1 "(?P<request>[^"]*)" status: (?P<status>\d+) len: \d+ time: [\d.]+ '
    r"glance_calls: (?P<calls>\d+) glance_time: [\d.]+ keystone_calls: (?P<keystone>\d+) "
    r"call: (?P<call>\S+) images: (?P<images>\S+) client: (?P<client>\S+) "
    r'glance_ids: (?P<glance>\S+) agent: "(?P<agent>.*)"'
)
ASKED = [
    ("/v2/demo/images?limit=2", 200, 2),
    ("/v2/demo/images/detail?name=no-such", 200, 0),
    ("/v2/demo/images/no-such", 404, None),
]
CALLS = ["images.index", "images.detail", "images.show"]


def ask(url: str) -> list[str]:
    """Ask for all of `ASKED` and return the request ids answered."""
    headers = {
        "X-Auth-Token": token_of("demo"),
        "User-Agent": 'fog/1.0 "said" \x9b1m',
        "X-OpenStack-Request-ID": SENT,
    }
    ids = []
    for path, status, _ in ASKED:
        answer = requests.get(url + path, headers=headers, timeout=10)
        assert status == answer.status_code
        ids.append(answer.headers["X-Compute-Request-Id"])
    return ids


@pytest.fixture
def stocked(glance: FakeGlance) -> Iterator[FakeGlance]:
    empty = glance.service
    glance.service = MemoryImageService(load_images())
    yield glance
    glance.service = empty


def answer_with_ids(glance: FakeGlance) -> list[str]:
    """Have Glance give each of its next answers an id, and return these."""
    ids = [f"req-glance-{number}" for number in range(3)]

    def answer(number: int) -> Any:
        def with_id(request: Any) -> Any:
            usual = glance.usual(request)
            usual.headers["x-openstack-request-id"] = ids[number]
            return usual

        return with_id

    glance.answers[:] = [answer(number) for number in range(3)]
    return ids


@pytest.mark.live
def test_each_request_is_a_line(
    tmp_path: Path, keystone: FakeKeystone, stocked: FakeGlance
) -> None:
    with shim(tmp_path / "log", **glance_environ(keystone)) as url:
        glance_ids = answer_with_ids(stocked)
        ids = ask(url)
    text = (tmp_path / "log").read_text()
    lines = [m for m in map(ACCESS.fullmatch, text.splitlines()) if m and "/v2/" in m["request"]]
    assert [
        {
            "sent": SENT,
            "own": own,
            "user": "user-of-demo",
            "project": "demo",
            "request": f"GET {path} HTTP/1.1",
            "status": str(status),
            "calls": "1",
            "call": call,
            "images": "-" if images is None else str(images),
            "client": "fog/1.0",
            "glance": glance_id,
            "agent": "fog/1.0 'said' \\x9b1m",
        }
        for own, (path, status, images), call, glance_id in zip(
            ids, ASKED, CALLS, glance_ids, strict=True
        )
    ] == [
        {name: line[name] for name in line.groupdict() if name not in {"time", "keystone"}}
        for line in lines
    ]
    assert ["2", "0", "0"] == [line["keystone"] for line in lines]
    for secret in (token_of("demo"), token_of("service"), keystone.password):
        assert secret not in text


@pytest.mark.live
def test_each_request_is_a_json_line(
    tmp_path: Path, keystone: FakeKeystone, stocked: FakeGlance
) -> None:
    settings = {"SHIM_LOG_FORMAT": "json", "SHIM_LOG_LEVEL": "DEBUG"}
    with shim(tmp_path / "log", **glance_environ(keystone) | settings) as url:
        glance_ids = answer_with_ids(stocked)
        ids = ask(url)
    text = (tmp_path / "log").read_text()
    said = [line for line in text.splitlines() if not line.startswith("nova-image-shim ready: ")]
    lines = [json.loads(line) for line in said]  # every line, gunicorn's too
    accesses = [line for line in lines if line["name"] == "nova_image_shim.access"][-3:]
    for number, (line, (path, status, images)) in enumerate(zip(accesses, ASKED, strict=True)):
        assert {
            "request_id": ids[number],
            "global_request_id": SENT,
            "user_id": "user-of-demo",
            "project_id": "demo",
        } == line["context"]
        extra = line["extra"]
        assert extra.pop("seconds") >= extra.pop("glance_seconds") > 0
        assert int(extra.pop("length")) > 0
        assert {
            "remote": "127.0.0.1",
            "method": "GET",
            "target": path,
            "protocol": "HTTP/1.1",
            "status": status,
            "glance_calls": 1,
            "keystone_calls": 0 if number else 2,
            "call": CALLS[number],
            "images": "-" if images is None else images,
            "client": "fog/1.0",
            "glance_request_ids": glance_ids[number],
            "user_agent": "fog/1.0 'said' \x9b1m",
        } == extra
    for secret in (token_of("demo"), token_of("service"), keystone.password):
        assert secret not in text


@pytest.mark.live
def test_a_wrong_password_is_not_logged(tmp_path: Path, keystone: FakeKeystone) -> None:
    environ = glance_environ(keystone) | {
        "OS_PASSWORD": "a wrong password",
        "SHIM_LOG_LEVEL": "DEBUG",
    }
    with shim(tmp_path / "log", **environ) as url:
        headers = {"X-Auth-Token": token_of("demo")}
        assert 503 == requests.get(f"{url}/v2/demo/images", headers=headers, timeout=10).status_code
    text = (tmp_path / "log").read_text()
    assert "a wrong password" not in text
    assert token_of("demo") not in text
