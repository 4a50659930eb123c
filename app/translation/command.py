"""The command `nova-image-shim translate`, which translates images without a cloud."""

import argparse
import codecs
import sys
from typing import Any, cast

import orjson

from nova_image_shim.adapters.image_port import Image
from nova_image_shim.translation.ascii_json import to_json
from nova_image_shim.translation.links import Links
from nova_image_shim.translation.translator import Translator

DESCRIPTION = """\
Read a Glance v2 image, or a list of images, as JSON from standard input and write it to standard
output as legacy Nova shows it. The output of `openstack image show -f json` is accepted, too. No
service is contacted.

Exit status: 0 ok, 2 the input is not a Glance image.
"""
_MAX_BYTES = 2**28


class _InvalidInputError(Exception):
    """The input is not an image or a list of images; the text says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    add("--brief", action="store_true", help="show images as GET /images does, not /images/detail")
    add("--project", default="demo", metavar="ID", help="project in links (default: demo)")
    mounts, base = ("v2", "v1.1", "v2.1"), "http://localhost:8774"
    add("--mount", choices=mounts, default="v2", help="API version in links (default: v2)")
    add("--base-url", default=base, metavar="URL", help=f"start of links (default: {base})")
    add("--glance-url", metavar="URL", help="start of `alternate` links (default: the base URL)")


def run(options: argparse.Namespace) -> int:
    """Translate standard input to standard output and return the exit status."""
    try:
        output = _translated(options, _read())
    except _InvalidInputError as error:
        sys.stderr.write(f"nova-image-shim translate: {error}\n")
        return 2
    sys.stdout.write(to_json(output).decode() + "\n")
    return 0


def _read() -> Any:
    data = sys.stdin.buffer.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        text = f"standard input is longer than {_MAX_BYTES} bytes; translate one page at a time"
        raise _InvalidInputError(text)
    try:
        return orjson.loads(data.removeprefix(codecs.BOM_UTF8))
    except orjson.JSONDecodeError as error:
        raise _InvalidInputError(f"standard input is not valid JSON: {error}") from error


def _translated(options: argparse.Namespace, value: Any) -> dict[str, Any]:
    found = value.get("images") if isinstance(value, dict) else value
    images = found if isinstance(found, list) else [value]
    base = options.base_url.rstrip("/")
    glance = (options.glance_url or base).rstrip("/")
    links = Links.under(base, options.mount, options.project, glance, project_in_alternate=True)
    translate_one = Translator(links).brief if options.brief else Translator(links).full
    output = [translate_one(_to_image(image, number)) for number, image in enumerate(images, 1)]
    return {"images": output} if images is found else {"image": output[0]}


def _to_image(value: Any, number: int) -> Image:
    """Return an image as Glance has it; python-openstackclient nests its custom properties."""
    if not isinstance(value, dict) or not isinstance(value.get("id"), str):
        raise _InvalidInputError(f"image {number} is not an object with an `id`")
    properties = value.get("properties")
    if isinstance(properties, str) and isinstance(value.get("tags"), str):
        raise _InvalidInputError(
            f"image {number} has its `properties` as text, as old releases of "
            "python-openstackclient write them: use a newer one"
        )
    if isinstance(properties, dict):
        value = properties | {key: value[key] for key in value if key != "properties"}
    return cast(Image, value)
