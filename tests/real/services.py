"""Configure and run memcached, Keystone and Glance.

Keystone and Glance are WSGI applications under gunicorn. gunicorn is started without arguments,
because the services read `sys.argv` themselves; all options are in files in the service's folder.
"""

import os
import shutil
from http import HTTPStatus
from pathlib import Path

import requests

from .calls import USER_AGENT, CallLog
from .install import REAL
from .processes import Daemon, listens, run

HOST = "127.0.0.1"
REGION = "RegionOne"

GLANCE_PASSWORD = "glance-password"
NOVA_PASSWORD = "nova-password"

SCHEMA_IMAGE = Path(__file__).with_name("schema-image.json")

# One worker unless speed is measured: tests count calls, and each worker makes its own first calls
# to Keystone. Threads, because gunicorn's sync worker keeps no connections alive. No timeout,
# because a frozen worker must survive. Long request lines and X-Forwarded-Proto are left to the
# service.
GUNICORN_CONF = """
wsgi_app = "{service}.wsgi.{module}:application"
bind = "{bind}"
worker_class = "gthread"
workers = {workers}
threads = {threads}
keepalive = 60
timeout = 0
graceful_timeout = 2
limit_request_line = 8190
forwarded_allow_ips = ""
control_socket_disable = True
{hooks}
"""

# Few bcrypt rounds, because a hash of the usual strength would dominate the time of each login.
KEYSTONE_CONF = """
[DEFAULT]
log_file = {folder}/keystone.log
use_stderr = false
[database]
connection = sqlite:///{state}/keystone.db?timeout=30
[token]
provider = fernet
expiration = {expiration}
[fernet_tokens]
key_repository = {state}/fernet
[credential]
key_repository = {state}/credential
[identity]
password_hash_rounds = 4
[cache]
enabled = {cached}
backend = dogpile.cache.memcached
memcache_servers = {memcached}
"""

GLANCE_CONF = """
[DEFAULT]
log_file = {folder}/glance.log
use_stderr = false
enabled_backends = fs:file
worker_self_reference_url = {url}
transport_url = fake://
[database]
connection = sqlite:///{state}/glance.db?timeout=30
[glance_store]
default_backend = fs
[fs]
filesystem_store_datadir = {folder}/images
[os_glance_staging_store]
filesystem_store_datadir = {folder}/staging
[os_glance_tasks_store]
filesystem_store_datadir = {folder}/tasks
[keystone_authtoken]
www_authenticate_uri = {keystone_url}
auth_url = {keystone_url}
auth_type = password
username = glance
password = {password}
user_domain_id = default
project_name = service
project_domain_id = default
memcached_servers = {memcached}
service_token_roles_required = true
[paste_deploy]
flavor = keystone
config_file = {paste}
[oslo_concurrency]
lock_path = {folder}/lock
[oslo_policy]
policy_file = {folder}/policy.yaml
"""

# The Glance that the embedded cloud imitates: no import methods, one store, nothing optional.
REFERENCE_CONF = """
[DEFAULT]
enabled_backends =
enabled_import_methods = []
[glance_store]
stores = file
default_store = file
filesystem_store_datadir = {folder}/images
"""


def memcached(folder: Path, port: int) -> Daemon:
    """Prepare memcached on the given loopback port."""
    folder.mkdir(parents=True)
    command = [
        shutil.which("memcached") or "memcached",
        "-l",
        HOST,
        "-p",
        str(port),
        "-U",
        "0",
        "-m",
        "32",
    ]
    if os.geteuid() == 0:
        # memcached refuses to run as root without this; on loopback, for minutes, it is safe.
        command += ["-u", "root"]
    return Daemon(command, folder, lambda: listens(port))


