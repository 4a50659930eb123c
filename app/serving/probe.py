"""The container's health check: ask the service where its settings and gunicorn's make it listen.

Run it in the environment of the service: `python -m nova_image_shim.serving.probe`.
"""

import os
import shlex
import socket
import ssl
import sys
from collections.abc import Mapping
from typing import Any

from gunicorn.config import Config
from gunicorn.util import parse_address

_SECONDS = 2
_REQUEST = b"GET /healthcheck/live HTTP/1.0\r\nHost: localhost\r\n\r\n"


def main(environ: Mapping[str, str]) -> int:
    """Return 0 if the service that runs with this environment answers, 1 if it does not."""
    arguments = shlex.split(environ.get("GUNICORN_CMD_ARGS", ""))
    options, _ = Config().parser().parse_known_args(arguments)
    bind = options.bind or [environ.get("SHIM_BIND", "").strip() or "127.0.0.1:8774"]
    address = parse_address(bind[0])
    try:
        with socket.socket(_family(address)) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(address)  # Linux takes 0.0.0.0 and :: for loopback
            return 0 if _answers(_over_tls(connection) if options.certfile else connection) else 1
    except ssl.SSLError:  # it requires a client's certificate, so it is alive
        return 0
    except OSError as error:
        sys.stderr.write(f"{bind[0]}: {error}\n")
        return 1


def _family(address: Any) -> socket.AddressFamily:
    if isinstance(address, str):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def _over_tls(connection: socket.socket) -> socket.socket:
    context = ssl.create_default_context()
    context.check_hostname = False  # the certificate does not name this address,
    context.verify_mode = ssl.CERT_NONE  # and nothing secret is sent
    return context.wrap_socket(connection)


def _answers(connection: socket.socket) -> bool:
    with connection:
        connection.sendall(_REQUEST)
        return b" 200 " in connection.recv(32)


if __name__ == "__main__":
    sys.exit(main(os.environ))
