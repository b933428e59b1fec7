"""Step 3: choose a structure and click; rules, edits of the whole structure, and proposals."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from myops.structures import ASSESSABLE, CORRECTED, MEASURED, STRUCTURES
from MyoPSSegmenterLib.Panels.Panel import Panel, offer
from MyoPSSegmenterLib.Panels.PanelLogic import PanelLogic
from MyoPSSegmenterLib.Panels.Waiting import prompts

# As Correction.ui names them: "bloodPoolButton".
BUTTONS = {name: name[0] + name.title().replace("_", "")[1:] + "Button" for name in CORRECTED}
TOOLS = {"positive": "addButton", "negative": "removeButton", "box": "boxButton"}
PLAIN_THRESHOLD = 0.5
FRAME = "#606060"
# Tools whose tooltip changes with what they wait for.
OFFERED = (
    *BUTTONS.values(),
    *TOOLS.values(),
    *("undoButton", "redoButton", "carryButton", "lookButton", "thresholdSlider"),
)


class CorrectionPanel(Panel):
    """Structure, prompts, undo, carrying to neighbors, and edits of the whole structure."""

    def __init__(self, logic: PanelLogic, ui: Any, root: Any) -> None:
        super().__init__(logic, ui, root)
        self._tips = {name: getattr(ui, name).toolTip for name in OFFERED}
        self._connectPrompts()
        self._connectEdits()
        for topic in ("prompts", "automatic", "clear"):
            self.listen(topic, self.update)
        self.listen("history", self._offerHistory)
        self.listen("proposal", self._showProposal)
        self.listen("numbers", self.showMasses)
        self._paintButtons()

    def _connectPrompts(self) -> None:
        ui = self.ui
        for structure, name in BUTTONS.items():
            self.connect(getattr(ui, name), "clicked()", self._structureChooser(structure))
        for kind, name in TOOLS.items():
            self.connect(getattr(ui, name), "clicked()", self._toolChooser(kind))
        correction = self.logic.correction
        self.connect(ui.undoButton, "clicked()", self.undo)
        self.connect(ui.redoButton, "clicked()", self.redo)
        self.connect(ui.carryButton, "clicked()", correction.proposePropagation)
        self.connect(ui.acceptButton, "clicked()", self.acceptProposal)
        self.connect(ui.refuseButton, "clicked()", self.refuseProposal)
        self.connect(ui.lookButton, "clicked()", self.lookNext)

    def _connectEdits(self) -> None:
        ui, correction = self.ui, self.logic.correction
        self.connect(ui.thresholdSlider, "valueChanged(double)", self.setThreshold)
        self.connect(ui.expandButton, "clicked()", lambda: correction.expand(self._step))
        self.connect(ui.shrinkButton, "clicked()", lambda: correction.shrink(self._step))
        self.connect(ui.smoothButton, "clicked()", lambda: correction.smooth(self._step))
        self.connect(ui.segmentEditorButton, "clicked()", self.openSegmentEditor)

    @property
    def _step(self) -> float:
        return self.ui.stepSpinBox.value

    @property
    def tool(self) -> str | None:
        """What the mouse places now: "positive", "negative", "box" or None."""
        return self.logic.correction.placing

    def update(self, **_values: object) -> None:
        """Show the logic's state; harmless at any time."""
        correction = self.logic.correction
        getattr(self.ui, BUTTONS[correction.structure]).checked = True
        self._offerStructures()
        self._offerTools()
        self._offerHistory()
        self._showProposal()
        self.ui.hintLabel.text = self._hint()

    def parametersChanged(self) -> None:
        """Hand rules and opacity to the logic, where they differ."""
        correction, wanted = self.logic.correction, self.parameters
        rules = correction.rules
        asked = (wanted.keepScarInside, wanted.allowBloodPool, wanted.moveWall)
        if (rules.keep_inside, rules.allow_blood_pool, rules.move_wall) != asked:
            correction.setRules(*asked)
        if correction.node is not None:
            correction.setOpacity(wanted.overlayOpacity)
        correction.setFilled(wanted.fillColors)

    def chooseStructure(self, structure: str) -> None:
        """What the next clicks are about; the tool falls back to + where one is in hand."""
        if not getattr(self.ui, BUTTONS[structure]).enabled:
            return
        self.logic.correction.setStructure(structure)
        self._resetThreshold()
        self.update()

    def useTool(self, kind: str) -> None:
        """Take a tool in hand; choosing it again lays it down."""
        if not getattr(self.ui, TOOLS[kind]).enabled:
            return
        self.logic.correction.startPlacing(kind)
        self.update()

    def stopTool(self) -> None:
        """Lay the tool down: clicks in the images are Slicer's again."""
        self.logic.correction.stopPlacing()
        self.update()

    def showMasses(self, **_values: object) -> None:
        """Scar and edema in grams, where the eye is while clicking; all else is in step 4."""
        masses = self.logic.quantify.masses
        # Named as in the table of step 4.
        shown = [(_(MEASURED[name].amount_title), masses.get(name)) for name in ASSESSABLE]
        texts = [f"{title} {massText(mass)}" for title, mass in shown if massText(mass)]
        self.ui.massLabel.text = "     ".join(texts)

    def setThreshold(self, value: float) -> None:
        """Make the structure what is at least so certain; ask before manual work is replaced."""
        question = self.logic.correction.thresholdQuestion()
        if question is None or slicer.util.confirmYesNoDisplay(question):
            self.logic.correction.threshold(value)
        else:
            self._resetThreshold()

    def undo(self) -> None:
        """Take the last change back."""
        self.logic.correction.undo()
        self._resetThreshold()

    def redo(self) -> None:
        """Do it again."""
        self.logic.correction.redo()
        self._resetThreshold()

    def acceptProposal(self) -> None:
        """Take the proposal over, if there is one."""
        if self.logic.correction.proposal is not None:
            self.logic.correction.acceptProposal()

    def refuseProposal(self) -> None:
        """Discard the proposal; without one, lay the tool down."""
        if self.logic.correction.proposal is not None:
            self.logic.correction.refuseProposal()
        else:
            self.stopTool()

    def lookNext(self) -> None:
        """Go to the slice where a correction is most likely needed."""
        suggestion = self.logic.correction.lookHereNext()
        if suggestion is None:
            return  # the logic has said so
        from MyoPSSegmenterLib.Scene.Views import setSlice

        setSlice(self.logic.scene, self.logic.correction.case, suggestion.slice_index)

    def toggleOverlay(self) -> None:
        """Hide the colors, those of the masks beside the labels too, or show them again."""
        from MyoPSSegmenterLib.Scene.OverlayNodes import overlayOf

        node = self.logic.correction.node
        if node is None or node.GetDisplayNode() is None:
            return
        shown = not node.GetDisplayNode().GetVisibility()
        for one in (node, overlayOf(node)):
            if one is not None:
                one.GetDisplayNode().SetVisibility(shown)

    def openSegmentEditor(self) -> None:
        """Go to Slicer's Segment Editor with the same segmentation; the numbers follow it."""
        node, volume = self.logic.correction.node, self.logic.patient.referenceNode
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(node)
        editor.setSourceVolumeNode(volume)

    def _structureChooser(self, structure: str) -> Any:
        return lambda: self.chooseStructure(structure)

    def _toolChooser(self, kind: str) -> Any:
        return lambda: self.stopTool() if self.tool == kind else self.useTool(kind)

    def _resetThreshold(self) -> None:
        slider = self.ui.thresholdSlider
        was = slider.blockSignals(True)
        slider.value = PLAIN_THRESHOLD
        slider.blockSignals(was)

    def _offer(self, name: str, reason: str | None) -> None:
        offer(getattr(self.ui, name), reason, self._tips[name])

    def _offerStructures(self) -> None:
        for structure, _title, reason in self.logic.correction.structures():
            self._offer(BUTTONS[structure], reason)

    def _offerTools(self) -> None:
        reason = prompts(self.logic)
        for kind, name in TOOLS.items():
            self._offer(name, reason)
            getattr(self.ui, name).checked = self.tool == kind
        for name in ("carryButton", "lookButton"):
            self._offer(name, reason)

    def _offerHistory(self, **_values: object) -> None:
        correction = self.logic.correction
        for name, what, nothing in (
            ("undoButton", correction.undoName, _("Nothing to undo yet.")),
            ("redoButton", correction.redoName, _("Nothing to redo.")),
        ):
            self._offer(name, nothing if what is None else None)
            if what is not None:
                getattr(self.ui, name).toolTip = f"{self._tips[name]}\n{what}"

    def _showProposal(self, **_values: object) -> None:
        from myops.refine.session import WallOffer

        proposal = self.logic.correction.proposal
        self.ui.proposalFrame.visible = proposal is not None
        if isinstance(proposal, WallOffer):
            text = _("Shown in the image: the wall moved by up to {mm:.0f} mm, to hold this scar.")
            self.ui.proposalLabel.text = text.format(mm=proposal.mm)
        elif proposal is not None:
            numbers = [str(carried.slice_index + 1) for carried in proposal.slices]
            one = _("Shown in the images: the same correction on slice {slices}.")
            several = _("Shown in the images: the same correction on slices {slices}.")
            text = one if len(numbers) == 1 else several
            self.ui.proposalLabel.text = text.format(slices=", ".join(numbers))

    def _hint(self) -> str:
        correction = self.logic.correction
        if correction.status:
            return correction.status
        if correction.refinerState == "loading":
            return _("Preparing the images for clicks; you can begin already.")
        hints = {
            None: _("Choose Add or Remove, then click in an image."),
            "positive": _("Click where the structure is missing. Drag a click to move it."),
            "negative": _("Click where it is too much. Drag a click to move it."),
            "box": _("Click two opposite corners around the structure."),
        }
        return hints[self.tool]

    def _paintButtons(self) -> None:
        for structure, name in BUTTONS.items():
            getattr(self.ui, name).setIcon(colorIcon(STRUCTURES[structure].color))


def colorIcon(color: str) -> Any:
    """A colored square for a structure's button, framed: one color is that of the button."""
    picture = qt.QPixmap(14, 14)
    picture.fill(qt.QColor(FRAME))
    painter = qt.QPainter(picture)
    painter.fillRect(1, 1, 12, 12, qt.QColor(color))
    painter.end()
    return qt.QIcon(picture)


def massText(mass: Any) -> str:
    """A tissue's mass for people, "14.2 g (10.5 %)"; empty where it was not assessed."""
    if mass is None or mass.voxels is None:
        return ""
    share = f"{mass.percent_of_lv_mass:.1f} %" if mass.percent_of_lv_mass is not None else ""
    if mass.mass_g is None:
        return share
    return f"{mass.mass_g:.1f} g ({share})" if share else f"{mass.mass_g:.1f} g"
