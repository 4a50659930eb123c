"""Identity v2.0 through nginx and HAProxy: its calls arrive, its tokens reach no log."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import requests
from real.processes import free_ports
from real.state import USERS
from support.fakes import Fake, says, serve
from support.live import until

from .fronts import FRONTS, Backends, front_of

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

    from .conftest import Deployment

TOKEN = "0123456789abcdef0123456789abcdef"
PATHS = (
    f"/v2.0/tokens/{TOKEN}",
    f"/identity/v2.0/tokens/{TOKEN}?belongsTo=demo",
    f"//identity//v2.0//tokens//{TOKEN}",
    f"/v2.0/%74okens/{TOKEN}",
    f"/v2.0/tokens/{TOKEN}/endpoints",
    f"/v2.0/tokens/%0a{TOKEN}",
)
LINE = re.compile(r'"(?:GET|DELETE) /v2\.0/tokens/\*\*\* HTTP/1')
CREDENTIALS = {"username": "demo", "password": USERS["demo"].password}


@pytest.mark.parametrize("root", ["/identity", ""])
def test_a_client_logs_in_and_out(root: str, url: str, deployment: Deployment) -> None:
    session = deployment.session(None)
    body = {"auth": {"passwordCredentials": CREDENTIALS, "tenantName": "demo"}}
    login = session.post(f"{url}{root}/v2.0/tokens", json=body, timeout=60).json()["access"]
    token = login["token"]["id"]
    (identity,) = (s for s in login["serviceCatalog"] if s["type"] == "identity")
    assert f"{url}/identity/v2.0" == identity["endpoints"][0]["publicURL"]
    session.headers["X-Auth-Token"] = token
    shown = session.get(f"{url}{root}/v2.0/tokens/{token}", timeout=60).json()
    assert login == shown["access"]
    for path in ("v2.0", "v2.0/", "v2.0/extensions", "v2.0/tenants"):
        assert 200 == session.get(f"{url}{root}/{path}", timeout=60).status_code
    assert 300 == session.get(f"{url}/identity", timeout=60).status_code
    assert 204 == session.delete(f"{url}{root}/v2.0/tokens/{token}", timeout=60).status_code
    wrong: Any = {"auth": {"passwordCredentials": {**CREDENTIALS, "password": "x"}}}
    refused = session.post(f"{url}{root}/v2.0/tokens", json=wrong, timeout=60)
    assert (401, {"error"}) == (refused.status_code, refused.json().keys())
    assert [] == deployment.nova.seen


@pytest.mark.parametrize("name", FRONTS)
@pytest.mark.parametrize("away", [False, True], ids=["answered", "away"])
def test_no_token_in_a_path_reaches_a_log(
    name: str, away: bool, certificate: tuple[Path, trustme.LeafCert], tmp_path: Path
) -> None:
    fake = Fake(answers=[says(200, {})] * 1000)
    with ExitStack() as stack:
        if away:
            one, other = (f"127.0.0.1:{port}" for port in free_ports(2))
        else:
            one = other = stack.enter_context(serve(fake)).removeprefix("http://")
        backends = Backends((one, other))
        front = stack.enter_context(front_of(name, tmp_path, backends, certificate[1]))
        for path in PATHS:
            for method in ("GET", "DELETE"):
                answer = send(front.http, method, path)
                assert (503 if away else 200) == answer.status_code
                assert not away or ("1", {"error"}) == (
                    answer.headers["Retry-After"],
                    answer.json().keys(),
                )
        until(lambda: 2 * len(PATHS) == len(LINE.findall(logs_in(tmp_path))))
    assert TOKEN not in logs_in(tmp_path)


def logs_in(folder: Path) -> str:
    return "".join(file.read_text() for file in folder.glob("*.log"))


def send(base: str, method: str, target: str) -> requests.Response:
    """Send a request whose target is not changed."""
    prepared = requests.Request(method, base).prepare()
    prepared.url = base + target
    with requests.Session() as session:
        session.trust_env = False
        return session.send(prepared, timeout=60)
