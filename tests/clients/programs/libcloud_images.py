"""apache-libcloud's driver of the compute API 1.1: `libcloud_images.py TASK SEEN VERSION`.

VERSION is the driver's name of an identity API: `2.0_password` or `3.x_password`.
"""

import os
import sys

from libcloud.common.exceptions import BaseHTTPError
from libcloud.compute.providers import get_driver
from libcloud.compute.types import Provider
from report import TASK, report

EXTRA = "status created updated minDisk minRam progress metadata".split()


def connect(version):
    options = {
        "ex_force_auth_url": os.environ["OS_AUTH_URL"].rpartition("/")[0],
        "ex_force_auth_version": version,
        "ex_tenant_name": os.environ.get("OS_PROJECT_NAME") or os.environ["OS_TENANT_NAME"],
        "ex_force_service_region": os.environ["OS_REGION_NAME"],
        "api_version": "1.1",
        "secure": False,
    }
    if version.startswith("3"):
        options["ex_domain_name"] = os.environ["OS_USER_DOMAIN_NAME"]
    driver = get_driver(Provider.OPENSTACK)
    return driver(os.environ["OS_USERNAME"], os.environ["OS_PASSWORD"], **options)


def image(found):
    return dict({key: found.extra.get(key) for key in EXTRA}, id=found.id, name=found.name)


def missing():
    try:
        driver.get_image(TASK["unknown"])
    except BaseHTTPError as raised:
        return "{0.__class__.__name__} {0.code}: {0.message}".format(raised)
    return "none"


driver = connect(sys.argv[3])
report("list", images=[image(found) for found in driver.list_images(ex_only_active=False)])
active = [found.id for found in driver.list_images()]
report("filter", by={"status": "ACTIVE"}, ids=active)
report("show", images=[image(driver.get_image(image_id)) for image_id in TASK["show"]])
report("missing", error=missing())
driver.delete_image(driver.get_image(TASK["delete"]))
report("delete", left=[found.id for found in driver.list_images(ex_only_active=False)])
