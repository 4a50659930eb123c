"""What is logged, and what never is."""

import contextvars
import json
import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from flask import Flask, Response, request
from flask.testing import FlaskClient
from support.fakes import FakeGlance, FakeKeystone, token_of
from support.images import load_images
from support.live import glance_environ, shim

from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.observability.client_families import client_of
from nova_image_shim.observability.logs import JsonFormatter, RequestFormatter
from nova_image_shim.observability.redaction import redact_unread
from nova_image_shim.observability.trace import (
    ACCESS_LINE,
    ACCESS_LOGGER,
    CURRENT,
    Trace,
    log_access,
)
from nova_image_shim.usage.lines import read
from nova_image_shim.usage.records import AccessRecord

TOKEN = 'a"token\\of-some-length'  # of no form that a token of Keystone has
FERNET = "gAAAAABm" + "x" * 150 + "=="
JWS = f"eyJhbGciOiJFUzI1NiJ9.eyJzdWIi{'o' * 80}.{'s-_' * 28}"
UUID = "0123456789abcdef0123456789abcdef"
SENT = "req-11111111-2222-3333-4444-555555555555"
FORMATTERS = [RequestFormatter, JsonFormatter]


@pytest.fixture
def trace() -> Iterator[Trace]:
    trace = Trace("req-own", SENT, TOKEN, client=client_of(""), user_id="u1", project_id="p1")
    reset = CURRENT.set(trace)
    yield trace
    CURRENT.reset(reset)


def calls_in(line: bytes) -> list[AccessRecord]:
    """Return the calls that `usage` finds in a line."""
    return read(line) or []


def record(
    message: str, *args: Any, error: Exception | None = None, name: str = "some.logger"
) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord(name, logging.INFO, __file__, 1, message, args, exc_info)
    made.created, made.process = 1_798_761_600.0075, 42
    return made


def access(**changes: Any) -> logging.LogRecord:
    """Return the record of a call."""
    fields = {
        "remote": "127.0.0.1",
        "method": "GET",
        "target": "/v2/p1/images",
        "protocol": "HTTP/1.1",
        "status": 200,
        "length": "64",
        "seconds": 0.25,
        "glance_calls": 1,
        "glance_seconds": 0.125,
        "keystone_calls": 0,
        "call": "images.index",
        "images": 7,
        "list": "fetched",
        "client": "fog/1.0",
        "glance_request_ids": "req-glance",
        "user_agent": "fog/1.0",
    }
    return record(ACCESS_LINE, fields | changes, name=ACCESS_LOGGER)


def raised(text: str) -> ValueError:
    """Return an error as an `except` has it, traceback and all."""
    try:
        raise ValueError(text)  # noqa: TRY301 - it is the point
    except ValueError as error:
        return error


@pytest.mark.usefixtures("trace")
def test_a_line_has_openstacks_form() -> None:
    line = RequestFormatter().format(record("hello %s", "there"))
    head = "2027-01-01T00:00:00.007+00:00 42 INFO some.logger"
    assert f"{head} [{SENT} req-own u1 p1] hello there" == line


def test_outside_of_a_request_nobody_asks() -> None:
    nowhere = contextvars.Context()
    assert "[- - - -] hello" in nowhere.run(RequestFormatter().format, record("hello"))


