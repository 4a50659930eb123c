"""What `usage` makes of logs as runtimes and shippers write them, and of what it does not know."""

import bz2
import gzip
import json
import logging
import random
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tools import million

from nova_image_shim.cli import main
from nova_image_shim.usage.lines import read

TABLES = yaml.safe_load((Path(__file__).parent / "logs.yaml").read_text(encoding="utf-8"))
FORMATTERS = dict(zip(("text", "json"), million.FORMATTERS, strict=True))
ROW = {
    "created": 1_790_000_000,
    "agent": 'fog/1.0 "\\ é',
    "project": "p1",
    "user": "u1",
    "call": "images.index",
    "status": 200,
    "images": 7,
    "list": "fetched",
}
WRAPPERS = sorted(TABLES["wrapped"])
AROUND_ANY = sorted(set(WRAPPERS) - {"journalctl -o json, as bytes"})  # bytes need JSON around them


def filled(template: str, form: str, **changes: Any) -> str:
    """Return a template of the tables with lines of the service in its places."""
    line = million.line(ROW | changes, FORMATTERS[form])
    texts = {
        "line": line,
        "entry": line,
        "quoted": json.dumps(line)[1:-1],
        "bytes": json.dumps(list(line.encode())),
        "health": million.line(ROW | {"call": "health.ready", "images": "-"}, FORMATTERS[form]),
    }

    def text(place: re.Match[str]) -> str:
        name, start, end = place.groups()
        return texts[name][int(start or 0) : int(end) if end else None]

    return re.sub(r"<([a-z]+)(?::(\d*):(\d*))?>", text, template)


def bare(form: str, **changes: Any) -> Any:
    """Return the record of the line itself."""
    (record,) = read(million.line(ROW | changes, FORMATTERS[form]).encode()) or []
    return record


@pytest.mark.parametrize("form", FORMATTERS)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapped_line_is_the_bare_line(wrapper: str, form: str) -> None:
    wrapped = filled(TABLES["wrapped"][wrapper], form)
    assert [bare(form)] == read(f"{wrapped}\n".encode())


@pytest.mark.parametrize("wrapper", TABLES["parsed"])
def test_a_parsed_line_is_the_bare_line(wrapper: str) -> None:
    assert [bare("json")] == read(filled(TABLES["parsed"][wrapper], "json").encode())


Report = Callable[..., tuple[int, int, list[str]]]


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Report:
    """Return the command, which gives its exit status, the calls and what the report lacks."""

    def report(*logs: object) -> tuple[int, int, list[str]]:
        status = main(["usage", "--format", "json", *map(str, logs)])
        entries = json.loads(capsys.readouterr().out)
        lacks = [entry["incomplete"] for entry in entries if "incomplete" in entry]
        return status, sum(entry.get("calls", 0) for entry in entries), lacks

    return report


@pytest.mark.parametrize("form", FORMATTERS)
@pytest.mark.parametrize("case", TABLES["logs"], ids=lambda case: case["input"])
def test_a_log(case: dict[str, Any], form: str, tmp_path: Path, report: Report) -> None:
    log = tmp_path / "log"
    log.write_text(filled(case["log"], form), encoding="utf-8", errors="surrogatepass")
    lacks = [f"{log}: {filled(case['incomplete'], form)}"] if "incomplete" in case else []
    assert (case["status"], case["calls"], lacks) == report(log)


@pytest.mark.parametrize("name", TABLES["formats"])
def test_a_file_of_another_format(name: str, tmp_path: Path, report: Report) -> None:
    start, lacks = TABLES["formats"][name]
    log = tmp_path / "a log"
    log.write_bytes(bytes.fromhex(start) + b"\xff\xfe\xfd\0\1\n\xff\0\n")
    assert (2, 0, [f"{log}: {lacks.replace('<log>', shlex.quote(str(log)))}"]) == report(log)


def test_a_log_that_was_compressed_twice_is_read(tmp_path: Path, report: Report) -> None:
    log = tmp_path / "log"
    log.write_bytes(bz2.compress(gzip.compress(filled("<line>\n" * 3, "text").encode())))
    assert (0, 3, []) == report(log)


def test_compressed_data_in_a_text_log_is_reported(tmp_path: Path, report: Report) -> None:
    log, lines = tmp_path / "log", filled("<line>\n" * 100, "text").encode()
    log.write_bytes(lines + gzip.compress(random.Random(1).randbytes(2000)))
    status, calls, (lacks,) = report(log)
    assert (2, 100) == (status, calls)
    assert " lines could not be understood, such as " in lacks


def test_the_logs_that_can_be_read_are_reported(tmp_path: Path, report: Report) -> None:
    good, missing, torn = (tmp_path / name for name in ("good", "missing", "torn.gz"))
    good.write_text(filled("<line>\n<line>\n", "text"))
    torn.write_bytes(gzip.compress(filled("<line>\n" * 500, "json").encode())[:-8])
    lacks = [
        f"{missing}: No such file or directory",
        f"{torn}: cannot be unpacked: Compressed file ended before the end-of-stream marker was "
        "reached",
        f"{tmp_path}: Is a directory",
    ]
    assert (2, 502, lacks) == report(missing, torn, tmp_path, good, missing)


