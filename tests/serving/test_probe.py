"""The container's health check asks at the address where the service really listens."""

from __future__ import annotations

import contextlib
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from nova_image_shim.serving.probe import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@Request.application
def only_alive(request: Request) -> Response:
    """Answer as a service that is drained."""
    return Response(status=200 if request.path == "/healthcheck/live" else 503)


@Request.application
def ill(_request: Request) -> Response:
    return Response(status=500)


@contextlib.contextmanager
def listening(host: str, app: Any = only_alive, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve on a host, or on a `unix://PATH`; yield the port."""
    server = make_server(host, 0, app, ssl_context=tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


BINDS = [
    ("127.0.0.1", "127.0.0.1:{port}"),
    ("127.0.0.1", "0.0.0.0:{port}"),
    ("::1", "[::1]:{port}"),
    ("::1", "[::]:{port}"),
    ("unix://{folder}/socket", "unix:{folder}/socket"),
]


@pytest.mark.parametrize("variable", ["SHIM_BIND", "GUNICORN_CMD_ARGS"])
@pytest.mark.parametrize(("host", "bind"), BINDS)
def test_it_asks_where_the_service_listens(
    variable: str, host: str, bind: str, tmp_path: Path
) -> None:
    def environ(port: int) -> dict[str, str]:
        address = bind.format(port=port, folder=tmp_path)
        if variable == "SHIM_BIND":
            return {variable: f" {address} "}
        return {variable: f"--threads 4 --bind {address}", "SHIM_BIND": "127.0.0.1:1"}

    with listening(host.format(folder=tmp_path)) as port:
        assert 0 == main(environ(port))
    with listening(host.format(folder=tmp_path), ill) as other:
        assert 1 == main(environ(other))
    assert 1 == main(environ(other))


@pytest.mark.parametrize("verify", [ssl.CERT_NONE, ssl.CERT_REQUIRED])
def test_it_speaks_tls_where_gunicorn_does(verify: ssl.VerifyMode) -> None:
    trustme = pytest.importorskip(
        "trustme", reason="trustme is not installed; run `make test-live`"
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = verify
    trustme.CA().issue_cert("api.example").configure_cert(context)
    with listening("127.0.0.1", tls=context) as port:
        arguments = {"GUNICORN_CMD_ARGS": "--certfile a.pem --keyfile b.pem"}
        assert 0 == main({"SHIM_BIND": f"127.0.0.1:{port}"} | arguments)
    assert 1 == main({"SHIM_BIND": f"127.0.0.1:{port}"} | arguments)
