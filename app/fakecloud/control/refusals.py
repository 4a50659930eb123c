"""Why the control plane does not do what it was asked to."""

from __future__ import annotations


class Refused(Exception):
    """What was asked for cannot be; the text says what is wrong and what is allowed."""


class NothingThere(Exception):
    """No image or rule has this id."""


class AlreadyThere(Exception):
    """Another image has this id."""
