"""gunicorn's configuration; the settings come from the environment, see docs/reference/settings.md.

The file is in the package so that it is installed; a symlink puts it where gunicorn looks for it.
"""

import os

from gunicorn.glogging import Logger

from nova_image_shim.observability.log_writer import start_writing
from nova_image_shim.observability.logs import logging_config
from nova_image_shim.observability.metrics_port import port_at
from nova_image_shim.serving.announce import announce, open_standard_streams
from nova_image_shim.serving.master import guard, reason_of, require_free_ports
from nova_image_shim.serving.tuning import (
    connection_limit,
    raise_open_file_limit,
    tune_process,
)
from nova_image_shim.serving.worker import worker_class
from nova_image_shim.wsgi import present_start, read_start, refusal

MEMORY = "/dev/shm"  # noqa: S108 - gunicorn creates its own file there

open_standard_streams()
settings = present_start().settings
tune_process()  # the workers inherit it
try:
    worker_connections = connection_limit(raise_open_file_limit(), settings)
except ValueError as error:
    raise refusal(error) from error


class SilentAccess(Logger):
    """gunicorn's logger without access lines, which it would format and then drop."""

    def access(self, *args):
        """Log nothing: the application writes the access line."""


wsgi_app = "nova_image_shim.wsgi:application()"
bind = str(settings.bind)
umask = 0o117  # a Unix socket is for this process's user and group
longest_seconds = settings.request_timeout_seconds + settings.client_timeout_seconds
worker_class = worker_class(
    head_seconds=settings.client_timeout_seconds, whole_seconds=longest_seconds
)
workers = settings.worker_count
threads = settings.pool_size
logconfig_dict = logging_config(settings.log_level, settings.log_format, settings.secrets)
logger_class = SilentAccess
# A worker touches a file there on each request; on a disk, that is a tenth of a short list.
worker_tmp_dir = MEMORY if os.access(MEMORY, os.W_OK) else None
control_socket_disable = True  # there is nothing to control at run time
keepalive = 75  # longer than a proxy's, so that the proxy closes first
graceful_timeout = settings.drain_seconds

# Every option that guards the service, whatever gunicorn's default is or becomes.
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 16384  # a token with a large catalog is the longest header
header_map = "drop"  # a header with an underscore must not pass for the one with a hyphen
strip_header_spaces = False
permit_obsolete_folding = False
permit_unconventional_http_method = False
permit_unconventional_http_version = False
casefold_http_method = False
http_parser = "python"  # the parser that the tests attack
http_protocols = "h1"
http2_cleartext = "off"
protocol = "http"
uwsgi_allow_ips = ""
proxy_protocol = "off"
proxy_allow_ips = ""
forwarded_allow_ips = ""  # trust no peer's X-Forwarded-* here: SHIM_TRUSTED_PROXIES decides
forwarder_headers = ""  # on a Unix socket, gunicorn trusts every peer: these two leave nothing
secure_scheme_headers = {}

if settings.metrics_bind:
    # A reload (HUP) reads this file again and gets the same port.
    metrics_port = port_at(settings.metrics_bind)

    def pre_exec(server):
        """Hand the metrics socket over to the gunicorn that replaces this one (USR2)."""
        metrics_port.hand_over(server.cfg.env_orig)

    def child_exit(server, worker):
        """Keep the counts of a worker that has ended, and drop its gauges."""
        metrics_port.files.forget(worker.pid)

    def on_exit(server):
        """Remove the metrics files."""
        metrics_port.files.close()


def on_starting(server):
    """Refuse gunicorn options that contradict the settings, and open the metrics port."""
    options = server.cfg.settings
    given = {name: options[name].get() for name in ("bind", "workers", "max_requests")}
    wanted = {"bind": [bind], "workers": 1, "max_requests": 0}
    if settings.backend == "memory" and given != wanted:
        raise refusal(
            f"{given}: SHIM_BACKEND=memory runs in one process at SHIM_BIND: do not set these "
            "options of gunicorn"
        )
    for line in (*settings.notes, *settings.unknown):
        server.log.warning("%s", line)
    try:
        require_free_ports(server.cfg)
    except OSError as error:
        raise refusal(f"SHIM_BIND='{','.join(given['bind'])}': {reason_of(error)}") from error
    if settings.metrics_bind:
        _open_metrics_port(server.cfg)


def when_ready(server):
    """Keep the master alive from now on."""
    guard(server, lambda: read_start(os.environ))


def post_worker_init(worker):
    """Start the worker's threads, and announce readiness once the first one has loaded."""
    start_writing()
    if settings.metrics_bind:
        metrics_port.serve()
    if worker.age == 1:
        name, scheme = worker.sockets[0].getsockname(), "https" if worker.cfg.is_ssl else "http"
        announce(worker.wsgi, name, scheme)


def _open_metrics_port(cfg):
    if cfg.preload_app:
        raise refusal(
            "preload_app: SHIM_METRICS_BIND counts in each process: do not set this option of "
            "gunicorn"
        )
    try:
        metrics_port.open(cfg.uid, cfg.gid)
    except OSError as error:
        reason = reason_of(error)
        raise refusal(f"SHIM_METRICS_BIND='{settings.metrics_bind}': {reason}") from error
