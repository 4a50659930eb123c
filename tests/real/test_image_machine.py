"""Compare the embedded image API with Glance in random steps of three projects and an admin.

Each step sends one request to both. Lists end their order with the id, since Glance compares
times by fractions that it does not show.
"""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import quote

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from parity.exchange import Request
from parity_glance.sides import HEADERS, Side, sides

from nova_image_shim.compare.differences import differences, normal

from .cloud import NotInstalledError
from .test_machine import OPTIONS

IDS = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(6)]
BINARY = "application/octet-stream"
PATCH = "application/openstack-images-v2.1-json-patch"
OLD_PATCH = "application/openstack-images-v2.0-json-patch"

users = st.sampled_from(["demo", "reader", "alt", "third", "admin"])
projects = st.sampled_from(["demo", "alt", "third", "admin"])
images = st.sampled_from(IDS)
tags = st.sampled_from(["t1", "t2", "é", "a b"])
statuses = st.sampled_from(["accepted", "rejected", "pending", "other"])
attributes: dict[str, st.SearchStrategy[Any]] = {
    "name": st.sampled_from(["one", "two", "in:one,two", "Café", "", None]),
    "visibility": st.sampled_from(["private", "shared", "community", "public", "other"]),
    "protected": st.booleans(),
    "os_hidden": st.booleans(),
    "min_ram": st.sampled_from([0, 5, -1, 2**31, "5"]),
    "tags": st.lists(tags, max_size=3),
    "owner": st.sampled_from(["{demo}", "{alt}", "nobody"]),
    "container_format": st.sampled_from(["bare", "ovf", None]),
    "k1": st.sampled_from(["v1", "", "é", 5]),
    "status": st.just("active"),
    "os_glance_x": st.just("x"),
}
changes = st.one_of(
    [
        st.tuples(st.sampled_from(["add", "replace", "remove"]), st.just(name), values)
        for name, values in attributes.items()
    ]
).filter(lambda change: change[:2] != ("add", "owner"))  # Glance refuses it, and does it
filters = st.sampled_from(
    [
        *("name=one", "name=in:one,two", "name=", "status=active", "status=in:queued,x"),
        *("visibility=shared", "visibility=all", "visibility=x", "member_status=all"),
        *("member_status=pending", "os_hidden=true", "protected=true", "tag=t1", "tag=a%20b"),
        *("k1=v1", "size_min=1", "size_max=0", "min_ram=5", "owner={demo}", "limit=2", "limit=x"),
    ]
)
orders = st.sampled_from(["name:asc,", "name:desc,", "size:desc,", "status:asc,", ""])


