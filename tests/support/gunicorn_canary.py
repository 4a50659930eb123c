"""The service's own configuration of gunicorn, and a search through every answer."""

import os
import runpy
import sys
from pathlib import Path
from typing import Any

from flask import request_finished

TESTS = Path(__file__).parents[1]
sys.path.append(str(TESTS))

from support.canary import AnswerSearch  # noqa: E402 - it is found only now

globals().update(runpy.run_path(str(TESTS.parent / "gunicorn.conf.py")))
_begin = globals()["post_worker_init"]


def post_worker_init(worker: Any) -> None:
    """Search from the first answer on."""
    search = AnswerSearch(Path(os.environ["CANARY_ANSWERS"]), os.environ)
    request_finished.connect(search, weak=False)
    _begin(worker)


def worker_exit(_server: Any, _worker: Any) -> None:
    """Tell which modules the worker has imported, where a test asks for it."""
    if file := os.environ.get("CANARY_MODULES"):
        Path(file).write_text("\n".join(sorted(sys.modules)))
