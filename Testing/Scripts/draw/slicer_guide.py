"""Draw the pictures of Docs/how-to/slicer-guide.md: the panel and the slice views, step by step.

    python Testing/Scripts/draw/slicer_guide.py                     into Resources/Screenshots
    python Testing/Scripts/draw/slicer_guide.py --out FOLDER
    python Testing/Scripts/draw/slicer_guide.py --only correction   the picture of step 3 alone

Needs slicer-core, PySide6 and torch. The views are Slicer's own, drawn without a screen; the panel
is the real one over Qt stand-ins for Slicer's widgets (Testing/Slicer/standins). No picture comes
from desktop Slicer. The patient is the sample patient; in the correction's picture it is another
phantom, whose automatic scar is visibly wrong in one slice.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[2]
sys.path[:0] = [str(HERE.parent / "MyoPSSegmenter"), str(HERE / "Slicer")]

import numpy as np  # noqa: E402 - the paths come first
from PIL import Image, ImageDraw, ImageFont  # noqa: E402

SCREENSHOTS = HERE.parent / "Resources" / "Screenshots"
# Of the patients of the work list behind the sample patient; the last one is corrected.
MORE_SEEDS = (950_014, 950_038)
VIEW_SIZE = (420, 420)
PANEL_WIDTH = 500
GAP = 12
BACKGROUND, TEXT, LABEL = (32, 33, 36), (235, 235, 235), (20, 20, 20)
TIMEOUT_S = 1800.0
LARGEST_BYTES = 400_000
OPACITY = 0.9
# Width of a view over that of the heart on the clicked slice, and over that of the left ventricle.
ZOOM, CLOSE_ZOOM = 1.7, 1.5


def main() -> None:
    """Draw everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=SCREENSHOTS, help="folder for the pictures")
    parser.add_argument("--only", choices=STORIES, help="a part of the pictures")
    options = parser.parse_args()
    options.out = options.out.absolute()
    options.out.mkdir(parents=True, exist_ok=True)
    stories = [STORIES[options.only]] if options.only else list(STORIES.values())
    with tempfile.TemporaryDirectory() as folder, Studio(Path(folder)) as studio:
        studio.openStudy()
        for name, picture in (pair for story in stories for pair in story(studio)):
            path = options.out / f"slicer_{name}.png"
            write(picture, path)
            print(f"{path}  {path.stat().st_size // 1000} kB")


def workflow(studio: Studio) -> Iterator[tuple[str, Image.Image]]:
    """Work on a patient from loading to the work list; a picture of each step but correcting."""
    studio.show("patientSection")
    yield "patient", beside(studio.panel("patientSection"), row(studio.views()))
    running = studio.segment()
    studio.goTo(studio.sliceWithMostScar())
    studio.show("automaticSection")
    panels = column([running, studio.panel("automaticSection")])
    yield "automatic", beside(panels, row(studio.views()))
    studio.goTo(studio.worstSlice())
    studio.zoom()
    studio.clickOnErrors()
    studio.show("correctSection")
    while not studio.propose():  # nothing to carry anywhere in this patient: the next one
        studio.openPatient(studio.patient + 1)
        studio.segment()
        studio.goTo(studio.worstSlice())
        studio.zoom()
        studio.clickOnErrors()
        studio.show("correctSection")
    panel = studio.panel("correctSection", "proposalFrame")
    yield "proposal", beside(panel, row(studio.neighbors()))
    studio.answerProposal()
    studio.goTo(studio.worst)
    studio.measure()
    studio.show("quantifySection")
    yield "quantify", beside(studio.panel("quantifySection"), studio.numbers())
    studio.hideMethods()
    studio.finish()
    studio.show("studySection")
    yield "study", beside(studio.panel("studySection"), row(studio.views()[:2]))
    studio.export()
    yield "export", studio.panel("exportSection")


def correction(studio: Studio) -> Iterator[tuple[str, Image.Image]]:
    """Correct the last patient of the work list by clicks; a picture before and after."""
    studio.openPatient(1 + len(MORE_SEEDS))
    studio.segment()
    studio.goTo(studio.worstSlice())
    studio.zoom(closely=True)
    before, mass_g = titled(studio.view("lge"), "LGE, automatic"), studio.scarMass()
    slice_g = studio.scarInSlice(studio.logic.correction.labels)
    studio.clickOnErrors()
    after = titled(studio.view("lge"), "LGE, after the clicks")
    studio.show("correctSection")
    texts = [
        f"Scar {mass_g:.1f} g before, {studio.scarMass():.1f} g after; "
        f"the phantom's infarct: {studio.trueMass():.1f} g.",
        f"In this slice {slice_g:.1f} g before, "
        f"{studio.scarInSlice(studio.logic.correction.labels):.1f} g after; "
        f"true: {studio.scarInSlice(studio.truth()):.1f} g.",
        "Green plus: belongs to the scar. Red square: does not.",
    ]
    lines = [caption(text, 2 * VIEW_SIZE[0] + GAP) for text in texts]
    yield "correct", beside(studio.panel("correctSection"), column([row([before, after]), *lines]))


