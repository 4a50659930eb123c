"""Headless Chromium and its driver, as Debian packages them, to test the pages with."""

import contextlib
import shutil
from collections.abc import Iterator

import pytest

pytest.importorskip("selenium", reason="selenium is not installed; run `make test-live`")

from selenium.common import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

__all__ = [
    "By",
    "Chrome",
    "Select",
    "StaleElementReferenceException",
    "WebDriverWait",
    "chromium",
    "look",
]

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
IS_THERE = bool(CHROMIUM and DRIVER)
MISSING = "Chromium is not installed; run `apt-get install chromium chromium-driver`"


@contextlib.contextmanager
def chromium() -> Iterator[Chrome]:
    """Run a browser that resolves every name ending in `.example` to this machine."""
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
    driver = Chrome(options, ChromeService(DRIVER))
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
