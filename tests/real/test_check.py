"""`check` on the real Keystone and Glance: a good set-up, and every problem that it reports."""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests
from support.live import clean_environ, free_port
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from .conftest import real_environ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .cloud import RealCloud

Changes = dict[str, str]


def check(
    environ: dict[str, str], *arguments: str, token: str = ""
) -> tuple[int, list[dict[str, str]]]:
    """Run the command as a person would, and return its status and findings."""
    command = "from nova_image_shim.cli import main; raise SystemExit(main())"
    done = subprocess.run(
        [sys.executable, "-c", command, "check", "--json", *arguments],
        env=clean_environ() | {"no_proxy": "*"} | environ,
        input=token,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "" == done.stderr
    found: list[dict[str, str]] = json.loads(done.stdout)
    for secret in ("shim-password", "a-wrong-password", "a-wrong-secret", token or "no token"):
        assert secret not in done.stdout
    return done.returncode, found


def wrong(found: list[dict[str, str]]) -> list[tuple[str, str, str]]:
    return [(f["level"], f["text"], f["fix"]) for f in found if f["level"] != "ok"]


class Admin:
    """Keystone's own API, as its administrator uses it to break things."""

    def __init__(self, cloud: RealCloud, user: str = "admin") -> None:
        self.session = cloud.session(user)
        self.url = cloud.auth_url
        self.user_id = self.session.get_user_id()

    def post(self, path: str, kind: str, **fields: Any) -> dict[str, Any]:
        answer = self.session.post(f"{self.url}/{path}", json={kind: fields})
        created: dict[str, Any] = answer.json()[kind]
        return created

    def ids(self, path: str) -> dict[str, str]:
        return {
            item.get("name", item["id"]): item["id"]
            for item in self.session.get(f"{self.url}/{path}").json()[path]
        }


@pytest.fixture(scope="module")
def environ(cloud: RealCloud) -> dict[str, str]:
    """Return the settings of a good set-up."""
    return real_environ(cloud) | {
        "SHIM_MEMCACHED_SERVERS": cloud.memcached,
        "SHIM_GLANCE_LINK_PREFIX": cloud.glance_url,
    }


def test_a_good_set_up_has_no_problems(cloud: RealCloud, environ: dict[str, str]) -> None:
    with cloud.counting() as calls:
        status, found = check(environ)
    assert [
        "The settings are valid.",
        f"memcached answers at {cloud.memcached}.",
        f"Keystone answers at {cloud.auth_url}.",
        "Keystone's clock agrees with this machine's.",
        "The service user can log in.",
        "Keystone validates the service user's own token.",
        "The service user has the role admin.",
        f"Glance at {cloud.glance_url} lists images.",
        "Glance's clock agrees with this machine's.",
    ] == [finding["text"] for finding in found]
    assert (0, []) == (status, wrong(found))
    assert ["/v2/images?limit=1"] == [call.path for call in calls.glance]


def test_a_clients_token_is_validated(cloud: RealCloud, environ: dict[str, str]) -> None:
    arguments = ("--token-file", "/dev/stdin")
    status, found = check(environ, *arguments, token=cloud.token("demo"))
    assert 0 == status
    assert "Keystone validates the client's token." in [f["text"] for f in found]
    status, found = check(environ, *arguments, token="gAAAAA" + "x" * 100)
    assert (2, "Keystone does not validate the client's token: ") == (
        status,
        found[-1]["text"].partition(cloud.keystone_url)[0],
    )


def test_an_application_credential_works_as_well(cloud: RealCloud, environ: dict[str, str]) -> None:
    identity, secret = cloud.application_credential
    credential = {
        "OS_APPLICATION_CREDENTIAL_ID": identity,
        "OS_APPLICATION_CREDENTIAL_SECRET": secret,
    }
    status, found = check(environ | credential)
    assert (0, []) == (status, wrong(found))


# What is broken, each with the settings that are changed for it.


@contextlib.contextmanager
def wrong_password(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    yield {"OS_PASSWORD": "a-wrong-password"}


@contextlib.contextmanager
def wrong_project(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    yield {"OS_PROJECT_NAME": "no-such-project"}


@contextlib.contextmanager
def wrong_region(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    yield {"OS_REGION_NAME": "RegionTwo"}


@contextlib.contextmanager
def wrong_path(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    yield {"OS_AUTH_URL": f"{cloud.keystone_url}/identity/v3"}


@contextlib.contextmanager
def a_glance_for_a_keystone(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    yield {"OS_AUTH_URL": cloud.glance_url}


@contextlib.contextmanager
def no_keystone(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    cloud.stop_keystone()
    try:
        yield {}
    finally:
        cloud.start_keystone()


@contextlib.contextmanager
def silent_keystone(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    cloud.freeze_keystone()
    try:
        yield {"SHIM_KEYSTONE_TIMEOUT": "1"}
    finally:
        cloud.thaw_keystone()


@contextlib.contextmanager
def unknown_host(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    yield {"OS_AUTH_URL": "http://keystone.invalid:5000/v3"}


@contextlib.contextmanager
def no_glance(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    cloud.stop_glance()
    try:
        yield {}
    finally:
        cloud.start_glance()


@contextlib.contextmanager
def no_memcached(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    yield {"SHIM_MEMCACHED_SERVERS": f"127.0.0.1:{free_port()}"}


@contextlib.contextmanager
def wrong_glance(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    yield {"SHIM_GLANCE_ENDPOINT": cloud.keystone_url}


@contextlib.contextmanager
def unknown_credential(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    yield {
        "OS_APPLICATION_CREDENTIAL_ID": "0123456789abcdef0123456789abcdef",
        "OS_APPLICATION_CREDENTIAL_SECRET": "a-wrong-secret",
    }


@contextlib.contextmanager
def expired_credential(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    owner = Admin(cloud, cloud.service_user)
    expires = datetime.now(UTC) + timedelta(seconds=2)
    created = owner.post(
        f"users/{owner.user_id}/application_credentials",
        "application_credential",
        name=f"short-{time.monotonic()}",
        expires_at=expires.strftime("%Y-%m-%dT%H:%M:%S.%f"),
    )
    time.sleep(2.5)
    yield {
        "OS_APPLICATION_CREDENTIAL_ID": created["id"],
        "OS_APPLICATION_CREDENTIAL_SECRET": created["secret"],
    }


@contextlib.contextmanager
def no_role(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    yield {"OS_USERNAME": "demo", "OS_PASSWORD": "demo-password", "OS_PROJECT_NAME": "demo"}


@contextlib.contextmanager
def no_interface(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    """Take the admin endpoint of Keystone out of the catalog."""
    admin = Admin(cloud)
    found = admin.session.get(f"{admin.url}/endpoints?interface=admin").json()["endpoints"]
    for endpoint in found:
        admin.session.patch(
            f"{admin.url}/endpoints/{endpoint['id']}", json={"endpoint": {"enabled": False}}
        )
    try:
        yield {"OS_INTERFACE": "admin"}
    finally:
        for endpoint in found:
            admin.session.patch(
                f"{admin.url}/endpoints/{endpoint['id']}", json={"endpoint": {"enabled": True}}
            )


@contextlib.contextmanager
def unreachable_interface(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    """Move the internal endpoint of Keystone to where nobody listens."""
    admin = Admin(cloud)
    services = admin.session.get(f"{admin.url}/services?type=identity").json()["services"]
    query = f"interface=internal&service_id={services[0]['id']}"
    (endpoint,) = admin.session.get(f"{admin.url}/endpoints?{query}").json()["endpoints"]
    address = f"{admin.url}/endpoints/{endpoint['id']}"
    admin.session.patch(address, json={"endpoint": {"url": "http://127.0.0.1:9/v3"}})
    try:
        yield {"OS_INTERFACE": "internal"}
    finally:
        admin.session.patch(address, json={"endpoint": {"url": endpoint["url"]}})


class _Quiet(WSGIRequestHandler):
    ahead_seconds = 0

    def log(self, *args: Any, **kwargs: Any) -> None:
        """Say nothing."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return what `Date` says."""
        return super().date_time_string((timestamp or time.time()) + self.ahead_seconds)


class _Ahead(_Quiet):
    ahead_seconds = 297


@contextlib.contextmanager
def in_front_of(
    url: str, tls: ssl.SSLContext | None = None, handler: type[_Quiet] = _Quiet
) -> Iterator[str]:
    """Run a proxy in front of a service, and give its address."""

    def app(environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        path = request.full_path.rstrip("?")
        headers = {k: v for k, v in request.headers.items() if k.lower() not in {"host"}}
        answer = requests.request(
            request.method, url + path, headers=headers, data=request.get_data(), timeout=30
        )
        kept = {"content-type", "x-subject-token"}
        response = Response(
            answer.content,
            answer.status_code,
            {k: v for k, v in answer.headers.items() if k.lower() in kept},
        )
        return response(environ, start_response)

    server = make_server(
        "127.0.0.1", 0, app, threaded=True, request_handler=handler, ssl_context=tls
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def certificate(folder: Path, name: str) -> Path:
    """Make a certificate that has signed itself, and return its file; the key is beside it."""
    file = folder / f"{name}.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", f"/CN={name}", "-addext", f"subjectAltName={name}"),
            *("-keyout", f"{file}.key", "-out", str(file)),
        ],
        check=True,
        capture_output=True,
    )
    return file


def tls_of(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, f"{file}.key")
    return context


@contextlib.contextmanager
def untrusted_certificate(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    file = certificate(folder, "IP:127.0.0.1")
    with in_front_of(cloud.keystone_url, tls_of(file)) as url:
        yield {"OS_AUTH_URL": f"{url}/v3"}


@contextlib.contextmanager
def certificate_of_another(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    file = certificate(folder, "DNS:keystone.example")
    with in_front_of(cloud.keystone_url, tls_of(file)) as url:
        yield {"OS_AUTH_URL": f"{url}/v3", "OS_CACERT": str(file)}


@contextlib.contextmanager
def tls_where_there_is_none(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    yield {"OS_AUTH_URL": cloud.auth_url.replace("http:", "https:")}


@contextlib.contextmanager
def late_clock(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    with in_front_of(cloud.keystone_url, handler=_Ahead) as url:
        yield {"OS_AUTH_URL": f"{url}/v3"}


NAMES_KEYSTONE = (
    "Set OS_AUTH_URL to the identity service's address, such as http://HOST:5000/v3; "
    "`openstack catalog show identity` prints it."
)
OPEN_AUTH_URL = "Start it, open the network to it, or correct OS_AUTH_URL."
TRUST = (
    "Set OS_CACERT to a file with the certificate of its authority, or correct the certificate or "
    "OS_AUTH_URL."
)
OTHER_ENDPOINT = (
    "Set OS_INTERFACE and OS_REGION_NAME to one of them, or create the endpoint (openstack "
    "endpoint create)."
)
CREDENTIAL = (
    "Create one as the service user (openstack application credential create) and set "
    "OS_APPLICATION_CREDENTIAL_ID and OS_APPLICATION_CREDENTIAL_SECRET."
)
# The set-up and its finding: level, text and fix; {auth_url}, {keystone}, {glance} are filled in.
BROKEN: list[tuple[Callable[..., Any], str, str, str]] = [
    (
        wrong_password,
        "error",
        "Keystone rejects the service user nova-image-shim: the name, password or domain is wrong, "
        "or the user is disabled.",
        "Correct OS_USERNAME, OS_PASSWORD and OS_USER_DOMAIN_NAME.",
    ),
    (
        wrong_project,
        "error",
        "The service user nova-image-shim cannot log in to the project no-such-project: the "
        "project does not exist, or the user has no role in it.",
        "Correct OS_PROJECT_NAME and OS_PROJECT_DOMAIN_NAME, or run: openstack role add --user "
        "nova-image-shim --project no-such-project service",
    ),
    (
        wrong_region,
        "error",
        "The catalog has no public endpoint of Keystone in the region RegionTwo: it has admin in "
        "RegionOne, internal in RegionOne, public in RegionOne.",
        OTHER_ENDPOINT,
    ),
    (
        wrong_path,
        "error",
        "There is no Keystone v3 at {auth_url}: it returns 404.",
        NAMES_KEYSTONE,
    ),
    (
        a_glance_for_a_keystone,
        "error",
        "There is no Keystone v3 at {auth_url}: it returns 300.",
        NAMES_KEYSTONE,
    ),
    (
        no_keystone,
        "error",
        "Keystone does not answer at {auth_url}: Connection refused.",
        OPEN_AUTH_URL,
    ),
    (
        silent_keystone,
        "error",
        "Keystone does not answer at {auth_url}: no answer in time.",
        OPEN_AUTH_URL,
    ),
    (
        unknown_host,
        "error",
        "Keystone does not answer at {auth_url}: unknown host name (",
        OPEN_AUTH_URL,
    ),
    (
        untrusted_certificate,
        "error",
        "Keystone's certificate at {auth_url} is not trusted: self-signed certificate.",
        TRUST,
    ),
    (
        certificate_of_another,
        "error",
        "Keystone's certificate at {auth_url} is not trusted: IP address mismatch, certificate is "
        "not valid for '127.0.0.1'.",
        TRUST,
    ),
    (
        tls_where_there_is_none,
        "error",
        "Keystone at {auth_url} does not speak TLS: ",
        "Use http:// in OS_AUTH_URL, or enable TLS there.",
    ),
    (
        late_clock,
        "error",
        "Keystone's clock is 29",  # 296 or 297: `Date` has no fractions
        "Run NTP on both: otherwise tokens expire too early or are accepted too long.",
    ),
    (
        unknown_credential,
        "error",
        "Keystone rejects the application credential 0123456789abcdef0123456789abcdef: it does "
        "not exist, has expired, or its secret is wrong.",
        CREDENTIAL,
    ),
    (
        expired_credential,
        "error",
        "Keystone rejects the application credential {credential}: it does not exist, has "
        "expired, or its secret is wrong.",
        CREDENTIAL,
    ),
    (
        no_role,
        "error",
        "The service user may not validate other users' tokens: its roles are member, reader.",
        "Run: openstack role add --user demo --project demo service (and create the application "
        "credential anew, if there is one). If Keystone's policy is customized, use --token-file "
        "with a client's token to see what it allows.",
    ),
    (
        no_interface,
        "error",
        "The catalog has no admin endpoint of Keystone in the region RegionOne: it has internal in "
        "RegionOne, public in RegionOne.",
        OTHER_ENDPOINT,
    ),
    (
        unreachable_interface,
        "error",
        "Keystone's internal endpoint in the catalog does not answer at "
        "http://127.0.0.1:9/v3/auth/tokens: Connection refused.",
        "Start it, open the network to it, or correct OS_INTERFACE.",
    ),
    (
        no_glance,
        "error",
        "Glance does not answer at {glance}/v2/images?limit=1: Connection refused.",
        "Start it, open the network to it, or correct Glance's endpoint.",
    ),
    (
        wrong_glance,
        "error",
        "There is no Glance v2 at {keystone}: it returns 404.",
        "Correct SHIM_GLANCE_ENDPOINT: it must be the image service's address without /v2.",
    ),
    (
        no_memcached,
        "warning",
        "memcached at {memcached} does not answer: Connection refused.",
        "Start it, or remove it from SHIM_MEMCACHED_SERVERS: until then tokens are validated more "
        "often.",
    ),
]


@pytest.mark.parametrize(
    ("broken", "level", "text", "fix"), BROKEN, ids=[case[0].__name__ for case in BROKEN]
)
def test_a_problem_is_reported_with_its_fix(
    broken: Callable[..., Any],
    level: str,
    text: str,
    fix: str,
    cloud: RealCloud,
    environ: dict[str, str],
    tmp_path: Path,
) -> None:
    with broken(cloud, tmp_path) as changes:
        settings = environ | changes
        started = time.monotonic()
        status, found = check(settings)
        seconds = time.monotonic() - started  # the repair afterwards does not count
    expected = text.format(
        auth_url=settings["OS_AUTH_URL"],
        keystone=cloud.keystone_url,
        glance=cloud.glance_url,
        memcached=settings["SHIM_MEMCACHED_SERVERS"],
        credential=settings.get("OS_APPLICATION_CREDENTIAL_ID"),
    )
    ((found_level, found_text, found_fix),) = wrong(found)
    assert (level, fix) == (found_level, found_fix)
    # What the system's own libraries say may differ between machines; our sentence may not.
    assert found_text.startswith(expected) if not expected.endswith(".") else found_text == expected
    assert {"warning": 1, "error": 2}[level] == status
    assert seconds < 15


def test_a_user_without_the_role_may_not_validate_a_clients_token(
    cloud: RealCloud, environ: dict[str, str], tmp_path: Path
) -> None:
    with no_role(cloud, tmp_path) as changes:
        arguments = ("--token-file", "/dev/stdin")
        status, found = check(environ | changes, *arguments, token=cloud.token("alt"))
    text = "The service user may not validate other users' tokens: Keystone returns 403."
    assert (2, text) == (status, found[-1]["text"])


def test_a_trusted_certificate_is_ok(
    cloud: RealCloud, environ: dict[str, str], tmp_path: Path
) -> None:
    file = certificate(tmp_path, "IP:127.0.0.1")
    with in_front_of(cloud.keystone_url, tls_of(file)) as url:
        changes = {"OS_AUTH_URL": f"{url}/v3", "OS_CACERT": str(file)}
        status, found = check(environ | changes)
    assert (0, []) == (status, wrong(found))


def test_links_that_clients_cannot_use_are_reported(
    cloud: RealCloud, environ: dict[str, str]
) -> None:
    admin = Admin(cloud)
    services = admin.session.get(f"{admin.url}/services?type=compute").json()["services"]
    query = f"interface=public&service_id={services[0]['id']}"
    (endpoint,) = admin.session.get(f"{admin.url}/endpoints?{query}").json()["endpoints"]
    address = f"{admin.url}/endpoints/{endpoint['id']}"
    public = "https://nova.example:8774/v2/%(tenant_id)s"
    admin.session.patch(address, json={"endpoint": {"url": public}})
    internal = cloud.glance_url.replace("127.0.0.1", "localhost")
    try:
        plain = check(environ)
        proxied = check(environ | {"SHIM_TRUSTED_PROXIES": "1"})
        prefix = check(environ | {"SHIM_COMPUTE_LINK_PREFIX": "http://nova.example:8774"})
        inside = check(
            environ
            | {
                "SHIM_TRUSTED_PROXIES": "1",
                "SHIM_GLANCE_LINK_PREFIX": "",
                "SHIM_GLANCE_ENDPOINT": internal,
            }
        )
    finally:
        admin.session.patch(address, json={"endpoint": {"url": endpoint["url"]}})
    assert (1, "SHIM_TRUSTED_PROXIES" in wrong(plain[1])[0][2]) == (plain[0], True)
    assert (
        "Links begin with http://, but clients use https://nova.example:8774/"
        in wrong(plain[1])[0][1]
    )
    assert (0, []) == (proxied[0], wrong(proxied[1]))
    assert "Use https:// in SHIM_COMPUTE_LINK_PREFIX." == wrong(prefix[1])[0][2]
    assert [
        (
            "warning",
            f"`alternate` links show clients {internal}, which is not Glance's public address.",
            f"Set SHIM_GLANCE_LINK_PREFIX to {cloud.glance_url}",
        )
    ] == wrong(inside[1])
