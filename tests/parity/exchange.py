"""Read requests from files, send them byte for byte, and return the answers."""

import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from nova_image_shim.compare.differences import Answer

FILES = Path(__file__).parent / "requests"
SECONDS = 60

_PLACEHOLDER = re.compile(r"\{([A-Za-z][\w.-]*)\}")
_REPEATED = re.compile(r"\{(.)\*(\d+)\}")


@dataclass(frozen=True)
class Request:
    """One request; the files are described in `requests/README.md`."""

    id: str
    request: str
    as_: str = "demo"
    token: str | None = None
    image: str | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    json: Any = None
    text: str | None = None
    items: int | None = None
    setup: str = "alike"
    stopped: str | None = None
    why: str = ""

    @property
    def method(self) -> str:
        """Return the HTTP method."""
        return self.request.partition(" ")[0]

    @property
    def target(self) -> str:
        """Return the target, including placeholders."""
        return self.request.partition(" ")[2]


def load_requests(folder: Path = FILES) -> list[Request]:
    """Return the requests of all files of a folder.

    Raises:
        ValueError: two requests have the same id, or an entry has an unknown key.
    """
    found: dict[str, Request] = {}
    for file in sorted(folder.glob("*.yaml")):
        for entry in yaml.safe_load(file.read_text()):
            request = parse_request(entry, file.name)
            if request.id in found:
                raise ValueError(f"{file.name}: duplicate id {request.id}")
            found[request.id] = request
    return list(found.values())


def parse_request(entry: dict[str, Any], file: str) -> Request:
    """Return the request that an entry of a file describes.

    Raises:
        ValueError: it has an unknown key.
    """
    values = {"as_" if key == "as" else key: value for key, value in entry.items()}
    try:
        return Request(**values)
    except TypeError as error:
        raise ValueError(f"{file}: {entry.get('id')}: {error}") from error


def fill(value: Any, names: Mapping[str, str]) -> Any:
    """Replace `{name}` with the name's value, and `{x*3}` with "xxx".

    Raises:
        ValueError: the name is unknown.
    """
    if isinstance(value, dict):
        return {fill(key, names): fill(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, names) for item in value]
    if not isinstance(value, str):
        return value
    value = _REPEATED.sub(lambda match: match[1] * int(match[2]), value)
    try:
        return _PLACEHOLDER.sub(lambda match: names[match[1]], value)
    except KeyError as error:
        raise ValueError(f"unknown name: {error} in {value}") from error


def send(request: Request, base: str, token: str | None, names: Mapping[str, str]) -> Answer:
    """Send a request to a service at an address and return its answer.

    Args:
        request: what to send.
        base: scheme, host, port and the path before the target.
        token: the value of `X-Auth-Token`, or None to send none.
        names: the values of the placeholders.
    """
    body = _body(request, names)
    headers: dict[str, str | None] = {"Accept": "application/json", "User-Agent": "parity"}
    if token is not None:
        headers["X-Auth-Token"] = token
    if body is not None:
        headers["Content-Type"] = "application/json"
        headers["Content-Length"] = str(len(body))
    headers |= fill(dict(request.headers), names)
    address = urlsplit(base)
    target = address.path + fill(request.target, names)
    connection = http.client.HTTPConnection(address.netloc, timeout=SECONDS)
    try:
        own_host = headers.get("Host") is not None
        connection.putrequest(request.method, target, own_host, skip_accept_encoding=True)
        for name, value in headers.items():
            if value is not None:
                connection.putheader(name, value.encode())
        connection.endheaders(body)
        answer = connection.getresponse()
        return Answer(answer.status, answer.getheaders(), answer.read())
    except (http.client.HTTPException, OSError):
        return Answer(0, [], b"")
    finally:
        connection.close()


def _body(request: Request, names: Mapping[str, str]) -> bytes | None:
    if request.items is not None:
        many = {f"k{number:03d}": "v" for number in range(request.items)}
        return json.dumps({"metadata": many}).encode()
    if request.json is not None:
        return json.dumps(fill(request.json, names)).encode()
    if request.text is not None:
        # Characters up to U+00FF stand for bytes, so that a file can describe invalid UTF-8.
        return _REPEATED.sub(lambda m: m[1] * int(m[2]), request.text).encode("latin-1")
    return None
