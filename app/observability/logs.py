"""Log formatters and configuration: OpenStack's line format or JSON, without any secrets."""

import json
import logging
import re
from collections.abc import Collection
from typing import Any

from nova_image_shim.observability.trace import ACCESS_LOGGER, CURRENT
from nova_image_shim.translation.ascii_json import to_json

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_FERNET = re.compile(r"gAAAA[\w=-]{20,}", re.ASCII)
_MIN_SECRET_LENGTH = 8  # a shorter token is a word such as `demo`, not a secret
REDACTED = "***"
_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


class RequestFormatter(logging.Formatter):
    """OpenStack's line: time, process, level, logger, `[ids user project]`, message.

    The ids are the client's request id (`-` if it sent none) and ours, in oslo.log's order.
    Control characters in the message are escaped, so that no client or service can forge a log
    line. The secrets, the request's own token and whatever looks like a Fernet token are redacted.
    """

    def __init__(self, secrets: Collection[str] = ()) -> None:
        super().__init__(
            "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [%(request)s] %(message)s",
            _TIME_FORMAT,
        )
        self._secrets = _secret_forms(*secrets)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Add the ids, user and project, and escape control characters."""
        trace = CURRENT.get()
        sent = trace.client_request_id or "-"
        record.request = f"{sent} {trace.request_id} {trace.user_id} {trace.project_id}"
        if not record.message.isprintable():  # a cheap check that most lines pass
            record.message = _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """Format the record with its traceback, and redact secrets."""
        return self._redact(super().format(record))

    def _redact(self, line: str) -> str:
        for secret in (*_secret_forms(CURRENT.get().token), *self._secrets):
            line = line.replace(secret, REDACTED)
        return _FERNET.sub(REDACTED, line) if "gAAAA" in line else line


class JsonFormatter(RequestFormatter):
    """One JSON object per line, in ASCII, with the field names of oslo.log's formatter.

    `{"asctime", "name", "levelname", "process", "message", "context": {"request_id",
    "global_request_id", "user_id", "project_id"}}`; `global_request_id` is null if the client
    sent none. `extra` has the fields of an access line, and `traceback` the traceback's text.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format the record as JSON, and redact secrets."""
        trace = CURRENT.get()
        line: dict[str, Any] = {
            "asctime": f"{self.formatTime(record, _TIME_FORMAT)}.{int(record.msecs):03d}",
            "name": record.name,
            "levelname": record.levelname,
            "process": record.process,
            "message": record.getMessage(),
            "context": {
                "request_id": trace.request_id,
                "global_request_id": trace.client_request_id or None,
                "user_id": trace.user_id,
                "project_id": trace.project_id,
            },
        }
        if record.name == ACCESS_LOGGER and isinstance(record.args, dict):
            line["message"] = "{method} {target} {status}".format_map(record.args)
            line["extra"] = record.args
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return self._redact(to_json(line).decode())


def _secret_forms(*secrets: str) -> list[str]:
    """Return each long enough secret as plain text, and as JSON writes it if that differs."""
    forms = []
    for secret in secrets:
        if len(secret) >= _MIN_SECRET_LENGTH:
            forms.append(secret)
            if not secret.isascii() or '"' in secret or "\\" in secret:
                forms.append(json.dumps(secret)[1:-1])
    return forms


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
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "ours"}},
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
