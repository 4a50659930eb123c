"""`nova-image-shim translate`: Glance's images in, legacy ones out, without any cloud."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import orjson

from nova_image_shim.translation.ascii_json import to_json
from nova_image_shim.translation.links import Links
from nova_image_shim.translation.translator import Translator

_DESCRIPTION = """\
Turn what Glance v2 says of an image, or of a list of images, on standard input into what legacy
Nova says, on standard output. Nothing else is read or asked.

Exit status: 0 fine, 2 the input is no image of Glance's.
"""
_MOST_BYTES = 2**28


class _NoImageError(Exception):
    """The input is no image; the text says why."""


def add_translate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's."""
    parser = commands.add_parser(
        "translate",
        help="turn Glance's images into legacy ones, offline",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--brief", action="store_true", help="as GET /images lists, not /detail")
    parser.add_argument("--project", default="demo", metavar="ID", help="in links; demo")
    parser.add_argument("--mount", choices=("v2", "v1.1", "v2.1"), default="v2", help="in links")
    parser.add_argument(
        "--base-url", default="http://localhost:8774", metavar="URL", help="what links begin with"
    )
    parser.add_argument(
        "--glance-url", metavar="URL", help="the same for `alternate` links; --base-url"
    )
    parser.set_defaults(run=translate)


def translate(given: argparse.Namespace) -> int:
    """Translate standard input and return the exit status."""
    try:
        value = _read()
        images, name = _images(value)
        output = _translated(given, images)
    except _NoImageError as error:
        sys.stderr.write(f"nova-image-shim translate: {error}\n")
        return 2
    wrapped = {name: output if name == "images" else output[0]}
    sys.stdout.write(to_json(wrapped).decode() + "\n")
    return 0


def _read() -> Any:
    data = sys.stdin.buffer.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise _NoImageError(f"standard input is over {_MOST_BYTES} bytes: give it in pages")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _NoImageError(f"standard input is no JSON: {error}") from error


def _images(value: Any) -> tuple[list[Any], str]:
    """Return the images of Glance's answer, and what the legacy one calls them."""
    if isinstance(value, dict) and isinstance(value.get("images"), list):
        return value["images"], "images"
    if isinstance(value, list):
        return value, "images"
    return [value], "image"


def _translated(given: argparse.Namespace, images: list[Any]) -> list[dict[str, Any]]:
    base = given.base_url.rstrip("/")
    glance = (given.glance_url or base).rstrip("/")
    links = Links.under(base, given.mount, given.project, glance, project_in_alternate=True)
    translator = Translator(links)
    for place, image in enumerate(images):
        if not isinstance(image, dict) or not isinstance(image.get("id"), str):
            raise _NoImageError(f"image number {place + 1} is no object with an `id`")
    return [(translator.brief if given.brief else translator.full)(image) for image in images]
