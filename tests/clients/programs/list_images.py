"""List the images by one client: `list_images.py openstacksdk`, or `libcloud`.

Prints their ids, or ends with 1 and says what the client raised.
"""

import os
import sys
import warnings

import openstack
from libcloud.compute.providers import get_driver
from libcloud.compute.types import Provider


def by_openstacksdk():
    warnings.simplefilter("ignore")  # the SDK warns that the image proxy is old
    return openstack.connect(load_yaml_config=False, compute_status_code_retries=2).compute.images()


def by_libcloud():
    options = {
        "ex_force_auth_url": os.environ["OS_AUTH_URL"].rpartition("/")[0],
        "ex_force_auth_version": "3.x_password",
        "ex_tenant_name": os.environ["OS_PROJECT_NAME"],
        "ex_domain_name": os.environ["OS_USER_DOMAIN_NAME"],
        "ex_force_service_region": "RegionOne",
        "api_version": "1.1",
        "secure": False,
    }
    driver = get_driver(Provider.OPENSTACK)
    driver = driver(os.environ["OS_USERNAME"], os.environ["OS_PASSWORD"], **options)
    return driver.list_images(ex_only_active=False)


try:
    for image in {"openstacksdk": by_openstacksdk, "libcloud": by_libcloud}[sys.argv[1]]():
        print(image.id)
except Exception as error:  # noqa: BLE001 - which one is the question
    sys.exit("{0.__class__.__name__}: {0}".format(error))
