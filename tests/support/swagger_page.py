"""The page at `/docs` in a browser, by what somebody does on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.browser import By, Select, WebDriverWait

if TYPE_CHECKING:
    from collections.abc import Callable

    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

_BLOCK = ".opblock"
_LOADED = "return performance.getEntriesByType('resource').map((entry) => entry.name)"


class SwaggerPage:
    """The page, open and drawn."""

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver = driver
        driver.get(f"{url}/docs")
        self.wait(self.operations)

    def wait(self, what: Callable[[], Any]) -> Any:
        """Wait until something is so."""
        return WebDriverWait(self.driver, 20).until(lambda _driver: what())

    def operations(self) -> list[WebElement]:
        """Return what is shown of each operation."""
        return self._all(_BLOCK)

    def operation(self, operation_id: str) -> WebElement:
        """Open an operation and return it."""
        block = self._block(operation_id)
        self._all(".opblock-summary-control", block)[0].click()
        self.wait(lambda: self._all(".try-out__btn", block))
        return block

    def scroll_to(self, operation_id: str) -> None:
        """Have an operation at the window's top."""
        self.driver.execute_script("arguments[0].scrollIntoView()", self._block(operation_id))

    def choose_server(self, url: str) -> None:
        """Choose the mount that calls go to."""
        Select(self._all(".servers select")[0]).select_by_value(url)

    def execute(self, block: WebElement) -> tuple[int, str]:
        """Make an operation's call as it stands and return the status and body shown."""
        self._all(".try-out__btn", block)[0].click()
        self.wait(lambda: self._all(".execute", block))[0].click()
        answered = ".live-responses-table .response"
        status = self.wait(lambda: self._all(f"{answered} .response-col_status", block))[0]
        body = self._all(f"{answered} .highlight-code code", block)  # none for a 204
        return int(status.text), "".join(part.text for part in body[:1])

    def parameters(self, block: WebElement) -> list[str]:
        """Return the names of an operation's parameters in the order shown."""
        return [
            row.get_attribute("data-param-name") or ""
            for row in self._all("tr[data-param-name]", block)
        ]

    def loaded(self) -> list[str]:
        """Return the address of everything that the page has loaded."""
        found: list[str] = self.driver.execute_script(_LOADED)
        return found

    def complaints(self) -> list[str]:
        """Return what the browser's console has, such as breaches of the page's own policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def _block(self, operation_id: str) -> WebElement:
        return self._all(f'{_BLOCK}[id$="-{operation_id}"]')[0]

    def _all(self, selector: str, within: WebElement | None = None) -> list[WebElement]:
        return (within or self.driver).find_elements(By.CSS_SELECTOR, selector)
