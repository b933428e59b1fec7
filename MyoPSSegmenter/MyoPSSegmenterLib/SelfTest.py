"""The module's self-test in Slicer: the sample patient from files to grams."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from MyoPSSegmenterLib.Runtime import Dependencies
from MyoPSSegmenterLib.SampleData import makeSamplePatient, sampleFolder

if TYPE_CHECKING:
    from myops.quantify.mass import TissueMass
    from MyoPSSegmenterLib.ModuleLogic import MyoPSLogic

# A slow laptop without a graphics card.
TIMEOUT_S = 600.0


def segmentSamplePatient(logic: MyoPSLogic, folder: str | Path) -> Mapping[str, TissueMass] | None:
    """Make, load, segment and measure the sample patient.

    Args:
        logic: of an empty scene.
        folder: gets the sample patient's files.

    Returns:
        Tissue to mass; None where the packages for the networks are not installed.

    Raises:
        RuntimeError: the segmentation was not made.
    """
    sample = sampleFolder(folder)
    makeSamplePatient(sample)
    logic.patient.loadFolder(sample)
    if Dependencies.missing("automatic"):
        return None
    task = logic.automatic.run("auto")
    if task is None:
        raise RuntimeError(f"expected a run, found none: {logic.patient.ready()}")
    logic.work.waitFor(task, TIMEOUT_S)
    if logic.correction.labels is None:
        raise RuntimeError(f"expected a segmentation, found a task that {task.state}: {task.error}")
    return logic.quantify.masses
