"""The floor: the least that Flask, keystoneauth and orjson can answer `images/detail` with.

No token is checked, no query read, nothing logged, no error handled, no answer refused. It is what
the service's time is compared with, and no service.
"""

from __future__ import annotations

import os
from typing import Any

import orjson
from flask import Flask, Response, request
from keystoneauth1.adapter import Adapter
from keystoneauth1.session import Session
from requests.adapters import HTTPAdapter

GLANCE = os.environ["BENCH_GLANCE"]
THREADS = int(os.environ["BENCH_THREADS"])
PAGE = "/v2/images?limit=1000"

STATUS = {"active": ("ACTIVE", 100), "queued": ("SAVING", 25)}
ATTRIBUTES = frozenset(
    """
    id name status visibility protected os_hidden checksum os_hash_algo os_hash_value owner size
    virtual_size container_format disk_format created_at updated_at tags min_ram min_disk self file
    schema
    """.split()
)

session = Session()
session.session.trust_env = os.environ["BENCH_TRUST_ENV"] == "1"
session.session.mount("http://", HTTPAdapter(pool_maxsize=THREADS))
client = Adapter(session, endpoint_override=GLANCE)
app = Flask(__name__)


@app.get("/v2/<project>/images/detail")
def detail(project: str) -> Response:
    """List images."""
    prefix = f"{request.scheme}://{request.host}"
    own = f"{prefix}/v2/{project}/images/"
    bookmark = f"{prefix}/{project}/images/"
    alternate = f"{GLANCE}/{project}/images/"
    servers = f"{prefix}/v2/{project}/servers/"
    servers_bookmark = f"{prefix}/{project}/servers/"
    headers = {"X-Auth-Token": request.headers["X-Auth-Token"]}

    def entry(image: dict[str, Any]) -> dict[str, Any]:
        image_id = image["id"]
        status, progress = STATUS[image["status"]]
        metadata = {key: image[key] for key in image if key not in ATTRIBUTES}
        nova_image = {
            "id": image_id,
            "name": image["name"],
            "minRam": image["min_ram"],
            "minDisk": image["min_disk"],
            "metadata": metadata,
            "created": image["created_at"],
            "updated": image["updated_at"],
            "status": status,
            "progress": progress,
            "links": [
                {"rel": "self", "href": own + image_id},
                {"rel": "bookmark", "href": bookmark + image_id},
                {
                    "rel": "alternate",
                    "type": "application/vnd.openstack.image",
                    "href": alternate + image_id,
                },
            ],
            "OS-EXT-IMG-SIZE:size": image["size"],
        }
        if server := metadata.get("instance_uuid"):
            links = [
                {"rel": "self", "href": servers + server},
                {"rel": "bookmark", "href": servers_bookmark + server},
            ]
            nova_image["server"] = {"id": server, "links": links}
        if config := metadata.get("auto_disk_config"):
            nova_image["OS-DCF:diskConfig"] = "AUTO" if config == "True" else "MANUAL"
        return nova_image

    entries: list[dict[str, Any]] = []
    path: str | None = PAGE
    while path:
        page = orjson.loads(client.get(path, headers=headers, authenticated=False).content)
        entries += map(entry, page["images"])
        path = page.get("next")
    return Response(orjson.dumps({"images": entries}), content_type="application/json")
