"""requests' session, made to ask the environment of the process once and not on every request.

Whether a proxy is named there, and for which hosts, cannot change while the process runs; to look
again each time, and for a ~/.netrc, is a tenth of the time of a short list.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import requests

_MOST_HOSTS = 64


class EnvironmentOnceSession(requests.Session):
    """A session that keeps what the environment says of a host; `~/.netrc` counts nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.auth = _as_it_is  # with any `auth` of its own requests reads no ~/.netrc
        self._merged = lru_cache(_MOST_HOSTS)(self._merge)

    def merge_environment_settings(  # type: ignore[override] # of our own calls, none brings proxies
        self, url: str, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """Return proxies and certificates for an address, by its scheme and host."""
        assert not proxies, "they are the environment's own"
        return self._merged("/".join(url.split("/", 3)[:3]), stream, verify, cert)

    def _merge(self, origin: str, *settings: Any) -> Any:
        return super().merge_environment_settings(origin, {}, *settings)


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
