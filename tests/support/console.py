"""Run the console blocks of a page as a reader would: command by command, in several terminals."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from support.live import clean_environ
from support.paths import ROOT

README = ROOT / "README.md"
TUTORIALS = ROOT / "docs" / "tutorials"

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TERMINAL = re.compile(r"\b(first|second|third)\s+terminal\b")
_STAYS = "nova-image-shim ready:"  # the last line of a command that runs until it is stopped
_END = "end-of-command"
_SECONDS = 240  # until all terminals are killed


class Step(NamedTuple):
    """A command, the terminal to type it in, and the output that the page shows, if any."""

    terminal: str
    command: str
    output: str


def steps(page: str) -> Iterator[Step]:
    """Yield the steps of a page; the text before a block names its terminal if it changes."""
    terminal, end = "first", 0
    for block in _BLOCK.finditer(page):
        named = _TERMINAL.findall(page[end : block.start()])
        terminal, end = named[-1] if named else terminal, block.end()
        for prompt in re.split(r"^\$ ", block[1], flags=re.MULTILINE)[1:]:
            first, *rest = prompt.splitlines()
            command = [first]
            while rest and (rest[0].startswith(">") or command[-1].endswith("\\")):
                command.append(rest.pop(0).removeprefix("> "))
            yield Step(terminal, "\n".join(command), "\n".join(rest))


def is_shown(output: str, shown: str) -> bool:
    """Return whether an output is the one shown, in which `...` stands for any text."""
    pattern = re.escape(shown.strip()).replace(r"\.\.\.", "(?s:.*)")
    return not shown or bool(re.fullmatch(pattern, output.strip()))


class Terminal:
    """A shell in a process group of its own; the context ends it and everything in it."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            process_group=0,
        )
        self._timer = threading.Timer(_SECONDS, self._signal, [signal.SIGKILL])

    def __enter__(self) -> Self:
        """Start the time in which all commands must end."""
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the shell and its processes."""
        self._timer.cancel()
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._shell.communicate(timeout=20)
        self._signal(signal.SIGKILL)
        self._shell.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, number)

    def run(self, step: Step) -> None:
        """Run a command; it must succeed, with the output shown."""
        assert self._shell.stdin
        stays = _STAYS in "".join(step.output.splitlines()[-1:])
        end = "" if stays else f"printf '\\n{_END} %s\\n' $?\n"
        self._shell.stdin.write(f"{{ {step.command}\n}} </dev/null\n{end}")
        output, last = self._read(_STAYS if stays else _END)
        told = f"{step.command}\n{output}{last}"
        assert stays or last.split() == [_END, "0"], told
        assert is_shown(output + last * stays, step.output), f"{told}\n---\n{step.output}"

    def _read(self, last: str) -> tuple[str, str]:
        """Return the output up to the line that begins with `last`, and that line, if it comes."""
        assert self._shell.stdout
        output = ""
        for line in self._shell.stdout:
            if line.startswith(last):
                return output, line
            output += line
        return output, f"the shell has ended, or was stopped after {_SECONDS} s"


def run_page(page: str, folder: Path, environ: Mapping[str, str]) -> int:
    """Run all console blocks of a page in `folder`; return the number of commands."""
    found = list(steps(page))
    with contextlib.ExitStack() as stack:
        terminals: dict[str, Terminal] = {}
        for step in found:
            if step.terminal not in terminals:
                terminals[step.terminal] = stack.enter_context(Terminal(folder, environ))
            terminals[step.terminal].run(step)
    return len(found)


def clone(folder: Path) -> Path:
    """Copy what a clone of the repository has, without caches and environments."""
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "_build", "build", "dist")
    return Path(shutil.copytree(ROOT, folder / "nova-image-shim", symlinks=True, ignore=ignored))


def environ_on(address: str) -> dict[str, str]:
    """Return a reader's environment, in which the service listens on another address."""
    return clean_environ() | {"SHIM_BIND": address, "NO_PROXY": "127.0.0.1", "LC_ALL": "C.UTF-8"}
