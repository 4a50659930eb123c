"""The faults that the tests of the API expect: each a status and a whole body."""

from typing import Any

Fault = tuple[int, dict[str, Any]]


def fault(name: str, code: int, message: str, **more: str) -> Fault:
    return code, {name: {"code": code, "message": message, **more}}


def bad(message: str) -> Fault:
    return fault("badRequest", 400, message)


def forbidden(message: str) -> Fault:
    return fault("forbidden", 403, message)


ERRED = "The server has either erred or is incapable of performing the requested operation."
BUSY = "The server is currently unavailable. Please try again at a later time."
TOO_LARGE = "The body of your request was too large for this server."
FAILED = fault("computeFault", 500, ERRED)
UNAVAILABLE = fault("serviceUnavailable", 503, BUSY)
NO_IMAGE = fault("itemNotFound", 404, "Image not found.")
NO_PATH = fault("itemNotFound", 404, "The resource could not be found.")
