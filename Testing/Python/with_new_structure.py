"""What the package makes of a heart with marked hemorrhage: JSON for `test_rows_by_data`."""

import json
import tempfile
from pathlib import Path

import numpy as np
from circle_heart import circle_case, circle_labels, circle_segmentation, sitk_image

from myops import labels as regions
from myops.evaluation.metrics import compare
from myops.io.seg_nrrd import with_segment_headers
from myops.output.results import write_results
from myops.quantify.mass import tissue_masses
from myops.quantify.measure import measure
from myops.quantify.text import as_text
from myops.refine.state_tables import KNOWN_LABELS
from myops.report.figures import legend_names
from myops.report.panels import make_tiles

plane = np.array([[200] * 60 + [2221] * 30 + [2223] * 10 + [500] * 50], np.uint16)
masses = tissue_masses(plane, frozenset({"scar", "edema"}), 0.1)
told = {"g": {name: masses[name].mass_g for name in ("scar", "hemorrhage", "lv_myocardium")}}
unmarked = tissue_masses(np.minimum(plane, 2221), frozenset({"scar", "edema"}), 0.1)["hemorrhage"]
told["reason"] = unmarked.reason
told["known"] = bool(2223 in KNOWN_LABELS and (regions.to_known_labels(plane) == plane).all())
told["scar"] = int(regions.scar(plane).sum())
other = np.where(plane == 2223, 2221, plane)
told["dice"] = (
    compare(other, plane, None)["hemorrhage"].dice,
    compare(other, plane, None)["scar"].dice,
)
told["compared"] = list(compare(other, other, None))
header = with_segment_headers(sitk_image(plane[None]), frozenset({"scar"}))
told["header"] = {key: header.GetMetaData(key) for key in header.GetMetaDataKeys()}
labels = circle_labels()
labels[2, 31:34, 46:51] = np.where(labels[2, 31:34, 46:51] == 2221, 2223, labels[2, 31:34, 46:51])
told["voxels"] = int((labels == 2223).sum())
case = circle_case(circle_labels())
segmentation = circle_segmentation(case, labels)
measured = measure(case, segmentation)
out = Path(tempfile.mkdtemp())
write_results(out, case, segmentation, measured)
told["report"] = (out / "report.html").read_text("utf-8")
told["json"] = json.loads((out / "measurements.json").read_text("utf-8"))["tissues"]["hemorrhage"]
told["text"] = as_text(measured)
tiles = make_tiles(case, segmentation, measured)
told["outlined"] = [name for name, one in tiles.columns.items() if "hemorrhage" in one.outlines]
told["legend"] = legend_names(tiles)["hemorrhage"]
print(json.dumps(told))
