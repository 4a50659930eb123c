"""A search for tokens and passwords in all that every live service of the tests has said.

Each token of the fakes and of the real Keystone has a form of its own, and so has no test to name
those it used. `live_shim` calls this for its log and its metrics when it ends.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN = re.compile(r"[\w.%-]+-token-0123456789abcdef|gAAAA[\w=-]{40,}", re.ASCII)
PASSWORDS = ("OS_PASSWORD", "OS_APPLICATION_CREDENTIAL_SECRET")
SEARCHED: Counter[str] = Counter()


def note(kind: str, text: str, environ: Mapping[str, str]) -> None:
    """Search, and count what was searched; see `search`."""
    SEARCHED[kind] += bool(text)
    SEARCHED["characters"] += len(text)
    search(kind, text, environ)


def search(kind: str, text: str, environ: Mapping[str, str]) -> None:
    """Find no secret.

    Args:
        kind: `logs` or `pages of metrics`.
        text: what was said.
        environ: the service's settings, passwords among them.

    Raises:
        AssertionError: there is one; it is named with what stands around it.
    """
    secrets = {environ[name] for name in PASSWORDS if len(environ.get(name, "")) >= 8}
    for pattern in (TOKEN, *map(re.compile, map(re.escape, secrets))):
        if found := pattern.search(text):
            start = max(0, found.start() - 200)
            raise AssertionError(f"a secret is in the {kind}: {text[start : found.end() + 100]}")


def told() -> str:
    """Return the line that sums the search up, empty where nothing was searched."""
    if not SEARCHED["logs"]:
        return ""
    return (
        f"canary: {SEARCHED['logs']} logs and {SEARCHED['pages of metrics']} pages of metrics, "
        f"{SEARCHED['characters']} characters in all, hold no token and no password"
    )
