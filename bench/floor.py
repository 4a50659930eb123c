"""The floor: the minimum for answering `images/detail` with Flask, keystoneauth and orjson.

It checks no token, reads no query, logs nothing and handles no errors. It is a reference for the
service's times, not a usable service.
"""

from __future__ import annotations

import os
from typing import Any

import orjson
from flask import Flask, Response, request
from keystoneauth1.adapter import Adapter
from keystoneauth1.session import Session
from requests.adapters import HTTPAdapter

from bench.entries import GLANCE, PAGE, to_entries

THREADS = int(os.environ["BENCH_THREADS"])

session = Session()
session.session.trust_env = os.environ["BENCH_TRUST_ENV"] == "1"
session.session.mount("http://", HTTPAdapter(pool_maxsize=THREADS))
client = Adapter(session, endpoint_override=GLANCE)
app = Flask(__name__)


@app.get("/v2/<project>/images/detail")
def detail(project: str) -> Response:
    """List images."""
    entry = to_entries(f"{request.scheme}://{request.host}", project)
    headers = {"X-Auth-Token": request.headers["X-Auth-Token"]}
    entries: list[dict[str, Any]] = []
    path: str | None = PAGE
    while path:
        page = orjson.loads(client.get(path, headers=headers, authenticated=False).content)
        entries += map(entry, page["images"])
        path = page.get("next")
    return Response(orjson.dumps({"images": entries}), content_type="application/json")