@pytest.mark.usefixtures("trace")
def test_a_json_line_has_oslo_logs_names() -> None:
    line = json.loads(JsonFormatter().format(record("hello %s", "there")))
    assert {
        "asctime": "2027-01-01T00:00:00.007+00:00",
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


ODD = [
    "a\nb",
    "a\rb",
    "a\x85b",
    "a\u2028b",
    "a\x1b[31mb",
    "a\x00b",
    "a\u202eb",
    "a\udc80b",
    "a b",
    "",
]


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize("sent", ODD)
def test_nothing_begins_a_line_of_its_own(
    formatter: type[RequestFormatter], sent: str, trace: Trace
) -> None:
    trace.user_id = trace.project_id = sent
    lines = [
        formatter().format(record("said %s", sent)),
        formatter().format(record("said", error=raised(sent))),
        formatter().format(access(user_agent=sent)),
    ]
    for line in lines:
        assert line.isprintable()
        assert formatter is RequestFormatter or json.loads(line)
    (found,) = calls_in(lines[-1].encode())
    assert (7, "images.index", "fog") == (found.images, found.call, found.client)
    assert formatter is JsonFormatter or " " not in found.user + found.project


LONG = {
    "plain": "x" * 20_000,
    "quoted": '"\\' * 10_000,
    "latin": "\xff" * 20_000,
    "control": "\x9b" * 20_000,
    "astral": "\U0001f600" * 20_000,
    "unprintable astral": "\U000e0001" * 20_000,
    "surrogates": "\udc80" * 20_000,
}


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_call_is_a_line_that_a_pipe_takes_as_a_whole(
    formatter: type[RequestFormatter], text: str, trace: Trace
) -> None:
    trace.user_id, trace.project_id = text, f"p{text}"
    chosen = dict.fromkeys(("target", "protocol", "user_agent", "glance_request_ids"), text)
    for changes in (chosen, {"target": text}, {"user_agent": text}, {"glance_request_ids": text}):
        line = formatter().format(access(**changes))
        assert 1000 < len(line.encode()) < 4095
        assert "..." in line
        assert formatter is RequestFormatter or json.loads(line)
        (found,) = calls_in(line.encode())
        assert (200, 7, "images.index", "fog") == (
            *(found.status, found.images),
            *(found.call, found.client),
        )


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_a_short_field_stays_whole_beside_a_long_one(formatter: type[RequestFormatter]) -> None:
    line = formatter().format(access(target="/" + "x" * 9000, user_agent="a" * 500))
    assert "a" * 500 in line
    assert re.search(r"/x{800,}\.\.\.", line)


def chained(text: str) -> ValueError:
    """Return an error at the end of a long chain of others."""
    error = raised("the first")
    for _ in range(30):
        try:
            raise ValueError(text) from error  # noqa: TRY301 - it is the point
        except ValueError as another:
            error = another
    return error


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize("text", ["what went wrong", *LONG.values()], ids=["short", *LONG])
def test_a_traceback_loses_its_middle_and_never_its_exception(
    formatter: type[RequestFormatter], text: str
) -> None:
    line = formatter().format(record("oh", error=chained(text)))
    assert 1000 < len(line.encode()) < 4095
    assert line.isprintable()
    told = json.loads(line)["traceback"] if formatter is JsonFormatter else line
    assert "Traceback (most recent call last):" in told
    assert "..." in told
    assert "ValueError: " in told[told.rindex("raise ValueError(text) from error") :]
    assert len(text) > 100 or told.endswith("ValueError: what went wrong")


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize("secret", [TOKEN, FERNET, JWS, "the service user's \\ secret"])
@pytest.mark.usefixtures("trace")
def test_no_secret_is_logged(formatter: type[RequestFormatter], secret: str) -> None:
    formatted = formatter(["the service user's \\ secret"])
    lines = [
        formatted.format(record("said %s.", secret)),
        formatted.format(record(f"said {secret}.")),
        formatted.format(record("said", error=raised(f"bad {secret}"))),
        *(
            formatted.format(access(**{field: f"a{filling}{secret}"}))
            for field in ("method", "target", "protocol", "user_agent", "glance_request_ids")
            for filling in ("", "x" * 9000)
        ),
    ]
    for line in lines:
        assert "***" in line or "..." in line
        for form in (secret, json.dumps(secret)[1:-1], quote(secret), secret[:25]):
            assert form not in line


PRODUCED = [
    *("127.0.0.1", "nova_image_shim.access", "images.index", "req-own-id", "2027-01-01", "fog/1.0"),
    *('"asctime"', "INFO", "status: 200", "len: ", "user_agent", "user-one", "project-one"),
]


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize("token", PRODUCED)
@pytest.mark.parametrize("is_sent", [True, False])
def test_no_secret_changes_what_the_service_itself_writes(
    formatter: type[RequestFormatter], token: str, is_sent: bool
) -> None:
    """Even a token or password that reads like a part of the line."""
    trace = Trace("req-own-id", user_id="user-one", project_id="project-one")
    reset = CURRENT.set(replace(trace, token=token if is_sent else ""))
    line = formatter([] if is_sent else [token]).format(access(user_agent="curl/8"))
    CURRENT.set(trace)
    expected = formatter().format(access(user_agent="curl/8"))
    CURRENT.reset(reset)
    assert expected == line


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_an_id_in_a_call_is_no_token(formatter: type[RequestFormatter]) -> None:
    target = f"/v2/{UUID}/images/eyJ.a.b?name=gAAAA"
    assert target in formatter().format(access(target=target))


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize(
    "target", ['/v2/p1/images?{"asctime":', '/"', '/v2/p1/images?x="%20status:%20500"', "/a b"]
)
def test_no_target_hides_a_call(formatter: type[RequestFormatter], target: str) -> None:
    app = Flask("calls")
    with app.test_request_context("/", environ_overrides={"RAW_URI": target}), caught() as records:
        log_access(request, Response(status=204), 0.5)
    (found,) = calls_in(formatter().format(records[0]).encode())
    assert (204, "none") == (found.status, found.call)


@contextmanager
def caught() -> Iterator[list[logging.LogRecord]]:
    """Yield the list of records that the access logger gets."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler(logging.INFO)
    handler.emit = records.append  # type: ignore[method-assign, assignment]
    logger = logging.getLogger(ACCESS_LOGGER)
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)
    logger.setLevel(level)


UNREAD = {
    "JWS without a colon": (f"X-Auth-Token={JWS}", "X-Auth-Token=***"),
    "UUID without a colon": (f"X-Auth-Token={UUID}", "X-Auth-Token=***"),
    "UUID in capitals": (f"X-AUTH-TOKEN {UUID.upper()}", "X-AUTH-TOKEN ***"),
    "Fernet": (f"HTTP/{FERNET}", "HTTP/***"),
    "two": (f"{UUID} {FERNET}", "*** ***"),
    "longer hexadecimal": (f"{UUID}0 {UUID[1:]}", f"{UUID}0 {UUID[1:]}"),
}


@pytest.mark.parametrize(("text", "expected"), UNREAD.values(), ids=UNREAD)
def test_every_form_of_a_token_is_taken_out_of_a_malformed_request(
    text: str, expected: str
) -> None:
    assert expected == redact_unread(text)


def test_redacting_takes_no_longer_than_the_text_is_long() -> None:
    started = time.process_time()
    for text in ("eyJ" * 5000, "eyJ-x.eyJ-x." * 2000, "gAAAA" * 5000, f"eyJ{'a' * 250}." * 60):
        redact_unread(text)
    assert time.process_time() - started < 1


def test_a_word_is_not_a_secret() -> None:
    reset = CURRENT.set(Trace("req-own", token="demo"))
    line = RequestFormatter(["service"]).format(record("the project demo of the service"))
    CURRENT.reset(reset)
    assert "the project demo of the service" in line


def test_a_thread_forgets_a_request_that_has_ended(cloud_client: FlaskClient) -> None:
    cloud_client.get("/v2/demo/images", headers={"X-Auth-Token": "demo"})
    assert "[- - - -] hello" in RequestFormatter().format(record("hello"))


ACCESS = re.compile(
    r"(?P<time>[\d-]{10}T[\d:]{8}\.\d{3}\+00:00) \d+ INFO nova_image_shim\.access "
    r"\[(?P<sent>\S+) (?P<own>\S+) (?P<user>\S+) (?P<project>\S+)\] "
    r'127\.0\.0\.1 "(?P<request>[^"]*)" status: (?P<status>\d+) len: \d+ time: [\d.]+ '
    r"glance_calls: (?P<calls>\d+) glance_time: [\d.]+ keystone_calls: (?P<keystone>\d+) "
    r"call: (?P<call>\S+) images: (?P<images>\S+) list: (?P<list>\S+) client: (?P<client>\S+) "
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
            "list": "-" if images is None else "fetched",
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
            "list": "-" if images is None else "fetched",
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
