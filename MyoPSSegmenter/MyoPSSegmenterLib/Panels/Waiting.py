"""What each step and tool waits for: sentences for tooltips. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from MyoPSSegmenterLib.Runtime import Dependencies

if TYPE_CHECKING:
    from MyoPSSegmenterLib.Panels.PanelLogic import PanelLogic

STEPS = ("patient", "automatic", "correct", "quantify", "study", "export")


def waitsFor(logic: PanelLogic) -> dict[str, tuple[str, str] | None]:
    """For each of `STEPS`: words for its title and a sentence for its tooltip; None if ready."""
    segmented = None if logic.correction.labels is not None else _segmentation(logic)
    return {
        "patient": None,
        "automatic": _automatic(logic),
        "correct": segmented,
        "quantify": segmented,
        "study": None,
        "export": segmented,
    }


def _automatic(logic: PanelLogic) -> tuple[str, str] | None:
    missing = logic.patient.ready()
    if missing is not None:
        return _("waits for a patient"), missing
    if Dependencies.missing("automatic"):
        return _("waits for installation"), installFirst()
    return None


def _segmentation(logic: PanelLogic) -> tuple[str, str]:
    if logic.automatic.isRunning:
        return _("waits for step 2"), _("Waits for the automatic segmentation, which is running.")
    sentence = _(
        "Waits for a segmentation: press Run in step 2, or open a finished patient in step 5."
    )
    return _("waits for step 2"), sentence


def prompts(logic: PanelLogic) -> str | None:
    """Why clicks and boxes cannot be placed now; None if they can."""
    if Dependencies.missing("automatic"):
        return installFirst()
    return logic.correction.refinerProblem or None


def installFirst() -> str:
    """What to do while packages are missing."""
    return _("Waits for packages that are not installed: press Install at the top of the panel.")
