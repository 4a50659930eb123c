"""The two image APIs that get the same requests: a real Glance, and the embedded cloud.

Both have the same users, projects and images to read. Images to write are made anew for each
request, by the same calls and with the same id on both sides.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import requests
import yaml
from parity.exchange import Request, parse_request, send
from parity.world import World
from real.cloud import HTTP_SECONDS, RealCloud
from real.state import USERS
from support.live import shim

from nova_image_shim.compare.differences import Answer, normal

HERE = Path(__file__).parent
INTENDED_FILES = HERE / "intended.yaml", HERE / "intended.yaml"

TOKENS = ("demo", "reader", "alt", "third", "admin")
BAD_TOKENS = {"none": None, "empty": "", "gibberish": "gibberish"}
HEADERS = (
    "Accept-Patch",
    "Allow",
    "Content-MD5",
    "Content-Range",
    "Content-Type",
    "Location",
    "WWW-Authenticate",
    "X-OpenStack-Request-Id",
)
STATE = ("", "/members", "/file")


@dataclass(frozen=True)
class Side:
    """An image API, the tokens that it accepts, and the names of what is different in each.

    Args:
        purge: removes all images.
    """

    url: str
    tokens: Mapping[str, str | None]
    names: Mapping[str, str]
    ids: Mapping[str, str]
    purge: Callable[[], object]

    def send(self, request: Request, ids: Mapping[str, str]) -> Answer:
        """Send a request, with ids in place of their names, and return the answer."""
        ids = {**ids, "project": ids[USERS[request.as_].project]}
        return send(request, self.url, self.tokens[request.token or request.as_], ids)

    def result(self, request: Request, image_id: str) -> dict[str, Any]:
        """Make the request's image, send the request, and return its answer and the state then."""
        ids = {**self.ids, "image": image_id}
        making = steps(request.image) if request.image else []
        made = [self.send(step, ids).status for step in making]
        answer = self.send(request, ids)
        names = {**self.names, image_id: "<image>"}
        if created := _created(request, answer):
            names |= {created: "<created>"}
        writes = bool(request.image or created)
        compared = (*HEADERS, *(["Content-Length"] if "/file" in request.target else []))
        result = normal(answer, names, times=not writes, compared=compared)
        if writes:
            result |= self._state(created or image_id, names)
        return result | ({"made": made} if made else {})

    def _state(self, image_id: str, names: Mapping[str, str]) -> dict[str, Any]:
        found = {}
        for below in STATE:
            request = Request("", f"GET /v2/images/{image_id}{below}", as_="admin")
            answer = self.send(request, self.ids)
            found[f"state{below}"] = normal(answer, names, times=False, compared=())
        return found


def _created(request: Request, answer: Answer) -> str | None:
    is_create = request.method == "POST" and request.target.partition("?")[0] == "/v2/images"
    if not is_create or answer.status != 201:
        return None
    created: str = json.loads(answer.body)["id"]
    return created


@cache
def load_recipes() -> dict[str, list[Any]]:
    """Return the recipes of images to write, by name."""
    recipes: dict[str, list[Any]] = yaml.safe_load((HERE / "images.yaml").read_text())
    return recipes


def steps(name: str) -> list[Request]:
    """Return the calls that make an image to write; a name among them stands for its calls."""
    found: list[Request] = []
    for step in load_recipes()[name]:
        is_name = isinstance(step, str)
        found += steps(step) if is_name else [parse_request({"id": name, **step}, name)]
    return found


@contextmanager
def sides() -> Iterator[tuple[Side, Side]]:
    """Run both clouds with the same images to read, and yield the real side and the embedded."""
    with RealCloud(reference=True) as cloud:
        images = World(cloud).make_read_images()
        # In the database it is as yet shown; whatever Glance itself is about to delete is not.
        cloud.delete_image("admin", images["pending-delete"])
        seed = cloud.folder / "seed.json"
        seed.write_text(json.dumps(_seed(cloud, images.values())))
        environ = {"SHIM_BACKEND": "memory", "SHIM_MEMORY_IMAGES": str(seed)}
        with shim(cloud.folder / "shim.log", WEB_CONCURRENCY="1", **environ) as url:
            ids = {**cloud.projects, **images}
            names = {id_: f"<{name}>" for name, id_ in ids.items()}
            real = cloud.glance_url, cloud.keystone_url, cloud.auth_url, cloud.purge_images
            clear = partial(requests.put, f"{url}/_fake/images", json=[], timeout=HTTP_SECONDS)
            embedded = f"{url}/image", f"{url}/identity", f"{url}/identity/v3", clear
            one, other = (
                Side(
                    image,
                    {user: cloud.token(user, auth_url) for user in TOKENS} | BAD_TOKENS,
                    {image: "http://image", identity: "http://identity"} | names,
                    ids,
                    purge,
                )
                for image, identity, auth_url, purge in (real, embedded)
            )
            yield one, other


def _seed(cloud: RealCloud, image_ids: Iterable[str]) -> dict[str, Any]:
    """Return the real cloud's projects, users and images as a seed of the embedded one."""
    users = [
        {"name": name, "password": user.password, "roles": {user.project: list(user.roles)}}
        for name, user in USERS.items()
    ]
    projects = [{"name": name, "id": id_} for name, id_ in cloud.projects.items()]
    images = [_copy(cloud, image_id) for image_id in image_ids]
    return {"projects": projects, "users": users, "images": list(filter(None, images))}


def _copy(cloud: RealCloud, image_id: str) -> dict[str, Any] | None:
    """Return an image with its members, or None if it is deleted."""
    try:
        image = cloud.get_image("admin", image_id)
    except requests.HTTPError:
        return None
    members = cloud.members("admin", image_id) if image["visibility"] == "shared" else {}
    kept = {key: value for key, value in image.items() if key not in {"self", "file", "schema"}}
    return {**kept, "members": members}
