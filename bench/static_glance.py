"""A Glance with almost no cost: nginx that serves prepared pages."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from real import services
from real.processes import Daemon, free_ports, listens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.page_sets import PageSet

PAGE_SIZES = (1000, 200)  # the service's page size; glanceclient's, and therefore Nova's

# The token selects the list, so that every contestant gets the same plain request.
CONF = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    keepalive_timeout 600;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/json;
    map_hash_bucket_size 1024;
    {servers}
}}
"""

SERVER = """
    map $http_x_auth_token $page_set {{ {tokens} }}
    server {{
        listen {host}:{port};
        root {folder}/pages;
        location = /status {{ stub_status; }}
        location = /versions {{ return 200 "{{}}"; }}
        location = /v2/schemas/image {{ try_files /schema.json =404; }}
        location = /v2/images {{ try_files /$page_set/$arg_limit-$arg_marker.json =404; }}
    }}
"""

SERVING_SERVER = """
    server {{
        listen {host}:{port};
        root {folder};
        location / {{ try_files /body =404; }}
    }}
"""

PASSING_SERVER = """
    upstream glance {{
        server {host}:{upstream};
        keepalive 64;
        keepalive_requests 1000000;
    }}
    server {{
        listen {host}:{port};
        location / {{
            proxy_pass http://glance;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
"""


class StaticGlance:
    """nginx with the pages; it runs while its context is open.

    Args:
        folder: a folder for its files.
        page_sets: the lists by token.
        schema: the response of `/v2/schemas/image`.
    """

    def __init__(self, folder: Path, page_sets: Mapping[str, PageSet], schema: bytes) -> None:
        (port,) = free_ports(1)
        self.url = f"http://{services.HOST}:{port}"
        for page_set in page_sets.values():
            _write_pages(folder / "pages" / page_set.name, page_set)
        (folder / "pages" / "schema.json").write_bytes(schema)
        tokens = " ".join(f'"{token}" "{held.name}";' for token, held in page_sets.items())
        servers = SERVER.format(host=services.HOST, port=port, folder=folder, tokens=tokens)
        self.daemon = nginx(folder, servers, port)

    def calls(self) -> int:
        """Return the number of answered requests, without this one."""
        with services.http() as http:
            text = http.get(f"{self.url}/status", timeout=10).text
        # The third line has three numbers: accepted, handled, requests.
        found = re.search(r"^\s*\d+\s+\d+\s+(\d+)", text, re.MULTILINE)
        assert found, text
        return int(found[1]) - 1


def passing_nginx(folder: Path, glance_url: str) -> tuple[Daemon, str]:
    """Prepare nginx as a plain proxy; return the process and its URL."""
    (port,) = free_ports(1)
    upstream = glance_url.rpartition(":")[2]
    servers = PASSING_SERVER.format(host=services.HOST, port=port, upstream=upstream)
    return nginx(folder, servers, port), f"http://{services.HOST}:{port}"


def serving_nginx(folder: Path, body: bytes) -> tuple[Daemon, str]:
    """Prepare nginx with one response to every request; return the process and its URL."""
    (port,) = free_ports(1)
    (folder / "body").write_bytes(body)
    servers = SERVING_SERVER.format(host=services.HOST, port=port, folder=folder)
    return nginx(folder, servers, port), f"http://{services.HOST}:{port}"


def nginx(folder: Path, servers: str, port: int) -> Daemon:
    """Prepare nginx with parts of its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    text = CONF.format(folder=folder, servers=servers)
    (folder / "nginx.conf").write_text(text)
    command = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    arguments = ["-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    return Daemon([command or "nginx", *arguments], folder, lambda: listens(port))


def _write_pages(folder: Path, page_set: PageSet) -> None:
    folder.mkdir(parents=True)
    for limit in PAGE_SIZES:
        for marker, body in page_set.pages(limit):
            (folder / f"{limit}-{marker}.json").write_bytes(body)
