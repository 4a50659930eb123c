"""Compare the embedded store with Glance in random writes, lists and pages of several projects.

Each step sends a request to two applications, one with the embedded store and one with real Glance.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any, ClassVar

from flask import Flask, Request
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from keystoneauth1.token_endpoint import Token

from nova_image_shim import create_app
from nova_image_shim.adapters.glance.service import GlanceImageService, GlanceOptions
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.auth.caller import Caller
from nova_image_shim.fakecloud.image_file import complete
from nova_image_shim.settings import Settings

from .cloud import RealCloud

OPTIONS = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "5")),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # Shrinking takes minutes, and the steps are clear enough.
    phases=[Phase.explicit, Phase.generate],
)

users = st.sampled_from(["demo", "alt", "admin"])
numbers = st.integers(0, 5)  # the index of an existing image
keys = st.sampled_from(
    [
        *("os", "a b", "é", "x/y~z", "~1", "🐍", "image_type", "instance_uuid", "size_min", "A"),
        *("owner", "name", "visibility", "os_glance_x", "os.json"),
    ]
)
metadata_values = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
values = st.sampled_from(["", "x", "none", "in:a,b", "Café", "null", "v" * 255]) | metadata_values
stored = values.filter(lambda text: max(text, default="") < "\U00010000")  # the only ones in Glance
items = st.dictionaries(keys, values, max_size=3)
filters = st.sampled_from(
    [
        *("name=one", "name=in:one,two", "name=", "status=ACTIVE", "status=saving", "status=x:y"),
        *("type=x", "server=http://h/servers/x", "minRam=5", "minDisk=0", "property-os=x"),
        *("property-size_min=x", "property-A=x", "property-os.json=x", "changes-since=2000"),
        *("property-owner=x", "is_public=none", "property-a%20b=x", "property-%C3%A9=x"),
    ]
)


class World:
    """Both applications and their images.

    Args:
        cloud: the real Glance.
        count: called for each step.
    """

    def __init__(self, cloud: RealCloud, count: Callable[[], None]) -> None:
        self.cloud = cloud
        self.tokens = {user: cloud.token(user) for user in ("demo", "alt", "admin")}
        self._count = count
        self.renew()

    def renew(self) -> None:
        """Start over without images."""
        self.cloud.purge_images()
        self.ids: list[str] = []
        self.made = 0
        self.memory = MemoryImageService()
        conf = Settings(glance_link_prefix="http://glance", glance_page_size=3)
        glance = GlanceImageService(GlanceOptions(endpoint=self.cloud.glance_url))
        self.apps: list[Flask] = [
            create_app(conf, store, self._authenticate) for store in (self.memory, glance)
        ]

    def _authenticate(self, request: Request, _project_id: str | None) -> Caller:
        user = request.headers["X-Auth-Token"]
        token = Token(self.cloud.glance_url, self.tokens[user])
        roles = frozenset({"admin"} if user == "admin" else {"member"})
        return Caller(user, self.cloud.projects[user], token, roles)

    def ask(self, user: str, method: str, path: str, body: Any = None) -> Any:
        """Send a request to both; return the response if it is the same."""
        self._count()
        address = f"/v2/{self.cloud.projects[user]}{path}"
        headers = {"X-Auth-Token": user}
        answers = [
            app.test_client().open(address, method=method, headers=headers, json=body)
            for app in self.apps
        ]
        memory, glance = (
            (answer.status_code, without_times(answer.json if answer.data else None))
            for answer in answers
        )
        assert glance == memory, (user, method, path, body)
        return memory

    def add(self, image: dict[str, Any]) -> None:
        """Add an image that Glance created to the embedded store.

        Pairs of images share a time, because Glance sorts by fractions that it does not show.
        """
        created = f"2024-01-01 00:00:{self.made // 2 % 60:02}"
        self.made += 1
        with (
            closing(sqlite3.connect(self.cloud._glance_database, timeout=30)) as database,
            database,
        ):
            database.execute(
                "UPDATE images SET created_at = ? WHERE id = ?", (f"{created}.000000", image["id"])
            )
        self.ids.append(image["id"])
        kept = complete(image | {"created_at": f"{created.replace(' ', 'T')}Z"})
        self.memory.store.put(kept)


def without_times(body: Any) -> Any:
    """Return a response without modification times, which differ between the stores."""
    if isinstance(body, dict):
        return {key: without_times(body[key]) for key in body if key != "updated"}
    return [without_times(part) for part in body] if isinstance(body, list) else body


class Machine(RuleBasedStateMachine):
    """The random steps."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.world.renew()

    def image(self, number: int) -> str:
        known = self.world.ids or ["155d900f-4e14-4e4c-a73d-069cbf4541e6"]
        return known[number % len(known)]

    @rule(
        user=users,
        visibility=st.sampled_from(["private", "shared", "community", "public"]),
        name=st.sampled_from(["one", "two", "in:one,two", "Café", ""]),
        fields=st.fixed_dictionaries(
            {}, optional={"min_ram": st.just(5), "os": stored, "protected": st.booleans()}
        ),
        data=st.sampled_from([None, b"x"]),
    )
    def create(
        self, user: str, visibility: str, name: str, fields: dict[str, Any], data: Any
    ) -> None:
        if len(self.world.ids) >= 8:
            return
        if visibility == "public":
            user = "admin"
        fields = {"name": name, "visibility": visibility, **fields}
        self.world.add(self.world.cloud.create_image(user, data=data, **fields))

    @rule(
        number=numbers,
        project=users,
        status=st.sampled_from(["pending", "accepted", "rejected"]),
    )
    def share(self, number: int, project: str, status: str) -> None:
        image_id = self.image(number)
        found = [image for image in self.world.memory.store.all() if image["id"] == image_id]
        if not found or found[0]["visibility"] != "shared":
            return
        (image,) = found
        ids = self.world.cloud.projects
        (owner,) = (user for user in ("demo", "alt", "admin") if ids[user] == image["owner"])
        if owner == project or ids[project] in image["members"]:
            return
        self.world.cloud.share_image(owner, image_id, project, status)
        members = {**image["members"], ids[project]: status}
        self.world.memory.store.put({**image, "members": members})

    @rule(user=users, number=numbers, method=st.sampled_from(["POST", "PUT"]), sent=items)
    def write(self, user: str, number: int, method: str, sent: dict[str, str]) -> None:
        path = f"/images/{self.image(number)}/metadata"
        self.world.ask(user, method, path, {"metadata": sent})

    @rule(user=users, number=numbers, key=keys.filter(lambda key: "/" not in key), value=values)
    def write_one(self, user: str, number: int, key: str, value: str) -> None:
        path = f"/images/{self.image(number)}/metadata/{key.removesuffix('.json')}"
        self.world.ask(user, "PUT", path, {"meta": {key.removesuffix(".json"): value}})

    @rule(user=users, number=numbers, key=keys.filter(lambda key: "/" not in key))
    def remove_one(self, user: str, number: int, key: str) -> None:
        self.world.ask(user, "DELETE", f"/images/{self.image(number)}/metadata/{key}")

    @rule(user=users, number=numbers)
    def delete(self, user: str, number: int) -> None:
        status, _ = self.world.ask(user, "DELETE", f"/images/{self.image(number)}")
        if status == 204:
            self.world.ids.remove(self.image(number))

    @rule(user=users, number=numbers, below=st.sampled_from(["", "/metadata"]))
    def show(self, user: str, number: int, below: str) -> None:
        self.world.ask(user, "GET", f"/images/{self.image(number)}{below}")

    @rule(user=users, chosen=st.lists(filters, max_size=2), detail=st.booleans())
    def list_(self, user: str, chosen: list[str], detail: bool) -> None:
        path = "/images/detail" if detail else "/images"
        self.world.ask(user, "GET", f"{path}?{'&'.join(chosen)}")

    @rule(user=users, number=numbers, limit=st.integers(1, 4))
    def page(self, user: str, number: int, limit: int) -> None:
        self.world.ask(user, "GET", f"/images?limit={limit}&marker={self.image(number)}")


def test_random_steps_have_the_same_responses_over_both_stores(
    cloud: RealCloud, count: Callable[[], None]
) -> None:
    Machine.world = World(cloud, count)
    run_state_machine_as_test(Machine, settings=OPTIONS)