STORIES = {"workflow": workflow, "correction": correction}


class Studio:
    """The module with its panel and views over a scene, and a reader who uses it.

    Attributes:
        logic: the module's logic.
        patient: number of the open patient, counted from 1.
        worst: slice with the most scar that the networks got wrong.
        corrected: slices that need no more clicks.
    """

    def __init__(self, folder: Path) -> None:
        """Make a work list of three synthetic patients in a folder, and go there."""
        from made_scene import Scene
        from offscreen import OffscreenViews
        from standins.desktop import desktop

        from MyoPSSegmenterLib.SampleData import SEED, makeSamplePatient

        # The panel shows where things are: a short path, not that of a temporary folder.
        self._before = Path.cwd()
        os.chdir(folder)
        self.folder = Path("Infarct study")
        for number, seed in enumerate((SEED, *MORE_SEEDS), start=1):
            makeSamplePatient(self.folder / f"Patient {number:02d}", seed)
        self._made = Scene(folder)
        self.scene = self._made.scene
        self._views = OffscreenViews(self._made, VIEW_SIZE)
        self._desktop = desktop(self.scene)
        self.patient = 1
        self.worst = 0
        self.corrected: set[int] = set()

    def __enter__(self) -> Studio:
        from standins.desktop import openPanel

        self._desktop.__enter__()
        self.widget = openPanel()
        self.logic = self.widget.logic.myops
        return self

    def __exit__(self, *_: object) -> None:
        from standins.desktop import closePanel

        closePanel(self.widget)
        self._desktop.__exit__(None, None, None)
        self._views.close()
        self._made.close()
        os.chdir(self._before)

    # What the reader does

    def openStudy(self) -> None:
        """Open the folder as a work list, and its first patient."""
        self.ui.readerEdit.text = "AB"
        self.ui.studyFolderEdit.currentPath = str(self.folder)
        self.logic.study.openFolder(self.folder, "AB")
        self.wait(lambda: len(self.logic.study.entries) == 3)
        self.openPatient(1)

    def openPatient(self, number: int) -> None:
        """Open a patient of the work list, counted from 1."""
        self.patient = number
        self.corrected = set()
        self.logic.study.open(number - 1)
        self.settle()
        self.showSequences()

    def segment(self) -> Image.Image:
        """Press Run, and wait for the result and for clicks; the panel while it was running."""
        self.ui.automaticSection.collapsed = False
        task = self.logic.automatic.run("cpu")
        self.waitShort(lambda: task.fraction > 0.3 or task.isOver)
        self.widget.workflow.update()
        running = self.panel("automaticSection")
        self.wait(lambda: task.isOver and self.logic.correction.session is not None)
        slices = len(self.logic.correction.labels)
        self.wait(lambda: len(self.logic.correction.encodedSlices) == slices)
        self.ui.opacitySlider.value = OPACITY
        self.logic.correction.setOpacity(OPACITY)
        self.showSequences()
        self.settle()
        # How long it took here says nothing to a reader of the guide.
        self.logic.events.message("")
        return running

    def zoom(self, closely: bool = False) -> None:
        """Turn the wheel with Ctrl until the heart, or its left ventricle, fills the views."""
        from myops import labels as regions

        labels = self.logic.correction.labels[self.worst]
        places = np.argwhere(regions.lv_region(labels) if closely else labels)
        middle = self.ras(*((places.min(axis=0) + places.max(axis=0)) / 2))
        size = (CLOSE_ZOOM if closely else ZOOM) * float((np.ptp(places, axis=0) + 1).max())
        size_mm = size * self.logic.patient.case.geometry.spacing_mm[0]
        for view in self._views.shown():
            view.node.SetFieldOfView(size_mm, size_mm, 1)
            view.node.UpdateMatrices()
            view.node.JumpSliceByCentering(*middle)

    def clickOnErrors(self, count: int = 3, least_depth: float = 1.0) -> int:
        """Click where scar is missing or too much, as the truth tells it; see `largestError`.

        Returns:
            How many clicks were made.
        """
        correction = self.logic.correction
        made = 0
        for _ in range(count):
            found = largestError(
                correction.labels[self.worst], self.truth()[self.worst], least_depth
            )
            if found is None:
                break
            place, positive = found
            correction.startPlacing("positive" if positive else "negative")
            self._views.view("MyoPSLge").click(self.ras(*place))
            self.settle()
            made += 1
        self._views.view("MyoPSLge").leave()
        self.widget.workflow.update()
        return made

    def propose(self) -> bool:
        """Carry the correction to the neighbor slices; corrects more slices until there is one.

        Returns:
            Whether any slice of this patient leads to a proposal.

        Raises:
            RuntimeError: none does, nor did any in the patients before, and this is the last one.
        """
        correction = self.logic.correction
        clicked = True
        while self.worst not in self.corrected:
            correction.stopPlacing()
            if clicked:
                correction.proposePropagation()
                self.settle()
            if correction.proposal is not None:
                self.widget.workflow.update()
                return True
            self.corrected.add(self.worst)
            self.goTo(self.worstSlice())
            clicked = self.clickOnErrors(2) > 0
        if self.patient == len(self.logic.study.entries):
            raise RuntimeError("expected a proposal, found none; choose other phantoms")
        return False

    def answerProposal(self) -> None:
        """Take the proposal where it helps, as a reader would who knows the truth."""
        correction = self.logic.correction
        if self.isHelp(correction.proposal):
            correction.acceptProposal()
        else:
            correction.refuseProposal()

    def isHelp(self, proposal: Any) -> bool:
        """Whether fewer pixels are wrong in the nearest slice that a proposal changes."""
        from myops import labels as regions

        shown = self.nearest(proposal)
        true = regions.scar(self.truth()[shown])
        before, after = (
            np.count_nonzero(regions.scar(labels[shown]) != true)
            for labels in (self.logic.correction.labels, proposal.labels)
        )
        return bool(after < before)

    def nearest(self, proposal: Any) -> int:
        """The slice nearest to the corrected one that a proposal changes."""
        return min((one.slice_index for one in proposal.slices), key=lambda k: abs(k - self.worst))

    def measure(self) -> None:
        """Show FWHM's mask and the remote region beside the segmentation."""
        self.logic.correction.stopPlacing()
        self.logic.correction.prompts.show([])
        self.settle()
        names = list(self.logic.quantify.methods())
        chosen = next(name for name in names if name.startswith("fwhm_half"))
        self.ui.methodSelector.currentIndex = names.index(chosen) + 1
        self.ui.remoteButton.checked = True
        self.logic.quantify.showRemote(True)
        self.zoom()
        self.settle()

    def hideMethods(self) -> None:
        """Put the methods' masks away."""
        self.ui.methodSelector.currentIndex = 0
        self.ui.remoteButton.checked = False
        self.logic.quantify.showRemote(False)

    def export(self) -> None:
        """Write all files of the patient."""
        self.show("exportSection")
        self.ui.exportFolderEdit.currentPath = "Results"
        self.settle()
        self.ui.exportButton.click()
        self.settle()

    def finish(self) -> None:
        """Approve the patient and segment the second one."""
        self.logic.study.approve()
        self.logic.study.next()
        self.settle()
        task = self.logic.automatic.run("cpu")
        self.wait(lambda: task.isOver)
        self.settle()
        self.logic.study.previous()
        self.settle()
        self.showSequences()
        self.goTo(self.sliceWithMostScar())

    def goTo(self, index: int) -> None:
        """Scroll to a slice."""
        from MyoPSSegmenterLib.Scene.Views import setSlice

        setSlice(self.scene, self.logic.patient.case, index)
        self.logic.correction.setCurrentSlice(index)
        self.settle()

    # What there is to see

    @property
    def ui(self) -> Any:
        """Every named widget of the panel."""
        return self.widget.workflow.ui

    def showSequences(self) -> None:
        """Lay the views out, zoomed in on the heart if it is known."""
        from MyoPSSegmenterLib.Scene.Views import showSequences

        patient, node = self.logic.patient, self.logic.correction.node
        showSequences(self.scene, patient.volumes, node, patient.case)

    def show(self, section: str) -> None:
        """Open a section of the panel."""
        getattr(self.ui, section).collapsed = False
        self.widget.workflow.update()
        self.settle()

    def panel(self, section: str, until: str | None = None) -> Image.Image:
        """A section of the panel, or its upper part with everything until a widget."""
        from PySide6 import QtCore, QtWidgets
        from standins.desktop import renderPanel

        with tempfile.TemporaryDirectory() as folder:
            path = renderPanel(Path(folder) / "panel.png", self.widget, section, PANEL_WIDTH)
            picture = Image.open(path).convert("RGB")
        if until is None:
            return picture
        last, whole = getattr(self.ui, until), getattr(self.ui, section)
        bottom = last.mapTo(whole, QtCore.QPoint(0, QtWidgets.QWidget.height(last))).y()
        return picture.crop((0, 0, picture.width, bottom + 2))

    def view(self, sequence: str) -> Image.Image:
        """A slice view."""
        from MyoPSSegmenterLib.Scene.Views import VIEWS

        return Image.fromarray(self._views.view(VIEWS[sequence]).render())

    def views(self) -> list[Image.Image]:
        """All slice views, with their names and the slice's number."""
        from myops.sequences import SEQUENCE_TITLES
        from MyoPSSegmenterLib.Scene.Views import VIEWS, currentSlice

        index = currentSlice(self.scene, self.logic.patient.case)
        shown = [name for name in VIEWS if name in self.logic.patient.volumes]
        return [titled(self.view(n), f"{SEQUENCE_TITLES[n]}, slice {index + 1}") for n in shown]

    def neighbors(self) -> list[Image.Image]:
        """The corrected slice and the proposal on one of its neighbors, before it is accepted."""
        correction = self.logic.correction
        proposed = self.nearest(correction.proposal)
        corrected = titled(self.view("lge"), f"LGE, slice {self.worst + 1}, as it is")
        self.goTo(proposed)
        advice = "take it" if self.isHelp(correction.proposal) else "refuse it"
        title = f"LGE, slice {proposed + 1}, proposal in mint green: {advice}"
        return [corrected, titled(self.view("lge"), title)]

    def numbers(self) -> Image.Image:
        """The image with both masks, the plot over the slices, and two more bull's-eyes."""
        from chart_picture import chart_picture

        from MyoPSSegmenterLib.Scene.BullsEye import findChart, fitToView
        from MyoPSSegmenterLib.Scene.SlicePlot import slicePlot

        plain = titled(self.view("bssfp"), "bSSFP, same slice")
        masks = titled(self.view("lge"), "LGE with FWHM mask and remote region")
        chart = slicePlot(self.scene, self.logic.quantify.measurements)
        images = row([masks, plain])
        eyes = []
        for quantity in ("edema", "transmurality"):
            self.logic.quantify.setBullsEye(quantity)
            eye = findChart(self.scene)
            fitToView(eye, *VIEW_SIZE)
            eyes.append(Image.fromarray(chart_picture(eye, *VIEW_SIZE)))
        self.logic.quantify.setBullsEye("scar")
        plot = Image.fromarray(chart_picture(chart, images.width, 320))
        return column([images, plot, row(eyes)])

    def scarMass(self) -> float:
        """Scar with MVO in g, as the live table shows it."""
        return self.logic.quantify.masses["scar"].mass_g

    def scarInSlice(self, labels: np.ndarray) -> float:
        """Scar of a label map in the worst slice, in g."""
        from myops import labels as regions
        from myops.quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML

        voxels = np.count_nonzero(regions.scar(labels[self.worst]))
        voxel_ml = self.logic.patient.case.geometry.voxel_volume_ml
        return float(voxels * voxel_ml * MYOCARDIAL_DENSITY_G_PER_ML)

    def trueMass(self) -> float:
        """The infarct that the phantom was made with, in g."""
        from myops.quantify.mass import tissue_masses

        case = self.logic.patient.case
        assessed = frozenset({"scar"})
        return tissue_masses(self.truth(), assessed, case.geometry.voxel_volume_ml)["scar"].mass_g

    def truth(self) -> np.ndarray:
        """The phantom's own label map on the case's grid."""
        import SimpleITK as sitk

        from myops.geometry.canonical import to_canonical

        path = next(self.folder.glob(f"Patient {self.patient:02d}/*_gd.nii.gz"))
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        return to_canonical(array, self.logic.patient.case.original)

    def worstSlice(self) -> int:
        """The slice with the largest error of scar."""
        from myops import labels as regions

        wrong = regions.scar(self.logic.correction.labels) != regions.scar(self.truth())
        wrong[list(self.corrected)] = False
        self.worst = int(wrong.sum(axis=(1, 2)).argmax())
        return self.worst

    def sliceWithMostScar(self) -> int:
        """The slice with the largest scar."""
        from myops import labels as regions

        return int(regions.scar(self.logic.correction.labels).sum(axis=(1, 2)).argmax())

    def ras(self, row: float, column: float) -> Sequence[float]:
        """A pixel of the worst slice in the world."""
        from MyoPSSegmenterLib.Scene.SceneBridge import worldFromVoxel

        return worldFromVoxel(self.logic.patient.case, self.worst, row, column)

    # Waiting

    def wait(self, until: Callable[[], bool]) -> None:
        """Let the event loop run until something is so."""
        end = time.monotonic() + TIMEOUT_S
        while not until():
            if time.monotonic() > end:
                raise TimeoutError("expected the step to end, found it still running")
            self.logic.poll(giveMs=20)
        self.settle()

    def waitShort(self, until: Callable[[], bool]) -> None:
        """Let the event loop run until something is so, not longer."""
        while not until():
            self.logic.poll(giveMs=10)

    def settle(self) -> None:
        """Let the event loop run until nothing is left to do."""
        from PySide6 import QtWidgets

        quiet = 0
        end = time.monotonic() + TIMEOUT_S
        while quiet < 25 and time.monotonic() < end:
            self.logic.poll(giveMs=20)
            busy = self.logic.work.isBusy or self.logic.quantify.stale
            quiet = 0 if busy else quiet + 1
        QtWidgets.QApplication.processEvents()


