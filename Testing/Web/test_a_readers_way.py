"""A whole way through the program in a real browser, on one server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from reader_tab import LONG_MS, Tab
from web_server import Server, waitUntil

pytestmark = pytest.mark.slow

HEALTHY, SCARRED = [200], [2221, 2222]
# Of WCAG 2.1, level AA, for text.
LEAST_CONTRAST = 4.5
CONTRASTS = (Path(__file__).parent / "contrasts.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def server(madePatients: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give one server for all tests of this file; each reads with initials of its own."""
    folder = tmp_path_factory.mktemp("way") / "patients"
    made = Server(
        shutil.copytree(madePatients, folder), options=("--readers", "9", "--upload-gb", "0.002")
    )
    made.environment["MYOPS_WEB_TOKEN"] = "the-same-token-after-a-new-start"  # noqa: S105
    made.start()
    yield made
    made.stop()


def caseFile(server: Server, reader: str) -> dict:
    path = server.folder / "myops-study" / "first" / reader / "1" / "case.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def test_a_patient_from_the_images_to_a_report_that_survives_a_power_cut(server, page):
    tab = Tab(page)
    tab.enter(server.address)
    assert "token" not in page.url
    tab.open(0)

    # The networks run on while the page is away.
    page.click("#run")
    page.wait_for_selector("#progressBox:not([hidden])")
    page.reload()
    tab.awaitSegmentation()
    automatic, before = tab.labels, tab.grams

    # The heart in 3D, which follows from now on.
    page.keyboard.press("d")
    page.wait_for_selector(".heart[data-drawn='1']")
    assert page.locator(".heart .empty").is_hidden()

    # A click with + in the real view, with the real mouse.
    page.keyboard.press("a")
    tab.click(*tab.placeOf(HEALTHY))
    added = tab.grams
    assert tab.labels != automatic and added > before
    page.wait_for_selector(".heart[data-drawn='2']")
    page.keyboard.press("d")

    # A click with −.
    page.keyboard.press("r")
    tab.click(*tab.placeOf(SCARRED))
    removed, grams = tab.labels, tab.grams
    assert grams < added

    # That click dragged to the edge of the scar, taken away, and a box.
    last = tab.run("return scene.clicks.find((one) => !one.positive)")
    tab.drag((last["row"], last["column"]), (last["row"] + 6, last["column"] + 3))
    moved = tab.run("return scene.clicks.find((one) => !one.positive)")
    assert abs(moved["row"] - last["row"] - 6) < 1 and tab.labels != removed
    page.mouse.move(*tab.at(moved["row"], moved["column"]))
    page.keyboard.press("Delete")
    waitUntil(lambda: tab.run("return scene.clicks.length") == 1)
    page.keyboard.press("b")
    r0, c0, r1, c1 = tab.extentOf(SCARRED)
    without = tab.labels
    tab.drag((r0 - 3, c0 - 3), (r1 + 3, c1 + 3))
    assert tab.run("return scene.box !== null") and tab.labels != without
    boxed = tab.labels

    # Undo, redo.
    page.keyboard.press("z")
    waitUntil(lambda: tab.labels == without)
    page.keyboard.press("y")
    waitUntil(lambda: tab.labels == boxed)
    grams = tab.grams
    waitUntil(lambda: "g" in page.inner_text("#fwhm"))

    # The remote region and the RV insertion by hand, and back to automatic ones.
    page.keyboard.press("m")
    waitUntil(lambda: tab.remote)
    automaticRemote = tab.remote
    page.mouse.click(*tab.at(*tab.acrossFromRemote()))
    waitUntil(lambda: tab.remote != automaticRemote)
    page.keyboard.press("i")
    page.mouse.click(*tab.at(*tab.placeOf(HEALTHY)))
    waitUntil(lambda: tab.run("return scene.landmarks.map((one) => one.letter).join('')") == "A")
    page.click("#places summary")
    page.click("#byHand")
    waitUntil(lambda: tab.remote == automaticRemote)
    assert tab.run("return scene.landmarks.length") == 0 and page.is_disabled("#byHand")
    assert tab.labels == boxed

    # Another patient, and back; the page loaded again.
    page.click("#next")
    tab.awaitCase(1)
    waitUntil(lambda: page.inner_text("#scar") == "–")
    page.click("#previous")
    tab.awaitCase(0)
    waitUntil(lambda: tab.labels == boxed)
    page.reload()
    tab.awaitCase(0)
    waitUntil(lambda: tab.labels == boxed)
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
    low = [found for found in page.evaluate(CONTRASTS) if found[0] < LEAST_CONTRAST]
    assert low == []

    # The server is killed and started again: the page finds back by itself.
    waitUntil(lambda: caseFile(server, "AB").get("status") == "approved")
    server.kill()
    page.wait_for_selector("body[data-link=lost]", timeout=LONG_MS)
    assert "connection is lost" in page.inner_text("#message")
    server.start()
    page.wait_for_selector("body[data-link=open]", timeout=LONG_MS)
    tab.awaitCase(0)
    waitUntil(lambda: tab.labels == boxed)
    assert tab.grams == grams and page.inner_text("#status") == "approved"
    kinds = [click["kind"] for click in caseFile(server, "AB")["clicks"]]
    assert kinds == ["click", "click", "move", "delete", "box"]


def test_a_second_window_takes_the_reading_and_the_first_one_says_so(server, page, browser):
    Tab(page).enter(server.address, "EF")
    other = browser.new_context().new_page()
    Tab(other).enter(server.address, "EF")
    page.wait_for_selector("body[data-link=ended]")
    assert "opened in another window" in page.inner_text("#message")
    other.context.close()


def test_two_readers_have_a_reading_each(server, page, browser):
    first, other = Tab(page), Tab(browser.new_context().new_page())
    first.enter(server.address, "CD")
    other.enter(server.address, "GH")
    first.open(0)
    other.open(0)
    assert (first.labels, other.labels) == (None, None)
    study = server.folder / "myops-study"
    assert {path.name for path in study.glob(".open-*")} >= {".open-CD-1", ".open-GH-1"}
    other.page.context.close()


def test_without_webgl_the_3d_view_says_so_and_all_else_is_there(server, page):
    page.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        " return kind.startsWith('webgl') ? null : get.call(this, kind, ...rest); };"
    )
    tab = Tab(page)
    tab.enter(server.address, "IJ")
    tab.open(0)
    page.keyboard.press("d")
    assert "has no WebGL" in page.inner_text(".heart .empty")
    assert page.locator(".view canvas").count() == 3 and page.is_enabled("#run")


def test_a_patient_is_added_by_the_page_and_opened(server, page):
    tab = Tab(page)
    tab.enter(server.address, "KL")
    page.keyboard.press("u")
    page.set_input_files("#newFiles", Path(__file__))
    page.fill("#newName", "third")
    page.click("#send")
    page.wait_for_selector("#addWords:has-text('expected images of patients')")
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    page.set_input_files("#newFiles", {"name": "DE.nii", "mimeType": "", "buffer": bytes(3 << 20)})
    page.click("#send")
    page.wait_for_selector("#addWords:has-text('expected at most 2 MB for a patient')")
    assert sent == []
    images = [server.folder / "first" / f"first_{name}.nii.gz" for name in ("DE", "T2")]
    page.set_input_files("#newFiles", images)
    page.click("#send")
    tab.awaitCase(2)
    assert page.inner_text("#patient") == "third"
    assert tab.run("return scene.sequences.map((one) => one.name)") == ["lge", "t2"]
