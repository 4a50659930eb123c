"""What the documentation says of the embedded cloud, against the cloud."""

import re
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient
from support.paths import ROOT

from nova_image_shim.fakecloud.seed import Project, Seed, load_seed
from nova_image_shim.fakecloud.welcome import welcome

PAGE = (ROOT / "docs" / "reference" / "fake-cloud.md").read_text(encoding="utf-8")


def calls(app: Flask) -> set[str]:
    """Return the calls that an application serves; of two paths to one view the long one."""
    found = set()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:[^<>:]+:)?_?(\w+)>", r"{\1}", rule.rule).rstrip("/")
        alias = re.match(r"/v3|/v2\.0|/{identity_version}|/image/v2\.|/v1\.1|/v2\.1", path)
        if not alias and ".unserved." not in rule.endpoint:
            found |= {f"{method} {path}" for method in (rule.methods or set()) - {"HEAD"}}
    return found


def test_every_embedded_call_is_in_the_table(
    client: FlaskClient, cloud_client: FlaskClient
) -> None:
    listed = re.findall(
        r"^\| `([A-Z]+ /(?:identity|image|v2/\{tenant_id\})[^`]*)`", PAGE, re.MULTILINE
    )
    assert calls(cloud_client.application) - calls(client.application) == set(listed)


def test_the_seed_shown_is_one(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL)
    path = tmp_path / "seed.yaml"
    path.write_text(shown, encoding="utf-8")
    seed = load_seed(path)
    acme = Project("6f70656e737461636b20342065766572", "acme")
    assert (acme, Project("admin", "admin")) == seed.projects
    assert [{acme.id}, {"admin", acme.id}] == [user.roles.keys() for user in seed.users]


def test_the_login_shown_is_the_one_that_is_said() -> None:
    said = [line.strip() for line in welcome(Seed(), "http://127.0.0.1:8774")]
    exports = [line for line in said if line.startswith("export")]
    assert exports == re.findall(r"^\$ (export OS_\w+=\S*(?:demo|127\.0\.0\.1).*)$", PAGE, re.M)
