"""The metrics, scraped from the live service with its workers over the fake Keystone and Glance."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from support.fakes import FakeGlance, FakeKeystone, says, token_of
from support.live import (
    clean_environ,
    free_port,
    glance_environ,
    live_shim,
    until,
    workers_of,
)
from support.paths import ROOT

from nova_image_shim.adapters.image_port import Call
from nova_image_shim.observability.metrics import Metrics
from nova_image_shim.observability.metrics_files import Collector, MetricsFiles, reserve_files
from nova_image_shim.observability.trace import Trace


class Scraped(NamedTuple):
    """A live service, where it is scraped, and the file with its master's pid."""

    url: str
    metrics_bind: str
    pid_file: Path

    def workers(self) -> set[int]:
        return workers_of(self.master)

    @property
    def master(self) -> int:
        return int(self.pid_file.read_text())

    def reload(self) -> None:
        master = self.master  # gunicorn writes the file anew
        old = workers_of(master)
        os.kill(master, signal.SIGHUP)
        until(lambda: workers_of(master) and not old & workers_of(master))

    def scrape(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        answer = requests.get(f"http://{self.metrics_bind}/metrics", timeout=10)
        answer.raise_for_status()
        return {
            (sample.name.removeprefix("nova_image_shim_"), frozenset(sample.labels.items())): (
                sample.value
            )
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        return self.scrape().get((name, frozenset(labels.items())), 0.0)

    def threads(self) -> float:
        """Return the threads of all workers; 0 where nobody answers."""
        with contextlib.suppress(requests.ConnectionError):
            return self.value("threads")
        return 0

    def get(self, path: str, project: str = "demo", agent: str = "libcloud/3.8.0") -> int:
        headers = {"X-Auth-Token": token_of(project), "User-Agent": agent}
        return requests.get(self.url + path, headers=headers, timeout=10).status_code


@contextmanager
def scraped(folder: Path, wrapper: Sequence[str] = (), /, **environ: str) -> Iterator[Scraped]:
    bind, pid_file = f"127.0.0.1:{free_port()}", folder / "pid"
    settings = {
        "SHIM_BACKEND": "memory",
        "SHIM_METRICS_BIND": bind,
        "GUNICORN_CMD_ARGS": f"--pid {pid_file}",
    }
    with live_shim(folder / "log", wrapper, **settings | environ) as live:
        yield Scraped(live.url, bind, pid_file)


@pytest.fixture
def two_workers(tmp_path: Path, keystone: FakeKeystone, glance: FakeGlance) -> Iterator[Scraped]:
    environ = glance_environ(keystone) | {"WEB_CONCURRENCY": "2", "SHIM_THREADS": "4"}
    with scraped(tmp_path, **environ) as service:
        yield service


@pytest.mark.live
def test_each_request_is_counted_once_whichever_worker_takes_it(two_workers: Scraped) -> None:
    for _ in range(20):
        assert 200 == two_workers.get("/v2/demo/images")
        assert 200 == two_workers.get("/v1.1/demo/images/detail?limit=2", agent="fog/1.18.0")
        assert 404 == two_workers.get("/v2.1/images/none-such")
        assert 404 == two_workers.get("/v2/demo/flavors")
    found = two_workers.scrape()

    def number(name: str, **labels: str) -> float:
        return found[name, frozenset(labels.items())]

    requested = {
        labels: value for (name, labels), value in found.items() if name == "requests_total"
    }
    expected = [
        ("images.index", "libcloud", "200"),
        ("images.detail", "fog", "200"),
        ("images.show", "libcloud", "404"),
        ("none", "libcloud", "404"),
    ]
    health = frozenset({"call": "health.healthcheck", "client": "python", "status": "200"}.items())
    assert requested.pop(health) >= 1
    assert {
        frozenset({"call": call, "client": client, "status": status}.items()): 20.0
        for call, client, status in expected
    } == requested
    assert 20 == number("request_duration_seconds_count", call="images.index")
    assert 40 == number("glance_request_duration_seconds_count", operation="list", status="200")
    assert 20 == number("glance_request_duration_seconds_count", operation="get", status="404")
    assert (40, 40) == (number("list_images_count"), number("list_pages_sum"))
    # Each worker has asked Keystone once at most for the one token.
    misses = number("token_lookups_total", result="miss")
    assert misses in {1, 2}
    assert 80 == misses + number("token_lookups_total", result="hit")
    assert misses == number("keystone_request_duration_seconds_count", method="POST", status="201")
    assert 86 == number("threads")  # with room for all who wait
    assert 0 == number("threads_busy")


@pytest.mark.live
def test_a_call_without_an_answer_has_status_0(two_workers: Scraped, glance: FakeGlance) -> None:
    glance.answers.append(says(503, {}))
    assert 503 == two_workers.get("/v2/demo/images")
    name = "glance_request_duration_seconds_count"
    assert 1 == two_workers.value(name, operation="list", status="503")


@pytest.mark.live
def test_a_scrape_is_answered_while_every_thread_is_busy(
    tmp_path: Path, keystone: FakeKeystone, glance: FakeGlance
) -> None:
    release = threading.Event()

    def slow(_request: object) -> object:
        release.wait(20)
        return says(200, {"images": []})(None)  # type: ignore[arg-type]

    glance.answers[:] = [slow, slow]  # type: ignore[list-item]
    with scraped(tmp_path, **glance_environ(keystone), SHIM_THREADS="2") as service:
        clients = [
            threading.Thread(target=service.get, args=("/v2/demo/images",)) for _ in range(2)
        ]
        for client in clients:
            client.start()
        try:
            until(lambda: service.value("threads_busy") == 2)
        finally:
            release.set()
            for client in clients:
                client.join()
        until(lambda: service.value("threads_busy") == 0)


@pytest.mark.live
def test_a_scraper_that_says_nothing_keeps_nobody_out_for_long(two_workers: Scraped) -> None:
    host, _, port = two_workers.metrics_bind.rpartition(":")
    with socket.create_connection((host, int(port))), socket.create_connection((host, int(port))):
        until(lambda: two_workers.value("threads") == 86, seconds=5)


@pytest.mark.live
def test_a_killed_worker_is_counted_on_but_no_longer_among_the_living(
    two_workers: Scraped,
) -> None:
    for _ in range(10):
        two_workers.get("/v2/demo/images")
    old = two_workers.workers()
    os.kill(min(old), signal.SIGKILL)
    until(lambda: len(two_workers.workers() - old) == 1)
    until(lambda: two_workers.value("threads") == 86)
    labels = {"call": "images.index", "client": "libcloud", "status": "200"}
    assert 10 == two_workers.value("requests_total", **labels)


@pytest.mark.live
def test_a_reload_keeps_the_port_and_the_counts(two_workers: Scraped) -> None:
    two_workers.get("/v2/demo/images")
    two_workers.reload()
    until(lambda: two_workers.value("threads") == 86)
    labels = {"call": "images.index", "client": "libcloud", "status": "200"}
    assert 1 == two_workers.value("requests_total", **labels)


COUNTS = ("_total", "_count", "_sum", "_bucket")
# What a scrape gets from a worker that ends.
ENDED = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


@pytest.mark.live
def test_reloads_leave_few_files_and_no_count_ever_decreases(
    tmp_path: Path, keystone: FakeKeystone, glance: FakeGlance
) -> None:
    folder = tmp_path / "shared"
    stop, wrong = threading.Event(), list[Any]()
    environ = glance_environ(keystone) | {"WEB_CONCURRENCY": "2", "SHIM_THREADS": "4"}
    with scraped(tmp_path, **environ, PROMETHEUS_MULTIPROC_DIR=str(folder)) as service:

        def watch() -> None:
            before: dict[Any, float] = {}
            while not stop.is_set():
                with contextlib.suppress(*ENDED):
                    now = {key: n for key, n in service.scrape().items() if key[0].endswith(COUNTS)}
                    wrong.extend(key for key in before if now.get(key, -1.0) < before[key])
                    before = now

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            for _ in range(4):
                for _ in range(10):
                    assert 200 == service.get("/v2/demo/images")
                service.reload()
        finally:
            stop.set()
            watcher.join()
        assert [] == wrong
        os.kill(min(service.workers()), signal.SIGKILL)  # with nobody scraping, all are added up
        ended = {"counter_ended.db", "histogram_ended.db"}
        until(lambda: len(service.workers()) == 2 and len(list(folder.glob("*.db"))) == 10)
        assert ended < {file.name for file in folder.iterdir()}
        assert all((folder / name).stat().st_size < 2**17 for name in ended)
        labels = {"call": "images.index", "client": "libcloud", "status": "200"}
        assert 40 == service.value("requests_total", **labels)
        assert 40 == service.value("request_duration_seconds_count", call="images.index")


IN_ITS_OWN_FOLDER = 'mount -t tmpfs -o size={} tmpfs {} && exec "$@"'
needs_mounts = pytest.mark.skipif(
    subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode != 0,
    reason="a folder of its own cannot be mounted; run `sudo make test-live`",
)


@pytest.mark.live
@needs_mounts
@pytest.mark.parametrize("size", ["8k", "1200k", "3m"])
@pytest.mark.parametrize("variable", ["TMPDIR", "PROMETHEUS_MULTIPROC_DIR"])
def test_a_full_disk_costs_the_metrics_and_nothing_else(
    variable: str, size: str, tmp_path: Path
) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ("unshare", "-m", "sh", "-c", IN_ITS_OWN_FOLDER.format(size, folder), "sh")
    environ = {variable: str(folder), "SHIM_FAKE_OPEN": "1"}
    with scraped(tmp_path, mount, **environ) as service:
        # Whatever is left of the disk goes, too.
        enter = ["nsenter", "-m", "-t", str(service.master)]
        fill = f"dd if=/dev/zero of={folder}/rest bs=4k; chmod a-w {folder}"
        subprocess.run([*enter, "sh", "-c", fill], check=False, capture_output=True)
        for _ in range(2):
            old = service.workers()
            for path in ("/v2/demo/images", "/v2.1/demo/images/detail", "/v2/demo/images/none"):
                service.get(path, agent=f"goose/{size}")
            assert 200 == service.get("/v2/demo/images")
            assert old == service.workers()
            assert service.scrape() if size == "3m" else service.scrape() == {}
            service.reload()
        subprocess.run([*enter, "mount", "-o", "remount,ro", str(folder)], check=True)
        service.reload()
        assert 200 == service.get("/v2/demo/images")
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert "SIGBUS" not in log
    assert re.search(r"this worker has no metrics: \S+: \[Errno (28|30)\] ", log)


@pytest.mark.live
def test_a_folder_that_has_gone_costs_the_metrics_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    environ = {"PROMETHEUS_MULTIPROC_DIR": str(folder), "SHIM_FAKE_OPEN": "1"}
    with scraped(tmp_path, **environ) as service:
        shutil.rmtree(folder)
        assert 500 == requests.get(f"http://{service.metrics_bind}/", timeout=10).status_code
        for _ in range(2):
            service.reload()
            assert 200 == service.get("/v2/demo/images")
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert 2 == log.count("this worker has no metrics")
    assert 1 == log.count("the metrics of ended workers are not added up")


@pytest.mark.live
def test_a_new_gunicorn_takes_the_port_over(tmp_path: Path) -> None:
    # Not `python -m gunicorn`, which cannot restart itself.
    binds = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    service = Scraped(f"http://{binds[0]}", binds[1], tmp_path / "pid")
    with (tmp_path / "log").open("wb") as log:
        gunicorn = Path(sys.executable).with_name("gunicorn")
        old = subprocess.Popen(
            [gunicorn, "--pid", service.pid_file],
            cwd=ROOT,
            env=clean_environ()
            | {
                "SHIM_BACKEND": "memory",
                "SHIM_BIND": binds[0],
                "SHIM_METRICS_BIND": binds[1],
                "SHIM_FAKE_OPEN": "1",
            },
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: service.threads() == 16)
        old.send_signal(signal.SIGUSR2)
        new = first_pid(tmp_path / "pid.2")
        try:
            old.terminate()
            assert 0 == old.wait(20)
            assert new == first_pid(service.pid_file)
            until(lambda: service.threads() == 16)
            assert 200 == service.get("/v2/demo/images")
        finally:
            os.kill(new, signal.SIGTERM)
            until(lambda: not is_running(new))
    finally:
        old.kill()
        old.wait()


def first_pid(file: Path) -> int:
    """Return the pid in a file that is about to be there."""
    until(lambda: file.exists() and file.read_text().strip() != "")
    return int(file.read_text())


def is_running(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


@pytest.mark.live
def test_the_port_is_not_the_services_own(two_workers: Scraped) -> None:
    assert 404 == two_workers.get("/metrics")


def test_without_the_setting_nothing_is_counted(memory_shim: str) -> None:
    assert 404 == requests.get(f"{memory_shim}/metrics", timeout=10).status_code


@pytest.mark.live
def test_a_port_in_use_ends_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(AssertionError, match="did not start") as failure,
            scraped(tmp_path, SHIM_METRICS_BIND=bind),
        ):
            pass
    text = str(failure.value)
    assert "Traceback" not in text
    assert (
        f"nova-image-shim cannot start: SHIM_METRICS_BIND='{bind}': the port is in use: stop the "
        "process that has it, or choose another port\n"
    ) in text


@pytest.mark.live
def test_preloading_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="preload_app: SHIM_METRICS_BIND counts in each"),
        scraped(tmp_path, GUNICORN_CMD_ARGS="--preload"),
    ):
        pass


