"""Limits of the process, of its cgroup and of gunicorn that do not fit the settings."""

from pathlib import Path

import pytest

from nova_image_shim.check.findings import Level
from nova_image_shim.check.limits import limit_findings
from nova_image_shim.settings import Settings

LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max processes             63704                63704                processes
Max open files            1024                 {}                 files
"""
UNIT = "system.slice/nova-image-shim.service"
TWO = Settings(workers=2)  # of 55 threads each


def root_with(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


FILES = (
    "A process may open {} files, but may need 1206: 1055 for clients, and 151 for calls to Glance "
    "and Keystone, memcached and logs."
)
TASKS = "The cgroup may run 256 tasks, but 2 workers of 55 threads may need 257 during a reload."
MEMORY = (
    "The cgroup may use 1535 MiB of memory, but 2 workers with 4 lists of 64 MiB each may need "
    "1536 MiB."
)
VERSION_2 = {"proc/self/cgroup": f"0::/{UNIT}\n"}
VERSION_1 = {"proc/self/cgroup": f"8:pids:/{UNIT}\n4:memory:/{UNIT}\n1:cpu,cpuacct:/\n0::/\n"}
CONTAINER = {"proc/self/cgroup": "0::/\n"}
GROUP, MIB = "sys/fs/cgroup", 2**20


@pytest.mark.parametrize(
    ("files", "texts"),
    [
        ({}, []),
        ({"proc/self/limits": LIMITS.format(1206)}, []),
        ({"proc/self/limits": LIMITS.format("unlimited")}, []),
        ({"proc/self/limits": "of another kind"}, []),
        ({"proc/self/limits": LIMITS.format(1205)}, [FILES.format(1205)]),
        ({"proc/self/limits": LIMITS.format(207)}, [FILES.format(207)]),
        (VERSION_2 | {f"{GROUP}/{UNIT}/pids.max": "257\n"}, []),
        (VERSION_2 | {f"{GROUP}/{UNIT}/pids.max": "max\n"}, []),
        (VERSION_2 | {f"{GROUP}/{UNIT}/pids.max": "256\n"}, [TASKS]),
        (VERSION_2 | {f"{GROUP}/system.slice/pids.max": "256\n"}, [TASKS]),
        (CONTAINER | {f"{GROUP}/pids.max": "256\n"}, [TASKS]),
        (VERSION_1 | {f"{GROUP}/pids/{UNIT}/pids.max": "256\n"}, [TASKS]),
        # A container of version 1 sees the path of the host, and its own cgroup at the top.
        (VERSION_1 | {f"{GROUP}/pids/pids.max": "256\n"}, [TASKS]),
        (VERSION_2 | {f"{GROUP}/{UNIT}/memory.max": f"{1536 * MIB}\n"}, []),
        (VERSION_2 | {f"{GROUP}/{UNIT}/memory.max": f"{1536 * MIB - 1}\n"}, [MEMORY]),
        (VERSION_1 | {f"{GROUP}/memory/{UNIT}/memory.limit_in_bytes": f"{1535 * MIB}"}, [MEMORY]),
        (VERSION_1 | {f"{GROUP}/memory/{UNIT}/memory.limit_in_bytes": f"{2**63 - 4096}"}, []),
        (
            VERSION_2
            | {
                "proc/self/limits": LIMITS.format(4096),
                f"{GROUP}/{UNIT}/pids.max": "256",
                f"{GROUP}/{UNIT}/memory.max": f"{1535 * MIB}",
            },
            [TASKS, MEMORY],
        ),
    ],
)
def test_a_limit_that_does_not_fit_is_a_warning(
    files: dict[str, str], texts: list[str], tmp_path: Path
) -> None:
    found = list(limit_findings(TWO, {}, root_with(tmp_path, files)))
    assert [(Level.WARNING, text) for text in texts] == [(f.level, f.text) for f in found]


def test_too_few_files_to_start_are_an_error(tmp_path: Path) -> None:
    root = root_with(tmp_path, {"proc/self/limits": LIMITS.format(206)})
    (finding,) = limit_findings(TWO, {}, root)
    assert (Level.ERROR, FILES.format(206)) == (finding.level, finding.text)


def test_the_fix_names_the_number(tmp_path: Path) -> None:
    root = root_with(tmp_path, VERSION_2 | {f"{GROUP}/pids.max": "512"})
    (finding,) = limit_findings(Settings(workers=4), {}, root)
    assert "Raise the limit (TasksMax= in a systemd unit) to 513, or " in finding.fix


@pytest.mark.parametrize(
    ("arguments", "level", "text"),
    [
        (
            "--keep-alive 5 --threads 16",
            Level.WARNING,
            "GUNICORN_CMD_ARGS sets a pool of 16 threads, but SHIM_THREADS=16 and its queues need "
            "55: while Glance hangs, even /healthcheck would wait.",
        ),
        (
            '--threads "16',
            Level.ERROR,
            "gunicorn cannot read GUNICORN_CMD_ARGS: No closing quotation.",
        ),
        (
            "--threads many",
            Level.ERROR,
            "gunicorn cannot read GUNICORN_CMD_ARGS: argument --threads: invalid int value: "
            "'many'.",
        ),
        (
            "--thread-count=5",
            Level.ERROR,
            "gunicorn cannot read GUNICORN_CMD_ARGS: unrecognized arguments: --thread-count=5.",
        ),
    ],
)
def test_arguments_of_gunicorn_that_do_not_fit_are_reported(
    arguments: str, level: Level, text: str, tmp_path: Path
) -> None:
    (finding,) = limit_findings(TWO, {"GUNICORN_CMD_ARGS": arguments}, tmp_path)
    assert (level, text) == (finding.level, finding.text)


@pytest.mark.parametrize(("seconds", "is_long_enough"), [(89, False), (90, True)])
def test_gunicorns_own_time_to_stop_is_compared(seconds: int, is_long_enough: bool) -> None:
    text = (
        f"GUNICORN_CMD_ARGS ends requests {seconds} s after the service is told to stop, but they "
        "may take 90 s."
    )
    environ = {"GUNICORN_CMD_ARGS": f"--graceful-timeout={seconds}"}
    findings = limit_findings(TWO, environ, Path("/nowhere"))
    assert ([] if is_long_enough else [text]) == [finding.text for finding in findings]
