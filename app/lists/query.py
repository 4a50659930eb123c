"""What a list is asked for: the query as the client sent it, and the request made of it."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from nova_image_shim.auth.caller import Caller
from nova_image_shim.translation.filters import GlanceQuery
from nova_image_shim.translation.translator import Translator

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A checked list query.

    Args:
        filters: values by legacy name, in the order in which the names appeared.
        limit: the most images to return, None for all.
        page_size: the size of the first Glance page, None for the setting's.
        marker: the id after which the list begins.
    """

    filters: Mapping[str, str]
    limit: int | None = None
    page_size: int | None = None
    marker: str | None = None


@dataclass(frozen=True, slots=True)
class ListRequest:
    """One list as one request needs it.

    Args:
        caller: who sees it.
        endpoint: the image store's address, None where it has none.
        translator: translates the images, with the links of this request.
        detailed: whether the entries are full or brief.
        query: the filters in Glance's terms.
        limit, marker: as in `ListQuery`, below the setting's limit.
        page_size, first_page_size: how many images are fetched at a time, and in the first call.
        with_previous: whether a link to the previous page is needed.
    """

    caller: Caller
    endpoint: str | None
    translator: Translator
    detailed: bool
    query: GlanceQuery
    limit: int | None
    marker: str | None
    page_size: int
    first_page_size: int
    with_previous: bool

    @property
    def key(self) -> Hashable:
        """Return what is equal for requests with the same answer, to the byte."""
        query = self.query
        filters = frozenset(query.params.items()), frozenset(query.properties.items())
        answer = self.translator, self.detailed, self.with_previous
        which = filters, query.impossible, self.limit, self.marker
        return self.caller.owner, self.endpoint, which, answer
