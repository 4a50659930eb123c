"""A rehearsal of switching off: which requests are refused, by SHIM_BROWNOUT. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nova_image_shim.observability.client_families import FAMILIES
from nova_image_shim.translation.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    Window = tuple[datetime, datetime]

ALLOWED = (
    "percent=1..100, clients=NAME,NAME and window=START/END, one or more with blanks between "
    "them, and status=404 or 410"
)
_PERCENT = re.compile(r"\d{1,3}(\.\d{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Brownout:
    """Which requests are refused: those for which everything that is set holds.

    Args:
        percent: how many of a hundred, drawn by lot for each request.
        clients: families of clients, empty for all.
        windows: from when until when, each with its end left out; empty for always.
        status: 410, or 404 as a Nova without the image calls answers.
    """

    percent: float = 100.0
    clients: frozenset[str] = frozenset()
    windows: tuple[Window, ...] = ()
    status: int = 410

    @classmethod
    def parse(cls, text: str) -> Brownout:
        """Return what a text says: `percent=10 clients=fog,goose window=START/END status=404`.

        Raises:
            ValueError: it says nothing of the kind; the text says what was wrong.
        """
        given: dict[str, Any] = {}
        for part in text.split():
            name, _, value = part.partition("=")
            if name not in _PARTS or name in given:
                raise ValueError(f"{ALLOWED}, each once: {part!r} is not")
            given[name] = _PARTS[name](value)
        if not given.keys() - {"status"}:
            raise ValueError(f"{ALLOWED}; percent=100 for all requests")
        if "window" in given:
            given["windows"] = given.pop("window")
        return cls(**given)

    def refuses(self, family: str, now: datetime, lot: float) -> bool:
        """Tell whether a request is refused.

        Args:
            family: of its client.
            now: when it came.
            lot: a number from 0 to 1, 1 left out, drawn for it.
        """
        return (
            (not self.clients or family in self.clients)
            and (not self.windows or any(start <= now < end for start, end in self.windows))
            and lot * 100 < self.percent
        )


def _percent(text: str) -> float:
    if not _PERCENT.fullmatch(text) or not 0 < float(text) <= 100:
        raise ValueError(f"percent={text!r} is no number over 0 and up to 100")
    return float(text)


def _clients(text: str) -> frozenset[str]:
    named = frozenset(text.split(","))
    if not named <= set(FAMILIES):
        unknown = ", ".join(sorted(named - set(FAMILIES)))
        raise ValueError(f"clients: {unknown!r} is none of {', '.join(FAMILIES)}")
    return named


def _windows(text: str) -> tuple[Window, ...]:
    return tuple(_window(part) for part in text.split(","))


def _window(text: str) -> Window:
    first, _, last = text.partition("/")
    try:
        start, end = parse_time(first), parse_time(last)
    except ValueError as error:
        raise ValueError(f"window={text!r} is not START/END, two ISO 8601 times") from error
    if not start < end:
        raise ValueError(f"window={text!r} ends before it begins")
    return start, end


def _status(text: str) -> int:
    if text not in {"404", "410"}:
        raise ValueError(f"status={text!r} is neither 404 nor 410")
    return int(text)


_PARTS: dict[str, Callable[[str], Any]] = {
    "percent": _percent,
    "clients": _clients,
    "window": _windows,
    "status": _status,
}
