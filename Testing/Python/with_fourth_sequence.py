"""What the package makes of a patient with a native T1 map: JSON for `test_rows_by_data`."""

import json
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from circle_heart import (
    circle_case,
    circle_labels,
    circle_lge,
    circle_segmentation,
    sitk_image,
)
from click.testing import CliRunner

from myops.cascade.network_inputs import finder_input, refiner_box, refiner_input
from myops.cascade.segment import CascadeConfig, _warnings
from myops.case import load_case, load_case_folder
from myops.cli import cli
from myops.dicom.series_names import sequence_word
from myops.errors import InputError
from myops.io.file_names import find_sequences
from myops.output.results import write_results
from myops.quantify.measure import measure
from myops.report.panels import make_tiles

labels = circle_labels()
t1 = (400 + 800 * (labels > 0) + circle_lge(labels, 3) / 9).astype(np.float32)
names = ("bssfp", "lge", "t2", "t1_map")
case = circle_case(labels, names, changed={"t1_map": t1})
without = circle_case(labels)
folder = Path(tempfile.mkdtemp())
for name, suffix in zip(names, ("C0", "DE", "T2", "T1map")):
    sitk.WriteImage(sitk_image(case.images[name]), str(folder / f"p_{suffix}.nii.gz"))
told = {"found": {key: paths[0].name for key, paths in find_sequences(folder).items()}}
told["folder"] = load_case_folder(folder).sequences
files = {"lge": folder / "p_DE.nii.gz", "t1_map": folder / "p_T1map.nii.gz"}
told["mapping"] = load_case(files).sequences
told["keywords"] = load_case(**files).sequences
try:
    load_case(t1_map=files["t1_map"])
except InputError as error:
    told["alone"] = str(error)
told["series"] = sequence_word("SAX T1 map native"), sequence_word("T2 map"), sequence_word("LGE")
told["help"] = CliRunner().invoke(cli, ["segment", "--help"]).output
told["info"] = CliRunner().invoke(cli, ["info", str(folder)]).output

segmentation = circle_segmentation(case, labels, _warnings(case, CascadeConfig()))
box = refiner_box(segmentation)
seen = (
    finder_input(case.images, case.geometry.spacing_mm),
    *refiner_input(case, segmentation, box, 64),
)
same = (
    finder_input(without.images, case.geometry.spacing_mm),
    *refiner_input(without, segmentation, box, 64),
)
told["shapes"] = [list(one.shape) for one in seen]
told["same"] = all(np.array_equal(*pair) for pair in zip(seen, same))
told["assessed"] = sorted(segmentation.assessed)
out = folder / "out"
write_results(out, case, segmentation, measure(case, segmentation))
told["report"] = (out / "report.html").read_text("utf-8")
told["images"] = sorted(json.loads((out / "measurements.json").read_text("utf-8"))["images_sha256"])
tiles = make_tiles(case, segmentation, measure(case, segmentation))
told["columns"] = [one.title for one in tiles.columns.values()]
told["outlines"] = sorted(tiles.columns["t1_map"].outlines)
print(json.dumps(told))
