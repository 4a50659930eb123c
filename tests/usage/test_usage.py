"""`usage`: reports from logs."""

import bz2
import gzip
import json
import lzma
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from tools import million

from nova_image_shim.cli import main
from nova_image_shim.observability.trace import ACCESS_LOGGER
from nova_image_shim.usage.lines import read
from nova_image_shim.usage.tally import FIELDS, THE_REST, Tally

START = 1_790_000_000
ROW = {
    "created": START,
    "agent": "libcloud/3.8.0",
    "project": "p1",
    "user": "u1",
    "call": "images.index",
    "status": 200,
    "images": 7,
    "list": "fetched",
}


def lines(*changes: dict[str, Any]) -> str:
    """Return a log with a line for each, alternately text and JSON."""
    return "".join(
        million.line(ROW | change, million.FORMATTERS[number % 2]) + "\n"
        for number, change in enumerate(changes)
    )


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return the command, which gives its exit status, its output and its error output."""

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main(["usage", *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


def program(*arguments: object, first: str = "", data: bytes = b"") -> tuple[int, bytes, bytes]:
    """Run the command in a process, after a first statement, with data as its input."""
    command = f"{first}; from nova_image_shim.cli import main; raise SystemExit(main())"
    done = subprocess.run(
        [sys.executable, "-c", command.lstrip("; "), "usage", *map(str, arguments)],
        input=data,
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def log(tmp_path: Path) -> Path:
    hours = [{"created": START + 3600 * number} for number in range(3)]
    path = tmp_path / "shim.log"
    path.write_text(
        lines(
            hours[1],
            hours[0] | {"call": "images.detail", "images": 3},
            hours[2] | {"call": "images.show", "images": "-", "status": 404},
            {"agent": "fog/1.0", "project": "p2", "user": "u2"},
            {"agent": "kube-probe", "call": "health.healthcheck", "images": "-"},
            {"agent": "kube-probe", "call": "health.ready", "images": "-"},
        )
        + "2026-11-24 18:43:32.779 3883 INFO gunicorn.error [- - - -] Starting gunicorn\n"
        + "a traceback of two\n  lines\n"
    )
    return path


def moment(hours: int) -> str:
    """Return the time of the log's first line and some hours, as the log has it."""
    text = million.line(ROW | {"created": START + 3600 * hours}, million.FORMATTERS[0])
    return text.partition(".")[0].replace("T", " ")


def entry(*values: Any) -> dict[str, Any]:
    """Return an entry of the JSON report."""
    numbers = ("calls", "errors", "images", "first_seen", "last_seen", "by_call")
    return dict(zip((*FIELDS, *numbers), values, strict=True))


def test_the_json_report_has_every_number(log: Path, run: Run) -> None:
    status, out, err = run("--format", "json", log)
    assert (0, "9 lines, 4 calls\n") == (status, err)
    calls = {"images.index": 1, "images.detail": 1, "images.show": 1}
    start, end = moment(0), moment(2)
    assert [
        entry("libcloud", "3.8.0", "p1", "u1", 3, 1, 10, start, end, calls),
        entry("fog", "1.0", "p2", "u2", 1, 0, 7, start, start, {"images.index": 1}),
    ] == json.loads(out)


CSV = """\
client,calls,errors,images,first_seen,last_seen,by_call
libcloud,3,1,10,{0},{2},"images.index 1, images.detail 1, images.show 1"
fog,1,0,7,{0},{0},images.index 1
"""
TABLE = """\
client    version  calls  errors  images  first_seen           last_seen            by_call
libcloud  3.8.0        3       1      10  {0}  {2}  \
images.index 1, images.detail 1, images.show 1
fog       1.0          1       0       7  {0}  {0}  images.index 1
"""


@pytest.mark.parametrize(
    ("arguments", "report"),
    [(("--format", "csv", "--by", "client"), CSV), (("--by", "version,client"), TABLE)],
)
def test_csv_and_table_have_the_same_numbers(
    arguments: tuple[str, ...], report: str, log: Path, run: Run
) -> None:
    assert report.format(*map(moment, range(3))) == run(*arguments, log)[1]


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "log": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("packer", PACKERS)
def test_a_compressed_log_gives_the_same_report(
    packer: str, log: Path, tmp_path: Path, run: Run
) -> None:
    packed = tmp_path / "of-any-name"
    packed.write_bytes(PACKERS[packer](log.read_bytes()))
    assert run(log) == run(packed)


def test_several_logs_are_added_up(log: Path, tmp_path: Path, run: Run) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(log.read_bytes())
    _, out, err = run("--format", "json", "--by", "client", log, copy)
    assert [6, 2] == [group["calls"] for group in json.loads(out)]
    assert "18 lines, 8 calls\n" == err


