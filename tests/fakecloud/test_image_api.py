"""The embedded image API, for reading: Glance v2 over the store of the legacy calls."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.identity_answers import BASE

from nova_image_shim.fakecloud import create_cloud_app
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.image_file import complete
from nova_image_shim.fakecloud.seed import Seed
from nova_image_shim.settings import Settings

DEMO = {"X-Auth-Token": "demo", "Accept": "application/json"}
PRIVATE = {"owner": "demo", "visibility": "private"}


def image(number: int, **fields: Any) -> dict[str, Any]:
    times = {"created_at": f"2020-01-01T00:00:{number:02}Z", "updated_at": "2021-01-01T00:00:00Z"}
    return complete({"id": f"i{number}", "name": f"n{number}", **PRIVATE, **times, **fields})


@cache
def app_and_cloud() -> tuple[Flask, FakeCloud]:
    cloud = FakeCloud(Seed())
    return create_cloud_app(Settings(), cloud), cloud


def over(images: Iterable[dict[str, Any]]) -> FlaskClient:
    """Return a client of a cloud with these images."""
    app, cloud = app_and_cloud()
    cloud.load_images(list(images))
    return app.test_client()


def ids(client: FlaskClient, query: str = "", token: str = "demo") -> str:
    """Return the ids listed, without the letter before the number."""
    answer: Any = client.get(f"/image/v2/images?{query}", headers={"X-Auth-Token": token})
    assert 200 == answer.status_code, answer.data
    return " ".join(found["id"][1:] for found in answer.json["images"])


def glance_error(code: int, title: str, message: str) -> dict[str, Any]:
    text = f"{message}<br /><br />\n\n\n"
    return {"message": text, "code": f"{code} {title}", "title": title}


VERSIONS = dict.fromkeys(["", "/", "/v2", "/v2/", "/v1/images", "/images"], 300) | {
    "/versions": 200
}


@pytest.mark.parametrize(("path", "status"), VERSIONS.items())
def test_versions_need_no_token(cloud_client: FlaskClient, path: str, status: int) -> None:
    answer: Any = cloud_client.get(f"/image{path}")
    links = [{"rel": "self", "href": f"{BASE}/image/v2/"}]
    expected = [
        {"id": f"v2.{n}", "status": "CURRENT" if n == 17 else "SUPPORTED", "links": links}
        for n in (15, 9, 17, 7, 6, 5, 4, 3, 2, 1, 0)
    ]
    assert (status, {"versions": expected}) == (answer.status_code, answer.json)


SHOWN = {
    "id": "2f6f4a1e-5c0b-4c35-9f6e-3a1d1c2b0008",
    "name": "Café 日本 🐍",
    "status": "active",
    "visibility": "private",
    "protected": False,
    "os_hidden": False,
    "checksum": None,
    "os_hash_algo": None,
    "os_hash_value": None,
    "owner": "demo",
    "size": 4194304,
    "virtual_size": None,
    "disk_format": "raw",
    "container_format": "bare",
    "min_ram": 0,
    "min_disk": 0,
    "created_at": "2024-10-07T00:00:00Z",
    "updated_at": "2024-10-07T00:00:10Z",
    "tags": [],
    "self": "/v2/images/2f6f4a1e-5c0b-4c35-9f6e-3a1d1c2b0008",
    "file": "/v2/images/2f6f4a1e-5c0b-4c35-9f6e-3a1d1c2b0008/file",
    "schema": "/v2/schemas/image",
    "description": "naïve ☃",
}


def test_an_image_is_shown_as_glance_shows_it(cloud_client: FlaskClient) -> None:
    answer: Any = cloud_client.get(f"/image{SHOWN['self']}", headers=DEMO)
    assert (200, SHOWN) == (answer.status_code, answer.json)


def test_members_and_locations_are_not_shown() -> None:
    client = over([image(1, visibility="shared", members={"alt": "accepted"}, locations=[{}])])
    answer: Any = client.get("/image/v2/images/i1", headers=DEMO)
    assert not {"members", "locations"} & answer.json.keys()


def test_a_list_has_its_first_page_and_its_schema(cloud_client: FlaskClient) -> None:
    name = "name=Caf%C3%A9+%E6%97%A5%E6%9C%AC+%F0%9F%90%8D"
    answer: Any = cloud_client.get(f"/image/v2/images?{name}", headers=DEMO)
    expected = {
        "images": [SHOWN],
        "first": f"/v2/images?{name}",
        "schema": "/v2/schemas/images",
    }
    assert (200, expected) == (answer.status_code, answer.json)
    bare: Any = cloud_client.get("/image/v2/images", headers=DEMO)
    assert "/v2/images" == bare.json["first"]


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (6, [5])])
def test_next_leads_through_all_pages(limit: int, sizes: list[int]) -> None:
    client = over(image(number) for number in range(5))
    found, path = [], f"/v2/images?limit={limit}&owner=demo"
    while path:
        answer: Any = client.get(f"/image{path}", headers=DEMO)
        found.append([item["id"] for item in answer.json["images"]])
        path = answer.json.get("next", "")
        assert f"/v2/images?limit={limit}&owner=demo" == answer.json["first"]
    pages = [page for page in found if page]  # after a last full page comes an empty one
    assert sizes == [len(page) for page in pages]
    assert ["i4", "i3", "i2", "i1", "i0"] == [image_id for page in pages for image_id in page]


def test_a_page_has_25_images_by_default_and_1000_at_most() -> None:
    client = over(complete({"id": f"i{number}", **PRIVATE}) for number in range(1100))
    assert [25, 0, 1000] == [
        len(ids(client, query).split()) for query in ("", "limit=0", "limit=2000")
    ]


VISIBLE = [
    image(1),
    image(2, visibility="public", owner="alt"),
    image(3, owner="alt"),
    image(4, visibility="shared", owner="alt", members={"demo": "accepted"}),
    image(5, visibility="shared", owner="alt", members={"demo": "pending"}),
    image(6, visibility="community", owner="alt"),
    image(7, visibility="community"),
    image(8, os_hidden=True),
    image(9, visibility="community", owner="admin"),
]


@pytest.mark.parametrize(
    ("token", "listed", "shown"),
    [
        ("demo", "7 4 2 1", "1 2 4 5 6 7 8 9"),
        ("alt", "6 5 4 3 2", "2 3 4 5 6 7 9"),
        ("admin", "9 5 4 3 2 1", "1 2 3 4 5 6 7 8 9"),
    ],
)
def test_each_project_sees_its_own_and_an_admin_sees_more(
    token: str, listed: str, shown: str
) -> None:
    client = over(VISIBLE)
    assert listed == ids(client, token=token)
    headers = {"X-Auth-Token": token}
    statuses = {
        number: client.get(f"/image/v2/images/i{number}", headers=headers).status_code
        for number in range(1, 10)
    }
    assert shown.split() == [str(number) for number in statuses if statuses[number] == 200]
    assert {200, 404} >= set(statuses.values())


HIDDEN = [
    image(10, os_hidden=True, visibility="public", owner="alt"),
    image(11, os_hidden=True, visibility="community", owner="alt"),
    image(12, os_hidden=True, visibility="shared", owner="alt", members={"demo": "accepted"}),
    image(13, os_hidden=True, visibility="community"),
]


@pytest.mark.parametrize(
    ("query", "demo", "admin"),
    [
        ("visibility=community", "9 7 6", "9 7 6"),
        ("visibility=community&owner=alt", "6", "6"),
        ("visibility=all", "9 7 6 4 2 1", "9 7 6 5 4 3 2 1"),
        ("visibility=shared&member_status=all", "5 4", "5 4"),
        ("visibility=public", "2", "2"),
        ("visibility=", "", ""),
        ("os_hidden=true", "13 12 10 8", "12 10 8"),
        ("os_hidden=True&visibility=community", "13 11", "13 11"),
        ("os_hidden=true&visibility=all", "13 12 11 10 8", "13 12 11 10 8"),
        ("os_hidden=False", "7 4 2 1", "9 5 4 3 2 1"),
    ],
)
def test_community_and_hidden_images_are_listed_on_request(
    query: str, demo: str, admin: str
) -> None:
    client = over([*VISIBLE, *HIDDEN])
    assert (demo, admin) == (ids(client, query), ids(client, query, token="admin"))


MANY = [
    image(1, name="b", size=5, min_ram=1, tags=["x", "y"], protected=True, os_distro="debian"),
    image(2, name="a", size=7, min_disk=2, tags=["x"], status="queued", disk_format="raw"),
    image(3, name="b", size=None, visibility="public", container_format="ami", name2="x,y"),
    image(4, name="in:a", status="saving", updated_at="2022-01-01T00:00:00Z", visibility="shared"),
]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "4 3 2 1"),
        ("name=b", "3 1"),
        ("name=B", ""),
        ("name=in:a,b", "3 2 1"),
        ("name=eq:in:a", "4"),
        ("name=in:%22in:a%22,a", "4 2"),
        ("id=in:i1,i4", "4 1"),
        ("id=i2", "2"),
        ("status=queued", "2"),
        ("status=in:queued,saving", "4 2"),
        ("visibility=public", "3"),
        ("visibility=all", "4 3 2 1"),
        ("owner=demo&visibility=private", "2 1"),
        ("owner=alt", ""),
        ("tag=x", "2 1"),
        ("tag=x&tag=y", "1"),
        ("protected=true", "1"),
        ("protected=false", "4 3 2"),
        ("min_ram=x", ""),
        ("disk_format=raw", "2"),
        ("container_format=in:ami,ova", "3"),
        ("os_distro=debian", "1"),
        ("os_distro=in:debian,x", ""),
        ("owner=eq:demo", ""),
        ("name=2020-01-01T00:00:00Z", ""),
        ("os_distro=", ""),
        ("name2=x,y", "3"),
        ("size=7", "2"),
        ("size_min=6", "2"),
        ("size_max=5", "1"),
        ("size_min=5&size_max=7", "2 1"),
        ("min_ram=0", "4 3 2"),
        ("min_ram_min=1", "1"),
        ("min_disk_max=1", "4 3 1"),
        ("updated_at=gte:2022-01-01T00:00:00Z", "4"),
        ("updated_at=gt:2022-01-01", ""),
        ("updated_at=lt:2022-01-01", "3 2 1"),
        ("updated_at=2022-01-01T00:00:00Z", "4"),
        ("created_at=lte:2020-01-01T01:00:02%2B01:00", "2 1"),
        ("created_at=neq:2020-01-01T00:00:02Z", "4 3 1"),
        ("os_hidden=false&member_status=accepted", "4 3 2 1"),
        ("sort=name", "4 3 1 2"),
        ("sort=name:asc", "2 1 3 4"),
        ("sort=name:desc,id:asc", "4 1 3 2"),
        ("sort_key=name&sort_dir=asc", "2 1 3 4"),
        ("sort_key=size&sort_dir=asc", "3 4 1 2"),
        ("sort_key=name&sort_key=created_at&sort_dir=asc&sort_dir=desc", "2 3 1 4"),
        ("sort_dir=asc", "1 2 3 4"),
        ("marker=i3", "2 1"),
        ("marker=i3&name=b", "1"),
        ("marker=i2&sort_dir=asc", "3 4"),
        ("marker=i1&sort=name:asc", "3 4"),
        ("name=b&limit=1", "3"),
        ("unknown=x", ""),
    ],
)
def test_a_list_is_filtered_and_ordered(query: str, found: str) -> None:
    assert found == ids(over(MANY), query)


def test_a_marker_may_be_visible_without_being_listed() -> None:
    client = over([image(1), image(2, visibility="community", owner="alt"), image(3)])
    assert ("3 1", "1") == (ids(client), ids(client, "marker=i2"))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "5 2 1"),
        ("member_status=accepted", "5 2 1"),
        ("member_status=pending", "5 3 1"),
        ("member_status=rejected", "5 4 1"),
        ("member_status=all", "5 4 3 2 1"),
    ],
)
def test_member_status_selects_the_shared_images(query: str, found: str) -> None:
    states = ("accepted", "pending", "rejected")
    shared = [
        image(number, visibility="shared", owner="alt", members={"demo": state})
        for number, state in enumerate(states, 2)
    ]
    hidden = image(6, visibility="shared", owner="alt", members={"demo": "pending"}, os_hidden=True)
    own = image(5, visibility="shared", members={"alt": "pending"})
    other = image(7, visibility="shared", owner="alt", members={"admin": "pending"})
    client = over([image(1), *shared, own, hidden, other])
    assert found == ids(client, query)
    assert "7 5 4 3 2 1" == ids(client, query, token="admin")  # which it does not limit


@pytest.mark.parametrize("version", ["v2", "v2.0", "v2.3", "v2.9"])
def test_any_version_in_the_path_is_v2(version: str) -> None:
    client = over([image(1)])
    expected = client.get("/image/v2/images", headers=DEMO).json
    assert expected == client.get(f"/image/{version}/images", headers=DEMO).json


SORT_DIRS = "Number of sort dirs does not match the number of sort keys"
NO_TIME = 'Bad "created_at" query filter format. Use ISO 8601 DateTime notation.'
SORT_KEYS = "name, status, container_format, disk_format, size, id, created_at, updated_at"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("marker=nowhere", "No image found with ID nowhere"),
        ("marker=i2", "No image found with ID i2"),
        ("limit=x", "limit param must be an integer"),
        ("limit=-1", "limit param must be positive"),
        ("limit=", "limit param must be an integer"),
        ("size_min=1.5", "Unable to filter on a range with a non-numeric value."),
        ('name=in:"a', 'Invalid filter value "a. The quote is not closed.'),
        (
            'name=in:a"b"',
            'Invalid filter value a"b". There is no comma before opening quotation mark.',
        ),
        (
            'name=in:"a"b',
            'Invalid filter value "a"b. There is no comma after closing quotation mark.',
        ),
        ("changes-since=2024", 'The "changes-since" filter is no longer available on v2.'),
        ("sort=name&sort_key=size", "Old and new sorting syntax cannot be combined"),
        ("sort=x", f"Invalid sort key: x. It must be one of the following: {SORT_KEYS}."),
        ("sort_key=x", f"Invalid sort key: x. It must be one of the following: {SORT_KEYS}."),
        ("sort_dir=up", "Invalid sort direction: up"),
        ("sort=name:up", "Invalid sort direction: up"),
        ("sort_key=id&sort_dir=asc&sort_dir=desc", SORT_DIRS),
        ("visibility=all,public", "Invalid visibility value: all,public"),
        (
            "protected=True",
            "Invalid value 'True' for 'protected' filter. Valid values are 'true' or 'false'.",
        ),
        ("created_at=yesterday", NO_TIME),
        *(
            (f"{name}=neq:a", "Unable to filter by unknown operator 'neq'.")
            for name in ("id", "name", "status", "container_format", "disk_format")
        ),
        ("name=a:b", "Unable to filter by unknown operator 'a'."),
        ("created_at=in:2020-01-01", "Unable to filter on a unknown operator."),
        (
            "os_hidden=Yes",
            "Invalid value 'yes' for 'os_hidden' filter. Valid values are 'true' or 'false'.",
        ),
        ("member_status=some", "Invalid status: some"),
    ],
)
def test_an_invalid_query_returns_400_with_the_reason(query: str, message: str) -> None:
    client = over([image(1), image(2, owner="alt")])
    answer: Any = client.get(f"/image/v2/images?{query}", headers=DEMO)
    assert (400, glance_error(400, "Bad Request", message)) == (answer.status_code, answer.json)


NOTHING = "The resource could not be found."


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/image/v2/images/nowhere", "No image found with ID nowhere"),
        ("/image/v2/images/i2", "No image found with ID i2"),
        *((f"/image/v2/{path}", NOTHING) for path in ("x", "images/", "images/i1/x")),
    ],
)
def test_unknown_paths_return_glances_404(path: str, message: str) -> None:
    answer: Any = over([image(1), image(2, owner="alt")]).get(path, headers=DEMO)
    assert (404, glance_error(404, "Not Found", message)) == (answer.status_code, answer.json)


@pytest.mark.parametrize("accept", ["*/*", "text/html, application/json"])
def test_an_error_is_a_page_unless_json_is_preferred(accept: str) -> None:
    headers = {"X-Auth-Token": "demo", "Accept": accept}
    answer = over([]).get("/image/v2/images/<b>", headers=headers)
    page = (
        "<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n"
        "  <h1>404 Not Found</h1>\n  No image found with ID &lt;b&gt;<br /><br />\n\n\n\n"
        " </body>\n</html>"
    )
    assert (404, page) == (answer.status_code, answer.text)
    assert "text/html; charset=UTF-8" == answer.headers["Content-Type"]


def test_a_change_by_the_legacy_call_is_seen_at_once(cloud_client: FlaskClient) -> None:
    path = f"/images/{SHOWN['id']}"
    changed = cloud_client.put(
        f"/v2/demo{path}/metadata/colour", json={"meta": {"colour": "red"}}, headers=DEMO
    )
    shown: Any = cloud_client.get(f"/image/v2{path}", headers=DEMO)
    assert (200, "red") == (changed.status_code, shown.json["colour"])
    cloud_client.delete(f"/v2/demo{path}", headers=DEMO)
    assert 404 == cloud_client.get(f"/image/v2{path}", headers=DEMO).status_code


def test_the_schema_has_every_attribute_of_an_image(cloud_client: FlaskClient) -> None:
    schema: Any = cloud_client.get("/image/v2/schemas/image", headers=DEMO)
    never_shown = {"direct_url", "stores", "locations"}
    assert SHOWN.keys() - {"description"} == schema.json["properties"].keys() - never_shown
    listed: Any = cloud_client.get("/image/v2/schemas/images", headers=DEMO)
    assert schema.json == listed.json["properties"]["images"]["items"]
