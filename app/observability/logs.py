"""Logging as a whole: OpenStack's line or a JSON object, and no token or password in either."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

from nova_image_shim.observability.trace import ACCESS_LOGGER, CURRENT
from nova_image_shim.translation.ascii_json import to_json

if TYPE_CHECKING:
    from collections.abc import Collection

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_FERNET = re.compile(r"gAAAA[\w=-]{20,}", re.ASCII)
_SECRET_LENGTH = 8  # a shorter token is a word such as `demo`, and no secret
STRUCK_OUT = "***"
_TIME = "%Y-%m-%d %H:%M:%S"


class RequestFormatter(logging.Formatter):
    """OpenStack's line: time, process, level, logger, `[ids user project]`, message.

    The ids are the client's, `-` where it sent none, and ours, in oslo.log's order. The
    message's control characters are escaped, so that nothing a client or a service sent can
    begin a line of its own, and secrets are struck out of all of it.

    Args:
        secrets: what must never be logged, besides the request's token and whatever looks like
            one of Keystone's.
    """

    def __init__(self, secrets: Collection[str] = ()) -> None:
        super().__init__(
            "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [%(request)s] %(message)s",
            _TIME,
        )
        self._secrets = _forms(*secrets)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Add who asks, and escape."""
        trace = CURRENT.get()
        sent = trace.client_request_id or "-"
        record.request = f"{sent} {trace.request_id} {trace.user_id} {trace.project_id}"
        if not record.message.isprintable():  # quick, and true of nearly every line
            record.message = _CONTROL.sub(_escaped, record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """Format, tracebacks included, and strike the secrets out."""
        return self._without_secrets(super().format(record))

    def _without_secrets(self, line: str) -> str:
        for secret in (*_forms(CURRENT.get().token), *self._secrets):
            line = line.replace(secret, STRUCK_OUT)
        return _FERNET.sub(STRUCK_OUT, line) if "gAAAA" in line else line


class JsonFormatter(RequestFormatter):
    """One JSON object a line, in ASCII, by the names of oslo.log's formatter.

    `{"asctime", "name", "levelname", "process", "message", "context": {"request_id",
    "global_request_id", "user_id", "project_id"}}`; `global_request_id` is null where the client
    sent none. The access line's fields are in `extra`, a traceback's text in `traceback`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format, and strike the secrets out."""
        trace = CURRENT.get()
        fields = record.args if record.name == ACCESS_LOGGER else None
        access = fields if isinstance(fields, dict) else None
        line: dict[str, Any] = {
            "asctime": f"{self.formatTime(record, _TIME)}.{int(record.msecs):03d}",
            "name": record.name,
            "levelname": record.levelname,
            "process": record.process,
            "message": record.getMessage() if access is None else _summary(access),
            "context": {
                "request_id": trace.request_id,
                "global_request_id": trace.client_request_id or None,
                "user_id": trace.user_id,
                "project_id": trace.project_id,
            },
        }
        if access is not None:
            line["extra"] = access
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return self._without_secrets(to_json(line).decode())


def _escaped(match: re.Match[str]) -> str:
    return f"\\x{ord(match[0]):02x}"


def _summary(access: dict[str, Any]) -> str:
    return "{method} {target} {status}".format_map(access)


def _forms(*secrets: str) -> list[str]:
    """Return those that are secrets, each as it is and as it stands in JSON."""
    forms = []
    for secret in secrets:
        if len(secret) >= _SECRET_LENGTH:
            forms.append(secret)
            if not secret.isascii() or '"' in secret or "\\" in secret:
                forms.append(json.dumps(secret)[1:-1])
    return forms


def logging_config(
    level: str, log_format: str = "text", secrets: Collection[str] = ()
) -> dict[str, object]:
    """Return the `logging.config` dictionary: everything to standard error, from `level` on.

    Args:
        level: a level's name.
        log_format: `text` or `json`.
        secrets: what must never be logged.
    """
    quiet = "INFO" if level == "DEBUG" else level
    formatter = {"text": RequestFormatter, "json": JsonFormatter}[log_format]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"ours": {"()": formatter, "secrets": tuple(secrets)}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "ours"}},
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {
            # gunicorn brings handlers of its own unless told not to. At DEBUG it tells paths before
            # it is known which token has to be struck out of them.
            "gunicorn.error": {"level": quiet, "propagate": True, "handlers": []},
            "gunicorn.access": {"level": level, "propagate": False, "handlers": []},
            # At DEBUG it tells whole answers, and an error may tell a token back.
            "keystoneauth": {"level": quiet},
        },
    }
