"""Conventional rules on real infarcts agree, case by case, with the same rules in plain numpy."""

import numpy as np
import pytest
from plain_thresholds import plain_dice

from myops.datasets import read_emidec
from myops.labels import normal_myocardium, scar
from myops.quantify.mass import dice
from myops.quantify.thresholds.methods import ConventionalSettings, conventional_methods


@pytest.mark.slow
def test_every_rule_has_the_dice_of_its_plain_formula_on_each_case(real_hearts):
    paths = sorted((real_hearts / "emidec").glob("Case_P*/*_LGE.nii.gz"))
    assert paths
    for path in paths:
        found = read_emidec(path)
        case = found.to_case()
        labels, _ = found.truth_for(case)
        results = conventional_methods(
            case.images["lge"],
            labels,
            case.geometry.spacing_mm,
            ConventionalSettings(fill_dark_cores=False),
            normal_myocardium(labels),
        )
        truth = path.with_name(path.name.replace("_LGE", "_gt"))
        for rule, expected in plain_dice(path, truth).items():
            # Otsu looks at 256 bins, the plain one at every cut.
            limit = 0.02 if rule.startswith("otsu") else 1e-9
            assert abs(dice(results[rule].mask, scar(labels)) - expected) <= limit, (path, rule)


def test_the_plain_otsu_cuts_between_two_clusters():
    from plain_thresholds import _best_cut

    values = np.concatenate([np.full(30, 10.0), np.full(5, 12.0), np.full(10, 90.0)])
    assert _best_cut(values) == 12.0
    assert (values > _best_cut(values)).sum() == 10
    assert _best_cut(np.array([1.0, 2.0, 9.0, 10.0])) == pytest.approx(2.0)
