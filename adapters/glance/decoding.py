"""Decode Glance's answers into images and pages."""

import json
import math
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import orjson
import requests

from nova_image_shim.adapters import image_port as port


def to_page(answer: requests.Response) -> port.Page:
    """Return the page of a list; raise ImageServiceUnavailable where the answer is not one."""
    body = _decoded(answer)
    images, following = body.get("images"), body.get("next")
    if not isinstance(images, list) or not all(map(_is_image, images)):
        raise port.ImageServiceUnavailable("Glance's list does not consist of images")
    return port.Page(images, None if following is None else _marker_in(following))


def _marker_in(address: object) -> str:
    """Return the marker in a link; nothing else of it is used, as it may name another host."""
    try:
        query = urlsplit(address).query if isinstance(address, str) else ""
    except ValueError:
        query = ""
    markers = parse_qs(query).get("marker")
    if not markers:
        raise port.ImageServiceUnavailable("Glance's link to the next page has no marker")
    return markers[-1]


def to_image(answer: requests.Response) -> port.Image:
    """Return an image; raise ImageServiceUnavailable where the answer is not one."""
    body: Any = _decoded(answer)
    if not _is_image(body):
        raise port.ImageServiceUnavailable("Glance's answer is not an image")
    return cast(port.Image, body)


def _is_image(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("id"), str)


def _decoded(answer: requests.Response) -> dict[str, Any]:
    """Return the JSON object of an answer; what orjson refuses is read leniently, NaN as null."""
    try:
        body = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        try:
            body = json.loads(answer.content, parse_constant=lambda _: None, parse_float=_float)
        except (ValueError, RecursionError) as error:
            raise port.ImageServiceUnavailable(
                f"Glance's answer is not valid JSON: {error}"
            ) from error
    if not isinstance(body, dict):
        raise port.ImageServiceUnavailable("Glance's answer is not a JSON object")
    return body


def _float(digits: str) -> float | None:
    return number if math.isfinite(number := float(digits)) else None
