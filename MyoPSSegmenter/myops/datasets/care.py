"""MyoPS++ (CARE 2024 and 2025, Ding et al. 2023): `ID_gd` beside `ID_LGE`, `ID_C0`, `ID_T2`.

Seven centers, MyoPS values. A has LGE alone with scar, left ventricle and myocardium; E, F and G
have LGE and bSSFP; B, C and D have all three and edema too. What a center has not drawn is no
"none": edema is told only where there is a T2. The files are those of MyoPS 2020, with LGE in place
of DE. The losses of the trainings leave out what a missing sequence would show
(`training.stages.prsn`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from myops.datasets import myops
from myops.datasets.files import SUFFIX, beside
from myops.datasets.labeled_case import LabeledCase
from myops.labels import DEFAULT_CONVENTION
from myops.structures import ASSESSABLE, SHOWN_BY

PATTERN = f"*_gd{SUFFIX}"


def is_labeled(path: Path) -> bool:
    """Whether a `*_gd` file has an LGE under this data set's name beside it."""
    return beside(path, "_gd", "_LGE").exists()


def read_care(path: Path, convention: str = DEFAULT_CONVENTION) -> LabeledCase:
    """A patient of MyoPS++ by its `*_gd` file; raises InputError like `myops.read_myops`."""
    found = myops.read_myops(path, convention)
    unseen = {name for name in ASSESSABLE if SHOWN_BY[name] not in found.images}
    return replace(found, dataset="myops++", structures=found.structures - unseen)
