"""python-novaclient as a library, over a keystoneauth session."""

import os

from keystoneauth1 import loading, session
from novaclient import client, exceptions
from report import TASK, report

FIELDS = "id name status created updated minDisk minRam progress metadata links".split()


def connect():
    auth = loading.get_plugin_loader("password").load_from_options(
        auth_url=os.environ["OS_AUTH_URL"],
        username=os.environ["OS_USERNAME"],
        password=os.environ["OS_PASSWORD"],
        project_name=os.environ["OS_PROJECT_NAME"],
        user_domain_name=os.environ["OS_USER_DOMAIN_NAME"],
        project_domain_name=os.environ["OS_PROJECT_DOMAIN_NAME"],
    )
    return client.Client(
        "2", session=session.Session(auth=auth), region_name=os.environ["OS_REGION_NAME"]
    ).images


def image(found, fields=FIELDS):
    return {field: getattr(found, field, None) for field in fields}


def pages(size):
    """Page as the old scripts do: by the last id, until nothing comes."""
    ids, calls, more = [], 0, True
    while more:
        more = images.list(limit=size, marker=ids[-1] if ids else None)
        ids += [found.id for found in more]
        calls += 1
    return ids, calls


def error(call):
    try:
        call()
    except exceptions.ClientException as raised:
        return "{0.__class__.__name__} {0.code}: {0.message}".format(raised)
    return "none"


images = connect()
report("list", images=[image(found) for found in images.list()])
brief = images.list(detailed=False)
report("brief", images=[image(found, ["id", "name", "links"]) for found in brief])
ids, calls = pages(TASK["page_size"])
report("page", ids=ids, calls=calls)
found = images.find(name=TASK["name"])
report("filter", by={"name": TASK["name"]}, ids=[found.id])
report("show", images=[image(images.get(image_id)) for image_id in TASK["show"]])
report("missing", error=error(lambda: images.get(TASK["unknown"])))
report("bad marker", error=error(lambda: images.list(limit=2, marker=TASK["unknown"])))
before = images.get(TASK["change"]).metadata
images.set_meta(TASK["change"], TASK["set"])
after_set = images.get(TASK["change"]).metadata
images.delete_meta(TASK["change"], list(TASK["set"]))
after_delete = images.get(TASK["change"]).metadata
report("metadata", before=before, after_set=after_set, after_delete=after_delete)
images.delete(TASK["delete"])
report("delete", left=[found.id for found in images.list()])
