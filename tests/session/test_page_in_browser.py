"""The page in a real browser: it sorts, filters, shows photographs, fits a phone, and runs nothing that a file says."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from eyerace_parity.core.result import Status
from eyerace_parity.record.comparison import compare
from eyerace_parity.report.html import write_comparison_page
from tests.record.records import record, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver.remote.webelement import WebElement

    from tests.session.conftest import Project

EVIL = "<script><img src=x onerror=document.title='owned'>.png"
PHONE = 390
CONTRAST = """
const light = (c) => c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const parts = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
const over = (top, under) => top.slice(0, 3).map((v, i) => v * top[3] + under[i] * (1 - top[3]));
const paper = (e) => { const colour = e ? parts(getComputedStyle(e).backgroundColor) : [255, 255, 255, 1];
  return colour[3] === 1 || !e ? colour.slice(0, 3) : over(colour, paper(e.parentElement)); };
const found = [];
for (const e of document.querySelectorAll("body *")) {
  const said = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!said || !e.checkVisibility() || ["SCRIPT", "OPTION"].includes(e.tagName)) continue;
  const style = getComputedStyle(e), ink = parts(e instanceof SVGElement ? style.fill : style.color), on = paper(e);
  const [a, b] = [light(over(ink, on)), light(on)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
  if (ratio < 4.5) found.push([e.tagName, e.className, ratio.toFixed(2), e.textContent.slice(0, 30)].join(" "));
}
return found;
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A headless Chromium that reaches no network."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        if os.environ.get("CI"):
            pytest.fail("chromium and chromedriver are not installed, and CI must not skip what needs them")
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 "--disable-dev-shm-usage", f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):  # fmt: skip
        options.add_argument(flag)
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield found
    found.quit()


