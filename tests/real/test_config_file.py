"""The service and the check on the configuration file that the real Glance runs with."""

from pathlib import Path

import requests
from support.live import shim

from .cloud import RealCloud
from .test_check import check, wrong


def environ(cloud: RealCloud, folder: Path, more: str = "") -> dict[str, str]:
    """Return settings that leave everything to a copy of Glance's own file."""
    copy = folder / "glance-api.conf"
    copy.write_text((cloud.folder / "glance" / "glance-api.conf").read_text() + more)
    copy.chmod(0o600)  # it has a password
    return {"SHIM_CONFIG_FILE": str(copy), "WEB_CONCURRENCY": "1"}


def listed(url: str, cloud: RealCloud) -> int:
    headers = {"X-Auth-Token": cloud.token("demo")}
    path = f"{url}/v2/{cloud.projects['demo']}/images/detail"
    return requests.get(path, headers=headers, timeout=30).status_code


def test_glances_own_file_is_all_that_is_needed(cloud: RealCloud, tmp_path: Path) -> None:
    settings = environ(cloud, tmp_path)
    status, found = check(settings)
    assert (0, []) == (status, wrong(found))
    assert "The service user has the role admin." in [finding["text"] for finding in found]
    with shim(tmp_path / "log", **settings) as url:
        assert 200 == listed(url, cloud)


SERVICE_USER = """
[service_user]
send_service_user_token = true
auth_type = password
auth_url = {url}
username = nova
password = nova-password
user_domain_id = default
project_name = service
project_domain_id = default
"""


def test_a_service_token_of_another_user_is_taken_by_glance(
    cloud: RealCloud, tmp_path: Path
) -> None:
    settings = environ(cloud, tmp_path, SERVICE_USER.format(url=cloud.auth_url))
    status, found = check(settings)
    assert (0, []) == (status, wrong(found))
    assert "The user of [service_user] can log in." in [finding["text"] for finding in found]
    with shim(tmp_path / "log", **settings) as url, cloud.counting() as counted:
        assert 200 == listed(url, cloud)
    # The login of the user that validates, and that of the one that vouches.
    assert 2 == sum(call.method == "POST" for call in counted.keystone)
