"""The cloud of a row of table.yaml: fake services, proxies and TLS servers on loopback."""

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial, reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
from support.fakes import Fake, FakeGlance, FakeKeystone, says, serve
from support.live import free_port, glance_environ
from support.peers import Peer, hears, scripted, sends
from werkzeug.wrappers import Request, Response

Row = Mapping[str, Any]


@dataclass
class Keystone(FakeKeystone):
    """A Keystone whose service user may validate tokens; `changes` are made to every token."""

    changes: Row = field(default_factory=dict)

    def usual(self, request: Request) -> Response:
        return super().usual(request) if request.path == "/v3/auth/tokens" else Response(status=404)

    def _token(self, project: str) -> Any:
        token = super()._token(project)
        token.add_role(name="service")
        return change(token, self.changes)


def change(body: Any, changes: Row) -> Any:
    """Set values in a JSON document, each by its path: `token.user.id`, `token.catalog.0`.

    A path that ends with `+` appends to a list.
    """
    for path, value in changes.items():
        *way, last = (int(step) if step.isdigit() else step for step in path.split("."))
        place = reduce(getitem, way, body)
        if last == "+":
            place.append(value)
        else:
            place[last] = value
    return body


def answer_of(fake: Fake, row: Row | None) -> Callable[[Request], Response]:
    """Return an answer: as the row has it, or the usual one with changes to body and headers."""
    given = row or {}
    headers = given.get("headers", {})
    if {"status", "text", "json"} & given.keys():
        text = given.get("text", "").encode("latin-1") * given.get("times", 1)
        kind = "text/html" if "text" in given else "application/json"
        fields = {"Content_Type": kind} | {k.replace("-", "_"): v for k, v in headers.items()}
        return says(given.get("status", 200), given.get("json", text), **fields)

    def changed(request: Request) -> Response:
        response = fake.usual(request)
        response.headers.update(headers)
        response.set_data(json.dumps(change(response.get_json(), given.get("set", {}))))
        for name in given.get("without", ()):
            del response.headers[name]
        return response

    return changed


@contextmanager
def world(row: Row, folder: Path) -> Iterator[dict[str, str]]:
    """Run the servers of a row, and give the settings and what its texts may name."""
    with ExitStack() as stack:
        glance, keystone, proxy = FakeGlance(), Keystone(), Proxy()
        for fake, name in ((glance, "glance"), (keystone, "keystone"), (proxy, "proxy")):
            fake.answers += [answer_of(fake, answer) for answer in row.get(name, ())]
            fake.url = stack.enter_context(serve(fake))
        keystone.glance_url = glance.url
        names = {
            "glance": glance.url,
            "keystone": keystone.url,
            "proxy": proxy.url,
            "keystone_host": keystone.url.removeprefix("http://"),
            "nobody": f"127.0.0.1:{free_port()}",
            "folder": str(folder),
        }
        if "bytes" in row:
            script = [hears, sends(row["bytes"].encode("latin-1"))]
            names["server"] = stack.enter_context(scripted(*[script] * 4)).url
        if "tls" in row:
            names["server"] = stack.enter_context(over_tls(row["tls"], keystone, folder))
        for name, content in row.get("files", {}).items():
            (folder / name).write_bytes(content.encode("latin-1"))
            (folder / name).chmod(0o600)
        keystone.changes = filled(row.get("tokens", {}), names)
        settings = glance_environ(keystone) | filled(row.get("settings", {}), names)
        yield names | settings


@dataclass
class Proxy(Fake):
    """A proxy, which has scripted answers only."""

    url: str = ""


def filled(value: Any, names: Mapping[str, str]) -> Any:
    """Return a value of a row with `{glance}` and so on replaced in all its texts."""
    if isinstance(value, dict):
        return {key: filled(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, names) for item in value]
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace("{" + name + "}", text)
    return value


def demand_certificate(context: ssl.SSLContext, peer: Peer) -> None:
    """Refuse a client without a certificate; read on, so that it gets the alert and no reset."""
    with context.wrap_socket(
        peer.sock.dup(), server_side=True, do_handshake_on_connect=False
    ) as tls:
        with suppress(ssl.SSLError):
            tls.do_handshake()
        while peer.sock.recv(2**16):
            pass


@contextmanager
def over_tls(kind: str, keystone: Keystone, folder: Path) -> Iterator[str]:
    """Serve a Keystone over TLS, with a fault; its authority is in `ca.pem`, also as `ca.der`."""
    trustme = pytest.importorskip(
        "trustme", reason="trustme is not installed; run `make test-live`"
    )
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    name, end = ("other.example" if kind == "other name" else "127.0.0.1"), None
    if kind == "expired":
        end = yesterday
    certificate = authority.issue_cert(name, not_after=end)
    certificate.configure_cert(context)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    (folder / "ca.der").write_bytes(ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode()))
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other.pem")
    if kind == "client certificate":
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
        with scripted([partial(demand_certificate, context)]) as server:
            yield server.url.replace("http:", "https:")
        return
    if kind == "1.1":
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with serve(keystone, context) as url:
        yield url