@pytest.mark.live
def test_a_given_folder_is_emptied_at_the_start_and_kept_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    stale = folder / "counter_1.db"
    stale.write_bytes(b"of an earlier run")
    with scraped(tmp_path, PROMETHEUS_MULTIPROC_DIR=str(folder)) as service:
        assert 16 == service.value("threads")
        assert not stale.exists()
    assert folder.exists()


def test_label_sets_beyond_the_reserved_room_are_counted_together() -> None:
    metrics = Metrics(threads=1, backend="memory")
    for status in range(300):
        trace = Trace("req", calls=[Call("list", status, 0.5, "")])
        metrics.record(trace, status, 0.5)
    name = "nova_image_shim_glance_request_duration_seconds_count"
    counts = [
        metrics.registry.get_sample_value(name, {"operation": "list", "status": str(status)}) or 0.0
        for status in range(300)
    ]
    other = metrics.registry.get_sample_value(name, {"operation": "other", "status": "other"})
    assert {0.0, 1.0} == set(counts)
    assert 300 == sum(counts) + (other or 0)


def test_the_reserved_room_is_enough(tmp_path: Path) -> None:
    """Count as many label sets as are allowed, with the longest labels, and see no file grow."""
    done = subprocess.run(
        [sys.executable, "-c", FILLED],
        env=clean_environ() | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    sizes = {file.name.rpartition("_")[0]: file.stat().st_size for file in tmp_path.iterdir()}
    gauges = {"gauge_livesum": 2**12, "gauge_livemax": 2**12}
    assert {"counter": 2**20, "histogram": 2**20, **gauges} == sizes


FILLED = """
from nova_image_shim.observability.metrics_files import reserve_files
assert reserve_files()
from nova_image_shim.adapters.image_port import Call
from nova_image_shim.observability.client_families import Client
from nova_image_shim.observability.metrics import Metrics
from nova_image_shim.observability.trace import Trace
metrics = Metrics(threads=1, backend="glance")
for number in range(5000):
    trace = Trace("req", client=Client("php-opencloud", ""), call="image_metadata.update_all")
    trace.calls = [Call("update", number, 1.0, "")]
    metrics.record(trace, number, 1.0)
"""


def test_what_cannot_be_forgotten_is_logged_once_and_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    files = MetricsFiles()
    for pid in (1, 2):
        (tmp_path / f"gauge_livesum_{pid}.db").mkdir()  # cannot be removed as a file
        files.forget(pid)
    (tmp_path / "counter_3.db").write_bytes(b"damaged")
    files.forget(3)
    assert 1 == len(caplog.records)


def test_a_temporary_folder_is_not_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")  # and not set again after the test
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = {}
    for name in ("temporary", "configured"):
        files = MetricsFiles()
        files.open(os.getuid(), os.getgid())
        environ = dict(os.environ)  # as gunicorn keeps it since a reload
        files.hand_over(environ)
        found[name] = environ.get("PROMETHEUS_MULTIPROC_DIR")
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "configured"))
    assert {"temporary": None, "configured": str(tmp_path / "configured")} == found


def test_without_a_folder_there_are_no_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "file" / "folder"))
    files = MetricsFiles()
    files.open(os.getuid(), os.getgid())
    files.forget(1)
    assert (False, []) == (reserve_files(), Collector().collect())
    (line,) = caplog.messages
    assert line.startswith("there are no metrics: [Errno 20] Not a directory: ")


def test_every_metric_is_documented() -> None:
    metrics = Metrics(threads=1, backend="memory")
    names = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in metrics.registry.collect()
    }
    page = (ROOT / "docs/reference/metrics.md").read_text()
    table = page.partition("after `nova_image_shim_`")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines()[2:] if line.startswith("|")]
    told = {f"nova_image_shim_{name}" for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert names == told
