"""The conventional way: python-glanceclient's model for each image, and Flask's JSON."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, request
from glanceclient.v2.client import Client
from keystoneauth1.session import Session
from keystoneauth1.token_endpoint import Token
from requests.adapters import HTTPAdapter

from nova_image_shim.translation.links import Links
from nova_image_shim.translation.translator import Translator

GLANCE = os.environ["BENCH_GLANCE"]

session = Session()
session.session.mount("http://", HTTPAdapter(pool_maxsize=int(os.environ["BENCH_THREADS"])))
app = Flask(__name__)
app.json.sort_keys = False  # type: ignore[attr-defined]


@app.get("/v2/<project>/images/detail")
def detail(project: str) -> dict[str, Any]:
    """List images."""
    auth = Token(GLANCE, request.headers["X-Auth-Token"])
    client = Client(session=session, auth=auth, endpoint_override=GLANCE)
    base = f"{request.scheme}://{request.host}"
    links = Links.under(base, "v2", project, GLANCE, project_in_alternate=True)
    translator = Translator(links)
    return {"images": [translator.full(image) for image in client.images.list(page_size=1000)]}
