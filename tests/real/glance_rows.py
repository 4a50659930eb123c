"""Insert and remove thousands of images directly in Glance's database.

Only this module knows Glance's tables. Glance's API creates about twenty images a second.
"""

import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

# Older than images created with the API, so that those come first in a list.
FIRST_CREATED = datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC)

# Every tenth row has the creation time of the one before, so that their order depends on the id.
TIE_EVERY = 10

COLUMNS = {
    "name": None,
    "status": "active",
    "visibility": "shared",
    "size": 1,
    "virtual_size": None,
    "disk_format": "raw",
    "container_format": "bare",
    "min_disk": 0,
    "min_ram": 0,
    "protected": False,
    "os_hidden": False,
    "checksum": None,
    "os_hash_algo": None,
    "os_hash_value": None,
    "owner": None,
    "deleted": False,
    "created_at": None,
    "updated_at": None,
    "deleted_at": None,
}

# Glance sets a location for these; images in any other status have no data.
STATUSES_WITH_DATA = ("active", "deactivated", "pending_delete")

TABLES = ("image_members", "image_tags", "image_properties", "image_locations", "images")


def insert_images(database: Path, count: int, prefix: str, fields: dict[str, Any]) -> list[str]:
    """Insert images named `prefix-00000` and so on, and return their ids, oldest first.

    Args:
        database: Glance's sqlite file.
        count: the number of images.
        prefix: the prefix of their names.
        fields: columns of the table `images`, `tags` (a list), and custom properties (strings)
            by any other name. `created_at` (a datetime, UTC) is the time of the first row; every
            other field has the same value in all rows.
    """
    fields = dict(fields)
    tags = fields.pop("tags", [])
    start = fields.pop("created_at", FIRST_CREATED)
    properties = {name: fields.pop(name) for name in fields.keys() - COLUMNS.keys()}
    rows = [_row(number, prefix, start, fields) for number in range(count)]
    with _transaction(database) as cursor:
        _insert(cursor, "images", rows)
        _insert(cursor, "image_locations", filter(None, map(_location, rows)))
        for name, value in properties.items():
            _insert(cursor, "image_properties", [_child(r, name=name, value=value) for r in rows])
        for tag in tags:
            _insert(cursor, "image_tags", [_child(row, value=tag) for row in rows])
    return [row["id"] for row in rows]


def purge_images(database: Path) -> None:
    """Remove all images, including deleted ones, and all rows that refer to them."""
    with _transaction(database) as cursor:
        for table in TABLES:
            cursor.execute(f"DELETE FROM {table}")


def _row(number: int, prefix: str, start: datetime, fields: dict[str, Any]) -> dict[str, Any]:
    seconds = number - 1 if number % TIE_EVERY == TIE_EVERY - 1 else number
    time = _text(start + timedelta(seconds=seconds))
    row = {**COLUMNS, "id": str(uuid.uuid4()), "name": f"{prefix}-{number:05d}"}
    row |= {"created_at": time, "updated_at": time}
    if fields.get("status", "active") not in STATUSES_WITH_DATA:
        row["size"] = None
    return row | {name: _text(v) if isinstance(v, datetime) else v for name, v in fields.items()}


def _text(time: datetime) -> str:
    """Format a time with microseconds and without a zone; sqlite compares times as text."""
    return time.strftime("%Y-%m-%d %H:%M:%S.%f")


def _location(row: dict[str, Any]) -> dict[str, Any] | None:
    if row["status"] not in STATUSES_WITH_DATA:
        return None
    return _child(row, value=f"file:///nonexistent/{row['id']}", meta_data='{"store": "fs"}')


def _child(row: dict[str, Any], **columns: Any) -> dict[str, Any]:
    times = {"created_at": row["created_at"], "updated_at": row["updated_at"]}
    return {"image_id": row["id"], "deleted": row["deleted"], **times, **columns}


def _insert(cursor: sqlite3.Cursor, table: str, rows: Iterable[dict[str, Any]]) -> None:
    rows = list(rows)
    if rows:
        names = ", ".join(rows[0])
        values = ", ".join(f":{name}" for name in rows[0])
        cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({values})", rows)


@contextmanager
def _transaction(database: Path) -> Iterator[sqlite3.Cursor]:
    # Glance writes as well; wait for it instead of failing.
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        yield connection.cursor()
