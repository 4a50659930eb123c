"""Run nginx and HAProxy with the files in deploy/, replacing only addresses and paths."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from real.processes import Daemon, free_ports, listens
from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from trustme import LeafCert

DEPLOY = ROOT / "deploy"
GUIDE = ROOT / "docs" / "how-to" / "deploy.md"

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
    include {folder}/site.conf;
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
    nova: str = "127.0.0.1:1"  # refuses connections

    def addresses(self) -> dict[str, str]:
        """Return each address by the placeholder in deploy/."""
        first, second = self.shims
        return {
            "192.0.2.11:8774": first,
            "192.0.2.12:8774": second,
            "192.0.2.21:8774": self.nova,
        }


def environ_of(settings: str) -> dict[str, str]:
    """Return the variables in an environment file's text."""
    lines = [line for line in settings.splitlines() if line and line[0] != "#"]
    return dict(line.split("=", 1) for line in lines)


def rendered(text: str, places: Mapping[str, str]) -> str:
    """Return a configuration with its placeholders replaced; each must occur."""
    for place, value in places.items():
        assert place in text
        text = text.replace(place, value)
    return text


def nginx(folder: Path, backends: Backends, certificate: LeafCert) -> tuple[Daemon, Front]:
    """Prepare nginx in front of Nova."""
    plain, tls = free_ports(2)
    key, chain = folder / "key.pem", folder / "chain.pem"
    certificate.private_key_pem.write_to_path(str(key))
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    places = backends.addresses() | {
        "listen 8774 ssl;": f"listen 127.0.0.1:{tls} ssl; listen 127.0.0.1:{plain};",
        "/etc/nginx/compute.example.crt": str(chain),
        "/etc/nginx/compute.example.key": str(key),
        "/var/log/nginx": str(folder),
    }
    site = rendered((DEPLOY / "nginx" / "nova-image-shim.conf").read_text(), places)
    return _nginx(folder, site, plain), _front("nginx", plain, tls)


def instances(folder: Path, backends: Backends, _certificate: LeafCert) -> tuple[Daemon, Front]:
    """Prepare nginx in front of two instances alone, which it offers without TLS."""
    (plain,) = free_ports(1)
    first, second = backends.shims
    places = {
        "127.0.0.1:8774": f"127.0.0.1:{plain}",
        "127.0.0.1:8775": first,
        "127.0.0.1:8776": second,
        "/var/log/nginx": str(folder),
    }
    site = rendered((DEPLOY / "nginx" / "instances.conf").read_text(), places)
    url = f"http://127.0.0.1:{plain}"
    return _nginx(folder, site, plain), Front("nginx", url, url)


def _nginx(folder: Path, site: str, port: int) -> Daemon:
    (folder / "site.conf").write_text(site)
    (folder / "nginx.conf").write_text(NGINX_CONF.format(folder=folder))
    command = [_program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    return Daemon(command, folder, lambda: listens(port))


def haproxy(folder: Path, backends: Backends, certificate: LeafCert) -> tuple[Daemon, Front]:
    """Prepare HAProxy."""
    plain, tls = free_ports(2)
    both = folder / "both.pem"
    both.write_bytes(certificate.private_key_and_cert_chain_pem.bytes())
    places = backends.addresses() | {
        "bind :8774 ssl crt /etc/haproxy/compute.example.pem": (
            f"bind 127.0.0.1:{tls} ssl crt {both}\n    bind 127.0.0.1:{plain}"
        ),
        "log /dev/log local0": "log stdout format raw local0",
    }
    text = (DEPLOY / "haproxy" / "haproxy.cfg").read_text()
    (folder / "haproxy.cfg").write_text(rendered(text, places))
    command = [_program("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]
    return Daemon(command, folder, lambda: listens(plain)), _front("haproxy", plain, tls)


PROXIES = {"nginx": nginx, "haproxy": haproxy}  # those in front of Nova
FRONTS = {**PROXIES, "nginx-instances": instances}


def _front(name: str, plain: int, tls: int) -> Front:
    return Front(name, f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{tls}")


def _program(name: str) -> str:
    return shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin") or name


def is_installed(name: str) -> bool:
    """Return whether the proxy of a front is installed."""
    program = name.partition("-")[0]
    return _program(program) != program


@contextlib.contextmanager
def front_of(name: str, folder: Path, backends: Backends, certificate: LeafCert) -> Iterator[Front]:
    """Run one of `FRONTS`, or skip the test if its proxy is not installed."""
    if not is_installed(name):
        package = name.partition("-")[0]
        pytest.skip(f"{package} is not installed; run `apt-get install {package}`")
    daemon, front = FRONTS[name](folder, backends, certificate)
    try:
        daemon.start()
        yield front
    finally:
        daemon.kill()
