"""What is done to a service's address before a path is added."""

import re
from functools import lru_cache

_VERSION = re.compile(r"/v\d+(?:\.\d+)?\Z", re.ASCII)


@lru_cache(maxsize=256)
def without_version(url: str) -> str:
    """Return an endpoint without a version at its end: `/v2`, `/v2.0`, `/v3/`; no final slash."""
    return _VERSION.sub("", url.rstrip("/")).rstrip("/")
