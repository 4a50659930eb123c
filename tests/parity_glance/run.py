"""Send the same requests to a real Glance and to the embedded cloud: `make parity-glance`.

Every difference must be listed in `intended.yaml`, and every difference listed there must occur.
"""

import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from operator import methodcaller
from pathlib import Path

# A script cannot import its own package otherwise.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from parity.exchange import Request
from parity.report import Comparison, run

from nova_image_shim.compare.differences import differences
from parity_glance.sides import HERE, INTENDED_FILES, sides


def compare(requests: list[Request]) -> Iterator[Comparison]:
    """Run both clouds and compare the requests, those first that add nothing to lists."""
    with sides() as both, ThreadPoolExecutor(2) as pool:
        for request in sorted(requests, key=_writes):
            image_id = str(uuid.uuid4())
            ask = methodcaller("result", request, image_id)
            theirs, ours = pool.map(ask, both)
            yield Comparison(request, differences(theirs, ours), theirs["status"])


def _writes(request: Request) -> bool:
    return request.image is not None or request.method not in {"GET", "HEAD"}


if __name__ == "__main__":
    sys.exit(run(__doc__, HERE / "requests", INTENDED_FILES, compare, "glance"))
