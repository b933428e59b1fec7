"""Whom weights have learned from: patients known by their voxels, checksums that are passed on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from oblique import OBLIQUE

from myops.datasets import LabeledCase
from myops.errors import InputError
from myops.io.images import read_image
from myops.weights.learned import (
    UNNAMED,
    by_patient,
    case_sha256,
    image_checksums,
    learned_in,
    refuse_learned,
)

SPACING_MM = (1.5, 1.2, 10.0)


def scan(seed: int, shape: tuple[int, int, int] = (3, 8, 6)) -> sitk.Image:
    values = np.random.default_rng(seed).integers(0, 900, shape).astype(np.int16)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(SPACING_MM)
    return image


def case(
    name: str, images: Mapping[str, sitk.Image], dataset: str = "myops", label: int = 200
) -> LabeledCase:
    labels = np.full((3, 8, 6), label, np.uint16)
    return LabeledCase(dataset, name, images, labels, np.ones(3, bool), frozenset({"scar"}))


def test_a_copy_is_recognized_however_it_was_saved(tmp_path):
    original = scan(1)
    oblique = sitk.Image(original)
    oblique.SetDirection(OBLIQUE)
    copies = [
        sitk.Flip(original, (True, False, True)),
        sitk.PermuteAxes(original, (1, 2, 0)),
        sitk.Cast(original, sitk.sitkFloat64),
        oblique,
    ]
    for number, suffix in enumerate((".nii.gz", ".nrrd", ".mha")):
        path = tmp_path / f"{number}{suffix}"
        sitk.WriteImage(oblique, str(path))
        copies.append(read_image(path))
    (expected,) = image_checksums({"lge": original})
    for copy in copies:
        assert image_checksums({"t2": copy}) == {expected}


def test_other_images_are_others_and_one_changed_voxel_is_enough():
    changed = sitk.Image(scan(1))
    changed[2, 3, 1] = changed[2, 3, 1] + 1
    checksums = [image_checksums({"lge": image}) for image in (scan(1), scan(2), changed)]
    assert len(frozenset().union(*checksums)) == 3


def test_an_image_without_contrast_says_nothing_about_whose_it_is():
    blank = sitk.Image((6, 8, 3), sitk.sitkInt16)
    assert image_checksums({"t2": blank}) == frozenset()
    one, other = (case(f"p{k}", {"lge": scan(k), "t2": blank}) for k in (1, 2))
    assert by_patient([one, other]) == [[one], [other]]


def test_what_is_learned_from_a_case_is_its_images_labels_and_size_and_not_its_name():
    first = case("a", {"lge": scan(1)})
    wider = scan(1)
    wider.SetSpacing((1.5, 1.2, 8.0))
    others = [
        case("a", {"lge": scan(2)}),
        case("a", {"lge": scan(1), "t2": scan(2)}),
        case("a", {"bssfp": scan(1)}),
        case("a", {"lge": scan(1)}, label=500),
        case("a", {"lge": wider}),
        replace(first, labeled=np.array([True, True, False])),
        replace(first, structures=frozenset({"scar", "edema"})),
    ]
    assert case_sha256(replace(first, name="b", dataset="approved")) == case_sha256(first)
    assert len({case_sha256(one) for one in (first, *others)}) == 8


def test_cases_that_share_an_image_are_one_patient_also_by_way_of_a_third():
    a = case("a", {"lge": scan(1)})
    b = case("b", {"lge": scan(2), "t2": scan(3)})
    c = case("c", {"lge": scan(1), "t2": scan(3)})
    d = case("d", {"lge": scan(4)})
    assert by_patient([a, b, c, d]) == [[a, b, c], [d]]


@pytest.mark.parametrize(
    ("first", "second", "other"),
    [
        ("patient001_frame01", "patient001_frame12", "patient002_frame01"),  # ACDC
        ("A0S9V9_sa_ED", "A0S9V9_sa_ES", "A0S9V8_sa_ED"),  # M&Ms
    ],
)
def test_both_frames_of_a_patients_cine_are_one_patient(first, second, other):
    cases = [
        case(name, {"bssfp": scan(seed)}, "cine")
        for seed, name in enumerate((first, other, second))
    ]
    groups = [sorted(one.name for one in patient) for patient in by_patient(cases)]
    assert sorted(groups) == sorted([[first, second], [other]])
    elsewhere = case(second, {"bssfp": scan(7)}, "another set")
    assert len(by_patient([cases[0], elsewhere])) == 2


def test_records_tell_what_was_learned_as_values_or_as_text():
    assert learned_in({"learned": ["x", "y"], "config": {"cases": "cases"}}) == {"x", "y"}
    assert learned_in({"learned": json.dumps(["x"]), "config": json.dumps({})}) == {"x"}
    assert learned_in({}) == learned_in({"config": {"cases": ""}}) == frozenset()


def test_weights_of_an_earlier_version_that_do_not_name_their_cases_are_never_compared():
    learned = learned_in({"config": json.dumps({"cases": "site/cases"})})
    assert learned == {UNNAMED}
    with pytest.raises(InputError, match="the model comes from an earlier version that did not"):
        refuse_learned([], learned, "the model")


def test_a_case_that_was_learned_from_is_refused_by_name():
    cases = [case(f"p{seed}", {"lge": scan(seed), "t2": scan(seed + 10)}) for seed in range(3)]
    learned = image_checksums({"any": scan(12)})  # the T2 of p2
    refuse_learned(cases[:2], learned, "PRSN")
    with pytest.raises(InputError, match="expected cases that PRSN has not learned from, found p2"):
        refuse_learned(cases, learned, "PRSN")
