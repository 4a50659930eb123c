"""What SECURITY.md promises of TLS: the service trusts its CA bundle and nothing else."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import requests
from support.fakes import FakeGlance, FakeKeystone, serve, token_of
from support.live import glance_environ, live_shim

from nova_image_shim.check.command import findings

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path
    from wsgiref.types import WSGIApplication

    from trustme import CA, LeafCert

pytestmark = pytest.mark.live
trustme = pytest.importorskip("trustme", reason="trustme is not installed; run `make test-live`")


def over_tls(app: WSGIApplication, certificate: LeafCert) -> AbstractContextManager[str]:
    """Serve an application with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return serve(app, context)


YESTERDAY = datetime.now(UTC) - timedelta(days=1)
CERTIFICATES: dict[str, tuple[Callable[[CA], LeafCert], str | None]] = {
    "good": (lambda authority: authority.issue_cert("127.0.0.1"), None),
    "of another host": (lambda authority: authority.issue_cert("other.example"), "mismatch"),
    "expired": (
        lambda authority: authority.issue_cert("127.0.0.1", not_after=YESTERDAY),
        "certificate has expired",
    ),
    "of another authority": (
        lambda _authority: trustme.CA().issue_cert("127.0.0.1"),
        "certificate verify failed",
    ),
}


@pytest.mark.parametrize("service", ["glance", "keystone"])
@pytest.mark.parametrize("kind", CERTIFICATES)
def test_a_bad_certificate_is_refused_and_the_log_says_so(
    kind: str, service: str, tmp_path: Path
) -> None:
    issue, complaint = CERTIFICATES[kind]
    authority = trustme.CA()
    good, certificate = authority.issue_cert("127.0.0.1"), issue(authority)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    glance, keystone = FakeGlance(), FakeKeystone()
    of_glance, of_keystone = (certificate, good) if service == "glance" else (good, certificate)
    with over_tls(glance, of_glance) as glance.url, over_tls(keystone, of_keystone) as keystone.url:
        keystone.glance_url = glance.url
        environ = glance_environ(keystone) | {"OS_CACERT": str(bundle)}
        with live_shim(tmp_path / "log", **environ) as live:
            answer = requests.get(
                f"{live.url}/v2/demo/images", headers={"X-Auth-Token": token_of("demo")}, timeout=10
            )
    assert (503 if complaint else 200) == answer.status_code
    log = live.log.read_text()
    if complaint:
        assert re.search(complaint, log), log
        seen = glance.seen if service == "glance" else keystone.seen
        assert [] == seen  # no token and no password was sent to it
    assert "Traceback" not in log


@pytest.mark.skipif(
    not shutil.which("openssl"), reason="openssl is not installed; run `apt-get install openssl`"
)
@pytest.mark.parametrize(("is_trusted", "status"), [(True, 200), (False, 503)])
def test_the_authorities_may_be_in_a_directory_of_openssl(
    is_trusted: bool, status: int, tmp_path: Path
) -> None:
    authority = trustme.CA()
    trusted = authority if is_trusted else trustme.CA()
    folder = tmp_path / "certificates"
    folder.mkdir()
    trusted.cert_pem.write_to_path(folder / "authority.pem")
    subprocess.run(["openssl", "rehash", folder], check=True)
    glance, keystone = FakeGlance(), FakeKeystone()
    certificate = authority.issue_cert("127.0.0.1")
    with over_tls(glance, certificate) as glance.url, over_tls(keystone, certificate) as url:
        keystone.url, keystone.glance_url = url, glance.url
        environ = glance_environ(keystone) | {"OS_CACERT": str(folder)}
        found = [finding.text for finding in findings(environ)]
        with live_shim(tmp_path / "log", **environ) as live:
            answer = requests.get(
                f"{live.url}/v2/demo/images", headers={"X-Auth-Token": token_of("demo")}, timeout=10
            )
    assert status == answer.status_code
    assert is_trusted == ("The service user can log in." in found)


def test_without_a_bundle_only_the_usual_authorities_are_trusted(tmp_path: Path) -> None:
    glance, keystone = FakeGlance(), FakeKeystone()
    certificate = trustme.CA().issue_cert("127.0.0.1")
    with over_tls(glance, certificate) as glance.url, serve(keystone) as keystone.url:
        keystone.glance_url = glance.url
        with live_shim(tmp_path / "log", **glance_environ(keystone)) as live:
            answer = requests.get(
                f"{live.url}/v2/demo/images", headers={"X-Auth-Token": token_of("demo")}, timeout=10
            )
    assert 503 == answer.status_code
    assert "certificate verify failed" in live.log.read_text()
    assert [] == glance.seen
