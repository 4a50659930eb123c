"""urllib3 and orjson alone under gunicorn, to show what Flask, requests and keystoneauth cost.

It does even less than the floor.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import orjson
import urllib3

from bench.entries import GLANCE, PAGE, to_entries

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

pool = urllib3.PoolManager(maxsize=int(os.environ["BENCH_THREADS"]))


def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """List images."""
    token = environ.get("HTTP_X_AUTH_TOKEN")
    body = _listed(environ, token) if token else b""  # a request without a token is a probe
    head = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", head)
    return [body]


def _listed(environ: WSGIEnvironment, token: str) -> bytes:
    project = environ["PATH_INFO"].split("/")[2]
    entry = to_entries(f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}", project)
    entries: list[dict[str, Any]] = []
    path: str | None = PAGE
    while path:
        answer = pool.request("GET", GLANCE + path, headers={"X-Auth-Token": token})
        page = orjson.loads(answer.data)
        entries += map(entry, page["images"])
        path = page.get("next")
    return orjson.dumps({"images": entries})
