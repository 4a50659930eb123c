"""Log formatters and configuration: OpenStack's line format or JSON, without any secrets.

Every record becomes one line below 4096 bytes without control characters: a pipe takes it as a
whole, and nothing that a client or a service sent starts a line. Texts from outside are redacted
and shortened one by one, before the line is rendered.
"""

import logging
import time
import traceback
from collections.abc import Collection
from functools import lru_cache
from typing import Any

from nova_image_shim.observability.log_writer import LogWriter
from nova_image_shim.observability.redaction import MIN_SECRET_LENGTH, redact, secret_forms
from nova_image_shim.observability.trace import ACCESS_LOGGER, CURRENT, as_word
from nova_image_shim.translation.ascii_json import to_json

_LONGEST_LINE = 4094  # bytes, without the line break; a pipe takes 4096 at once
_CUT = "..."
# The fields of an access line that the client or Glance chooses.
_CHOSEN = {"method", "target", "protocol", "user_agent", "glance_request_ids"}


class RequestFormatter(logging.Formatter):
    r"""OpenStack's line: time, process, level, logger, `[ids user project]`, message.

    The time is UTC, as `2026-11-29T19:20:21.123+00:00`. The ids are the client's request id (`-`
    if it sent none) and ours, in oslo.log's order. A traceback follows its message; line breaks
    are written as `\n`.
    """

    def __init__(self, secrets: Collection[str] = ()) -> None:
        super().__init__()
        self._secrets = secret_forms(*secrets)

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line; `...` marks what it has no room for."""
        texts = self._texts(record)
        line, longest = self._render(record, texts), _LONGEST_LINE
        while len(line) > _LONGEST_LINE or len(line.encode()) > _LONGEST_LINE:
            longest //= 2
            line = self._render(record, _shortened(texts, longest))
        return line

    def _texts(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the redacted parts of a line.

        `user_id` and `project_id`, and either the fields of an access line or a `message`, with
        `stack` and `error` where there is a traceback.
        """
        trace = CURRENT.get()
        texts = {"user_id": _cleaned(trace.user_id), "project_id": _cleaned(trace.project_id)}
        has_token = len(trace.token) >= MIN_SECRET_LENGTH
        secrets = (*self._secrets, trace.token) if has_token else self._secrets
        if fields := _access_fields(record):
            texts.update(fields)
            for name in _CHOSEN & fields.keys():
                texts[name] = _cleaned(fields[name], secrets)
            return texts
        texts["message"] = _cleaned(record.getMessage(), secrets)
        if record.exc_info:
            error = "".join(traceback.format_exception_only(*record.exc_info[:2])).rstrip()
            stack = self.formatException(record.exc_info).removesuffix(error)
            texts |= {"stack": _cleaned(stack, secrets), "error": _cleaned(error, secrets)}
        return texts

    def _render(self, record: logging.LogRecord, texts: dict[str, Any]) -> str:
        trace = CURRENT.get()
        message = str(record.msg) % texts if _access_fields(record) else texts["message"]
        if "error" in texts:
            message += f"\n{texts['stack']}{texts['error']}"
        sent, user = trace.client_request_id or "-", as_word(texts["user_id"])
        ids = f"{sent} {trace.request_id} {user} {as_word(texts['project_id'])}"
        head = f"{_time(record)} {record.process} {record.levelname} {record.name}"
        return _escape(f"{head} [{ids}] {message}")


class JsonFormatter(RequestFormatter):
    """One JSON object per line, in ASCII, with the field names of oslo.log's formatter.

    `{"asctime", "name", "levelname", "process", "message", "context": {"request_id",
    "global_request_id", "user_id", "project_id"}}`; `global_request_id` is null if the client
    sent none. `extra` has the fields of an access line, and `traceback` the traceback's text.
    """

    def _render(self, record: logging.LogRecord, texts: dict[str, Any]) -> str:
        trace = CURRENT.get()
        line: dict[str, Any] = {
            "asctime": _time(record),
            "name": record.name,
            "levelname": record.levelname,
            "process": record.process,
            "message": texts.get("message"),
            "context": {
                "request_id": trace.request_id,
                "global_request_id": trace.client_request_id or None,
                "user_id": texts["user_id"],
                "project_id": texts["project_id"],
            },
        }
        if fields := _access_fields(record):
            line["message"] = "{method} {target} {status}".format_map(texts)
            line["extra"] = {name: texts[name] for name in fields}
        if "error" in texts:
            line["traceback"] = texts["stack"] + texts["error"]
        return to_json(line).decode()


def _access_fields(record: logging.LogRecord) -> dict[str, Any] | None:
    """Return the fields of an access line, None for any other record."""
    is_access = record.name == ACCESS_LOGGER and isinstance(record.args, dict)
    return record.args if is_access else None  # type: ignore[return-value] # checked


def _cleaned(text: object, secrets: tuple[str, ...] = ()) -> str:
    """Return a redacted text, with lone surrogates escaped, which are not valid in JSON."""
    text = str(text)
    if not text.isascii():
        text = text.encode(errors="backslashreplace").decode()
    return redact(text, secrets)


def _shortened(texts: dict[str, Any], longest: int) -> dict[str, Any]:
    """Return the texts with at most that many characters; a stack loses its middle."""
    found = dict(texts)
    for name, text in texts.items():
        if isinstance(text, str) and len(text) > longest:
            half = longest // 2
            end = text[-half:] if name == "stack" else ""
            found[name] = text[: half if end else longest] + _CUT + end
    return found


def _time(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.created % 1 * 1000):03d}+00:00"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _escape(line: str) -> str:
    if line.isprintable():  # a cheap check that most lines pass
        return line
    escaped = (
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in line
    )
    return "".join(escaped)


def logging_config(
    level: str, log_format: str = "text", secrets: Collection[str] = ()
) -> dict[str, object]:
    """Return a `logging.config` dictionary that logs to standard error, as `text` or `json`."""
    quiet = "INFO" if level == "DEBUG" else level
    formatter = {"text": RequestFormatter, "json": JsonFormatter}[log_format]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"ours": {"()": formatter, "secrets": tuple(secrets)}},
        "handlers": {"stderr": {"()": LogWriter, "formatter": "ours"}},
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {
            # gunicorn adds its own handlers unless this is set. At DEBUG it logs paths before the
            # request's token is known, so the token could not be redacted.
            "gunicorn.error": {"level": quiet, "propagate": True, "handlers": []},
            "gunicorn.access": {"level": level, "propagate": False, "handlers": []},
            # At DEBUG it logs whole response bodies, and an error response may quote a token.
            "keystoneauth": {"level": quiet},
        },
    }
