"""Make the pictures in docs/images: `make screenshots`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from browser import CHROMIUM, DRIVER, MISSING, chromium, look
from fakes import ROOT, shim
from swagger_page import SwaggerPage

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

PICTURES = ROOT / "docs" / "images"


def main() -> None:
    """Take them all."""
    if not (CHROMIUM and DRIVER):
        sys.exit(MISSING)
    PICTURES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        shim(Path(folder) / "log") as url,
        chromium() as driver,
    ):
        api_docs(driver, url)


def api_docs(driver: Chrome, url: str) -> None:
    """Show a call that has just been tried on the page of the API."""
    look(driver, 1000, 1200)
    page = SwaggerPage(driver, url)
    page.authorize("demo")
    page.execute(page.operation("showImage"))
    page.scroll_to("showImage")
    driver.save_screenshot(str(PICTURES / "api-docs.png"))


if __name__ == "__main__":
    main()
