"""Errors of Keystone, and what a failed call says about itself."""

from keystoneauth1.exceptions import HttpError


class KeystoneUnavailable(Exception):
    """Keystone did not answer; `retry_after` is when to retry, in seconds as text."""

    def __init__(self, reason: str, *, retry_after: str | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


def reason_of(error: Exception) -> str:
    """Return what went wrong; of an answer only its status, since its text may hold a token."""
    if isinstance(error, HttpError):
        return f"Keystone answered {error.http_status}"
    return f"{type(error).__name__}: {error}"
