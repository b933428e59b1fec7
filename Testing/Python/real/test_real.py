"""Real hearts, where the folder with them is there; never trained on, see Docs/results.md.

The limits are far below what is measured: they notice a broken pipeline, they are no claim.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from myops.cascade.segment import segment
from myops.case import load_case, restore
from myops.labels import CONVENTIONS, lv_region
from myops.weights.files import load_models

ROOT = Path(os.environ.get("MYOPS_REAL", Path(__file__).parents[4] / "shared" / "real"))
EMIDEC = ROOT / "emidec" / "Case_N046"
ACDC = ROOT / "acdc" / "patient078_frame01.nii.gz"

pytestmark = pytest.mark.skipif(
    not ROOT.is_dir(), reason="the real hearts (../shared/real or MYOPS_REAL) are not here"
)


def lv_dice(case, truth):
    labels = sitk.GetArrayFromImage(restore(case, segment(case, load_models("cpu")).labels))
    found, true = lv_region(labels), lv_region(truth)
    return 2 * (found & true).sum() / (found.sum() + true.sum())


def read(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.mark.slow
def test_the_ventricle_is_found_in_an_lge_stack_alone():
    case = load_case(lge=EMIDEC / "Case_N046_LGE.nii.gz")
    truth = CONVENTIONS["emidec"].to_myops(read(EMIDEC / "Case_N046_gt.nii.gz"))
    assert lv_dice(case, truth) > 0.7


@pytest.mark.slow
def test_the_ventricle_is_found_in_a_cine_frame_alone():
    truth = CONVENTIONS["acdc"].to_myops(
        np.round(read(ACDC.with_name("patient078_frame01_gt.nii.gz"))).astype(int)
    )
    assert lv_dice(load_case(bssfp=ACDC), truth) > 0.7
