"""The rest of a real browser's tests: the keyboard alone, a canceled run, several readers."""

from __future__ import annotations

import json

import pytest
from reader_tab import LONG_MS, Tab
from web_server import Server, waitUntil

# They take minutes: with them a check of a change would take more than 25.
pytestmark = pytest.mark.scheduled

HEALTHY = [200]


def caseFile(server: Server, name: str = "first", reader: str = "AB") -> dict:
    path = server.folder / "myops-study" / name / reader / "1" / "case.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


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
    page.wait_for_selector("#message:has-text('canceled')")
    page.wait_for_selector("#progressBox", state="hidden")
    assert tab.labels is None


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


def test_a_folder_without_patients_says_what_to_do(tmp_path, page):
    (tmp_path / "empty").mkdir()
    server = Server(tmp_path / "empty", options=("--no-uploads",))
    server.start()
    try:
        page.goto(server.address)
        page.fill("#initials", "AB")
        page.click("#enter button")
        page.wait_for_selector("#nothing:has-text('put a folder for each')")
        assert page.locator("#add").is_hidden()
    finally:
        server.stop()


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
