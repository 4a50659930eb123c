"""Send the same requests to a real Glance and to the embedded cloud: `make parity-glance`.

Every difference must be listed in `intended.yaml`, and every difference listed there must occur.
"""

import argparse
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from operator import methodcaller
from pathlib import Path

# A script cannot import its own package otherwise.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from parity.exchange import Request, load_requests
from parity.report import Comparison, dump, judge, report, set_aside

from nova_image_shim.compare.differences import differences
from nova_image_shim.compare.intended import load_intended
from parity_glance.sides import HERE, Side, sides


def compare(requests: list[Request], both: tuple[Side, Side]) -> Iterator[Comparison]:
    """Compare the requests one by one, those first that add nothing to lists."""
    with ThreadPoolExecutor(2) as pool:
        for request in sorted(requests, key=_writes):
            image_id = str(uuid.uuid4())
            ask = methodcaller("result", request, image_id)
            theirs, ours = pool.map(ask, both)
            yield Comparison(request, differences(theirs, ours), theirs["status"])


def _writes(request: Request) -> bool:
    return request.image is not None or request.method not in {"GET", "HEAD"}


def main() -> int:
    """Compare all or selected requests and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ids", nargs="*", help="only requests whose id starts with this")
    parser.add_argument("--dump", type=Path, help="write all differences to this YAML file")
    arguments = parser.parse_args()
    chosen = tuple(arguments.ids) or ("",)
    requests = [r for r in load_requests(HERE / "requests") if r.id.startswith(chosen)]
    listed = load_intended(HERE / "intended.yaml", theirs="glance")
    with sides() as both:
        start = time.monotonic()
        comparisons = list(compare(requests, both))
        seconds = time.monotonic() - start
    comparisons, unused = set_aside(comparisons, listed.everywhere)
    wrong = [*judge(comparisons, listed.differences), *([] if arguments.ids else unused)]
    if arguments.dump:
        arguments.dump.write_text(dump(comparisons, "glance"))
    print("\n".join([*wrong, f"\nin {seconds:.0f} s:", report(comparisons, listed.differences)]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
