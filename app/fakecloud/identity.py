"""Users, projects and tokens of the embedded cloud: state and rules, no HTTP.

Nothing here is security: passwords are known to everyone who reads the documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from nova_image_shim.fakecloud.seed import Seed


class Identity:
    """Who is who. A skeleton.

    Args:
        seed: users and projects.
        now: the cloud's clock.
    """

    def __init__(self, seed: Seed, now: Callable[[], datetime]) -> None:
        self._seed = seed
        self._now = now

    def reset(self) -> None:
        """Forget every token but the fixed ones."""