def configure_keystone(
    folder: Path, state: Path, memcached: str | None, expiration_seconds: int = 3600
) -> None:
    """Write `keystone.conf` into `folder`, for the database and keys in `state`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = KEYSTONE_CONF.format(
        folder=folder,
        state=state,
        expiration=expiration_seconds,
        cached=str(memcached is not None).lower(),
        memcached=memcached or "",
    )
    (folder / "keystone.conf").write_text(text)


def configure_glance(
    folder: Path,
    state: Path,
    url: str,
    keystone_url: str,
    memcached: str,
    *,
    reference: bool = False,
) -> None:
    """Write `glance-api.conf` and its files into `folder`, for the database in `state`.

    Args:
        reference: configure the Glance of `REFERENCE_CONF`, without a schema of its own.
    """
    for name in ("images", "staging", "tasks", "lock"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    text = (GLANCE_CONF + (REFERENCE_CONF if reference else "")).format(
        folder=folder,
        state=state,
        url=url,
        keystone_url=keystone_url,
        memcached=memcached,
        password=GLANCE_PASSWORD,
        paste=REAL / "glance" / "etc" / "glance" / "glance-api-paste.ini",
    )
    (folder / "glance-api.conf").write_text(text)
    (folder / "policy.yaml").write_text("{}\n")
    if not reference:
        shutil.copy(SCHEMA_IMAGE, folder)


def keystone(folder: Path, port: int) -> tuple[Daemon, CallLog]:
    """Prepare Keystone on a loopback port, in a folder from `configure_keystone`."""
    return gunicorn("keystone", "api", "/v3", folder, port)


def glance(folder: Path, port: int, *, hooked: bool = True) -> tuple[Daemon, CallLog]:
    """Prepare Glance on a loopback port, in a folder from `configure_glance`."""
    return gunicorn("glance", "api", "/versions", folder, port, hooked=hooked)


def gunicorn(
    service: str,
    module: str,
    probe: str,
    folder: Path,
    port: int,
    *,
    hooked: bool = True,
    workers: int = 1,
    threads: int = 8,
) -> tuple[Daemon, CallLog]:
    """Prepare a service on a loopback port, in a folder with its configuration.

    Args:
        service: the venv under `.real/`, and the package with the application.
        module: the module of `SERVICE.wsgi` with the application.
        probe: a path that returns 200 without a token.
        hooked: log the calls and run one write at a time; see `calls.HOOKS`.
        workers, threads: their numbers.
    """
    log = CallLog(folder / "calls.log")
    bind = f"{HOST}:{port}"
    text = GUNICORN_CONF.format(
        service=service,
        module=module,
        bind=bind,
        workers=workers,
        threads=threads,
        hooks=log.hooks() if hooked else "",
    )
    (folder / "gunicorn.conf.py").write_text(text)
    command = [str(REAL / service / "bin" / "gunicorn")]
    environ = {f"OS_{service.upper()}_CONFIG_DIR": str(folder)}
    url = f"http://{HOST}:{port}{probe}"
    return Daemon(command, folder, lambda: _answers(url), environ), log


def _answers(url: str) -> bool:
    try:
        with http() as session:
            return session.get(url, timeout=5).status_code == HTTPStatus.OK
    except requests.RequestException:
        return False


def http() -> requests.Session:
    """Open a session for the harness's own calls: without proxy or netrc, and not counted."""
    session = requests.Session()
    session.trust_env = False
    session.headers["User-Agent"] = USER_AGENT
    return session


def keystone_manage(folder: Path, *arguments: str) -> None:
    """Run `keystone-manage` with the `keystone.conf` of `folder`."""
    config = folder / "keystone.conf"
    command = REAL / "keystone" / "bin" / "keystone-manage"
    run([str(command), "--config-file", str(config), *arguments], folder)


def glance_manage(folder: Path, *arguments: str) -> None:
    """Run `glance-manage` with the `glance-api.conf` of `folder`."""
    config = folder / "glance-api.conf"
    command = REAL / "glance" / "bin" / "glance-manage"
    run([str(command), "--config-file", str(config), *arguments], folder)
