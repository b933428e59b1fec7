"""A reader's way in a real browser: clicks on the views, a reload, a server that is killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from reader_tab import LONG_MS, Tab
from web_server import Server, waitUntil

# They take minutes: with them a check of a change would take more than 25.
pytestmark = pytest.mark.scheduled

HEALTHY, SCARRED = [200], [2221, 2222]
# Of WCAG 2.1, level AA, for text.
LEAST_CONTRAST = 4.5
CONTRASTS = (Path(__file__).parent / "contrasts.js").read_text(encoding="utf-8")


def caseFile(server: Server, name: str = "first", reader: str = "AB") -> dict:
    path = server.folder / "myops-study" / name / reader / "1" / "case.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def test_a_patient_from_the_images_to_the_report(server, page):
    tab = Tab(page)
    tab.enter(server.address)
    assert "token" not in page.url
    tab.open(0)
    tab.segment()
    automatic, before = tab.labels, tab.grams

    # A click with + in the real view, with the real mouse.
    page.keyboard.press("a")
    tab.click(*tab.placeOf(HEALTHY))
    added = tab.grams
    assert tab.labels != automatic and added > before
    waitUntil(lambda: "g" in page.inner_text("#fwhm"))

    # A click with −.
    page.keyboard.press("r")
    tab.click(*tab.placeOf(SCARRED))
    assert tab.grams < added
    corrected = tab.labels

    # Undo, redo.
    page.keyboard.press("z")
    waitUntil(lambda: page.inner_text("#scar").startswith(f"{added:.1f} g"))
    page.keyboard.press("y")
    waitUntil(lambda: tab.labels == corrected)

    # The page loaded again.
    grams = tab.grams
    page.reload()
    tab.awaitCase(0)
    waitUntil(lambda: tab.labels == corrected)
    assert tab.grams == grams and page.is_enabled("#undo")

    # The report.
    page.click("#export")
    page.wait_for_selector("#report a", timeout=LONG_MS)
    with page.expect_popup() as opened:
        page.click("#report a")
    assert "first" in opened.value.inner_text("body")
    opened.value.close()
    page.keyboard.press("p")
    page.wait_for_selector("#status.approved")

    # Another patient, and back.
    page.click("#next")
    tab.awaitCase(1)
    waitUntil(lambda: page.inner_text("#scar") == "–")
    page.click("#previous")
    tab.awaitCase(0)
    waitUntil(lambda: tab.labels == corrected)

    # The server is killed and started again: the page finds back by itself.
    waitUntil(lambda: caseFile(server).get("status") == "approved")
    server.kill()
    page.wait_for_selector("body[data-link=lost]", timeout=LONG_MS)
    assert "connection is lost" in page.inner_text("#message")
    server.start()
    page.goto(server.address)
    tab.awaitCase(0)
    waitUntil(lambda: tab.labels == corrected)
    assert tab.grams == grams and page.inner_text("#status") == "approved"
    assert [click["kind"] for click in caseFile(server)["clicks"]] == ["click", "click"]

    low = [found for found in page.evaluate(CONTRASTS) if found[0] < LEAST_CONTRAST]
    assert low == []


def test_the_keyboard_alone_suffices(server, page):
    tab = Tab(page)
    page.goto(server.address)
    page.keyboard.type("kb")
    page.keyboard.press("Enter")
    page.wait_for_selector("#cases button", timeout=LONG_MS)
    page.keyboard.press("ArrowRight")
    tab.awaitCase(0)
    page.keyboard.press("s")
    page.wait_for_selector("#positive:not([disabled])", timeout=LONG_MS)
    automatic = tab.labels
    slice_ = tab.run("return scene.slice")
    page.keyboard.press("ArrowUp" if slice_ > 0 else "ArrowDown")
    waitUntil(lambda: tab.run("return scene.slice") != slice_)
    page.keyboard.press("ArrowDown" if slice_ > 0 else "ArrowUp")
    waitUntil(lambda: tab.run("return scene.slice") == slice_)
    row, column = tab.placeOf(HEALTHY)
    page.keyboard.press("a")
    steer(tab, row, column)
    page.keyboard.press("Enter")
    waitUntil(lambda: tab.labels != automatic)
    page.keyboard.press("z")
    waitUntil(lambda: tab.labels == automatic)
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    page.wait_for_selector("#report a", timeout=LONG_MS)
    page.keyboard.press("p")
    page.wait_for_selector("#status.approved")


def steer(tab: Tab, row: int, column: int) -> None:
    """Bring the keyboard's cursor to a place by arrow keys."""
    tab.page.keyboard.press("ArrowRight")
    for _ in range(400):
        at = tab.run("return [scene.cursor.row, scene.cursor.column]")
        down, right = row - at[0], column - at[1]
        if abs(down) <= 0.5 and abs(right) <= 0.5:
            return
        far = max(abs(down), abs(right)) >= 10
        steep = abs(down) >= abs(right)
        name = (
            ("ArrowDown" if down > 0 else "ArrowUp")
            if steep
            else ("ArrowRight" if right > 0 else "ArrowLeft")
        )
        tab.page.keyboard.press(f"Shift+{name}" if far else name)
    raise AssertionError("the cursor does not arrive")


def test_a_run_is_canceled_and_nothing_is_changed(server, page):
    tab = Tab(page)
    tab.enter(server.address)
    tab.open(1)
    page.click("#run")
    page.wait_for_selector("#progressBox:not([hidden])")
    page.click("#run")
    page.wait_for_selector("#progressBox", state="hidden")
    assert "canceled" in page.inner_text("#message")
    assert tab.labels is None


def test_a_second_window_takes_the_reading_and_the_first_one_says_so(server, page, browser):
    tab = Tab(page)
    tab.enter(server.address)
    other = browser.new_context().new_page()
    Tab(other).enter(server.address)
    page.wait_for_selector("body[data-link=ended]")
    assert "opened in another window" in page.inner_text("#message")
    other.context.close()


def test_two_readers_have_a_reading_each(server, page, browser):
    first, other = Tab(page), Tab(browser.new_context().new_page())
    first.enter(server.address, "AB")
    other.enter(server.address, "CD")
    first.open(0)
    other.open(0)
    first.segment()
    waitUntil(lambda: caseFile(server, reader="AB").get("status") == "automatic")
    assert other.labels is None
    assert caseFile(server, reader="CD").get("status", "new") == "new"
    other.page.context.close()


def test_one_reader_too_many_is_told_so(patients, page, browser):
    server = Server(patients, options=("--readers", "1"))
    server.start()
    try:
        Tab(page).enter(server.address, "AB")
        other = browser.new_context().new_page()
        other.goto(server.address)
        other.fill("#initials", "CD")
        other.click("#enter button")
        other.wait_for_selector("#refused:not(:empty)")
        assert "at most 1 readers" in other.inner_text("#refused")
        other.context.close()
    finally:
        server.stop()


def test_a_patients_name_is_never_read_as_markup(patients, page):
    (patients / "second").rename(patients / "<img src=x onerror=alert(1)>")
    server = Server(patients)
    server.start()
    try:
        tab = Tab(page)
        tab.enter(server.address)
        names = page.locator("#cases .name").all_inner_texts()
        assert "<img src=x onerror=alert(1)>" in names
        assert page.locator("#cases img").count() == 0
    finally:
        server.stop()
