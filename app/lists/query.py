"""The query of a list as the client sent it, and the request built from it."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from nova_image_shim.auth.caller import Caller
from nova_image_shim.translation.filters import GlanceQuery
from nova_image_shim.translation.translator import Translator

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A checked list query."""

    filters: Mapping[str, str]  # by legacy name, in the order in which the names appeared
    limit: int | None = None  # the most images to return, None for all
    page_size: int | None = None  # of the first Glance page, None for the setting's
    marker: str | None = None  # the id after which the list begins


@dataclass(frozen=True, slots=True)
class ListRequest:
    """One list as one request needs it."""

    caller: Caller
    endpoint: str | None  # the image store's, None where it has none
    translator: Translator  # with the links of this request
    detailed: bool  # full entries, or brief ones
    query: GlanceQuery
    limit: int | None  # the most images in the list, None for all
    marker: str | None  # the id after which the list begins
    page_size: int  # how many images are fetched from Glance at a time
    first_page_size: int
    with_previous: bool  # whether a link to the previous page is needed

    @property
    def key(self) -> Hashable:
        """Return what is equal for requests with the same answer, to the byte."""
        query = self.query
        filters = frozenset(query.params.items()), frozenset(query.properties.items())
        answer = self.translator, self.detailed, self.with_previous
        which = filters, query.impossible, self.limit, self.marker
        return self.caller.owner, self.endpoint, which, answer
