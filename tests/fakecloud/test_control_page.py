"""The page at `/_fake/`, as somebody uses it in a browser, and what no other page can do."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pytest
import requests
from support.browser import (
    IS_THERE,
    MISSING,
    By,
    Select,
    StaleElementReferenceException,
    WebDriverWait,
    chromium,
    look,
)
from support.fakes import serve
from werkzeug.wrappers import Response

from nova_image_shim.fakecloud.welcome import first_commands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

    from nova_image_shim.fakecloud.testing import LegacyCloud

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not IS_THERE and "REQUIRE_BROWSER" not in os.environ, reason=MISSING),
]

MARKUP = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
IMAGE_ID = "155d900f-4e14-4e4c-a73d-069cbf4541e6"

# Every text that can be seen, with the contrast to what is behind it (WCAG 2.2, 1.4.3).
CONTRASTS = """
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const light = (rgb) => rgb.slice(0, 3).map((value) => value / 255)
  .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const colour = parse(getComputedStyle(e).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const hasText = (e) => [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
return [...document.body.querySelectorAll("*")]
  .filter((e) => e.checkVisibility() && hasText(e))
  .map((e) => {
    const both = [light(parse(getComputedStyle(e).color)), light(ground(e))];
    const [a, b] = both.sort((x, y) => y - x);
    return [e.textContent.trim().slice(0, 40), (a + 0.05) / (b + 0.05)];
  });
"""


class Page:
    """The page in a browser."""

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver = driver
        driver.get(f"{url}/_fake/")

    def text(self, part: str) -> str:
        return self.driver.find_element(By.ID, part).text

    def wait(self, what: Callable[[], Any]) -> Any:
        """Wait until something is so."""
        return WebDriverWait(self.driver, 10).until(lambda _driver: what())

    def button(self, label: str) -> WebElement:
        """Return the button with this label or this name for a screen reader."""
        path = f'//button[normalize-space()="{label}" or @aria-label="{label}"]'
        return self.driver.find_element(By.XPATH, path)

    def press(self, label: str, said: str) -> None:
        """Press a button, agree to its question if it has one, and wait for the answer below it."""
        button = self.button(label)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        place, asks = button.rect, button.get_dom_attribute("data-confirm")
        button.click()
        if asks:
            self.driver.switch_to.alert.accept()
        self.wait(lambda: self.text("result"))
        assert said == self.text("result")
        self.wait(lambda: self._is_below(button, place))

    def _is_below(self, button: WebElement, place: dict[str, int]) -> bool:
        """Tell whether the result is just below a button, or below the place of a deleted one."""
        with suppress(StaleElementReferenceException):
            place = button.rect
        shown = self.driver.find_element(By.ID, "result").rect
        gap = shown["y"] - (place["y"] + place["height"])
        is_left = place["x"] > shown["x"] + shown["width"]
        is_right = shown["x"] > place["x"] + place["width"]
        return 0 <= gap < 10 and not is_left and not is_right

    def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            field = self.driver.find_element(By.NAME, name)
            if field.tag_name == "select":
                Select(field).select_by_visible_text(value)
            else:
                field.clear()
                field.send_keys(value)

    def complaints(self) -> list[str]:
        """Return what the browser's console has, such as breaches of the page's own policy."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries]


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    with chromium() as driver:
        yield driver


@pytest.fixture
def page(driver: Chrome, legacy_cloud: LegacyCloud) -> Page:
    look(driver, 1200, 900)
    page = Page(driver, legacy_cloud.url)
    page.complaints()
    return page


def ask(cloud: LegacyCloud, path: str, user_agent: str) -> int:
    headers = {"X-Auth-Token": cloud.token, "User-Agent": user_agent}
    return requests.get(f"{cloud.url}{path}", headers=headers, timeout=10).status_code


def test_the_page_warns_that_nothing_is_secure(page: Page) -> None:
    assert "Fake cloud" == page.driver.title
    notice = page.driver.find_element(By.CLASS_NAME, "notice").text
    assert notice.startswith("This is a fake cloud for tests. Nothing here is secure:")
    assert [] == page.complaints()


def test_new_requests_appear(page: Page, legacy_cloud: LegacyCloud) -> None:
    assert page.text("requests").startswith("No requests yet.")
    ask(legacy_cloud, "/v2/demo/images?limit=1", "one-client/1.0")
    page.wait(lambda: "one-client/1.0" in page.text("requests"))
    ask(legacy_cloud, "/v2/demo/images/none", "other-client/2.0")
    page.wait(lambda: "other-client/2.0" in page.text("requests"))
    rows = page.driver.find_elements(By.CSS_SELECTOR, "#requests tbody tr")
    shown = [[cell.text for cell in row.find_elements(By.TAG_NAME, "td")] for row in rows]
    assert ["GET /v2/demo/images/none", "404", "", "other-client/2.0"] == shown[0][2:]
    assert ["GET /v2/demo/images?limit=1", "200", "", "one-client/1.0"] == shown[1][2:]
    assert [] == page.complaints()


def test_changed_images_appear(page: Page, legacy_cloud: LegacyCloud) -> None:
    assert IMAGE_ID in page.text("images")
    legacy_cloud.load_images([{"id": "one", "name": "lonely", "status": "queued", "owner": "alt"}])
    page.wait(lambda: "lonely" in page.text("images"))
    cells = page.driver.find_elements(By.CSS_SELECTOR, "#images tbody td")
    expected = ["lonely\none\nDetails", "queued", "shared", "alt", "1970-01-01T00:00:00Z", "Delete"]
    assert expected == [cell.text for cell in cells]
    page.press("Delete image one", "Image one is deleted.")
    page.wait(lambda: page.text("images") == "No images. Reset to restore those of the seed.")
    assert [] == legacy_cloud.images()


def test_an_image_is_added_and_its_details_stay_open(page: Page, legacy_cloud: LegacyCloud) -> None:
    legacy_cloud.load_images([])
    form = page.driver.find_element(By.CSS_SELECTOR, 'form[aria-label="Add an image"]')
    for name, value in {"name": "debian", "owner": "demo", "min_ram": "512"}.items():
        form.find_element(By.NAME, name).send_keys(value)
    for name, value in {"status": "queued", "visibility": "community"}.items():
        Select(form.find_element(By.NAME, name)).select_by_visible_text(value)
    form.find_element(By.NAME, "protected").click()
    page.press("Add image", "Added.")
    (image,) = legacy_cloud.images()
    expected = ("debian", "demo", 512, "queued", "community", True, False)
    names = ("name", "owner", "min_ram", "status", "visibility", "protected", "os_hidden")
    assert expected == tuple(image[name] for name in names)
    page.wait(lambda: "debian" in page.text("images"))
    page.driver.find_element(By.CSS_SELECTOR, "#images summary").click()
    legacy_cloud.change_image(image["id"], os_distro="debian-12", members={"alt": "pending"})
    page.wait(lambda: "debian-12" in page.text("images"))
    for text in ('{"alt": "pending"}', "min_ram\n512"):
        assert text in page.text("images")
    assert [] == page.complaints()


def test_a_rule_is_added_used_and_deleted(page: Page, legacy_cloud: LegacyCloud) -> None:
    given = {
        "method": "GET",
        "path": "/v2/*",
        "user_agent": "*client*",
        "query": "*",
        "project": "demo",
        "status": 503,
        "retry_after": "7",
        "latency_seconds": 0.01,
        "body": "garbage",
        "probability": 1,
        "seed": 3,
        "skip": 1,
        "times": 2,
    }
    page.fill(**{name: str(value) for name, value in given.items()})
    page.press("Add rule", "Added.")
    (rule,) = legacy_cloud.rules()
    expected = {**given, "hits": 0}
    assert expected == {key: rule[key] for key in rule if key != "id"}
    answers = [ask(legacy_cloud, "/v2/demo/images", "one-client/1.0") for _ in range(2)]
    assert [200, 503] == answers
    page.wait(lambda: "1 of 2 after 1" in page.text("rules"))
    matches = "GET /v2/* by *client* query * project demo"
    for word in (matches, "503", "Retry-After 7", "0.01 s delay", "body garbage"):
        assert word in page.text("rules")
    page.press(f"Delete rule {rule['id']}", f"Rule {rule['id']} is deleted.")
    assert [] == legacy_cloud.rules()
    page.wait(lambda: page.text("rules").startswith("No rule"))
    assert [] == page.complaints()


def test_the_close_effect_is_a_checkbox(page: Page, legacy_cloud: LegacyCloud) -> None:
    page.driver.find_element(By.NAME, "close").click()
    page.press("Add rule", "Added.")
    assert [True] == [rule["close"] for rule in legacy_cloud.rules()]
    page.press("Delete all", "All deleted.")
    assert [] == legacy_cloud.rules()


def test_an_invalid_rule_shows_the_error(page: Page, legacy_cloud: LegacyCloud) -> None:
    page.fill(path="/v2/*")
    page.press("Add rule", "a rule needs one of status, latency_seconds, body, close")
    assert [] == legacy_cloud.rules()
    field = page.driver.find_element(By.NAME, "path")
    assert "/v2/*" == field.get_property("value")


def test_the_clock_is_moved_and_set_back(page: Page, legacy_cloud: LegacyCloud) -> None:
    page.fill(advance_seconds="7200")
    page.press("Advance", "Advanced.")
    assert 7200 == legacy_cloud.ahead_seconds
    page.wait(lambda: "7200 s ahead" in page.text("clock"))
    page.press("Back to now", "Set back.")
    assert 0 == legacy_cloud.ahead_seconds


def test_requests_are_cleared_and_all_is_reset(page: Page, legacy_cloud: LegacyCloud) -> None:
    ask(legacy_cloud, "/v2/demo/images", "one-client/1.0")
    page.wait(lambda: "one-client" in page.text("requests"))
    page.press("Clear", "Cleared.")
    assert [] == legacy_cloud.requests()
    legacy_cloud.load_images([])
    legacy_cloud.add_rule(status=503)
    page.press("Reset to the seed", "Reset.")
    assert [] == legacy_cloud.rules()
    assert IMAGE_ID in [image["id"] for image in legacy_cloud.images()]


@pytest.mark.parametrize(
    ("label", "question"),
    [
        (
            "Reset to the seed",
            "Reset to the seed? Changed images, tokens, rules, requests and the clock are lost.",
        ),
        ("Clear", "Delete all requests from the list?"),
        ("Delete all", "Delete all fault rules?"),
        ("Delete rule 1", "Delete rule 1?"),
        ("Delete image one", "Delete image one, lonely?"),
        ("Delete image two", "Delete image two?"),
    ],
)
def test_nothing_is_deleted_or_reset_before_a_question_is_answered(
    label: str, question: str, page: Page, legacy_cloud: LegacyCloud
) -> None:
    legacy_cloud.load_images([{"id": "one", "name": "lonely"}, {"id": "two"}])
    rule = legacy_cloud.add_rule(path="/nowhere", status=503)["id"]
    ask(legacy_cloud, "/v2/demo/images", "one-client/1.0")
    page.driver.refresh()
    before = legacy_cloud.images(), legacy_cloud.rules(), legacy_cloud.requests()
    page.button(label.replace("rule 1", f"rule {rule}")).click()
    alert = page.driver.switch_to.alert
    assert question.replace("rule 1", f"rule {rule}") == alert.text
    alert.dismiss()
    assert "" == page.text("result")
    assert before == (legacy_cloud.images(), legacy_cloud.rules(), legacy_cloud.requests())


def test_it_leads_to_a_login_and_to_the_api(page: Page, legacy_cloud: LegacyCloud) -> None:
    version = f"nova-image-shim {metadata.version('nova-image-shim')}"
    assert f"Fake cloud {version}" == page.driver.find_element(By.TAG_NAME, "h1").text
    expected = "\n".join(first_commands(legacy_cloud.seed, legacy_cloud.url)).strip()
    assert expected == page.text("login")
    page.driver.find_element(By.PARTIAL_LINK_TEXT, "/docs").click()
    assert f"{legacy_cloud.url}/docs" == page.driver.current_url


def test_markup_is_shown_as_text(page: Page, legacy_cloud: LegacyCloud) -> None:
    legacy_cloud.add_image(id="one", name=MARKUP, owner=MARKUP)
    legacy_cloud.add_rule(path=MARKUP, user_agent=MARKUP, status=503, retry_after=MARKUP[:60])
    ask(legacy_cloud, f"/v2/{MARKUP}?{MARKUP}", MARKUP)
    page.wait(lambda: MARKUP in page.text("requests"))
    for part in ("images", "rules"):
        assert MARKUP in page.text(part)
    assert "Fake cloud" == page.driver.title
    assert [] == page.driver.find_elements(By.CSS_SELECTOR, "main img, main script")
    page.driver.refresh()
    assert "Fake cloud" == page.driver.title
    assert [] == page.complaints()


def test_a_lost_connection_is_shown(page: Page, legacy_cloud: LegacyCloud) -> None:
    page.driver.set_network_conditions(offline=True, latency=0, throughput=1)
    try:
        page.press("Clear", "The fake cloud is not responding.")
        page.wait(lambda: page.driver.find_elements(By.CSS_SELECTOR, "body.lost"))
    finally:
        page.driver.delete_network_conditions()
    page.wait(lambda: not page.driver.find_elements(By.CSS_SELECTOR, "body.lost"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 700, 1200])
def test_all_text_is_readable(
    width: int, scheme: str, page: Page, legacy_cloud: LegacyCloud
) -> None:
    for number, status in enumerate(("active", "queued", "killed")):
        legacy_cloud.add_image(id=f"{number}" * 255, name="n" * 255, status=status, owner="o" * 255)
    legacy_cloud.add_rule(path="/v2/*", status=503, retry_after=1, times=1)
    ask(legacy_cloud, f"/v2/{'p' * 1000}", "a" * 255)
    ask(legacy_cloud, f"/v2/{'p' * 1000}", "a" * 255)
    look(page.driver, width, 900, scheme)
    page.driver.refresh()
    across = page.driver.execute_script("return document.documentElement.scrollWidth")
    assert across <= width
    inside = (
        "return [...document.querySelectorAll('.live')].map(e => e.scrollWidth - e.clientWidth)"
    )
    assert [0] * 4 == page.driver.execute_script(inside)
    contrasts = page.driver.execute_script(CONTRASTS)
    assert len(contrasts) > 50
    assert [] == [found for found in contrasts if found[1] < 4.5]


# What a page of another site tries

ATTACK = """<!doctype html><title>attack</title>
<form id="form" method="post" enctype="text/plain" target="sink" action="{url}/_fake/rules">
  <input name='{{"status": 503, "path": "' value='"}}'></form>
<iframe name="sink"></iframe>
<script>
const tries = [
  fetch("{url}/_fake/rules", {{method: "POST", mode: "no-cors", body: '{{"status": 503}}'}}),
  fetch("{url}/_fake/rules", {{method: "POST", body: '{{"status": 503}}',
    headers: {{"Content-Type": "application/json"}}}}),
  fetch("{url}/_fake/images/{image_id}", {{method: "DELETE"}}),
  fetch("{url}/_fake/reset", {{method: "POST", mode: "no-cors"}}),
  fetch("{url}/_fake/requests").then((answer) => answer.text()).then((text) => "read " + text),
];
document.forms[0].submit();
Promise.allSettled(tries).then((all) => {{
  const word = (one) => one.status === "fulfilled" ? String(one.value) : "failed";
  document.title = JSON.stringify(all.map(word));
}});
</script>"""


def test_another_site_cannot_read_or_change_anything(page: Page, legacy_cloud: LegacyCloud) -> None:
    ask(legacy_cloud, "/v2/demo/images", "one-client/1.0")
    before = legacy_cloud.images(), legacy_cloud.requests()
    body = ATTACK.format(url=legacy_cloud.url, image_id=IMAGE_ID)
    with serve(Response(body, content_type="text/html")) as attacker:
        page.driver.get(attacker)
        page.wait(lambda: page.driver.title != "attack")
        page.wait(lambda: any("frame" in text for text in page.complaints()))
    outcomes = json.loads(page.driver.title)
    assert ["failed"] * 5 == outcomes
    assert [] == legacy_cloud.rules()
    assert before == (legacy_cloud.images(), legacy_cloud.requests())


def test_a_rebound_host_name_is_refused(page: Page, legacy_cloud: LegacyCloud) -> None:
    port = legacy_cloud.url.rpartition(":")[2]
    page.driver.get(f"http://rebound.example:{port}/_fake/")
    body = json.loads(page.driver.find_element(By.TAG_NAME, "pre").text)
    assert 403 == body["error"]["code"]
