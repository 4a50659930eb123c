"""The query of a list, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A checked list query.

    Args:
        filters: values by legacy name, in the order in which the names appeared.
        limit: the most images wanted, None for all.
        page_size: the first Glance page's size, None for the setting's.
        marker: the id after which the list begins.
    """

    filters: Mapping[str, str]
    limit: int | None = None
    page_size: int | None = None
    marker: str | None = None
