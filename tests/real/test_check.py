"""`check` on the real Keystone and Glance: a good set-up, and every problem that it reports."""

import contextlib
import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from support.live import clean_environ
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from .cloud import RealCloud
from .conftest import real_environ

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

    @contextlib.contextmanager
    def moved(self, service: str, interface: str, url: str) -> Iterator[None]:
        """Change an endpoint's address in the catalog for a while."""
        services = self.session.get(f"{self.url}/services?type={service}").json()["services"]
        query = f"interface={interface}&service_id={services[0]['id']}"
        (endpoint,) = self.session.get(f"{self.url}/endpoints?{query}").json()["endpoints"]
        address = f"{self.url}/endpoints/{endpoint['id']}"
        self.session.patch(address, json={"endpoint": {"url": url}})
        try:
            yield
        finally:
            self.session.patch(address, json={"endpoint": {"url": endpoint["url"]}})


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


def test_identity_v2_is_checked(environ: dict[str, str]) -> None:
    on = environ | {"SHIM_IDENTITY_V2": "1"}
    status, found = check(on)
    address = "http://127.0.0.1:8774/v2/" + "%(tenant_id)s"
    assert (0, []) == (status, wrong(found))
    (line,) = (f["text"] for f in found if "compute" in f["text"])
    assert line.startswith(
        "Clients that log in with v2.0 find compute at http://127.0.0.1:8774/v2/"
    )
    _, own = check(on | {"SHIM_IDENTITY_V2_CATALOG": f"compute={address}"})
    ((level, text, _fix),) = wrong(own)
    assert ("warning", True) == (level, text.startswith("SHIM_IDENTITY_V2_CATALOG names this"))
    status, missing = check(on | {"SHIM_IDENTITY_V2_DOMAIN_ID": "nowhere"})
    text = "Identity v2.0 finds no names: there is no domain with the id nowhere."
    assert (2, text) == (status, wrong(missing)[0][1])


def test_a_clients_token_is_validated(cloud: RealCloud, environ: dict[str, str]) -> None:
    arguments = ("--token-file", "/dev/stdin")
    status, found = check(environ, *arguments, token=cloud.token("demo"))
    assert 0 == status
    assert "Keystone validates the client's token." in [f["text"] for f in found]
    status, found = check(environ, *arguments, token="gAAAAA" + "x" * 100)
    text = "The client's token cannot be validated: Keystone's public endpoint at "
    assert (2, text) == (status, found[-1]["text"].partition(cloud.keystone_url)[0])


def test_an_application_credential_works_as_well(cloud: RealCloud, environ: dict[str, str]) -> None:
    identity, secret = cloud.application_credential
    credential = {
        "OS_APPLICATION_CREDENTIAL_ID": identity,
        "OS_APPLICATION_CREDENTIAL_SECRET": secret,
    }
    status, found = check(environ | credential)
    assert (0, []) == (status, wrong(found))


# What is broken, each with the settings that are changed for it.


SetUp = Callable[["RealCloud", "Path"], contextlib.AbstractContextManager[Changes]]


def changed(**settings: str) -> SetUp:
    """Break settings only; the cloud's addresses are filled in."""
    return lambda cloud, _folder: contextlib.nullcontext(
        {name: value.format(cloud=cloud) for name, value in settings.items()}
    )


