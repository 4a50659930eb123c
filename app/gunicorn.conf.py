"""gunicorn's configuration; the settings come from the environment, see README.md.

The file is in the package so that it is installed; a symlink puts it where gunicorn looks for it.
"""

import os

from gunicorn.glogging import Logger

from nova_image_shim.observability.log_writer import start_writing
from nova_image_shim.observability.logs import logging_config
from nova_image_shim.observability.metrics_port import port_at
from nova_image_shim.serving.announce import announce
from nova_image_shim.serving.tuning import tune_process
from nova_image_shim.serving.worker import worker_class
from nova_image_shim.wsgi import load_settings_or_exit, refusal

MEMORY = "/dev/shm"  # noqa: S108 - gunicorn creates its own file there

settings = load_settings_or_exit(os.environ)
tune_process()  # the workers inherit it


class SilentAccess(Logger):
    """gunicorn's logger without access lines, which it would format and then drop."""

    def access(self, *args):
        """Log nothing: the application writes the access line."""


wsgi_app = "nova_image_shim.wsgi:application()"
bind = str(settings.bind)
longest_seconds = settings.request_timeout_seconds + settings.client_timeout_seconds
worker_class = worker_class(
    head_seconds=settings.client_timeout_seconds, whole_seconds=longest_seconds
)
workers = settings.worker_count
threads = settings.pool_size
worker_connections = 1000 + threads  # idle connections may stay open beside those being served
logconfig_dict = logging_config(settings.log_level, settings.log_format, settings.secrets)
logger_class = SilentAccess
# A worker touches a file there on each request; on a disk, that is a tenth of a short list.
worker_tmp_dir = MEMORY if os.access(MEMORY, os.W_OK) else None
limit_request_line = 8190
limit_request_field_size = 16384  # a token with a large catalog is the longest header
forwarded_allow_ips = ""  # trust no peer's X-Forwarded-* here: SHIM_TRUSTED_PROXIES decides
forwarder_headers = ""
secure_scheme_headers = {}
control_socket_disable = True  # there is nothing to control at run time
keepalive = 75  # longer than a proxy's, so that the proxy closes first
graceful_timeout = round(longest_seconds)

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
    for note in settings.notes:
        server.log.warning(note)
    if settings.metrics_bind:
        _open_metrics_port(server.cfg)


def post_worker_init(worker):
    """Start the worker's threads, and announce readiness once the first one has loaded."""
    start_writing()
    if settings.metrics_bind:
        metrics_port.serve()
    if worker.age == 1:
        announce(worker.wsgi, worker.sockets[0].getsockname()[:2])


def _open_metrics_port(cfg):
    if cfg.preload_app:
        raise refusal(
            "preload_app: SHIM_METRICS_BIND counts in each process: do not set this option of "
            "gunicorn"
        )
    try:
        metrics_port.open(cfg.uid, cfg.gid)
    except OSError as error:
        raise refusal(f"SHIM_METRICS_BIND='{settings.metrics_bind}': {error}") from error
