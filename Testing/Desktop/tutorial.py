r"""The tutorial of Docs/getting-started/slicer-ten-minutes.md, played on the module's own panel.

In desktop Slicer, which quits afterwards with 0 or 1:

    Slicer --testing --no-splash --additional-module-paths MyoPSSegmenter \
        --python-script Testing/Desktop/tutorial.py

TUTORIAL_FOLDER names the folder for the results; "tutorial" without it. Not run in desktop Slicer
yet; Testing/Slicer/test_tutorial.py plays it on the stand-ins.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

# A laptop that loads the networks for the first time.
TIMEOUT_S = 600.0
EXPORTED = ("segmentation.seg.nrrd", "segmentation.nii.gz", "measurements.json", "report.html")


def main() -> None:
    """Go to the module, play the tutorial, quit with its result."""
    folder = Path(os.environ.get("TUTORIAL_FOLDER", "tutorial")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    status = slicer.util.EXIT_FAILURE
    try:
        slicer.util.selectModule("MyoPSSegmenter")
        play(slicer.modules.MyoPSSegmenterWidget, folder, print)
        status = slicer.util.EXIT_SUCCESS
    except Exception:
        traceback.print_exc()
    finally:
        slicer.util.mainWindow().grab().save(str(folder / "slicer.png"))
    slicer.util.exit(status)


def play(widget: Any, folder: Path, say: Callable[[str], object] = print) -> None:
    """Do every step of the tutorial with the panel's buttons.

    Args:
        widget: the module's widget, entered, in an empty scene.
        folder: gets the exported results.
        say: told what each step gave.

    Raises:
        AssertionError: a step did not do what the guide says.
        TimeoutError: a step did not end.
    """
    logic, ui = widget.logic.myops, widget.workflow.ui
    ui.sampleButton.click()
    _wait(lambda: logic.patient.case is not None, "loading the sample patient")
    assert set(logic.patient.volumes) == {"bssfp", "lge", "t2"}, logic.patient.volumes
    ui.runButton.click()
    _wait(lambda: logic.correction.session is not None, "the automatic segmentation")
    _settle(logic)
    say(f"automatic: scar {_scarMass(logic):.1f} g")
    _correct(logic, ui, say)
    _carry(logic, ui, say)
    _quantify(logic, ui, say)
    _export(logic, ui, folder, say)


def _correct(logic: Any, ui: Any, say: Callable[[str], object]) -> None:
    """A click adds to the scar, undo brings the automatic result back, redo the click."""
    automatic = logic.correction.labels.copy()
    ui.scarButton.click()
    ui.addButton.click()
    assert logic.correction.prompts.placing == "positive", "Add is not in hand"
    _click(logic, *_brightMyocardium(logic))
    _settle(logic)
    ui.addButton.click()
    assert logic.correction.prompts.placing is None, "Add is still in hand"
    corrected = logic.correction.labels.copy()
    assert not np.array_equal(corrected, automatic), "the click changed nothing"
    ui.undoButton.click()
    _settle(logic)
    assert np.array_equal(logic.correction.labels, automatic), "undo did not undo the click"
    ui.redoButton.click()
    _settle(logic)
    assert np.array_equal(logic.correction.labels, corrected), "redo did not redo the click"
    say(f"after a click: scar {_scarMass(logic):.1f} g")


def _carry(logic: Any, ui: Any, say: Callable[[str], object]) -> None:
    """A correction is proposed to the neighboring slices, where it fits; refused here."""
    ui.carryButton.click()
    _settle(logic)
    if logic.correction.proposal is None:
        say("no proposal for the neighboring slices")
        return
    before = logic.correction.labels.copy()
    ui.refuseButton.click()
    _settle(logic)
    assert logic.correction.proposal is None, "the proposal was not taken away"
    assert np.array_equal(logic.correction.labels, before), "a refused proposal changed labels"


def _quantify(logic: Any, ui: Any, say: Callable[[str], object]) -> None:
    """The conventional methods stand beside the scar."""
    _wait(lambda: not logic.quantify.stale, "the conventional methods")
    names = list(logic.quantify.methods())
    assert any(name.startswith("fwhm") for name in names), names
    ui.methodSelector.currentIndex = 1
    ui.remoteButton.click()
    _settle(logic)
    ui.remoteButton.click()
    say(f"{len(names)} conventional methods")


def _export(logic: Any, ui: Any, folder: Path, say: Callable[[str], object]) -> None:
    """All files are written into a folder named after the case."""
    ui.exportFolderEdit.currentPath = str(folder)
    _settle(logic)
    ui.exportButton.click()
    _settle(logic)
    written = folder / logic.patient.caseName
    missing = [name for name in EXPORTED if not (written / name).is_file()]
    assert missing == [], f"not exported: {missing}"
    say(f"exported {len(list(written.iterdir()))} files")


def _brightMyocardium(logic: Any) -> tuple[int, int, int]:
    """Slice, row and column of the brightest normal myocardium beside the largest scar."""
    from myops import labels as regions

    labels = logic.correction.labels
    index = int(regions.scar(labels).sum(axis=(1, 2)).argmax())
    signal = logic.patient.case.images["lge"][index]
    normal = regions.myocardium(labels[index]) & ~regions.scar(labels[index])
    row, column = np.unravel_index(np.where(normal, signal, -np.inf).argmax(), signal.shape)
    return index, int(row), int(column)


def _click(logic: Any, index: int, row: int, column: int) -> None:
    """Place a point with the tool in hand, as a click in a view does."""
    from MyoPSSegmenterLib.Scene.SceneBridge import worldFromVoxel
    from MyoPSSegmenterLib.Scene.Views import setSlice

    setSlice(slicer.mrmlScene, logic.patient.case, index)
    logic.correction.setCurrentSlice(index)
    ras = worldFromVoxel(logic.correction.case, index, row, column)
    logic.correction.prompts.positiveNode.AddControlPointWorld(vtk.vtkVector3d(*ras))


def _scarMass(logic: Any) -> float:
    return float(logic.quantify.masses["scar"].mass_g)


def _settle(logic: Any) -> None:
    """Wait until nothing runs and no click waits."""
    busy = True

    def quiet() -> bool:
        nonlocal busy
        was, busy = busy, bool(logic.work.isBusy or logic.correction.pendingClicks)
        return not (was or busy)

    _wait(quiet, "the work to end")


def _wait(until: Callable[[], bool], what: str) -> None:
    """Let Slicer's event loop run, and with it the panel's timer, until something is so."""
    end = time.monotonic() + TIMEOUT_S
    while not until():
        if time.monotonic() > end:
            raise TimeoutError(f"expected {what} within {TIMEOUT_S:.0f} s, found it unfinished")
        slicer.app.processEvents()
        time.sleep(0.02)


if __name__ == "__main__":
    main()
