"""The command line: `nova-image-shim check`, `translate`, `usage`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nova_image_shim.check.command import add_check
from nova_image_shim.translate import add_translate
from nova_image_shim.usage.command import add_usage

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the process's exit status.

    Args:
        arguments: without the program's name; None for the process's own.
    """
    parser = argparse.ArgumentParser(
        "nova-image-shim", description="Nova's legacy image API on top of any Glance v2."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add_check(commands)
    add_translate(commands)
    add_usage(commands)
    given = parser.parse_args(arguments)
    status: int = given.run(given)
    return status