def largestError(
    labels: np.ndarray, truth: np.ndarray, least_depth: float
) -> tuple[tuple[int, int], bool] | None:
    """Middle (row, column) of the largest island of wrong scar in a slice, and whether it misses.

    Args:
        labels: MyoPS values (rows, columns).
        truth: the same.
        least_depth: an island counts whose middle is so many pixels away from its edge.

    Returns:
        None if no island counts.
    """
    from scipy import ndimage

    from myops import labels as regions

    best: tuple[float, tuple[int, int], bool] | None = None
    for positive in (True, False):
        given, true = regions.scar(labels), regions.scar(truth)
        wrong = (true & ~given) if positive else (given & ~true)
        islands, count = ndimage.label(wrong)
        for island in range(1, count + 1):
            inside = islands == island
            depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
            place = np.unravel_index(int(depth.argmax()), depth.shape)
            if depth.max() >= least_depth and (best is None or inside.sum() > best[0]):
                best = (float(inside.sum()), (int(place[0]), int(place[1])), positive)
    return None if best is None or best[0] < 3 else best[1:]


# Putting pictures together


def titled(picture: Image.Image, title: str) -> Image.Image:
    """A view with its name in the upper left corner."""
    made = picture.copy()
    draw = ImageDraw.Draw(made)
    draw.text((10, 8), title, font=font(17), fill=TEXT, stroke_width=2, stroke_fill=LABEL)
    return made


