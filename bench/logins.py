"""Measure logins by identity v2.0, and the same logins sent straight to Keystone v3."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from ast import literal_eval
from contextlib import closing
from typing import TYPE_CHECKING, Any

from real import services
from real.install import REAL
from real.state import USERS

from bench import contestants
from bench.stage import USER, WARM_UP

if TYPE_CHECKING:
    from real.cloud import RealCloud

    from bench.stage import Stage

PASSWORD = USERS[USER].password
DOMAIN = {"domain": {"id": "default"}}


def run_logins(stage: Stage, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of each login; the two take turns, each on a new connection."""
    shim = contestants.shim(stage.folder("shim"), stage.cloud, {"SHIM_IDENTITY_V2": "1"})
    stage.start(shim)
    _strengthen(stage.cloud)
    user = {"name": USER, "password": PASSWORD, **DOMAIN}
    v3 = {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"name": USER, **DOMAIN}},
    }
    v2 = {"passwordCredentials": {"username": USER, "password": PASSWORD}, "tenantName": USER}
    both = {
        "keystone": (f"{stage.cloud.auth_url}/auth/tokens", v3),
        "shim": (f"{shim.url}/identity/v2.0/tokens", v2),
    }
    for _ in range(WARM_UP):
        for url, auth in both.values():
            _log_in(url, auth)
    found: dict[str, list[float]] = {name: [] for name in both}
    for number in range(rounds):
        for name in sorted(both, reverse=bool(number % 2)):
            found[name].append(_log_in(*both[name]))
    shim.daemon.kill()
    return found


def _log_in(url: str, auth: Any) -> float:
    started = time.perf_counter()
    with services.http() as http:
        answer = http.post(url, json={"auth": auth}, timeout=60)
    taken = time.perf_counter() - started
    answer.raise_for_status()
    return 1000 * taken


def _strengthen(cloud: RealCloud) -> None:
    """Give the password a hash of Keystone's usual strength, which the tests' Keystone lowers."""
    with closing(sqlite3.connect(cloud.folder / "state" / "keystone.db")) as database, database:
        update = "UPDATE password SET password_hash = ? WHERE local_user_id IN "
        users = "(SELECT id FROM local_user WHERE name = ?)"
        database.execute(update + users, (_hash(), USER))


def _hash() -> str:
    program = "import bcrypt, sys; print(bcrypt.hashpw(sys.argv[1].encode(), bcrypt.gensalt(12)))"
    command = [str(REAL / "keystone" / "bin" / "python"), "-c", program, PASSWORD]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return str(literal_eval(done.stdout).decode())
