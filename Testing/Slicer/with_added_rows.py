"""What the Slicer layer makes of a fourth sequence and a new structure, as JSON."""

import json
import tempfile
from pathlib import Path

import numpy as np
from circle_heart import circle_case, circle_labels, circle_lge
from made_scene import Scene
from standins.desktop import closePanel, desktop, openPanel
from table_columns import tableColumns

from myops.case import restore
from myops.quantify.mass import tissue_masses
from MyoPSSegmenterLib.Scene import MeasurementTables
from MyoPSSegmenterLib.Scene.SceneBridge import volumeFromImage
from MyoPSSegmenterLib.Scene.SegmentationNodes import (
    createSegmentationNode,
    publishLabels,
    readLabels,
)
from MyoPSSegmenterLib.Scene.Views import VIEWS, showSequences

made = Scene(Path(tempfile.mkdtemp()))
scene = made.scene
labels = circle_labels()
names = ("bssfp", "lge", "t2", "t1_map")
case = circle_case(labels, names, changed={"t1_map": 400.0 + circle_lge(labels, 3)})
nodes = {n: volumeFromImage(scene, restore(case, case.images[n]), n) for n in names}
labels[2, 30:33, 46:51][labels[2, 30:33, 46:51] == 2221] = 2223
told = {"voxels": int((labels == 2223).sum())}

showSequences(scene, nodes, None, case)
layout = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
told["layout"] = layout.GetCurrentLayoutDescription() or layout.GetLayoutDescription(
    layout.GetViewArrangement()
)
told["view"] = VIEWS["t1_map"]

node = createSegmentationNode(scene, case, nodes["lge"], "Heart")
publishLabels(node, case, labels)
segment = node.GetSegmentation().GetSegment("hemorrhage")
told["segment"] = [segment.GetName(), segment.GetLabelValue()]
told["kept"] = bool(np.array_equal(readLabels(node, case), labels))
masses = tissue_masses(labels, frozenset({"scar", "edema"}), 0.0225)
MeasurementTables.updateMassTable(scene, masses)
told["rows"] = tableColumns(MeasurementTables.massTable(scene))["Tissue"]

with desktop(scene) as windows:
    panel = openPanel()
    patient = panel.logic.myops.patient
    patient.setVolumes(**nodes)
    selector = panel.workflow.panels["patient"].ui.t1_mapSelector
    told["selected"] = selector.currentNode() is nodes["t1_map"]
    selector.setCurrentNode(None)
    told["left"] = list(patient.volumes)
    selector.setCurrentNode(nodes["t1_map"])
    told["chosen"] = list(patient.volumes)
    told["sequences"] = list(patient.case.sequences)
    told["swaps"] = len(panel.workflow.panels["patient"]._actions)
    told["errors"] = [str(one) for one in windows.errors]
    closePanel(panel)
made.close()
print(json.dumps(told))
