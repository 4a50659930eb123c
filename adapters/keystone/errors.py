"""Errors of Keystone."""

from __future__ import annotations


class KeystoneUnavailable(Exception):
    """Keystone did not answer whether the token is valid.

    Args:
        reason: for the log.
        retry_after: seconds after which to retry, as text, if that is known.
    """

    def __init__(self, reason: str, *, retry_after: str | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
