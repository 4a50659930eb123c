"""Test a client in Python: `pytest` starts the fake cloud itself (fixture `legacy_cloud`).

The client under test is keystoneauth, which logs in and finds the compute service in the catalog.
"""

import pytest
from keystoneauth1.identity import v3
from keystoneauth1.session import Session


@pytest.fixture
def client(legacy_cloud):
    auth = v3.Password(
        auth_url=legacy_cloud.auth_url,
        username=legacy_cloud.username,
        password=legacy_cloud.password,
        project_name=legacy_cloud.project_name,
        user_domain_name="Default",
        project_domain_name="Default",
    )
    return Session(auth)


def image_names(client):
    compute = {"service_type": "compute"}
    response = client.get("/images", endpoint_filter=compute, status_code_retries=2)
    return [image["name"] for image in response.json()["images"]]


def test_a_new_image_is_listed(legacy_cloud, client):
    legacy_cloud.add_image(name="debian-12", owner="demo")
    assert "debian-12" in image_names(client)


def test_the_client_retries_while_the_service_is_unavailable(legacy_cloud, client):
    legacy_cloud.add_rule(path="/v2/*", status=503, retry_after=0, times=2)
    image_names(client)
    lists = [each for each in legacy_cloud.requests() if each["path"] == "/v2/demo/images"]
    assert [each["status"] for each in lists] == [503, 503, 200]
