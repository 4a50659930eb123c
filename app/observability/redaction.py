"""Take tokens and passwords out of text that somebody else chose, before it is logged or sent."""

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

REDACTED = "***"
MIN_SECRET_LENGTH = 8  # a shorter one is a word such as `demo`, not a secret
# Keystone's Fernet and JWS tokens. The bound on a JWS's first part keeps the search linear.
_TOKEN = re.compile(r"gAAAA[\w=-]{20,}|eyJ[\w-]{8,256}\.[\w-]{8,}\.[\w-]{8,}", re.ASCII)
# Keystone's UUID tokens; ids of projects and users have the same form.
_UUID_TOKEN = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", re.IGNORECASE)


def secret_forms(*secrets: str) -> tuple[str, ...]:
    """Return each secret that is long enough: as it is, and as JSON and URLs write it."""
    long = [secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH]
    forms = [(secret, json.dumps(secret)[1:-1], quote(secret)) for secret in long]
    return tuple(dict.fromkeys(form for group in forms for form in group))


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text without secrets and without whatever has the form of a Fernet or JWS token."""
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    return _TOKEN.sub(REDACTED, text) if "gAAAA" in text or "eyJ" in text else text


def redact_unread(text: str) -> str:
    """Return text of a malformed request, in which any word may be a token, without tokens."""
    return _UUID_TOKEN.sub(REDACTED, redact(text))