@pytest.mark.parametrize(
    ("packer", "arguments"), [("log", []), ("gz", ["-"]), ("bz2", []), ("xz", ["-"])]
)
def test_standard_input_is_read(packer: str, arguments: list[str], log: Path) -> None:
    data = PACKERS[packer](log.read_bytes())
    status, out, err = program("--by", "client", *arguments, data=data)
    assert (0, b"9 lines, 4 calls\n", 3) == (status, err, len(out.splitlines()))


def test_a_closed_pipe_is_not_an_error(log: Path) -> None:
    first = "import os; reading, writing = os.pipe(); os.dup2(writing, 1); os.close(reading)"
    assert (0, b"", b"") == program(log, first=first)


def test_standard_input_counts_once(log: Path) -> None:
    status, _, err = program("-", "-", "/dev/stdin", data=log.read_bytes())
    assert (0, b"9 lines, 4 calls\n") == (status, err)


def test_a_closed_standard_input_is_reported() -> None:
    status, out, err = program("--quiet", first="import os; os.close(0)")
    lacks = b"standard input: Bad file descriptor\n"
    assert (2, b"nova-image-shim usage: " + lacks) == (status, err)
    assert out.endswith(b"\n\nIncomplete: " + lacks)


@pytest.mark.parametrize("formatter", million.FORMATTERS, ids=["text", "json"])
def test_a_user_agent_cannot_forge_other_fields(formatter: Any) -> None:
    agent = 'x" call: images.show images: 99 client: fog/9 ' + million.line(ROW, formatter)[:150]
    calls = read(million.line(ROW | {"agent": agent, "images": 1}, formatter).encode()) or []
    assert [("images.index", 1, 200)] == [(one.call, one.images, one.status) for one in calls]


@pytest.mark.parametrize(
    "broken",
    [
        b"nova_image_shim.access",
        b"2026-11-24 18:43:35.514 3884 INFO nova_image_shim.access [- - - -] something else",
        b'{"asctime": "2026", "name": "nova_image_shim.access"}',
        b'{"asctime": "2026", "name": "nova_image_shim.access", "extra": [], "context": {}}',
        b'{"asctime": 5, "extra": {"client": 1}, "context": {}, "name": "nova_image_shim.access"}',
        b'{"asctime": "2026-11-24 18:43:35.514", "name": "nova_image_shim.access", "ex',
    ],
)
def test_unreadable_access_lines_are_counted(broken: bytes, tmp_path: Path, run: Run) -> None:
    log = tmp_path / "log"
    log.write_bytes(lines({}).encode() + broken + b"\n\xff\xfe\n")
    status, _, err = run(log)
    expected = "3 lines, 1 calls; 1 lines could not be understood\n"
    assert (2, expected) == (status, err)


def test_a_log_without_calls_has_its_own_exit_status(tmp_path: Path, run: Run) -> None:
    (tmp_path / "log").write_bytes(b"")
    assert (1, "[]\n", "0 lines, 0 calls\n") == run("--format", "json", tmp_path / "log")


@pytest.mark.parametrize("packer", ["gz", "bz2", "xz"])
def test_a_damaged_log_is_reported(packer: str, log: Path, tmp_path: Path, run: Run) -> None:
    data = PACKERS[packer](log.read_bytes() * 50)
    broken = tmp_path / "broken"
    broken.write_bytes(data[: len(data) // 2])
    status, out, err = run(broken)
    assert err.startswith(f"nova-image-shim usage: {broken}: cannot be unpacked: ")
    assert (2, 2) == (status, len(err.splitlines()))
    assert f"\n\nIncomplete: {broken}: cannot be unpacked: " in out


def test_a_missing_log_is_reported(run: Run) -> None:
    lacks = "/no/such/log: No such file or directory\n"
    error = f"nova-image-shim usage: {lacks}"
    report = f"client,calls,errors,images,first_seen,last_seen,by_call\nIncomplete: {lacks}"
    assert (2, report, error) == run("--format", "csv", "--by", "client", "--quiet", "/no/such/log")


def test_an_unknown_field_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["usage", "--by", "client,name"])
    wrong = "must be one or more of client,version,project,user, not 'client,name'"
    assert wrong in capsys.readouterr().err


def test_groups_beyond_the_bound_are_added_up() -> None:
    tally = Tally(most_groups=2)
    for number in range(10):
        line = million.line(ROW | {"project": f"p{number}"}, million.FORMATTERS[0])
        for record in read(line.encode()) or ():
            tally.add(record)
    assert 3 == len(tally.groups)
    key, rest = tally.ranked()[0]
    assert ((THE_REST,) * 4, 8) == (key, rest.calls)


def test_a_huge_line_needs_little_memory(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with gzip.open(log, "wb") as file:
        for _ in range(200):
            file.write(b"x" * 2**20)
        file.write(b"\n" + lines({}).encode())
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))"
    status, _, err = program(log, first=limit)
    assert (2, True) == (status, b" lines, 1 calls; " in err)


