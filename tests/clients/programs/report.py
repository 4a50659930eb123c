"""What the Python programs here share: the task they were given, and how they say what they saw.

A program is run as `PROGRAM TASK SEEN ...`, in an environment that holds what its client reads from
it and nothing else of ours. TASK is the JSON of `judge.Task`; to SEEN goes a line of JSON for each
step, with images as objects whose keys are Nova's.
"""

import json
import sys

with open(sys.argv[1]) as _file:
    TASK = json.load(_file)


def report(step, **seen):
    """Say what the client's own objects held after a step."""
    with open(sys.argv[2], "a") as file:
        file.write(json.dumps(dict(seen, step=step), default=str) + "\n")