def halted(stop: str, start: str, **settings: str) -> SetUp:
    """Halt a service of the cloud by a method, and undo it with another."""

    @contextlib.contextmanager
    def broken(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
        getattr(cloud, stop)()
        try:
            yield settings
        finally:
            getattr(cloud, start)()

    return broken


no_role = changed(OS_USERNAME="demo", OS_PASSWORD="demo-password", OS_PROJECT_NAME="demo")


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
def no_interface(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    """Take the admin endpoint of Keystone out of the catalog."""
    admin = Admin(cloud)
    found = admin.session.get(f"{admin.url}/endpoints?interface=admin").json()["endpoints"]

    def enable(enabled: bool) -> None:
        for endpoint in found:
            address = f"{admin.url}/endpoints/{endpoint['id']}"
            admin.session.patch(address, json={"endpoint": {"enabled": enabled}})

    enable(False)
    try:
        yield {"OS_INTERFACE": "admin"}
    finally:
        enable(True)


@contextlib.contextmanager
def unreachable_interface(cloud: RealCloud, folder: Path) -> Iterator[Changes]:
    """Move the internal endpoint of Keystone to where nobody listens."""
    with Admin(cloud).moved("identity", "internal", "http://127.0.0.1:9/v3"):
        yield {"OS_INTERFACE": "internal"}


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
TRUST = "Set OS_CACERT to a file with the certificate of its authority, or replace the certificate."
OTHER_ENDPOINT = (
    "Set OS_INTERFACE and OS_REGION_NAME to one of them, or create the endpoint (openstack "
    "endpoint create)."
)
CREDENTIAL = (
    "Create an application credential as the service user (openstack application credential "
    "create) and set OS_APPLICATION_CREDENTIAL_ID and OS_APPLICATION_CREDENTIAL_SECRET."
)
LOGIN = "The service user nova-image-shim cannot log in: Keystone at {auth_url}/auth/tokens "
CREDENTIAL_LOGIN = (
    "The service user {credential} cannot log in: Keystone at {auth_url}/auth/tokens "
)
HIDDEN = "returns 401: The request you have made requires authentication."
# The set-up and its finding: text and fix; {auth_url}, {keystone}, {glance} are filled in.
BROKEN: dict[str, tuple[SetUp, str, str]] = {
    "wrong_password": (
        changed(OS_PASSWORD="a-wrong-password"),
        LOGIN + HIDDEN,
        "Correct OS_USERNAME, OS_PASSWORD and OS_USER_DOMAIN_NAME, or enable the user if it is "
        "disabled.",
    ),
    "wrong_project": (
        changed(OS_PROJECT_NAME="no-such-project"),
        LOGIN + HIDDEN,
        "Correct OS_PROJECT_NAME and OS_PROJECT_DOMAIN_NAME, which name no project of this user, "
        "or run: openstack role add --user nova-image-shim --project no-such-project service",
    ),
    "wrong_region": (
        changed(OS_REGION_NAME="RegionTwo"),
        "The catalog has no public endpoint of Keystone in the region RegionTwo: it has admin in "
        "RegionOne, internal in RegionOne, public in RegionOne.",
        OTHER_ENDPOINT,
    ),
    "wrong_path": (
        changed(OS_AUTH_URL="{cloud.keystone_url}/identity/v3"),
        LOGIN + "returns 404",
        NAMES_KEYSTONE,
    ),
    "a_glance_for_a_keystone": (
        changed(OS_AUTH_URL="{cloud.glance_url}"),
        "The service user nova-image-shim cannot log in: Keystone at {glance}/v3/auth/tokens "
        "returns 300 with application/json.",
        NAMES_KEYSTONE,
    ),
    "no_keystone": (
        halted("stop_keystone", "start_keystone"),
        LOGIN + "does not answer: Connection refused.",
        OPEN_AUTH_URL,
    ),
    "silent_keystone": (
        halted("freeze_keystone", "thaw_keystone", SHIM_KEYSTONE_TIMEOUT="1"),
        LOGIN + "does not answer: no answer in time.",
        "",
    ),
    "unknown_host": (
        changed(OS_AUTH_URL="http://keystone.invalid:5000/v3"),
        LOGIN + "does not answer: unknown host name (",
        "Correct OS_AUTH_URL, or how this machine resolves names.",
    ),
    "untrusted_certificate": (
        untrusted_certificate,
        LOGIN + "has a certificate that is not trusted: self-signed certificate.",
        TRUST,
    ),
    "certificate_of_another": (
        certificate_of_another,
        LOGIN + "has a certificate that is not trusted: IP address mismatch, certificate is not "
        "valid for '127.0.0.1'.",
        "Correct OS_AUTH_URL, or replace the certificate with one for that name.",
    ),
    "tls_where_there_is_none": (
        tls_where_there_is_none,
        LOGIN + "does not agree on TLS: ",
        "Enable TLS on that port, or correct OS_AUTH_URL.",
    ),
    "late_clock": (
        late_clock,
        "Keystone's clock is 29",  # 296 or 297: `Date` has no fractions
        "Run NTP on both: otherwise tokens expire too early or are accepted too long.",
    ),
    "unknown_credential": (
        changed(
            OS_APPLICATION_CREDENTIAL_ID="0123456789abcdef0123456789abcdef",
            OS_APPLICATION_CREDENTIAL_SECRET="a-wrong-secret",
        ),
        CREDENTIAL_LOGIN + "returns 404: Could not find Application Credential: {credential}.",
        CREDENTIAL,
    ),
    "expired_credential": (
        expired_credential,
        CREDENTIAL_LOGIN + HIDDEN,
        CREDENTIAL,
    ),
    "no_role": (
        no_role,
        "The service user may not validate other users' tokens: its roles are member, reader.",
        "Run: openstack role add --user demo --project demo service (and create the application "
        "credential again, if there is one). If Keystone's policy is customized, use --token-file "
        "with a client's token to see what it allows.",
    ),
    "no_interface": (
        no_interface,
        "The catalog has no admin endpoint of Keystone in the region RegionOne: it has internal in "
        "RegionOne, public in RegionOne.",
        OTHER_ENDPOINT,
    ),
    "unreachable_interface": (
        unreachable_interface,
        "The service user's own token cannot be validated: Keystone's internal endpoint at "
        "http://127.0.0.1:9/v3/auth/tokens does not answer: Connection refused.",
        "Start it, open the network to it, or correct that endpoint in the catalog.",
    ),
    "no_glance": (
        halted("stop_glance", "start_glance"),
        "Images cannot be listed: Glance at {glance}/v2/images does not answer: Connection "
        "refused.",
        "Start it, open the network to it, or correct Glance's endpoint.",
    ),
    "wrong_glance": (
        changed(SHIM_GLANCE_ENDPOINT="{cloud.keystone_url}"),
        "Images cannot be listed: Glance at {keystone}/v2/images returns 404",
        "Correct SHIM_GLANCE_ENDPOINT: it must be the image service's address.",
    ),
    "no_memcached": (
        changed(SHIM_MEMCACHED_SERVERS="127.0.0.1:9"),
        "memcached at {memcached} does not answer: Connection refused.",
        "Start it, or remove it from SHIM_MEMCACHED_SERVERS: until then tokens are validated more "
        "often.",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_problem_is_reported_with_its_fix(
    name: str, cloud: RealCloud, environ: dict[str, str], tmp_path: Path
) -> None:
    broken, text, fix = BROKEN[name]
    level, code = ("warning", 1) if name == "no_memcached" else ("error", 2)
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
    assert code == status
    assert seconds < 15


def test_a_user_without_the_role_may_not_validate_a_clients_token(
    cloud: RealCloud, environ: dict[str, str], tmp_path: Path
) -> None:
    with no_role(cloud, tmp_path) as changes:
        arguments = ("--token-file", "/dev/stdin")
        status, found = check(environ | changes, *arguments, token=cloud.token("alt"))
    address = f"{cloud.keystone_url}/v3/auth/tokens"
    text = f"The client's token cannot be validated: Keystone's public endpoint at {address} "
    assert (2, f"{text}returns 403: You are not authorized to perform") == (
        status,
        found[-1]["text"].partition(" the requested action")[0],
    )


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
    internal = cloud.glance_url.replace("127.0.0.1", "localhost")
    with Admin(cloud).moved("compute", "public", "https://nova.example:8774/v2/%(tenant_id)s"):
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
