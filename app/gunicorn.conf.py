"""How gunicorn serves: settings come from the environment, see README.md.

It lies in the package so that an installed one has it, and is linked where gunicorn looks for it.
"""

import os

from gunicorn.glogging import Logger

from nova_image_shim.observability.logs import logging_config
from nova_image_shim.observability.metrics_port import port_at
from nova_image_shim.serving.announce import announce
from nova_image_shim.serving.tuning import tune_process
from nova_image_shim.serving.worker import worker_class
from nova_image_shim.wsgi import load_settings_or_exit, refusal

MEMORY = "/dev/shm"  # noqa: S108 - gunicorn makes a file of its own there

settings = load_settings_or_exit(os.environ)
tune_process()  # the workers inherit it


class SilentAccess(Logger):
    """gunicorn's logger without its access line, which it would make up and then drop."""

    def access(self, *args):
        """Say nothing: the access line is the application's own."""


wsgi_app = "nova_image_shim.wsgi:application()"
bind = str(settings.bind)
longest_seconds = settings.request_timeout_seconds + settings.client_timeout_seconds
worker_class = worker_class(
    head_seconds=settings.client_timeout_seconds, whole_seconds=longest_seconds
)
workers = settings.worker_count
threads = settings.pool_size
worker_connections = 1000 + threads  # so many clients may stay connected besides those served
logconfig_dict = logging_config(settings.log_level, settings.log_format, settings.secrets)
logger_class = SilentAccess
# A worker touches a file there at each request: on a disk, a tenth of the time of a short list.
worker_tmp_dir = MEMORY if os.access(MEMORY, os.W_OK) else None
limit_request_line = 8190
limit_request_field_size = 16384  # a token with a large catalog is the longest header
forwarded_allow_ips = ""  # no peer's X-Forwarded-* counts here: SHIM_TRUSTED_PROXIES decides
forwarder_headers = ""
secure_scheme_headers = {}
control_socket_disable = True  # nothing here is steered at run time
keepalive = 75  # longer than a proxy's, so that it is the proxy who closes
graceful_timeout = round(longest_seconds)

if settings.metrics_bind:
    # The same one after a reload (HUP), which reads this file anew.
    metrics_port = port_at(settings.metrics_bind)

    def pre_exec(server):
        """Hand the metrics' socket to the gunicorn that takes over (USR2)."""
        metrics_port.hand_over(server.cfg.env_orig)

    def child_exit(server, worker):
        """Count an ended worker no longer among the living."""
        metrics_port.forget(worker.pid)

    def on_exit(server):
        """Remove the metrics' files."""
        metrics_port.close()


def on_starting(server):
    """Refuse gunicorn options that break what the settings promise, and open the metrics' port."""
    options = server.cfg.settings
    given = {name: options[name].get() for name in ("bind", "workers", "max_requests")}
    wanted = {"bind": [bind], "workers": 1, "max_requests": 0}
    if settings.backend == "memory" and given != wanted:
        raise refusal(
            f"{given}: SHIM_BACKEND=memory lives in one process at SHIM_BIND: leave these options "
            "of gunicorn alone"
        )
    for note in settings.notes:
        server.log.warning(note)
    if settings.metrics_bind:
        _open_metrics_port(server.cfg)


def post_worker_init(worker):
    """Answer Prometheus in each worker, and say that we are ready when the first has loaded."""
    if settings.metrics_bind:
        metrics_port.serve()
    if worker.age == 1:
        announce(worker.wsgi, worker.sockets[0].getsockname()[:2])


def _open_metrics_port(cfg):
    if cfg.preload_app:
        raise refusal(
            "preload_app: SHIM_METRICS_BIND counts in each process: leave this option of gunicorn "
            "alone"
        )
    try:
        metrics_port.open(cfg.uid, cfg.gid)
    except OSError as error:
        raise refusal(f"SHIM_METRICS_BIND='{settings.metrics_bind}': {error}") from error
