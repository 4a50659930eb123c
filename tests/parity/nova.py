"""Run a real Nova next to the real cloud: only its compute API, which is all that image calls need.

It has no compute host, scheduler or message bus, and uses sqlite. Run `python tests/real/install.py
nova` first. Creating the databases takes about fifteen seconds, so they are cached and copied.
"""

import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from real import services
from real.cloud import NotInstalledError, RealCloud
from real.install import REAL, fingerprint, is_installed
from real.processes import Daemon, free_ports, run

MANAGE = REAL / "nova" / "bin" / "nova-manage"

DATABASES_CONF = """
[DEFAULT]
transport_url = fake://
my_ip = 127.0.0.1
state_path = {folder}
log_file = {folder}/nova.log
use_stderr = false
[api_database]
connection = sqlite:///{folder}/nova_api.db
[database]
connection = sqlite:///{folder}/nova.db
[oslo_concurrency]
lock_path = {folder}/lock
"""

SERVICES_CONF = """
[api]
auth_strategy = keystone
{api}
[keystone_authtoken]
www_authenticate_uri = {auth_url}
memcached_servers = {memcached}
service_token_roles_required = true
{credentials}
[service_user]
send_service_user_token = true
{credentials}
[glance]
{glance}
"""

CREDENTIALS = """
auth_type = password
auth_url = {auth_url}
username = nova
password = {password}
user_domain_id = default
project_name = service
project_domain_id = default
"""

CELLS = {"cell0": "cell0.db", "cell1": "nova.db"}


@contextmanager
def nova(cloud: RealCloud, glance_endpoint: str | None) -> Iterator[str]:
    """Run Nova on the cloud's Keystone and Glance, and yield its URL.

    Args:
        cloud: a running cloud.
        glance_endpoint: `[glance] endpoint_override`; None lets Nova use the catalog.

    Raises:
        NotInstalledError: `install.py nova` has not been run since its pins changed.
        ProcessError: Nova did not start.
    """
    with tempfile.TemporaryDirectory(dir=cloud.folder, prefix="nova-") as name:
        url, daemon = prepare_nova(Path(name), cloud, glance_endpoint)
        try:
            daemon.start()
            yield url
        finally:
            daemon.kill()


def prepare_nova(
    folder: Path,
    cloud: RealCloud,
    glance_endpoint: str | None,
    *,
    api: str = "",
    hooked: bool = True,
    workers: int = 1,
    threads: int = 8,
) -> tuple[str, Daemon]:
    """Prepare Nova as `nova` runs it; return its URL and process.

    Args:
        folder: an existing folder for Nova's files.
        cloud, glance_endpoint: see `nova`.
        api: additional lines for `[api]`.
        hooked, workers, threads: see `services.gunicorn`.

    Raises:
        NotInstalledError: `install.py nova` has not been run since its pins changed.
    """
    if not is_installed("nova"):
        raise NotInstalledError("run python tests/real/install.py nova first")
    _open_databases(folder)
    _configure(folder, cloud, glance_endpoint, api)
    (port,) = free_ports(1)
    daemon, _ = services.gunicorn(
        "nova",
        "osapi_compute",
        "/",
        folder,
        port,
        hooked=hooked,
        workers=workers,
        threads=threads,
    )
    return f"http://{services.HOST}:{port}", daemon


def _configure(folder: Path, cloud: RealCloud, glance_endpoint: str | None, api: str) -> None:
    credentials = CREDENTIALS.format(auth_url=cloud.auth_url, password=services.NOVA_PASSWORD)
    text = DATABASES_CONF.format(folder=folder) + SERVICES_CONF.format(
        auth_url=cloud.auth_url,
        memcached=cloud.memcached,
        credentials=credentials,
        api=api,
        glance=f"endpoint_override = {glance_endpoint}" if glance_endpoint else "",
    )
    (folder / "nova.conf").write_text(text)
    shutil.copy(REAL / "nova" / "etc" / "nova" / "api-paste.ini", folder)


def _open_databases(folder: Path) -> None:
    """Copy the migrated databases and write their paths into the API database."""
    key = "\n".join([fingerprint("nova"), Path(__file__).read_text()])
    cached = REAL / "cache" / f"nova-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    if not cached.exists():
        _build(cached)
    shutil.copytree(cached, folder, dirs_exist_ok=True)
    with closing(sqlite3.connect(folder / "nova_api.db")) as database, database:
        for cell, file in CELLS.items():
            where = f"sqlite:///{folder}/{file}"
            query = "UPDATE cell_mappings SET database_connection = ? WHERE name = ?"
            database.execute(query, (where, cell))


def _build(target: Path) -> None:
    """Build in a temporary folder and rename it, so that a failure leaves nothing behind."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="building-") as building:
        work = Path(building)
        (work / "nova.conf").write_text(DATABASES_CONF.format(folder=work))
        cell0 = f"sqlite:///{work}/{CELLS['cell0']}"
        for arguments in (
            ("api_db", "sync"),
            ("cell_v2", "map_cell0", "--database_connection", cell0),
            ("db", "sync"),
            ("cell_v2", "create_cell", "--name", "cell1"),
        ):
            run([str(MANAGE), "--config-file", str(work / "nova.conf"), *arguments], work)
        state = work / "state"
        state.mkdir()
        for file in ("nova_api.db", *CELLS.values()):
            (work / file).rename(state / file)
        state.rename(target)
