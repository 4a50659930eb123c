"""The image that the tests of seeds and of the control plane expect, whole."""

from typing import Any

COMPLETE: dict[str, Any] = {
    "id": "an-id",
    "name": None,
    "status": "active",
    "visibility": "public",
    "owner": None,
    "protected": False,
    "os_hidden": False,
    "size": None,
    "min_ram": 0,
    "min_disk": 0,
    "tags": [],
    "members": {},
    "created_at": "1970-01-01T00:00:00Z",
    "updated_at": "1970-01-01T00:00:00Z",
}
STATUS = (
    "status: Must be one of: queued, saving, active, killed, deleted, uploading, importing, "
    "pending_delete, deactivated."
)
