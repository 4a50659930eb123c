"""Read a Containerfile and execute its steps in mount namespaces instead of images."""

import json
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

# Mounts the stage's /opt over the system's, so that files written there belong to the stage.
OVERLAY = "mount -t overlay none -o lowerdir=/opt,upperdir={root}/opt,workdir={root}/work /opt"
# The effect of `--read-only --tmpfs /tmp` on a container; /run/lock etc. are not remounted.
READ_ONLY = "mount -o remount,bind,ro / && mount -t tmpfs none /tmp && mount -t tmpfs none /dev/shm"
NAMESPACE = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec"]


@dataclass
class Stage:
    """A build stage: the folder with its files, and the state set by its instructions."""

    root: Path
    workdir: str = "/"
    user: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)

    def place(self, path: str) -> Path:
        """Return the real location of a path in the stage."""
        whole = path if path.startswith("/") else f"{self.workdir}/{path}"
        return self.root / whole.lstrip("/")


def instructions(text: str) -> list[tuple[str, str]]:
    """Return each instruction and its arguments, with continued lines joined."""
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line and line[0] != "#"]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def build(containerfile: Path, context: Path, folder: Path) -> Stage:
    """Execute a Containerfile with this system as the base image, and return the last stage."""
    stages: dict[str, Stage] = {}
    stage = Stage(folder)
    for word, rest in instructions(containerfile.read_text()):
        words = shlex.split(rest)
        match word:
            case "FROM":
                stage = stages[words[-1]] = Stage(folder / str(len(stages)))
                for name in ("opt", "work"):
                    (stage.root / name).mkdir(parents=True)
            case "WORKDIR":
                stage.workdir = rest
                stage.place(rest).mkdir(parents=True)
            case "COPY":
                _copy(stage, words, stages, context)
            case "RUN":
                _run(stage, rest)
            case "ENV":
                stage.environ |= dict(each.split("=", 1) for each in words)
            case "USER":
                stage.user = rest
            case "ENTRYPOINT" | "CMD" | "HEALTHCHECK":
                stage.commands[word] = json.loads(rest[rest.index("[") :])
            case _:
                assert word in {"ARG", "EXPOSE", "STOPSIGNAL"}, word
    return stage


def _copy(stage: Stage, words: list[str], stages: dict[str, Stage], context: Path) -> None:
    source = context
    if words[0].startswith("--from="):
        source = stages[words.pop(0).removeprefix("--from=")].root
    *paths, target = words
    for path in paths:
        found, into = source / path.lstrip("/"), stage.place(target)
        if found.is_dir():
            shutil.copytree(found, into, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(found, into)


def _run(stage: Stage, command: str) -> None:
    done = subprocess.run(
        [*NAMESPACE, f"{OVERLAY.format(root=stage.root)}; {command}"],
        cwd=stage.place(stage.workdir),
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", **stage.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr


def container_command(stage: Stage, *command: str) -> list[str]:
    """Return the command to run as the stage's user, on a read-only file system."""
    user, _, group = stage.user.partition(":")
    as_user = f"exec setpriv --reuid={user} --regid={group} --clear-groups --no-new-privs"
    mounts = f"{OVERLAY.format(root=stage.root)} && {READ_ONLY} && cd / && {as_user}"
    return [*NAMESPACE, f'{mounts} --bounding-set=-all "$@"', "sh", *command]


def may_mount() -> bool:
    """Return whether this user may create mount namespaces."""
    done = subprocess.run(
        [*NAMESPACE, "mount -t tmpfs none /tmp"], capture_output=True, check=False
    )
    return done.returncode == 0
