"""The circle heart in the scene: small images, numbers known by hand, tests without torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from circle_heart import circle_case, circle_segmentation, sitk_image

from MyoPSSegmenterLib.ModuleLogic import MyoPSLogic
from MyoPSSegmenterLib.Scene.SceneBridge import arrayOf, volumeFromImage
from MyoPSSegmenterLib.Scene.SegmentationNodes import createSegmentationNode

SCAR = 2221


def listeningLogic(scene: Any) -> Any:
    """The module's logic, with (level, text) of all that it says to the user in `said`."""
    made: Any = MyoPSLogic(scene)
    made.said = []
    made.events.connect("message", lambda text, level="info": made.said.append((level, text)))
    return made


def load(logic: Any) -> None:
    """The circle heart's images, as volumes that the user has chosen."""
    images = circle_case().images
    logic.patient.setVolumes(
        **{
            key: volumeFromImage(logic.scene, sitk_image(images[key]), key.upper())
            for key in images
        }
    )


def segment(logic: Any, labels: np.ndarray | None = None) -> None:
    """A segmentation of the present images that can be corrected: the circle heart's, or other."""
    case = logic.patient.case
    node = createSegmentationNode(
        logic.scene, case, logic.patient.referenceNode, "Heart", {"scar", "edema"}
    )
    logic.correction.start(case, circle_segmentation(case, labels), node)


def begin(logic: Any) -> None:
    """A patient with a segmentation that can be corrected."""
    load(logic)
    segment(logic)


def paint(logic: Any, index: int = 2) -> np.ndarray:
    """What the Segment Editor does: a spot of scar where there was none; returns the labels."""
    wanted = logic.correction.labels.copy()
    wanted[index, 62:66, 46:50] = SCAR
    layer = logic.correction.node.GetSegmentation().GetSegment("scar")
    image = layer.GetRepresentation("Binary labelmap")
    arrayOf(image)[index, 62:66, 46:50] = layer.GetLabelValue()
    image.Modified()
    logic.correction.node.GetSegmentation().Modified()
    logic.correction.node.InvokeEvent(
        logic.correction.node.GetSegmentation().SourceRepresentationModified
    )
    return wanted
