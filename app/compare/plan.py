"""What to request, in which order: it begins with the lists, whose images give the values."""

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import yaml

from nova_image_shim.compare.differences import Answer

FILE = Path(__file__).with_name("requests.yaml")
_NAME = re.compile(r"\{(\w+)\}")
_FEW = 3  # images that serve as markers
_PAGES = 5
_LONGEST_VALUE = 1000  # of a filter: servers limit a target to 8 KiB or less


class Planned(NamedTuple):
    """A request, `GET /v2/...`, and its kind."""

    kind: str
    request: str


class Plan:
    """The requests that are left; each is planned once.

    Args:
        mount: the version in the path.
        project: the token's project.
        images: the most images to show; None for all of them.
        logged: requests that clients have sent.
    """

    def __init__(
        self, mount: str, project: str, images: int | None = None, logged: Iterable[str] = ()
    ) -> None:
        self.mount = mount
        self.project = project
        self._most_images = images
        self._requests = yaml.safe_load(FILE.read_text(encoding="utf-8"))
        self._left: deque[Planned] = deque()
        self._known: set[str] = set()
        self._images: list[dict[str, Any]] = []
        self._names = {"mount": [mount], "list": [f"/{mount}/{quote(project)}/images"]}
        self._add_all(self._requests["first"], self._names)
        for request in logged:
            self._add("logged", request)

    def __len__(self) -> int:
        """Return how many requests are left, as far as is known."""
        return len(self._left)

    def pop(self) -> Planned:
        """Return the next request and forget it."""
        return self._left.popleft()

    def learn(self, planned: Planned, answer: Answer) -> None:
        """Plan what follows from Nova's answer: the next page, or what the images have.

        Raises:
            Exception: the answer has another shape than Nova's.
        """
        is_list = planned.kind == "lists"
        if not is_list and (planned.kind != "paging" or answer.status != 200):
            return
        body = json.loads(answer.body)
        if is_list:
            self._images += [image for image in body["images"] if "metadata" in image]
        links = [link for link in body.get("images_links", ()) if link["rel"] == "next"]
        for link in links:
            self._left.appendleft(Planned(planned.kind, self._next(link["href"])))
        if is_list and "/detail" in planned.request and not links:
            self._add_all(self._requests["then"], self._names | self._values())

    def _next(self, href: str) -> str:
        request = f"GET {href[href.index(f'/{self.mount}/') :]}"
        if request in self._known:
            raise ValueError(f"a page leads to itself: {request}")
        self._known.add(request)
        return request

    def _add_all(self, kinds: dict[str, list[str]], values: dict[str, list[str]]) -> None:
        for kind, templates in kinds.items():
            for template in templates:
                for request in expand(template, values):
                    self._add(kind, request)

    def _add(self, kind: str, request: str) -> None:
        if request not in self._known:
            self._known.add(request)
            self._left.append(Planned(kind, request))

    def _values(self) -> dict[str, list[str]]:
        """Return the values of the cloud's images by name, as a target has them."""
        images = spread(self._images, self._most_images or len(self._images))
        ids = [image["id"] for image in images]
        servers = _distinct(image.get("server", {}).get("id") for image in images)
        items = dict(_new_items(images))
        values = {
            "image": ids,
            "marker": spread(ids, _FEW),
            "name": odd(str(image["name"]) for image in images if image.get("name")),
            "status": _distinct(image["status"] for image in images),
            "type": _distinct(image["metadata"].get("image_type") for image in images),
            "server": servers,
            "server_url": [f"http://nova.example/v2/servers/{id_}" for id_ in servers[:1]],
            "time": _times(images[len(images) // 2 :][:1]),
            "min_ram": spread(_distinct(image["minRam"] for image in images), _FEW),
            "min_disk": spread(_distinct(image["minDisk"] for image in images), _FEW),
            "page": [max(1, len(self._images) // _PAGES)],
        }
        quoted = {name: _quoted(found) for name, found in values.items()}
        return quoted | {"item": list(items), "property": list(filter(None, items.values()))}


def expand(template: str, values: dict[str, list[str]]) -> Iterator[str]:
    """Yield a template once for each combination of the values of its names."""
    names = list(dict.fromkeys(_NAME.findall(template)))
    for chosen in product(*(values[name] for name in names)):
        yield template.format_map(dict(zip(names, chosen, strict=True)))


def spread(items: list[Any], most: int) -> list[Any]:
    """Return at most so many items, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[number * (len(items) - 1) // max(1, most - 1)] for number in range(most)]


def odd(names: Iterable[str]) -> list[str]:
    """Return a name for each set of odd characters; one that is not ASCII is like another one."""
    found: dict[frozenset[str], str] = {}
    for name in names:
        chars = frozenset(char if char.isascii() else "\x80" for char in name)
        found.setdefault(frozenset(char for char in chars if not char.isalnum()), name)
    return list(found.values())


def _new_items(images: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield each key of metadata once, but at least one for each image, with `KEY=VALUE`."""
    seen: set[str] = set()
    for image in images:
        keys = list(image["metadata"])
        new = [key for key in keys if key not in seen]
        for key in new or keys[:1]:
            id_, name, value = _quoted((image["id"], key, image["metadata"][key]))
            is_short = len(value) <= _LONGEST_VALUE
            yield f"{id_}/metadata/{name}", f"{name}={value}" if new and is_short else ""
        seen.update(new)


def _times(images: list[dict[str, Any]]) -> Iterator[str]:
    """Yield times before, at and after the last change of each image."""
    for image in images:
        at = datetime.fromisoformat(image["updated"])
        for seconds in (-1, 0, 1):
            yield (at + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(value for value in values if value is not None))


def _quoted(values: Iterable[Any]) -> list[str]:
    return [quote(str(value), safe="") for value in values]
