"""Describe the machine, its load, and the versions of the software."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from real.install import OPTIONAL_PACKAGES, PACKAGES

LIBRARIES = (
    "flask werkzeug gunicorn keystoneauth1 keystonemiddleware python-glanceclient requests urllib3 "
    "orjson marshmallow"
).split()


def describe() -> dict[str, str]:
    """Return the machine's properties and the versions by name."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    pinned = {**PACKAGES, **OPTIONAL_PACKAGES}
    return {
        "processor": cpu[1] if cpu else platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{int(memory[1]) // 2**20} GiB" if memory else "unknown",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
        **{name: pinned[name][0].partition("==")[2] for name in pinned},
        "nginx": _says("/usr/sbin/nginx", "-v"),
        "h2load": _says("h2load", "--version"),
    }


def load_average() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


def _says(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().rpartition("/")[2]
