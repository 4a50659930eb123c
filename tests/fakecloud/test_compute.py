"""The calls beside images: an empty project of Nova 12.0.0, in its shapes."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from support.identity_answers import BASE

from nova_image_shim.fakecloud import create_cloud_app
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.settings import Settings

PREFIXES = {"/v2/demo": "/demo", "/v1.1/demo": "/demo", "/v2.1/demo": "/demo", "/v2.1": ""}
DEMO = {"X-Auth-Token": "demo"}
FLAVORS = [
    ("1", "m1.tiny", 512, 1, 1),
    ("2", "m1.small", 2048, 20, 1),
    ("3", "m1.medium", 4096, 40, 2),
    ("4", "m1.large", 8192, 80, 4),
    ("5", "m1.xlarge", 16384, 160, 8),
]
LIMITS = {
    "limits": {
        "rate": [],
        "absolute": {
            "maxImageMeta": 128,
            "maxPersonality": 5,
            "maxPersonalitySize": 10240,
            "maxSecurityGroupRules": 20,
            "maxSecurityGroups": 10,
            "maxServerGroupMembers": 10,
            "maxServerGroups": 10,
            "maxServerMeta": 128,
            "maxTotalCores": 20,
            "maxTotalFloatingIps": 10,
            "maxTotalInstances": 10,
            "maxTotalKeypairs": 100,
            "maxTotalRAMSize": 51200,
            "totalCoresUsed": 0,
            "totalFloatingIpsUsed": 0,
            "totalInstancesUsed": 0,
            "totalRAMUsed": 0,
            "totalSecurityGroupsUsed": 0,
            "totalServerGroupsUsed": 0,
        },
    }
}


def get(client: FlaskClient, path: str, token: str = "demo") -> tuple[int, Any]:
    answer = client.get(path, headers={"X-Auth-Token": token})
    return answer.status_code, answer.json


def brief(prefix: str, id_: str, name: str) -> dict[str, Any]:
    links = [
        {"rel": "self", "href": f"{BASE}{prefix}/flavors/{id_}"},
        {"rel": "bookmark", "href": f"{BASE}{PREFIXES[prefix]}/flavors/{id_}"},
    ]
    return {"id": id_, "name": name, "links": links}


def full(prefix: str, id_: str, name: str, ram: int, disk: int, vcpus: int) -> dict[str, Any]:
    return {
        **brief(prefix, id_, name),
        "ram": ram,
        "disk": disk,
        "vcpus": vcpus,
        "swap": "",
        "rxtx_factor": 1.0,
        "OS-FLV-DISABLED:disabled": False,
        "OS-FLV-EXT-DATA:ephemeral": 0,
        "os-flavor-access:is_public": True,
    }


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_empty_project_is_shown(cloud_client: FlaskClient, prefix: str) -> None:
    expected = {
        "limits": LIMITS,
        "servers": {"servers": []},
        "servers/detail": {"servers": []},
        "flavors": {"flavors": [brief(prefix, *flavor[:2]) for flavor in FLAVORS]},
        "flavors/detail": {"flavors": [full(prefix, *flavor) for flavor in FLAVORS]},
        "flavors/4": {"flavor": full(prefix, *FLAVORS[3])},
    }
    for path, body in expected.items():
        assert (200, body) == get(cloud_client, f"{prefix}/{path}"), path
        assert (200, body) == get(cloud_client, f"{prefix}/{path}.json"), path


def test_the_extensions_are_those_that_show(cloud_client: FlaskClient) -> None:
    status, body = get(cloud_client, "/v2/demo/extensions")
    assert (200, {"extensions"}) == (status, body.keys())
    assert {
        "alias": "OS-DCF",
        "name": "DiskConfig",
        "description": "Disk Management Extension.",
        "namespace": "http://docs.openstack.org/compute/ext/disk_config/api/v1.1",
        "updated": "2011-09-27T00:00:00Z",
        "links": [],
    } == body["extensions"][0]
    assert [
        *("OS-DCF", "OS-EXT-IMG-SIZE", "OS-FLV-DISABLED", "OS-FLV-EXT-DATA", "os-flavor-access"),
        *("os-flavor-rxtx", "os-flavor-swap", "os-server-group-quotas", "os-used-limits"),
    ] == [extension["alias"] for extension in body["extensions"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("limit=2", "1 2"),
        ("limit=2&marker=2", "3 4"),
        ("marker=5", ""),
        ("limit=0", "1 2 3 4 5"),
        ("limit=-1", "1 2 3 4 5"),
        ("limit=x&is_public=None", "1 2 3 4 5"),
    ],
)
def test_flavors_come_in_pages(cloud_client: FlaskClient, query: str, found: str) -> None:
    for path in ("flavors", "flavors/detail"):
        _, body = get(cloud_client, f"/v2/demo/{path}?{query}")
        assert found == " ".join(flavor["id"] for flavor in body["flavors"])


MISMATCH = "URL's project_id 'demo' doesn't match Context's project_id 'alt'"


@pytest.mark.parametrize(
    ("path", "token", "status", "message"),
    [
        ("/v2/demo/flavors?marker=9", "demo", 400, "marker [9] not found"),
        ("/v2/demo/flavors/9", "demo", 404, "The resource could not be found."),
        ("/v2/demo/servers/9", "demo", 404, "The resource could not be found."),
        (
            "/v2/demo/limits",
            "alt",
            400,
            f"Malformed request URL: {MISMATCH}",
        ),
    ],
)
def test_other_requests_get_a_fault(
    cloud_client: FlaskClient, path: str, token: str, status: int, message: str
) -> None:
    answer, body = get(cloud_client, path, token)
    (fault,) = body.values()
    assert (status, {"code": status, "message": message}) == (answer, fault)


def test_a_token_is_required(cloud_client: FlaskClient) -> None:
    assert 401 == cloud_client.get("/v2/demo/flavors").status_code


def test_only_the_mounts_that_are_served_have_the_calls(fake_cloud: FakeCloud) -> None:
    client = create_cloud_app(Settings(mounts=("v1.1",)), fake_cloud).test_client()
    statuses = [get(client, f"{prefix}/limits")[0] for prefix in PREFIXES]
    assert [404, 200, 404, 404] == statuses


def test_a_real_clouds_service_has_none_of_them(client: FlaskClient) -> None:
    for path in ("extensions", "limits", "flavors", "flavors/detail", "servers", "servers/detail"):
        assert 404 == client.get(f"/v2/demo/{path}", headers=DEMO).status_code
