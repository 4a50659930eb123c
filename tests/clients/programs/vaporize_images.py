"""vaporize, for Rackspace's second cloud; it knows no other identity than Rackspace's.

It turns times into objects of Python's.
"""

import os
from datetime import datetime

from report import TASK, report
from vaporize import core
from vaporize.nextgen_servers import NextGenImage

NOVA_NAMES = {"minDisk": "min_disk", "minRam": "min_ram"}
FIELDS = "id name status created updated minDisk minRam progress metadata links".split()


def value(found):
    return found.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(found, datetime) else found


def image(found, fields=FIELDS):
    return {field: value(found[NOVA_NAMES.get(field, field)]) for field in fields}


core.US_AUTH_URL = os.environ["RACKSPACE_AUTH_URL"] + "/tokens"
core.connect(os.environ["RACKSPACE_USERNAME"], os.environ["RACKSPACE_API_KEY"], region="DFW")
report("list", images=[image(found) for found in NextGenImage.list(detail=True)])
brief = NextGenImage.list()
report("brief", images=[image(found, ["id", "name", "links"]) for found in brief])
report("show", images=[image(NextGenImage.get(image_id)) for image_id in TASK["show"]])
NextGenImage.get(TASK["delete"]).delete()
report("delete", left=[found["id"] for found in NextGenImage.list()])