class Machine(RuleBasedStateMachine):
    """The random steps."""

    both: ClassVar[tuple[Side, Side]]
    count: ClassVar[Any]  # a function, which as a class's attribute would be a method

    def __init__(self) -> None:
        super().__init__()
        for side in self.both:
            side.purge()

    def ask(self, user: str, request: str, **sent: Any) -> int:
        """Send a request to both, compare the answers, and return their status."""
        self.count()
        asked = Request("", request, as_=user, **sent)
        theirs, ours = (
            normal(side.send(asked, side.ids), side.names, times=False, compared=HEADERS)
            for side in self.both
        )
        assert {} == differences(theirs, ours), asked
        status: int = theirs["status"]
        return status

    @rule(
        user=users,
        image=images,
        formats=st.sampled_from([{"disk_format": "raw", "container_format": "bare"}, {}]),
        fields=st.fixed_dictionaries({}, optional=attributes),
    )
    def create(self, user: str, image: str, formats: Any, fields: Any) -> None:
        self.ask(user, "POST /v2/images", json={"id": image, **formats, **fields})

    @rule(user=users, image=images, chosen=st.lists(changes, max_size=3), is_old=st.booleans())
    def change(self, user: str, image: str, chosen: list[Any], is_old: bool) -> None:
        new = [{"op": op, "path": f"/{name}", "value": value} for op, name, value in chosen]
        old = [{op: f"/{name}", "value": value} for op, name, value in chosen]
        headers = {"Content-Type": OLD_PATCH if is_old else PATCH}
        self.ask(user, f"PATCH /v2/images/{image}", json=old if is_old else new, headers=headers)

    @rule(
        user=users,
        image=images,
        data=st.sampled_from(["", "x", "some data"]),
        headers=st.fixed_dictionaries(
            {"Content-Type": st.sampled_from([BINARY, BINARY, "text/plain"])},
            optional={"X-Openstack-Image-Size": st.sampled_from(["1", "9", "x"])},
        ),
    )
    def upload(self, user: str, image: str, data: str, headers: dict[str, str]) -> None:
        self.ask(user, f"PUT /v2/images/{image}/file", text=data, headers=headers)

    @rule(user=users, image=images)
    def download(self, user: str, image: str) -> None:
        self.ask(user, f"GET /v2/images/{image}/file")

    @rule(user=users, image=images, action=st.sampled_from(["deactivate", "reactivate"]))
    def act(self, user: str, image: str, action: str) -> None:
        self.ask(user, f"POST /v2/images/{image}/actions/{action}")

    @rule(user=users, image=images, project=projects)
    def invite(self, user: str, image: str, project: str) -> None:
        json_ = {"member": f"{{{project}}}"}
        self.ask(user, f"POST /v2/images/{image}/members", json=json_)

    @rule(user=users, image=images, project=projects, status=statuses)
    def reply(self, user: str, image: str, project: str, status: str) -> None:
        path = f"/v2/images/{image}/members/{{{project}}}"
        self.ask(user, f"PUT {path}", json={"status": status})

    @rule(user=users, image=images, project=projects, method=st.sampled_from(["GET", "DELETE"]))
    def member(self, user: str, image: str, project: str, method: str) -> None:
        self.ask(user, f"{method} /v2/images/{image}/members/{{{project}}}")

    @rule(user=users, image=images)
    def members(self, user: str, image: str) -> None:
        self.ask(user, f"GET /v2/images/{image}/members")

    @rule(user=users, image=images, tag=tags, method=st.sampled_from(["PUT", "DELETE"]))
    def tag(self, user: str, image: str, tag: str, method: str) -> None:
        self.ask(user, f"{method} /v2/images/{image}/tags/{quote(tag)}")

    @rule(user=users, image=images)
    def delete(self, user: str, image: str) -> None:
        self.ask(user, f"DELETE /v2/images/{image}")

    @rule(user=users, image=images)
    def show(self, user: str, image: str) -> None:
        self.ask(user, f"GET /v2/images/{image}")

    @rule(user=users, chosen=st.lists(filters, max_size=3, unique=True), order=orders)
    def list_(self, user: str, chosen: list[str], order: str) -> None:
        self.ask(user, f"GET /v2/images?{'&'.join([f'sort={order}id:asc', *chosen])}")

    @rule(user=users, image=images, order=st.sampled_from(["status:asc,", ""]))
    def page(self, user: str, image: str, order: str) -> None:
        """Ask for a page after an image that the caller sees; others are refused differently."""
        if self.ask(user, f"GET /v2/images/{image}") == HTTPStatus.OK:
            self.ask(user, f"GET /v2/images?limit=2&marker={image}&sort={order}id:asc")

    def teardown(self) -> None:
        """Compare what everyone sees in the end."""
        for user in ("demo", "alt", "third", "admin"):
            self.list_(user, ["visibility=all", "member_status=all"], "")
        for image in IDS:
            self.members("admin", image)
            self.download("admin", image)


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Side, Side]]:
    """Return a real Glance and the embedded image API."""
    try:
        with sides() as found:
            yield found
    except NotInstalledError as error:
        pytest.skip(f"{error}; run `python tests/real/install.py`")


def test_random_steps_have_the_same_answers(
    both: tuple[Side, Side], count: Callable[[], None]
) -> None:
    Machine.both, Machine.count = both, staticmethod(count)
    run_state_machine_as_test(Machine, settings=OPTIONS)
