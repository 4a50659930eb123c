"""A rehearsal of switching off: which requests SHIM_BROWNOUT refuses. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from nova_image_shim.observability.client_families import FAMILIES
from nova_image_shim.translation.times import parse_time

Window = tuple[datetime, datetime]

ALLOWED = (
    "must be one or more of percent=1..100, clients=NAME,NAME and window=START/END, and status=404 "
    "or status=410, separated by blanks"
)
_PERCENT = re.compile(r"\d{1,3}(\.\d{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Brownout:
    """Which requests are refused: those that match every condition.

    Args:
        percent: how many of a hundred requests, chosen at random.
        clients: families of clients, empty for all.
        window: pairs of start (included) and end (excluded), empty for always.
        status: 410, or 404 as Nova answers where it has no image calls.
    """

    percent: float = 100.0
    clients: frozenset[str] = frozenset()
    window: tuple[Window, ...] = ()
    status: int = 410

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `percent=10 clients=fog,goose window=START/END status=404`.

        Raises:
            ValueError: the text has another form; the error begins with "must".
        """
        given: dict[str, Any] = {}
        for part in text.split():
            name, _, value = part.partition("=")
            if name not in _PARTS or name in given:
                raise ValueError(f"{ALLOWED}, each once; {part!r} is unknown or repeated")
            given[name] = _PARTS[name](value)
        if not given.keys() - {"status"}:
            raise ValueError(f"{ALLOWED}; percent=100 refuses all requests")
        return cls(**given)

    def refuses(self, family: str, now: datetime, lot: float) -> bool:
        """Tell whether a client's request is refused; `lot` is random, from 0 to below 1."""
        return (
            (not self.clients or family in self.clients)
            and (not self.window or any(start <= now < end for start, end in self.window))
            and lot * 100 < self.percent
        )


def _percent(text: str) -> float:
    if not _PERCENT.fullmatch(text) or not 0 < float(text) <= 100:
        raise ValueError(f"must have a percent above 0 and up to 100, not {text!r}")
    return float(text)


def _clients(text: str) -> frozenset[str]:
    named = frozenset(text.split(","))
    if not named <= set(FAMILIES):
        unknown = ", ".join(sorted(named - set(FAMILIES)))
        raise ValueError(f"must have clients out of {', '.join(FAMILIES)}, not {unknown!r}")
    return named


def _windows(text: str) -> tuple[Window, ...]:
    return tuple(map(_window, text.split(",")))


def _window(text: str) -> Window:
    first, _, last = text.partition("/")
    try:
        start, end = parse_time(first), parse_time(last)
    except ValueError as error:
        wrong = f"must have a window START/END of two ISO 8601 times, not {text!r}"
        raise ValueError(wrong) from error
    if not start < end:
        raise ValueError(f"must have a window that ends after its start, not {text!r}")
    return start, end


def _status(text: str) -> int:
    if text not in {"404", "410"}:
        raise ValueError(f"must have status=404 or status=410, not {text!r}")
    return int(text)


_PARTS: dict[str, Callable[[str], Any]] = {
    "percent": _percent,
    "clients": _clients,
    "window": _windows,
    "status": _status,
}
