"""Write markers: what makes a list stale that was requested before a write."""

import hashlib
import secrets
import threading
from collections.abc import Hashable

from nova_image_shim.adapters.stores.process import Store

_SECONDS = 86400  # after a marker expires, lists are only fetched again
_BYTES = 16


class WriteMarkers:
    """A random text for each project, changed by every write of the project.

    The store is shared by all processes whose writes should be seen. Where it loses a change, at
    least this process sees it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lost = 0  # changes; part of every marker, too
        self._lock = threading.Lock()

    def change(self, project_id: str) -> None:
        """Change the marker of a project."""
        if not self._store.set(_key(project_id), secrets.token_bytes(_BYTES), _SECONDS):
            with self._lock:
                self._lost += 1

    def get(self, project_id: str) -> Hashable | None:
        """Return the marker of a project, None if it is unknown.

        A missing one is created at random: it matches nothing that is cached anywhere.
        """
        key, created = _key(project_id), secrets.token_bytes(_BYTES)
        marker = self._store.get(key)
        if not marker and self._store.add(key, created, _SECONDS):
            marker = created
        # Another process may have been first, or the store is away.
        marker = marker or self._store.get(key)
        return (marker, self._lost) if marker else None


def _key(project_id: str) -> str:
    return f"writes/{hashlib.sha256(project_id.encode()).hexdigest()}"