def caption(text: str, width: int) -> Image.Image:
    """A line of text."""
    made = Image.new("RGB", (width, 40), BACKGROUND)
    ImageDraw.Draw(made).text((10, 8), text, font=font(18), fill=TEXT)
    return made


def font(size: int) -> Any:
    """A font with minus signs, which comes with matplotlib."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / "DejaVuSans.ttf"), size)


def row(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures from left to right."""
    width = sum(p.width for p in pictures) + GAP * (len(pictures) - 1)
    made = Image.new("RGB", (width, max(p.height for p in pictures)), BACKGROUND)
    left = 0
    for picture in pictures:
        made.paste(picture, (left, 0))
        left += picture.width + GAP
    return made


def column(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures from top to bottom."""
    height = sum(p.height for p in pictures) + GAP * (len(pictures) - 1)
    made = Image.new("RGB", (max(p.width for p in pictures), height), BACKGROUND)
    top = 0
    for picture in pictures:
        made.paste(picture, (0, top))
        top += picture.height + GAP
    return made


def beside(panel: Image.Image, views: Image.Image) -> Image.Image:
    """The panel to the left of the views, as in Slicer."""
    return row([panel, views])


def write(picture: Image.Image, path: Path) -> None:
    """Write a small PNG: a palette where full color would be too large."""
    picture.save(path, optimize=True)
    if path.stat().st_size > LARGEST_BYTES:
        picture.quantize(256, method=Image.Quantize.MEDIANCUT).save(path, optimize=True)
    if path.stat().st_size > LARGEST_BYTES:
        raise RuntimeError(f"{path} is larger than {LARGEST_BYTES} bytes; draw less")


if __name__ == "__main__":
    main()
