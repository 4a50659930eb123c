"""Take the screenshots in docs/images: `make screenshots`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import requests
from support.browser import IS_THERE, MISSING, chromium, look
from support.paths import ROOT
from support.swagger_page import SwaggerPage

from nova_image_shim.fakecloud.testing import LegacyCloud, serve_legacy_cloud

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

PICTURES = ROOT / "docs" / "images"
CLIENTS = {
    "python-novaclient": ("/v2/demo/images/detail", "/v2/demo/images/detail?limit=2"),
    "apache-libcloud/3.8.0 (OpenStack)": ("/v2/demo/images/detail", "/v2/demo/images/detail"),
    "fog/1.38.0": ("/v2/demo/images/detail.json?server=none", "/v2/demo/images/none"),
}


def main() -> None:
    """Take all screenshots."""
    if not IS_THERE:
        sys.exit(MISSING)
    PICTURES.mkdir(exist_ok=True)
    with serve_legacy_cloud() as cloud, chromium() as driver:
        show_api_docs(driver, cloud)
        fill(cloud)
        look(driver, 1000, 1560)
        driver.get(f"{cloud.url}/_fake/")
        driver.save_screenshot(str(PICTURES / "fake-cloud.png"))


def show_api_docs(driver: Chrome, cloud: LegacyCloud) -> None:
    """Take a screenshot of a call tried on the API's page."""
    look(driver, 1000, 1200)
    page = SwaggerPage(driver, cloud.url)
    page.execute(page.operation("showImage"))
    page.scroll_to("showImage")
    driver.save_screenshot(str(PICTURES / "api-docs.png"))
    cloud.reset()


def fill(cloud: LegacyCloud) -> None:
    """Create rules, requests and an image to show in the screenshot."""
    cloud.add_rule(
        method="GET",
        path="/v2/*/detail",
        user_agent="*libcloud*",
        status=503,
        retry_after=1,
        times=1,
    )
    cloud.add_rule(path="/v2/*", user_agent="fog/*", latency_seconds=0.2, probability=0.5, seed=3)
    cloud.add_rule(method="DELETE", close=True)
    for user_agent, paths in CLIENTS.items():
        for path in paths:
            headers = {"X-Auth-Token": cloud.token, "User-Agent": user_agent}
            requests.get(cloud.url + path, headers=headers, timeout=10)
            time.sleep(0.05)
    cloud.add_image(name="build-431", status="saving", owner="demo")
    cloud.advance_clock(3600)


if __name__ == "__main__":
    main()
