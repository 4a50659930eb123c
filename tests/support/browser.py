"""Headless Chromium, Debian's own with its own driver, for the pages that people look at."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
IS_THERE = bool(CHROMIUM and DRIVER)
MISSING = "needs Debian's packages chromium and chromium-driver"


@contextlib.contextmanager
def chromium() -> Iterator[Chrome]:
    """Run a browser, to which every name ending in `.example` is this machine."""
    options = ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in (
        "--headless=new",
        "--no-sandbox",  # root has none
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--host-resolver-rules=MAP *.example 127.0.0.1",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def look(driver: Chrome, width: int, height: int, scheme: str = "light") -> None:
    """Set the window's size in pixels and the colour scheme, `light` or `dark`."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