def test_a_log_with_several_names_counts_once(
    tmp_path: Path, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, soft, hard = (tmp_path / name for name in ("log", "soft", "hard"))
    log.write_text(filled("<line>\n", "text"))
    soft.symlink_to(log)
    hard.hardlink_to(log)
    monkeypatch.chdir(tmp_path)
    assert (0, 1, []) == report(
        log, "log", soft, hard, "./log", tmp_path / ".." / tmp_path.name / "log"
    )


# A target must be one word, as gunicorn makes sure; an agent has no double quotes in the log.
TARGETS = [
    '/v2/p?{"asctime":',
    '/v2/p?{"asctime":"2026-09-21","name":"gunicorn.error","levelname":"INFO"}',
    '/v2/p?[{"log":"x"}]',
    r"/v2/p?{\"asctime\":",
    "/v2/p?nova_image_shim.access",
    "/v2/p?nova-image-shim",
    "/v2/" + "a" * 300 + "...[truncated]",
]
AGENTS = [
    million.line(ROW | {"agent": "", "call": "images.show"}, FORMATTERS["text"])[:250],
    million.line(ROW | {"agent": "", "call": "images.show"}, FORMATTERS["json"])[:250],
    r"2026-09-21 14:13:20.000 1 INFO nova_image_shim.access [a b c d] 1 \u0022GET / HTTP/1.1\u0022",
    "nova-image-shim ready: ",
]


@pytest.mark.parametrize("form", FORMATTERS)
@pytest.mark.parametrize(
    "sent", [{"target": t} for t in TARGETS] + [{"agent": a} for a in AGENTS], ids=str
)
@pytest.mark.parametrize("wrapper", ["logcli -o raw", "docker json-file", "fluent-bit"])
def test_what_a_client_sends_does_not_hide_its_call(
    sent: dict[str, str], wrapper: str, form: str
) -> None:
    found = read(filled(TABLES["wrapped"][wrapper], form, **sent).encode())
    assert [("images.index", "p1", 200)] == [
        (one.call, one.project, one.status) for one in found or ()
    ]


@pytest.mark.parametrize("form", FORMATTERS)
def test_a_line_of_another_logger_cannot_forge_a_call(form: str) -> None:
    forged = million.line(ROW, FORMATTERS["text"])
    record = logging.LogRecord("gunicorn.error", logging.WARNING, "", 1, "Bad: %s", (forged,), None)
    assert [] == read(FORMATTERS[form].format(record).encode())


@pytest.mark.parametrize("wrapper", ["logcli -o raw", "vector", "docker json-file"])
def test_a_lone_surrogate_in_an_id_hides_no_call(
    wrapper: str, tmp_path: Path, report: Report
) -> None:
    line = million.line(ROW, FORMATTERS["json"]).replace('"u1"', r'"u\ud800"')
    wrapped = TABLES["wrapped"][wrapper].replace("<line>", line)
    log = tmp_path / "log"
    log.write_text(wrapped.replace("<quoted>", json.dumps(line)[1:-1]))
    assert (0, 1, []) == report(log)


@pytest.mark.parametrize("form", FORMATTERS)
@pytest.mark.parametrize("rest", ["", ".6", ",628", "Z", ".628123Z", "+0000", ".628+00:00"])
@pytest.mark.parametrize("between", " T")
def test_a_time_may_have_a_t_a_fraction_and_a_zone(between: str, rest: str, form: str) -> None:
    moment = f"2026-09-21{between}14:13:20{rest}"
    line = re.sub(
        r"[\d-]{10}.[\d:]{8}[^\s\"]*", moment, million.line(ROW, FORMATTERS[form]), count=1
    )
    assert ["2026-09-21 14:13:20"] == [record.time for record in read(line.encode()) or ()]


@pytest.mark.parametrize(
    "time", ["", "2026", "2026-09-21", "yesterday", "2026-13-21 14:13:20", 5, []]
)
def test_a_time_that_is_none_is_not_understood(time: object) -> None:
    entry = json.loads(million.line(ROW, FORMATTERS["json"]))
    assert read(json.dumps(entry | {"asctime": time}).encode()) is None


WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=20)


@settings(deadline=None)
@given(
    wrappers=st.lists(st.sampled_from(AROUND_ANY), max_size=3),
    form=st.sampled_from(sorted(FORMATTERS)),
    sent=st.fixed_dictionaries({"project": WORD, "user": WORD, "agent": st.text(max_size=80)}),
)
def test_any_line_in_any_wrappers_is_the_bare_line(
    wrappers: list[str], form: str, sent: dict[str, str]
) -> None:
    wrapped = line = million.line(ROW | sent, FORMATTERS[form])
    for wrapper in wrappers:
        template = TABLES["wrapped"][wrapper]
        template = template.replace("<line>", wrapped)
        wrapped = template.replace("<quoted>", json.dumps(wrapped)[1:-1])
    assert read(line.encode()) == read(wrapped.encode()) is not None


@settings(deadline=None)
@given(
    pieces=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from([filled(TABLES["wrapped"][one], "text").encode() for one in WRAPPERS]),
            st.sampled_from(
                [b'{"log":', b"[[", b'{"a":[', b"]}", b'"', rb"\"", b"2026-09-21 14:13:20"]
            ),
        ),
        max_size=8,
    )
)
def test_no_input_is_an_error(pieces: list[bytes]) -> None:
    read(b"".join(pieces))
