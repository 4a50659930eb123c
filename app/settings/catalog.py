"""Endpoints that replace those of the catalog: SHIM_IDENTITY_V2_CATALOG. Pure."""

import re
from typing import NamedTuple

from nova_image_shim.settings import values

_PROJECT = re.compile(r"[%$]\((?:tenant|project)_id\)s")
_ENTRY = re.compile(r"(?:([^\s=]{1,255})=)?([a-z0-9._-]{1,255})=(https?://[^%$,]+)", re.ASCII)
_ALLOWED = (
    "must be one or more of TYPE=URL and REGION=TYPE=URL, separated by blanks, each type once in a "
    "region; a URL may contain %(tenant_id)s"
)


class CatalogEntry(NamedTuple):
    """An endpoint: its region, None for every region, its type and its address."""

    region: str | None
    type: str
    url: str

    def url_for(self, project_id: str) -> str:
        """Return the address for a project."""
        return _PROJECT.sub(lambda _found: project_id, self.url)


def parse_entries(text: str) -> tuple[CatalogEntry, ...]:
    """Read `compute=https://host/v2/%(tenant_id)s RegionTwo=image=https://host`.

    Raises:
        ValueError: the text has another form; the error begins with "must".
    """
    entries = [entry for part in text.split() if (entry := _entry(part))]
    if len({entry[:2] for entry in entries}) < len(text.split()):
        raise ValueError(_ALLOWED)
    return tuple(entries)


def _entry(text: str) -> CatalogEntry | None:
    match = _ENTRY.fullmatch(_PROJECT.sub("-", text))
    try:
        values.url(match[3] if match else "")
    except ValueError:
        return None
    region, type_, _ = match.groups() if match else ("", "", "")
    return CatalogEntry(region, type_, text[text.index("=http") + 1 :].rstrip("/"))
