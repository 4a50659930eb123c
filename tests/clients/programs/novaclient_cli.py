"""The `nova` command of python-novaclient: `novaclient_cli.py TASK SEEN NOVA`.

It runs on the Python of the tests; only NOVA itself runs on its own.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from report import TASK, report

GLANCE_NAMES = {
    "id": "id",
    "name": "name",
    "min_disk": "minDisk",
    "min_ram": "minRam",
    "created_at": "created",
    "updated_at": "updated",
}
GLANCE_ATTRIBUTES = {
    *GLANCE_NAMES,
    *"checksum container_format disk_format file os_hash_algo os_hash_value os_hidden".split(),
    *"owner protected schema self size status stores tags virtual_size visibility".split(),
}

# Without it Python 2 dies of a name that is not ASCII as soon as its output is no terminal.
ENVIRON = {**os.environ, "PYTHONIOENCODING": "utf-8"}


def nova(*arguments):
    return subprocess.run(
        [sys.argv[3], *arguments],
        env=ENVIRON,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def rows(*arguments):
    """Run a command that must succeed, and return the rows of the table that it prints."""
    done = nova(*arguments)
    if done.returncode != 0:
        sys.exit(f"nova {' '.join(arguments)}: {done.stderr or done.stdout}")
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in done.stdout.splitlines()
        if line.startswith("|")
    ]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]


def show(reference):
    fields = {row["Property"]: row["Value"] for row in rows("image-show", reference)}
    if "visibility" in fields:
        return of_glance(fields)
    image = {key: value for key, value in fields.items() if " " not in key}
    metadata = {
        key.removeprefix("metadata "): value
        for key, value in fields.items()
        if key.startswith("metadata ")
    }
    return {**image, "metadata": metadata}


def of_glance(fields):
    """Return an image in Nova's words: from 6.0 on the command shows it as Glance does."""
    image = {name: fields[key] for key, name in GLANCE_NAMES.items()}
    metadata = {key: value for key, value in fields.items() if key not in GLANCE_ATTRIBUTES}
    return {**image, "metadata": metadata}


def listed():
    return [
        {"id": row["ID"], "name": row["Name"], "status": row["Status"]}
        for row in rows("image-list")
    ]


report("list", images=listed())
report("filter", by={"name": TASK["name"]}, ids=[show(TASK["name"])["id"]])
with ThreadPoolExecutor(2) as pool:  # a second or two each
    report("show", images=list(pool.map(show, TASK["show"])))
said = nova("image-show", TASK["unknown"]).stderr.splitlines()
report("missing", error=next(line for line in said if line.startswith("ERROR")))
before = show(TASK["change"])["metadata"]
nova("image-meta", TASK["change"], "set", *(f"{key}={value}" for key, value in TASK["set"].items()))
after_set = show(TASK["change"])["metadata"]
nova("image-meta", TASK["change"], "delete", *TASK["set"])
after_delete = show(TASK["change"])["metadata"]
report("metadata", before=before, after_set=after_set, after_delete=after_delete)
nova("image-delete", TASK["delete"])
report("delete", left=[image["id"] for image in listed()])
