"""What the package makes of a site's own label files: JSON for `test_rows_by_data`."""

import json
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from circle_heart import circle_case, circle_labels, sitk_image
from click.testing import CliRunner

from myops.cli import cli
from myops.datasets import case_loaders
from myops.errors import InputError
from myops.evaluation.metrics import compare_files
from myops.io.pixels import read_pixels
from myops.label_maps import anatomy_warnings, read_label_file
from myops.study.masks import scar_mass_g

labels = circle_labels()
drawn = np.select([labels == 500, labels == 2221, np.isin(labels, (200, 1220))], [10, 30, 20], 0)
folder = Path(tempfile.mkdtemp())
path = folder / "p_gd.nii.gz"
sitk.WriteImage(sitk_image(drawn.astype(np.uint8)), str(path))
sitk.WriteImage(sitk_image(circle_case().images["lge"]), str(folder / "p_DE.nii.gz"))
told = {"values": np.unique(read_label_file(path, "site").labels).tolist()}
told["dice"] = compare_files(path, path, "site")["scar"].dice
told["scar_g"] = scar_mass_g(path, "site")
told["true_g"] = float(np.count_nonzero(labels == 2221) * 1.5 * 1.5 * 10 / 1000 * 1.05)
(read,) = case_loaders(folder, "site")
told["dataset"] = bool(((read().labels == 2221) == (drawn == 30)).all())
(told["warning"],) = anatomy_warnings(np.where(labels == 600, 500, labels * (labels != 500)), "x")
runner = CliRunner()
told["help"] = {
    command: runner.invoke(cli, [*command.split(), "--help"]).output
    for command in ("quantify", "compare", "evaluate interactive", "finetune")
}
done = runner.invoke(cli, ["quantify", str(path), str(folder), "--convention", "site"])
told["quantified"] = done.output
told["unknown"] = runner.invoke(
    cli, ["quantify", str(path), str(folder), "--convention", "x"]
).stderr
try:
    read_pixels(sitk_image(drawn.astype(np.uint8)), "lge")
except InputError as error:
    told["image"] = str(error)
print(json.dumps(told))