def test_the_counts_agree_with_sqlites(tmp_path: Path) -> None:
    paths, database = million.make(tmp_path, 20_000)
    report, most = million.reported(paths)
    assert million.counted(database) == report
    assert most < 150  # MiB


def test_the_services_own_log_is_readable(
    tmp_path: Path,
    cloud_client: FlaskClient,
    run: Run,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    headers = {"X-Auth-Token": "demo", "User-Agent": "goose (0.1.3)"}
    logs = [tmp_path / "text", tmp_path / "json"]
    for log, formatter in zip(logs, million.FORMATTERS, strict=True):
        monkeypatch.setattr(caplog.handler, "formatter", formatter)
        with caplog.at_level("INFO", ACCESS_LOGGER):
            for path in ("images?limit=3", "images/no-such", "images/detail?limit=2"):
                cloud_client.get(f"/v2/demo/{path}", headers=headers).close()
        log.write_text(caplog.text)
        caplog.clear()
    (found,) = json.loads(run("--format", "json", *logs)[1])
    calls = {"images.index": 2, "images.show": 2, "images.detail": 2}
    start, end = found["first_seen"], found["last_seen"]
    assert start <= end
    assert entry("goose", "0.1.3", "demo", "demo", 6, 2, 10, start, end, calls) == found


@pytest.mark.live  # matplotlib is installed with what those tests need
@pytest.mark.parametrize(("days", "bar"), [(1, "hour"), (30, "day")])
def test_a_plot_is_drawn(days: int, bar: str, tmp_path: Path, run: Run) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed; run `make test-live`")
    log, chart, page = (tmp_path / name for name in ("log", "chart.png", "chart.html"))
    calls = [
        {"created": START + 3600 * hour, "agent": agent}
        for hour in range(24 * days)
        for agent in ("fog/1", "libcloud/<2>")
    ]
    log.write_text(lines(*calls))
    assert [0, 0] == [run("--plot", path, log)[0] for path in (chart, page)]
    assert chart.read_bytes().startswith(b"\x89PNG\r\n")
    text = page.read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert "<svg" in text
    assert "http://www.w3.org/TR" not in text  # nothing is fetched
    assert f"calls per {bar}" in text.replace("&#160;", " ")
    assert f"{24 * days}" in text


@pytest.mark.parametrize("name", ["chart", "chart.svg", "chart.PNG"])
def test_another_plot_suffix_is_rejected(name: str, log: Path, run: Run) -> None:
    wrong = f"nova-image-shim usage: --plot {name}: the file name must end with .png or .html\n"
    assert (2, "", wrong) == run("--plot", name, log)


def test_a_plot_without_matplotlib_names_the_extra(log: Path) -> None:
    first = "import sys; sys.modules['matplotlib'] = None"
    brings = (
        b"nova-image-shim usage: --plot needs matplotlib: pip install 'nova-image-shim[plot]'\n"
    )
    assert (2, b"", brings) == program("--plot", "x.png", log, first=first)


def test_progress_is_reported_on_standard_error(
    log: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr("nova_image_shim.usage.command._LOOK_LINES", 3)
    monkeypatch.setattr("nova_image_shim.usage.command._PROGRESS_SECONDS", 0.0)
    _, out, err = run("--by", "client", log)
    assert 3 == len(out.splitlines())
    assert f"{log}: 3 lines so far, 2 calls" == err.splitlines()[0]
    assert "" == run("--quiet", log)[2]


@pytest.mark.parametrize(
    ("packer", "reason"),
    [
        (bz2.compress, "Invalid data stream"),
        (lzma.compress, "cannot be unpacked: Input format not supported by decoder"),
        (gzip.compress, "Not a gzipped file"),
    ],
)
def test_what_follows_a_packed_log_is_not_skipped(
    packer: Callable[[bytes], bytes],
    reason: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "log"
    path.write_bytes(
        packer(b"one\n") + packer(b"two\n") + b"2026-01-01 a line that is not packed\n"
    )
    assert 2 == main(["usage", str(path)])
    assert f"Incomplete: {path}: {reason}" in capsys.readouterr().out
