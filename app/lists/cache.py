"""Lists that Glance answered, kept for some seconds: old clients ask for the same again and again.

Nothing is kept that failed, and nobody gets what was asked for another user, project, role or
scope. Only who has come past auth_token comes here.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import threading
import time
from concurrent.futures import Future, wait
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from nova_image_shim.adapters.image_port import ImageServiceUnavailable
from nova_image_shim.lists.cached_list import KeptList

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from nova_image_shim.auth.caller import Caller
    from nova_image_shim.lists.listing import Listed
    from nova_image_shim.settings import Settings
    from nova_image_shim.translation.translator import Translator

    Gather = Callable[[Translator], Listed]

_FORM = "1"  # of what is kept: another one is another key
_NEVER_WRITTEN = b"0"
_POLL_SECONDS = 0.02
_LONGEST_TURN_SECONDS = 3600.0

# What differs between two tokens of one user in one role, and decides nothing.
_OF_NO_ACCOUNT = set("auth_token audit_ids catalog expires_at issued_at methods version".split())


class Store(Protocol):
    """Where bytes are kept; one that is away answers as an empty one, and forgets."""

    def get(self, key: str) -> bytes | None:
        """Return what is kept under a key."""

    def set(self, key: str, value: bytes, seconds: int) -> None:
        """Keep a value of any size for so long, or shorter."""

    def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Keep a value where there is none, and tell whether that was so."""

    def delete(self, key: str) -> None:
        """Forget a key."""


class Uncached:
    """No cache: everybody's list is asked for."""

    def find(
        self,
        caller: Caller,  # noqa: ARG002
        asked: Callable[[], list[Any]],  # noqa: ARG002
        translator: Translator,
        gather: Gather,
        deadline: float,  # noqa: ARG002
    ) -> tuple[Listed, None]:
        """Return what the store answers; see `ListCache.find`."""
        return gather(translator), None


class ListCache:
    """The cache.

    Args:
        settings: what decides how a list looks, and for how long one is kept.
        store: where; shared by all processes, or this one's own.
        secret: the seal of what is kept there; the same for all who share it.
        admit: lets in who asks the image store or waits for another's answer, and nobody else.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        secret: bytes,
        admit: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._admit = admit
        self._seconds = settings.cache_seconds
        # A request that began before a write must not find its list again after it.
        self._memory_seconds = math.ceil(2 * self._seconds + settings.request_timeout_seconds)
        self._looks = sorted(settings.compat)
        self._store = store
        self._secret = secret
        self._flights: dict[str, Future[KeptList]] = {}
        self._guard = threading.Lock()

    def find(
        self,
        caller: Caller,
        asked: Callable[[], list[Any]],
        translator: Translator,
        gather: Gather,
        deadline: float,
    ) -> tuple[Listed, int | None]:
        """Return a list, and its age in seconds where it was not made for this request.

        Args:
            caller: for whom.
            asked: tells what else a list depends on: the store's address, filters, marker, limit.
            translator: whose links the list gets.
            gather: asks the store, and translates.
            deadline: on `time.monotonic()`'s clock, until when one waits for another's answer.

        Raises:
            ImageServiceError: the store's own errors, or another's answer did not come in time.
        """

        def marked() -> KeptList:
            return KeptList.gathered(lambda links: gather(replace(translator, links=links)))

        key = self._key(caller, asked())
        kept = self._load(key)
        age = kept and int(kept.age())
        if kept is None:
            with self._admit():
                kept, age = self._fly(key, marked, deadline)
        return kept.with_links(translator.links), age

    def note_write(self, project_id: str) -> None:
        """Have no list of a project found again that was asked for before now."""
        generation = secrets.token_hex(8).encode()
        self._store.set(_generation_key(project_id), generation, self._memory_seconds)

    def _key(self, caller: Caller, asked: list[Any]) -> str:
        generation = self._store.get(_generation_key(caller.project_id or ""))
        who = [caller.user_id, caller.project_id, sorted(caller.roles), _scope(caller.token)]
        everything = [_FORM, self._looks, (generation or _NEVER_WRITTEN).hex(), who, asked]
        return _hashed("list", json.dumps(everything, sort_keys=True))

    def _load(self, key: str) -> KeptList | None:
        data = self._store.get(key)
        kept = KeptList.opened(self._secret, key, data) if data else None
        return kept if kept and 0 <= kept.age() < self._seconds else None

    def _fly(
        self, key: str, gather: Callable[[], KeptList], deadline: float
    ) -> tuple[KeptList, int | None]:
        """Ask for a list, or wait for who does already; each for itself where that one fails."""
        with self._guard:
            flight = self._flights.get(key)
            if flight is None:
                own = self._flights[key] = Future()
        if flight is None:
            return self._lead(own, key, gather, deadline)
        if not wait([flight], deadline - time.monotonic()).done:
            raise ImageServiceUnavailable("another request's answer took too long")
        if flight.exception():  # its own affair: its token may have been revoked just now
            return gather(), None
        return flight.result(), int(flight.result().age())

    def _lead(
        self,
        flight: Future[KeptList],
        key: str,
        gather: Callable[[], KeptList],
        deadline: float,
    ) -> tuple[KeptList, int | None]:
        try:
            kept, age = self._ask(key, gather, deadline)
        except BaseException as error:
            flight.set_exception(error)
            raise
        else:
            flight.set_result(kept)
            return kept, age
        finally:
            with self._guard:
                del self._flights[key]

    def _ask(
        self, key: str, gather: Callable[[], KeptList], deadline: float
    ) -> tuple[KeptList, int | None]:
        """Ask for a list and keep it, unless another process does already."""
        turn = f"{key}:asked"
        longest = min(deadline - time.monotonic(), _LONGEST_TURN_SECONDS)
        if not self._store.add(turn, b"1", max(1, math.ceil(longest))):
            kept = self._await(key, turn, deadline)
            return (kept, int(kept.age())) if kept else (gather(), None)
        try:
            if kept := self._load(key):
                return kept, int(kept.age())
            kept = gather()
            if kept.listed.is_whole:
                self._store.set(key, kept.sealed(self._secret, key), self._seconds)
            return kept, None
        finally:
            self._store.delete(turn)

    def _await(self, key: str, turn: str, deadline: float) -> KeptList | None:
        """Return the list that another process is asking for; None where it failed."""
        while self._store.get(turn) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return self._load(key)


def _scope(token: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a token may decide what Glance shows, its lists in one order."""
    kept = {name: token[name] for name in token.keys() - _OF_NO_ACCOUNT}
    return {name: sorted(v, key=str) if isinstance(v, list) else v for name, v in kept.items()}


def _generation_key(project_id: str) -> str:
    return _hashed("generation", project_id)


def _hashed(kind: str, text: str) -> str:
    return f"nova-image-shim:{kind}:{hashlib.sha256(text.encode()).hexdigest()}"
