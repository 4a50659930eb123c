"""Translate Glance's errors into the port's: by a table of statuses, with Glance's text."""

import html
import re
from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime

import orjson
import requests
from glanceclient import exc as glanceclient_exc
from keystoneauth1.exceptions import ClientException

from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.limits.limiter import LimitExceeded

ERRORS: dict[int, type[port.ImageServiceError]] = {
    400: port.ImageBadRequest,
    401: port.ImageNotAuthenticated,
    403: port.ImageNotAuthorized,
    404: port.ImageNotFound,
    409: port.ImageConflict,
    413: port.ImageQuotaExceeded,
    429: port.ImageServiceBusy,
    503: port.ImageServiceUnavailable,
}

# What a call to Glance may raise.
FAILURES = (
    ClientException,
    glanceclient_exc.BaseException,
    OSError,  # as requests raises them, and where the CA bundle has gone
    ValueError,  # an address is not a URL
    LimitExceeded,
)

# How Glance's errors about a marker start: unknown, not visible, too long. The rest is the marker.
REFUSALS_OF_MARKERS = (
    "No image found with ID",  # the marker that follows may consist of blanks
    "Forbidding request, image ",
    "Image with the given id ",
)

# The errors whose text the client gets; that of the others goes to the log.
_SHOWN = {port.ImageBadRequest, port.ImageNotAuthorized, port.ImageConflict}

_TEXT_LENGTH = 1000
_PAGE_BYTES = 2**13  # of an HTML page, the rest is not read
_SECONDS = re.compile(r"\d{1,9}", re.ASCII)
_BREAK = re.compile(r"<br\s*/?>(?:\s*<br\s*/?>)*", re.IGNORECASE)
# webob's text follows its heading, escaped; other pages have more markup there.
_WORDS = re.compile(r"</h1>((?:[^<]|<br\s*/?>)*)", re.IGNORECASE)

# webob uses these where it has no explanation; the text after them is better.
_WEBOB_DEFAULTS = {
    "Access was denied to this resource.",
    "The server could not comply with the request since it is either malformed or otherwise "
    "incorrect.",
    "There was a conflict when trying to complete your request.",
}


def port_error(answer: requests.Response) -> port.ImageServiceError:
    """Return the port error for an answer that reports a failure.

    It is the one in `ERRORS`, and ImageServiceFailed for any other status.
    """
    status = answer.status_code
    error = ERRORS.get(status, port.ImageServiceFailed)
    text = explanation(_without_tokens(answer))
    if error not in _SHOWN:
        text = f"Glance answered {status}: {text}"
    return error(text, retry_after=_retry_after(answer))


def _without_tokens(answer: requests.Response) -> bytes:
    """Return the body without the tokens that were sent: an error page may repeat the request."""
    content: bytes = answer.content
    for name in ("X-Auth-Token", "X-Service-Token"):
        token = answer.request.headers.get(name, "")
        if len(token) >= 8:  # a shorter one is a word such as `demo`, not a secret
            content = content.replace(token.encode(), b"***")
    return content


def explanation(content: bytes) -> str:
    r"""Return Glance's own text without markup, empty where it has none.

    Glance's errors are JSON, `{"message": "TEXT<br /><br />\nDETAIL\n\n", "code", "title"}`,
    or webob's HTML page with the same text below a heading.
    """
    message = _json_message(content)
    parts = _html_parts(content) if message is None else _BREAK.split(message)
    stated = [words for part in parts if (words := " ".join(part.split()))]
    if len(stated) > 1 and stated[0] in _WEBOB_DEFAULTS:
        return " ".join(stated[:2])[:_TEXT_LENGTH]
    return stated[0][:_TEXT_LENGTH] if stated else ""


def _json_message(content: bytes) -> str | None:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    message = body.get("message") if isinstance(body, dict) else None
    return message if isinstance(message, str) else ""


def _html_parts(content: bytes) -> list[str]:
    words = _WORDS.search(content[:_PAGE_BYTES].decode(errors="replace"))
    return [html.unescape(part) for part in _BREAK.split(words[1])] if words else []


def _retry_after(answer: requests.Response) -> str | None:
    """Return the answer's `Retry-After` if it is seconds or an HTTP date, of any form."""
    value = answer.headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(value):
        return value
    try:
        date = parsedate_to_datetime(value)
        date = date.replace(tzinfo=date.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return format_datetime(date, usegmt=True)
