"""The embedded cloud's whole state: images, identity, clock. Knows no HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.fakecloud.clock import Clock
from nova_image_shim.fakecloud.identity.identity import Identity

if TYPE_CHECKING:
    from nova_image_shim.fakecloud.seed import Seed


class FakeCloud:
    """One cloud in memory; everything in it may be asked from several threads at once.

    Args:
        seed: what it begins with, and what a reset leads back to.
    """

    def __init__(self, seed: Seed) -> None:
        self.seed = seed
        self.clock = Clock()
        self.images = MemoryImageService(seed.images, now=self.clock.now)
        self.identity = Identity(seed, now=self.clock.now)

    def reset(self) -> None:
        """Go back to the seed: its images, no token but the fixed ones, the machine's time."""
        self.clock.reset()
        self.images.store.load(self.seed.images)
        self.identity.reset()
