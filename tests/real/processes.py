"""Run child processes as process groups that never outlive the test run."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

# Makes the kernel kill this process when the thread that started it ends, and executes the command:
# prctl(PR_SET_PDEATHSIG, SIGKILL) survives exec. It has to be SIGKILL, because a frozen process
# handles no other signal; gunicorn's workers end with their master. A `preexec_fn` would be unsafe
# in a parent with threads.
DIE_WITH_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execvp(sys.argv[1], sys.argv[1:])"
)

START_SECONDS = 60
STOP_SECONDS = 5

# Below Linux's ephemeral range (from 32768). Otherwise an outgoing connection could take the port
# of a stopped service, or a client that connects to that port could even connect to itself.
PORTS = range(20000, 30000)


class ProcessError(Exception):
    """A child process failed or was not ready in time; the text ends with its last output."""


class Daemon:
    """A service in its own process group, which can be restarted after each stop.

    Args:
        command: the command to run, in the foreground.
        folder: its working folder, with stdout and stderr in `output.log`.
        ready: returns whether the service answers; polled after a start.
        environ: variables in addition to those of `clean_environ`.
    """

    def __init__(
        self,
        command: list[str],
        folder: Path,
        ready: Callable[[], bool],
        environ: dict[str, str] | None = None,
    ) -> None:
        self.frozen = False
        self._command = command
        self._folder = folder
        self._ready = ready
        self._environ = {**clean_environ(), **(environ or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the pid of the group's leader while it runs."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def launch(self) -> None:
        """Start the process unless it runs, without waiting until it is ready."""
        if self._process is not None:
            return
        with (self._folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-SEc", DIE_WITH_PARENT, *self._command],
                cwd=self._folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
            )

    def wait(self) -> None:
        """Wait until the service answers.

        Raises:
            ProcessError: the service ended, or did not answer within `START_SECONDS`.
        """
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise ProcessError(f"{self._command[0]} is not ready: {self.output()[-2000:]}")
            time.sleep(0.05)

    def start(self) -> None:
        """Start the service unless it runs, and wait until it answers; see `wait`."""
        self.launch()
        self.wait()

    def stop(self) -> None:
        """Stop the service in an orderly way, if it runs."""
        if self._process is None:
            return
        self._signal(signal.SIGINT)
        self.thaw()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kill the whole group, frozen or not, if it runs."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._process = None
        self.frozen = False

    def freeze(self) -> None:
        """Freeze the service: the kernel still accepts connections, but nothing answers."""
        self._signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        """Undo `freeze`; the service then answers pending requests."""
        self._signal(signal.SIGCONT)
        self.frozen = False

    def output(self) -> str:
        """Return the service's output since its first start."""
        log = self._folder / "output.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def run(command: list[str], folder: Path) -> None:
    """Run a command and wait for its end.

    Raises:
        ProcessError: the command failed.
    """
    done = subprocess.run(
        command, cwd=folder, env=clean_environ(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ProcessError(f"{' '.join(command)}: {(done.stdout + done.stderr)[-2000:]}")


def clean_environ() -> dict[str, str]:
    """Return this process's environment without proxies, OS_* and GUNICORN_CMD_ARGS."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "LANG": "C.UTF-8", "no_proxy": "*"}


def free_ports(count: int) -> list[int]:
    """Choose loopback ports that are currently free."""
    ports: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if not listens(port):
            ports.append(port)
        if len(ports) == count:
            return ports
    raise ProcessError(f"fewer than {count} free ports in {PORTS}")


def listens(port: int) -> bool:
    """Return whether something accepts connections on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
