"""Run nginx and HAProxy with the files in deploy/, replacing only addresses and paths."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from real.processes import Daemon, free_ports, listens
from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from trustme import LeafCert

DEPLOY = ROOT / "deploy"

# The configuration that Debian's nginx.conf has around a file in conf.d.
NGINX_CONF = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
user root;
worker_processes 2;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/nova-image-shim.conf;
}}
"""


@dataclass(frozen=True)
class Front:
    """A running proxy and its addresses with TLS, and without, which deploy/ does not offer."""

    name: str
    http: str
    https: str

    def url(self, scheme: str) -> str:
        """Return the URL for `http` or `https`."""
        return self.https if scheme == "https" else self.http


@dataclass(frozen=True)
class Backends:
    """The addresses of the two shims and nova-api: `host:port`."""

    shims: tuple[str, str]
    nova: str

    def addresses(self) -> dict[str, str]:
        """Return each address by the placeholder in deploy/."""
        first, second = self.shims
        return {
            "192.0.2.11:8774": first,
            "192.0.2.12:8774": second,
            "192.0.2.21:8774": self.nova,
        }


def rendered(text: str, places: Mapping[str, str]) -> str:
    """Return a configuration with its placeholders replaced; each must occur exactly once."""
    for place, value in places.items():
        assert 1 == text.count(place), f"{place!r} occurs {text.count(place)} times"
        text = text.replace(place, value)
    return text


def nginx(folder: Path, backends: Backends, certificate: LeafCert) -> tuple[Daemon, Front]:
    """Prepare nginx."""
    plain, tls = free_ports(2)
    key, chain = folder / "key.pem", folder / "chain.pem"
    certificate.private_key_pem.write_to_path(str(key))
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    places = backends.addresses() | {
        "listen 8774 ssl;": f"listen 127.0.0.1:{tls} ssl; listen 127.0.0.1:{plain};",
        "/etc/nginx/compute.example.crt": str(chain),
        "/etc/nginx/compute.example.key": str(key),
    }
    site = (DEPLOY / "nginx" / "nova-image-shim.conf").read_text()
    (folder / "nova-image-shim.conf").write_text(rendered(site, places))
    (folder / "nginx.conf").write_text(NGINX_CONF.format(folder=folder))
    command = [_program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    return Daemon(command, folder, lambda: listens(plain)), _front("nginx", plain, tls)


def haproxy(folder: Path, backends: Backends, certificate: LeafCert) -> tuple[Daemon, Front]:
    """Prepare HAProxy."""
    plain, tls = free_ports(2)
    both = folder / "both.pem"
    both.write_bytes(certificate.private_key_and_cert_chain_pem.bytes())
    places = backends.addresses() | {
        "bind :8774 ssl crt /etc/haproxy/compute.example.pem": (
            f"bind 127.0.0.1:{tls} ssl crt {both}\n    bind 127.0.0.1:{plain}"
        )
    }
    text = (DEPLOY / "haproxy" / "haproxy.cfg").read_text()
    (folder / "haproxy.cfg").write_text(rendered(text, places))
    command = [_program("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]
    return Daemon(command, folder, lambda: listens(plain)), _front("haproxy", plain, tls)


PROXIES = {"nginx": nginx, "haproxy": haproxy}


def _front(name: str, plain: int, tls: int) -> Front:
    return Front(name, f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{tls}")


def _program(name: str) -> str:
    return shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin") or name


def is_installed(name: str) -> bool:
    """Return whether a proxy is installed."""
    return _program(name) != name