def width(browser: webdriver.Chrome, pixels: int) -> None:
    """Give the browser a screen of this width."""
    screen = {"width": pixels, "height": 800, "deviceScaleFactor": 1, "mobile": pixels < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


def rename_image(project: Project, name: str) -> None:
    """Give one golden photograph another name."""
    table = project.bundle / "labels.csv"
    text = table.read_text(encoding="utf-8")
    first = text.splitlines()[1].partition(",")[0]
    table.write_text(text.replace(first, f'"{name}"', 1), encoding="utf-8")
    image: Path = project.bundle / "images" / first
    image.rename(image.with_name(name))


@pytest.fixture
def opened(project: Project, browser: webdriver.Chrome, request: pytest.FixtureRequest) -> webdriver.Chrome:
    """The page of a run with one broken clause, opened; a parameter renames a photograph first."""
    if name := getattr(request, "param", ""):
        rename_image(project, name)
    project.run(
        "--eyerace-parity-html", "page.html", "-k", "f1 or closeness or agreement or size",
        "--eyerace-parity-set", "variants.int8.limits.closeness.sqnr_db=90",
    )  # fmt: skip
    width(browser, 1200)
    browser.get((project.root / "page.html").as_uri())
    return browser


def rows(browser: webdriver.Chrome) -> list[WebElement]:
    """The rows of the clause table that are shown."""
    found = browser.find_elements(By.CSS_SELECTOR, "table.clauses tbody tr")
    return [row for row in found if row.is_displayed()]


def test_it_opens_without_a_complaint(opened: webdriver.Chrome) -> None:
    """No error and no warning in the console."""
    assert opened.get_log("browser") == []
    assert opened.find_elements(By.CSS_SELECTOR, "figure svg")


def test_the_table_sorts(opened: webdriver.Chrome) -> None:
    """By text and by number, up and down."""
    heads = opened.find_elements(By.CSS_SELECTOR, "table.clauses th button")
    (clause,) = [head for head in heads if head.text == "clause"]
    clause.click()
    names = [row.find_elements(By.TAG_NAME, "td")[3].text for row in rows(opened)]
    assert names == sorted(names, key=str.casefold)
    assert len(set(names)) > 3
    clause.click()
    down = [row.find_elements(By.TAG_NAME, "td")[3].text for row in rows(opened)]
    assert down == names[::-1]
    (number,) = [head for head in heads if head.text.startswith("number")]
    number.click()
    told = [row.find_elements(By.TAG_NAME, "td")[4].get_attribute("data-value") for row in rows(opened)]
    values = [float(text) for text in told if text]
    assert values == sorted(values)


def test_the_table_filters(opened: webdriver.Chrome) -> None:
    """By verdict, by variant and by words, and says how many are left."""
    before = len(rows(opened))
    Select(opened.find_element(By.CSS_SELECTOR, '[data-filter="status"]')).select_by_visible_text("broken")
    left = rows(opened)
    assert 0 < len(left) < before
    assert {row.get_attribute("data-status") for row in left} == {"broken"}
    assert opened.find_element(By.CSS_SELECTOR, "[data-count]").text == f"{len(left)} of {before}"
    opened.find_element(By.CSS_SELECTOR, '[data-filter="text"]').send_keys("no such clause")
    assert rows(opened) == []


def test_pointing_at_a_dot_shows_its_photograph(opened: webdriver.Chrome) -> None:
    """The photograph and the numbers of the image under the pointer; away from it they are gone."""
    dot = opened.find_element(By.CSS_SELECTOR, 'figure.scores a[href^="#photograph-"]')
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", dot)
    # The events of a pointer and of a finger, for another dot may lie upon this one.
    opened.execute_script("arguments[0].dispatchEvent(new PointerEvent('pointerover', {bubbles: true}))", dot)
    box = opened.find_element(By.ID, "photograph")
    assert box.is_displayed()
    assert ".png" in box.text or ".jpg" in box.text
    shown = box.find_element(By.TAG_NAME, "img")
    WebDriverWait(opened, 5).until(lambda _: shown.get_property("naturalWidth"))
    opened.execute_script(
        "document.querySelector('figure.scores').dispatchEvent(new PointerEvent('pointerleave'))",
    )
    assert not box.is_displayed()


def test_dots_can_be_reached_by_keyboard(opened: webdriver.Chrome) -> None:
    """One stop for the tabulator, arrows from one to the next, each with its photograph; Escape takes it away."""
    stops = opened.find_elements(By.CSS_SELECTOR, "figure.scores a:not([tabindex='-1'])")
    assert len(stops) == 1
    opened.execute_script("arguments[0].focus()", stops[0])
    box = opened.find_element(By.ID, "photograph")
    assert box.is_displayed()
    first = box.text
    opened.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert box.is_displayed()
    assert box.text != first
    opened.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not box.is_displayed()


def test_a_clause_unfolds_to_its_reason(opened: webdriver.Chrome) -> None:
    """By click or key, without a pointer that hovers."""
    row = next(row for row in rows(opened) if row.get_attribute("data-status") == "held")
    row.find_element(By.TAG_NAME, "summary").click()
    assert row.find_element(By.TAG_NAME, "p").is_displayed()


def test_every_control_and_drawing_has_a_name(opened: webdriver.Chrome) -> None:
    """What is read aloud: drawings with their marks, fields, buttons, regions that scroll."""
    assert opened.execute_script(
        "return [...document.querySelectorAll('svg:not([aria-hidden])')].every("
        "  s => s.getAttribute('role').startsWith('graphics-document') && s.getAttribute('aria-label'))"
    )
    for control in opened.find_elements(By.CSS_SELECTOR, "input, select, button, summary, nav, [role=region]"):
        if control.is_displayed():
            assert control.accessible_name, control.get_attribute("outerHTML")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_they_stand_on(opened: webdriver.Chrome, scheme: str) -> None:
    """At least 4.5 to 1, as WCAG 2 AA asks of text, in either colours; drawings too."""
    features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
    faint = opened.execute_script(CONTRAST)
    assert faint == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(opened: webdriver.Chrome, scheme: str) -> None:
    """At 390 pixels the page is as wide as the screen, in either colours."""
    features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
    width(opened, PHONE)
    assert opened.execute_script("return document.documentElement.scrollWidth") <= PHONE
    ink, paper = opened.execute_script("const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]")
    darkest = min(ink, paper, key=lambda colour: sum(int(part) for part in colour[4:-1].split(",")[:3]))
    assert darkest == (paper if scheme == "dark" else ink)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_a_comparison_fits_too(tmp_path: Path, browser: webdriver.Chrome, scheme: str) -> None:
    """Two records side by side: no complaint, no sideways scrolling, words that can be read, no script."""
    page = tmp_path / "page.html"
    before, after = record([verdict("f1")]), record([verdict("f1", status=Status.BROKEN), verdict(EVIL)])
    write_comparison_page(page, compare(before, after, (EVIL, "after")))
    require_fit(page, browser, scheme)


def require_fit(page: Path, browser: webdriver.Chrome, scheme: str) -> None:
    """Open a page that says something evil on a phone, and look at it."""
    features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
    width(browser, PHONE)
    browser.get(page.as_uri())
    assert browser.get_log("browser") == []
    assert browser.title != "owned"
    assert EVIL in browser.find_element(By.TAG_NAME, "main").text
    assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE
    assert browser.execute_script(CONTRAST) == []


@pytest.mark.parametrize("opened", [EVIL], indirect=True)
def test_a_file_name_that_is_a_script_does_nothing(opened: webdriver.Chrome) -> None:
    """It is shown, letter for letter, and not run."""
    assert opened.title != "owned"
    assert "owned" not in opened.title
    labels = opened.execute_script(
        "return [...document.querySelectorAll('figure [aria-label]')].map(e => e.getAttribute('aria-label')).join()"
    )
    assert EVIL in labels
    assert opened.get_log("browser") == []
