"""The catalog of a login by v2.0: v3's in v2.0's form, with some endpoints replaced."""

from typing import Any

import pytest
from support.fakes import says
from support.identity_answers import API_KEY, CREDENTIALS, login_v2

from .conftest import EmbeddedKeystone, Front
from .test_errors import ISSUED, token_body

GOOD = {"passwordCredentials": CREDENTIALS, "tenantName": "demo"}


def catalogs(front: Front, v3_keystone: EmbeddedKeystone, auth: Any, **environ: str) -> Any:
    """Return the addresses of a login's catalog by type and region, and the services' names."""
    found = {
        "compute": [("nova", "One", "public"), ("nova", "One", "admin"), ("nova", "Two", "public")],
        "image": [("glance", "One", "public")],
    }
    catalog = [
        {
            "type": type_,
            "name": endpoints[0][0],
            "endpoints": [
                {"id": "e", "region": region, "interface": interface, "url": f"http://{interface}"}
                for _, region, interface in endpoints
            ],
        }
        for type_, endpoints in found.items()
    ]
    second = {**catalog[0], "name": "a second nova"}
    data = token_body(
        project={"id": "p1", "name": "p"},
        catalog=[*catalog, second, {"type": "x", "endpoints": []}],
    )
    v3_keystone.answers.append(says(201, data, **ISSUED))
    access = login_v2(front(**environ), auth).json["access"]
    return access["user"].get("RAX-AUTH:defaultRegion"), {
        (service["type"], service["name"]): {
            endpoint["region"]: {k: v for k, v in endpoint.items() if k.endswith("URL")}
            for endpoint in service["endpoints"]
        }
        for service in access["serviceCatalog"]
    }


def all_of(url: str) -> dict[str, str]:
    return dict.fromkeys(("publicURL", "internalURL", "adminURL"), url)


OWN = all_of("http://localhost/identity/v2.0")
PROXY = all_of("https://proxy/v2/p1")
USUAL = {
    ("compute", "nova"): {
        "One": {"publicURL": "http://public", "adminURL": "http://admin"},
        "Two": {"publicURL": "http://public"},
    },
    ("image", "glance"): {"One": {"publicURL": "http://public"}},
    ("identity", "identity"): {"One": OWN, "Two": OWN},
}
KEY = {API_KEY: {"username": "demo", "apiKey": "demo"}}


@pytest.mark.parametrize(
    ("environ", "changes"),
    [
        ({}, {}),
        (
            {"SHIM_IDENTITY_V2_CATALOG": "compute=https://proxy/v2/%(tenant_id)s"},
            {("compute", "nova"): {"One": PROXY, "Two": PROXY}},
        ),
        (
            {
                "SHIM_IDENTITY_V2_CATALOG": "compute=https://proxy/v2/$(project_id)s",
                "OS_REGION_NAME": "Two",
            },
            {("compute", "nova"): {**USUAL["compute", "nova"], "Two": PROXY}},
        ),
        (
            {
                "SHIM_IDENTITY_V2_CATALOG": "Three=compute=https://proxy/v2/%(tenant_id)s "
                "image=http://i object-store=http://o/%(tenant_id)s",
            },
            {
                ("compute", "nova"): {**USUAL["compute", "nova"], "Three": PROXY},
                ("image", "glance"): {"One": all_of("http://i")},
                ("object-store", "object-store"): dict.fromkeys(
                    ("One", "Two", "Three"), all_of("http://o/p1")
                ),
            },
        ),
        (
            {"SHIM_IDENTITY_V2_CATALOG": "identity=https://proxy/v2.0"},
            {("identity", "identity"): dict.fromkeys(("One", "Two"), all_of("https://proxy/v2.0"))},
        ),
    ],
)
def test_the_catalog_is_replaced_by_type_and_region(
    front: Front, v3_keystone: EmbeddedKeystone, environ: dict[str, str], changes: Any
) -> None:
    assert (None, USUAL | changes) == catalogs(front, v3_keystone, GOOD, **environ)


def test_an_api_key_finds_rackspaces_name(front: Front, v3_keystone: EmbeddedKeystone) -> None:
    compute = ("compute", "nova")
    expected = {("compute", "cloudServersOpenStack"): USUAL[compute]}
    expected |= {key: value for key, value in USUAL.items() if key != compute}
    assert ("One", expected) == catalogs(front, v3_keystone, KEY)
    assert "Two" == catalogs(front, v3_keystone, KEY, OS_REGION_NAME="Two")[0]
