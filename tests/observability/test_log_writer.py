"""Lines are whole, and a reader that stalls stalls nobody."""

import logging
import os
import re
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from support.fakes import FakeKeystone, token_of
from support.live import free_port, glance_environ, live_shim, until, workers_of

from nova_image_shim.observability.log_writer import LogWriter
from nova_image_shim.observability.logs import RequestFormatter
from nova_image_shim.observability.metrics import Metrics
from nova_image_shim.observability.trace import Trace
from nova_image_shim.usage.lines import read

NOTICE = re.compile(r"(\d+) log lines were dropped: they could not be written in time")


def log_to(writer: LogWriter) -> logging.Logger:
    """Return a logger that logs to a writer and nowhere else."""
    logger = logging.getLogger("some.logger")
    logger.handlers, logger.propagate = [writer], False
    logger.setLevel(logging.INFO)
    return logger


class Pipe:
    """A pipe, and the log that a writer makes of the messages given."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self.writer = LogWriter(self.writing)
        self.writer.setFormatter(RequestFormatter())
        self.logger = log_to(self.writer)

    def read(self) -> list[str]:
        """Return the messages that are there by now."""
        found = b""
        while select.select([self.reading], [], [], 0.3)[0]:
            found += os.read(self.reading, 2**20)
        return [line.partition("] ")[2] for line in found.decode().splitlines()]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    notices = logging.getLogger(LogWriter.__module__)
    notices.addHandler(pipe.writer)
    yield pipe
    notices.removeHandler(pipe.writer)
    os.close(pipe.reading)
    pipe.writer.close()
    os.close(pipe.writing)


@pytest.mark.parametrize("has_thread", [True, False])
def test_a_line_is_written_with_one_call(has_thread: bool) -> None:
    reading, writing = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with reading, writing:
        writer = LogWriter(writing.fileno())
        if has_thread:
            writer.start()
        logger = log_to(writer)
        for message in ("one", "two " * 500):
            logger.info(message)
        assert [b"one\n", b"two " * 500 + b"\n"] == [reading.recv(4096) for _ in range(2)]
        writer.close()


@pytest.mark.parametrize("has_thread", [True, False])
def test_a_reader_that_stalls_loses_lines_and_is_told_how_many(
    has_thread: bool, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nova_image_shim.observability.log_writer._MOST_LINES", 20)
    monkeypatch.setattr("nova_image_shim.observability.log_writer._WAIT_SECONDS", 0.01)
    metrics, before = Metrics(threads=1, backend="memory"), LogWriter.dropped
    if has_thread:
        pipe.writer.start()
    started = time.monotonic()
    for number in range(200):
        pipe.logger.info("%d %s", number, "x" * 1000)
    assert time.monotonic() - started < 5
    dropped = LogWriter.dropped - before
    assert 0 < dropped < 200
    metrics.record(Trace("req"), 200, 0.1)
    name = "nova_image_shim_log_lines_dropped_total"
    assert dropped == metrics.registry.get_sample_value(name)
    found = pipe.read()
    pipe.logger.info("the reader is back")
    found += pipe.read()
    # There are several where the queue was empty in between.
    assert dropped == sum(int(notice[1]) for notice in map(NOTICE.fullmatch, found) if notice)
    assert "the reader is back" in found
    numbers = [int(message.partition(" ")[0]) for message in found if message[-3:] == "xxx"]
    assert numbers == sorted(numbers)
    assert 200 == len(numbers) + dropped


def test_a_stalled_reader_delays_the_end_for_a_second_at_most(pipe: Pipe) -> None:
    pipe.writer.start()
    for _ in range(200):
        pipe.logger.info("x" * 1000)
    started = time.monotonic()
    pipe.writer.close()
    assert time.monotonic() - started < 3
    assert 200 == len(pipe.read())


def test_what_is_queued_at_the_end_is_written(pipe: Pipe) -> None:
    pipe.writer.start()
    for number in range(50):
        pipe.logger.info("%d", number)
    pipe.writer.close()
    pipe.logger.info("after the end")
    assert [*map(str, range(50)), "after the end"] == pipe.read()


def test_a_reader_that_has_gone_and_a_record_without_sense_cost_a_line_each(
    pipe: Pipe, capfd: pytest.CaptureFixture[str]
) -> None:
    before = LogWriter.dropped
    wrong = logging.LogRecord("some.logger", logging.INFO, "", 1, "%s, %s", ("token",), None)
    pipe.writer.handle(wrong)
    assert 1 == LogWriter.dropped - before
    os.dup2(os.open("/dev/full", os.O_WRONLY), pipe.writing)
    pipe.logger.info("to a full disk")
    assert 2 == LogWriter.dropped - before
    assert ("", "") == capfd.readouterr()


FORGED = "2026-01-01T00:00:00.000+00:00 1 CRITICAL nova_image_shim [- - - -] forged "


@pytest.mark.live
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_line_of_several_workers_is_torn(
    log_format: str, keystone: FakeKeystone, tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    settings = {"WEB_CONCURRENCY": "3", "SHIM_LOG_FORMAT": log_format}
    log = b""

    def collect() -> None:
        nonlocal log
        while chunk := os.read(reading, 2**16):
            log += chunk

    collecting = threading.Thread(target=collect, daemon=True)
    collecting.start()
    environ = glance_environ(keystone) | settings
    with live_shim(tmp_path / "log", (), writing, **environ) as live:
        os.close(writing)

        def call(number: int) -> int:
            agent = FORGED * (number % 3 * 40)
            url = f"{live.url}/v2/demo/images?name={'%22' * (number % 5 * 500)}"
            headers = {"X-Auth-Token": token_of("demo"), "User-Agent": agent}
            return requests.get(url, headers=headers, timeout=20).status_code

        with ThreadPoolExecutor(16) as clients:
            assert {200} == set(clients.map(call, range(400)))
    collecting.join()
    os.close(reading)
    lines = log.splitlines(keepends=True)
    start = re.compile(rb"\d{4}-\d\d-\d\dT[^ ]+ \d+ [A-Z]+ [\w.]+ \[|\{\"asctime\":")
    assert [] == [line for line in lines if not start.match(line) or len(line) > 4095]
    assert [] == [line for line in lines if line.startswith(FORGED[:40].encode())]
    calls = [each for line in lines for each in read(line) or () if each.call == "images.index"]
    assert 400 == len(calls)


@pytest.mark.live
def test_a_stalled_reader_stalls_neither_requests_nor_a_reload_nor_the_end(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    metrics = f"127.0.0.1:{free_port()}"
    environ = {"SHIM_BACKEND": "memory", "SHIM_METRICS_BIND": metrics}
    with live_shim(tmp_path / "log", (), writing, **environ) as live:
        os.close(writing)

        def call(_client: int) -> float:
            with requests.Session() as session:
                session.headers["User-Agent"] = "x" * 8000
                answers = [session.get(f"{live.url}/v2", timeout=20) for _ in range(300)]
            return max(answer.elapsed.total_seconds() for answer in answers)

        with ThreadPoolExecutor(8) as clients:
            assert max(clients.map(call, range(8))) < 5
        dropped = re.compile(r"^nova_image_shim_log_lines_dropped_total (\S+)", re.MULTILINE)
        page = requests.get(f"http://{metrics}/metrics", timeout=10).text
        (number,) = dropped.findall(page)
        assert 0 < float(number) < 2400
        old = workers_of(live.process.pid)
        live.process.send_signal(signal.SIGHUP)
        until(lambda: not old & workers_of(live.process.pid))
        assert requests.get(f"{live.url}/v2", timeout=20).ok
        live.process.terminate()
        assert 0 == live.process.wait(20)
    os.close(reading)
