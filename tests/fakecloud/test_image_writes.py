"""The embedded image API, for writing: calls in order, each with Glance's answer."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient
from webob import exc
from werkzeug.test import TestResponse

from nova_image_shim.fakecloud import create_cloud_app
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.seed import Project, Seed, User
from nova_image_shim.settings import Settings

FILE = Path(__file__).with_name("image_calls.yaml")
CALLS: dict[str, list[dict[str, Any]]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
IDS = {
    "$id": "11111111-2222-3333-4444-555555555555",
    "$new": "99999999-2222-3333-4444-555555555555",
}
PATCH = "application/openstack-images-v2.1-json-patch"
DRAFT_4 = "application/openstack-images-v2.0-json-patch"
# The roles of each user in the project demo, or in a project of its name.
USERS = {"demo": "member", "reader": "reader", "nobody": "", "alt": "member", "other": "member"}
PROJECTS = ("demo", "alt", "other", "admin")


def new_cloud() -> FakeCloud:
    """Return a cloud with one queued image, of the project demo."""
    users = {"admin": "admin", **USERS}
    image = {"id": IDS["$id"], "owner": "demo", "status": "queued", "colour": "red"}
    seed = Seed(
        projects=tuple(Project(name, name) for name in PROJECTS),
        users=tuple(
            User(name, name, name, name, {name if name in PROJECTS else "demo": (role,)})
            for name, role in users.items()
        ),
    )
    cloud = FakeCloud(seed)
    cloud.load_images([image])
    return cloud


def filled(value: Any) -> Any:
    """Replace the names of ids."""
    text = json.dumps(value)
    for name, image_id in IDS.items():
        text = text.replace(name, image_id)
    return json.loads(text)


class Caller:
    """Sends calls of the table as users of a cloud."""

    def __init__(self, cloud: FakeCloud) -> None:
        self.cloud = cloud
        self.client = create_cloud_app(Settings(), cloud).test_client()

    def token(self, name: str) -> str:
        identity = self.cloud.identity
        user = next(user for user in self.cloud.seed.users if user.name == name)
        (project_id,) = user.roles
        project = next(each for each in self.cloud.seed.projects if each.id == project_id)
        return identity.issue(user, project, ("password",)).id

    def send(self, case: dict[str, Any]) -> TestResponse:
        method, path = case.get("call", "PATCH /images/$id").split(" ")
        headers = {"X-Auth-Token": self.token(case.get("as", "demo")), "Accept": "application/json"}
        if "range" in case:
            headers["Range"] = case["range"]
        if "size" in case:
            headers["X-Openstack-Image-Size"] = str(case["size"])
        return self.client.open(
            filled(f"/image/v2{path}"), method=method, headers=headers, **body_of(case)
        )


def body_of(case: dict[str, Any]) -> dict[str, Any]:
    if "upload" in case:
        type_ = case.get("type", "application/octet-stream")
        return {"data": case["upload"], "content_type": type_}
    for name, type_ in (("patch", PATCH), ("draft4", DRAFT_4)):
        if name in case:
            return {"data": json.dumps(case[name]), "content_type": type_}
    if "many" in case:
        return {"json": many(**case["many"])}
    if "body" in case:
        return {"json": filled(case["body"])}
    return {"data": case["data"], "content_type": "application/json"} if call_data(case) else {}


def call_data(case: dict[str, Any]) -> bool:
    """Tell whether `data` is what is sent, and not what a download returns."""
    return "data" in case and case["status"] == 400


def many(properties: int = 0, tags: int = 0, name: int = 0) -> dict[str, Any]:
    long_name = {"x" * name: ""} if name else {}
    numbered = {f"p{number}": "" for number in range(properties)}
    return {**numbered, **long_name, "tags": [str(number) for number in range(tags)]}


def expected_body(case: dict[str, Any]) -> Any:
    error = exc.status_map[case["status"]]
    page = f"{case.get('text', error.explanation)}<br /><br />\n{case.get('detail', '')}\n\n"
    return {
        "message": case.get("page", page),
        "code": f"{error.code} {error.title}",
        "title": error.title,
    }


@pytest.mark.parametrize("name", CALLS)
def test_calls_are_answered_as_glance_answers_them(name: str) -> None:
    caller = Caller(new_cloud())
    for case in filled(CALLS[name]):
        answer = caller.send(case)
        assert case["status"] == answer.status_code, (case, answer.text)
        if "allow" in case:
            assert case["allow"] == answer.headers["Allow"]
        if case["status"] >= 400:
            assert "HEAD" in case.get("call", "") or expected_body(case) == answer.json, case
        check_content(case, answer)


def check_content(case: dict[str, Any], answer: TestResponse) -> None:
    found: Any = answer.json if answer.is_json else {}
    shows = case.get("shows", {})
    assert shows == {name: found.get(name) for name in shows}, case
    if "members" in case:
        assert case["members"] == [member["member_id"] for member in found["members"]]
    if "listed" in case:
        assert case["listed"] == [image["id"] for image in found["images"]]
    if case["status"] in {200, 206} and "data" in case:
        length = str(len(case["data"]))
        shown = answer.text, answer.headers["Content-Length"], answer.headers.get("Content-Range")
        assert (case["data"], length, case.get("part")) == shown
        assert "5d41402abc4b2a76b9719d911017c592" == answer.headers["Content-MD5"]


def test_a_new_image_is_in_the_legacy_list_and_the_other_way_round() -> None:
    client: FlaskClient = Caller(FakeCloud(Seed())).client
    headers = {"X-Auth-Token": "demo"}
    body = {"name": "new", "disk_format": "raw", "container_format": "bare"}
    created: Any = client.post("/image/v2/images", json=body, headers=headers)
    image_id = created.json["id"]
    assert f"http://localhost/image/v2/images/{image_id}" == created.headers["Location"]
    octets = {**headers, "Content-Type": "application/octet-stream"}
    client.put(f"/image/v2/images/{image_id}/file", data=b"12345", headers=octets)
    path = f"/v2/demo/images/{image_id}"
    legacy: Any = client.get(path, headers=headers)
    image = legacy.json["image"]
    assert ("new", "ACTIVE", 5) == (image["name"], image["status"], image["OS-EXT-IMG-SIZE:size"])
    client.put(f"{path}/metadata/a", json={"meta": {"a": "b"}}, headers=headers)
    shown: Any = client.get(f"/image/v2/images/{image_id}", headers=headers)
    assert "b" == shown.json["a"]
    assert b"12345" == client.get(f"/image/v2/images/{image_id}/file", headers=headers).data


def test_a_reader_may_not_write_by_the_legacy_calls_either() -> None:
    caller = Caller(new_cloud())
    path = f"/v2/demo/images/{IDS['$id']}"
    answer = caller.client.delete(path, headers={"X-Auth-Token": caller.token("reader")})
    assert 403 == answer.status_code


@pytest.mark.parametrize("way", ["delete", "the control plane's delete", "reset"])
def test_large_data_goes_with_its_image(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    caller = Caller(FakeCloud(Seed()))
    headers = {"X-Auth-Token": "demo"}
    body = {"disk_format": "raw", "container_format": "bare"}
    created: Any = caller.client.post("/image/v2/images", json=body, headers=headers)
    path = created.json["file"]
    data = bytes(range(256)) * 8192
    octets = {**headers, "Content-Type": "application/octet-stream"}
    caller.client.put(f"/image{path}", data=data, headers=octets)
    assert data == caller.client.get(f"/image{path}", headers=headers).data
    part = caller.client.get(f"/image{path}", headers={**headers, "Range": "bytes=70000-140000"})
    assert data[70000:140001] == part.data
    assert 1 == len(list(tmp_path.glob("*/*")))
    if way == "delete":
        caller.client.delete(f"/image/v2/images/{created.json['id']}", headers=headers)
    elif way == "reset":
        caller.cloud.reset()
    else:
        caller.cloud.delete_image(created.json["id"])
    assert [] == list(tmp_path.glob("*/*"))


def test_an_image_that_is_deleted_during_its_upload_is_gone() -> None:
    cloud = new_cloud()
    cloud.change_image(IDS["$id"], disk_format="raw", container_format="bare")
    caller = Caller(cloud)

    class Deleting(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert "saving" == cloud.image(IDS["$id"])["status"]
            cloud.delete_image(IDS["$id"])
            return super().read(size)

    answer: Any = caller.client.put(
        f"/image/v2/images/{IDS['$id']}/file",
        input_stream=Deleting(b"1"),
        content_length=1,
        headers={
            "X-Auth-Token": caller.token("demo"),
            "Content-Type": "application/octet-stream",
            "Accept": "application/json",
        },
    )
    text = f"Image {IDS['$id']} could not be found after upload."
    assert (410, text) == (answer.status_code, answer.json["message"][: len(text)])
