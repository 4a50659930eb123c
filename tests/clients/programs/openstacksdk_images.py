"""openstacksdk's compute proxy, which reads the whole environment by itself."""

import warnings

import openstack
from openstack import exceptions
from report import TASK, report

NOVA_NAMES = {
    "created": "created_at",
    "updated": "updated_at",
    "minDisk": "min_disk",
    "minRam": "min_ram",
}
FIELDS = "id name status created updated minDisk minRam progress metadata links".split()


def image(found, fields=FIELDS):
    return {field: getattr(found, NOVA_NAMES.get(field, field), None) for field in fields}


def missing():
    try:
        compute.get_image(TASK["unknown"])
    except exceptions.NotFoundException as raised:
        return "{0.__class__.__name__} {0.status_code}: {0.details}".format(raised)
    return "none"


def metadata():
    return dict(compute.get_image_metadata(TASK["change"]).metadata)


warnings.simplefilter("ignore")  # the SDK warns that the image proxy is old
compute = openstack.connect(load_yaml_config=False).compute
report("list", images=[image(found) for found in compute.images()])
brief = compute.images(details=False)
report("brief", images=[image(found, ["id", "name", "links"]) for found in brief])
ids = [found.id for found in compute.images(limit=TASK["page_size"])]
report("page", ids=ids)
report("filter", by={"name": TASK["name"]}, ids=[i.id for i in compute.images(name=TASK["name"])])
report("filter", by={"name": TASK["name"]}, ids=[compute.find_image(TASK["name"]).id])
report("filter", by={"name": "nothing"}, ids=[i.id for i in [compute.find_image("nothing")] if i])
report("show", images=[image(compute.get_image(image_id)) for image_id in TASK["show"]])
report("missing", error=missing())
before = metadata()
compute.set_image_metadata(TASK["change"], **TASK["set"])
after_set = metadata()
compute.delete_image_metadata(TASK["change"], list(TASK["set"]))
report("metadata", before=before, after_set=after_set, after_delete=metadata())
compute.delete_image(TASK["delete"], ignore_missing=False)
report("delete", left=[found.id for found in compute.images()])
