"""pyrax, Rackspace's own, on its python-novaclient."""

import os

import pyrax
from novaclient import exceptions
from report import TASK, report

FIELDS = "id name status created updated minDisk minRam progress metadata links".split()


def connect():
    pyrax.set_setting("identity_type", "rackspace")
    pyrax.set_setting("auth_endpoint", os.environ["RACKSPACE_AUTH_URL"])
    region = os.environ["RACKSPACE_REGION"]
    pyrax.set_credentials(
        os.environ["RACKSPACE_USERNAME"], api_key=os.environ["RACKSPACE_API_KEY"], region=region
    )
    return pyrax.connect_to_cloudservers(region=region).images


def image(found):
    return {field: getattr(found, field, None) for field in FIELDS}


def missing():
    try:
        images.get(TASK["unknown"])
    except exceptions.NotFound as raised:
        return "{0.__class__.__name__} {0.code}: {0.message}".format(raised)
    return "none"


images = connect()
report("list", images=[image(found) for found in images.list()])
report("show", images=[image(images.get(image_id)) for image_id in TASK["show"]])
report("missing", error=missing())
before = images.get(TASK["change"]).metadata
images.set_meta(TASK["change"], TASK["set"])
after_set = images.get(TASK["change"]).metadata
images.delete_meta(TASK["change"], list(TASK["set"]))
after_delete = images.get(TASK["change"]).metadata
report("metadata", before=before, after_set=after_set, after_delete=after_delete)
images.delete(TASK["delete"])
report("delete", left=[found.id for found in images.list()])
