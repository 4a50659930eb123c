"""The `nova` command of python-novaclient: `novaclient_cli.py TASK SEEN NOVA`.

It runs on the Python of the tests; only NOVA itself runs on its own.
"""

import os
import subprocess
import sys

from report import TASK, report

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
    image = {key: value for key, value in fields.items() if " " not in key}
    metadata = {
        key.removeprefix("metadata "): value
        for key, value in fields.items()
        if key.startswith("metadata ")
    }
    return {**image, "metadata": metadata}


def listed():
    return [
        {"id": row["ID"], "name": row["Name"], "status": row["Status"]}
        for row in rows("image-list")
    ]


report("list", images=listed())
report("filter", by={"name": TASK["name"]}, ids=[show(TASK["name"])["id"]])
report("show", images=[show(image_id) for image_id in TASK["show"]])
report("missing", error=nova("image-show", TASK["unknown"]).stderr.splitlines()[-1])
before = show(TASK["change"])["metadata"]
nova("image-meta", TASK["change"], "set", *(f"{key}={value}" for key, value in TASK["set"].items()))
after_set = show(TASK["change"])["metadata"]
nova("image-meta", TASK["change"], "delete", *TASK["set"])
after_delete = show(TASK["change"])["metadata"]
report("metadata", before=before, after_set=after_set, after_delete=after_delete)
nova("image-delete", TASK["delete"])
report("delete", left=[image["id"] for image in listed()])
