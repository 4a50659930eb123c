"""How gunicorn serves: settings come from the environment, see README.md.

It lies in the package so that an installed one has it, and is linked where gunicorn looks for it.
"""

import os

from gunicorn.glogging import Logger

from nova_image_shim.announce import announce
from nova_image_shim.telemetry import logging_config
from nova_image_shim.tuning import tune_process
from nova_image_shim.wsgi import check

MEMORY = "/dev/shm"  # noqa: S108 - gunicorn makes a file of its own there

settings = check(os.environ)
tune_process()  # the workers inherit it


class SilentAccess(Logger):
    """gunicorn's logger without its access line, which it would make up and then drop."""

    def access(self, *args):
        """Say nothing: the access line is the application's own."""


wsgi_app = "nova_image_shim.wsgi:application()"
bind = settings.bind
worker_class = "gthread"
workers = settings.worker_count
threads = settings.threads
logconfig_dict = logging_config(settings.log_level)
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
graceful_timeout = round(settings.request_timeout_seconds)


def on_starting(server):
    """Refuse gunicorn options that the embedded store would be lost, split or exposed by."""
    options = server.cfg.settings
    given = {name: options[name].get() for name in ("bind", "workers", "max_requests")}
    if settings.backend == "memory" and given != {
        "bind": [settings.bind],
        "workers": 1,
        "max_requests": 0,
    }:
        raise SystemExit(
            f"nova-image-shim cannot start:\n{given}: SHIM_BACKEND=memory lives in one process "
            "at SHIM_BIND: leave these options of gunicorn alone"
        )


def post_worker_init(worker):
    """Say that we are ready, once: when the first worker has loaded the application."""
    if worker.age == 1:
        announce(worker.wsgi, worker.sockets[0].getsockname()[:2])
