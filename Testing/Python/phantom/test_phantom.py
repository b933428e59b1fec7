"""The phantom: physics by hand, truth that fits its own images, determinism, files."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from myops.case import load_case_folder
from myops.labels import MYOPS
from myops.phantom import acquisition, signal
from myops.phantom.files import write_cohort, write_patient
from myops.phantom.heart import draw_heart, epicardial_radius, sample_heart
from myops.phantom.patient import PhantomConfig, generate_patient
from myops.phantom.random_fields import smooth_field
from myops.phantom.tissue import (
    AIR,
    EDEMA,
    LV_BLOOD,
    MVO,
    MYOCARDIUM,
    PUBLISHED,
    SCAR,
    sample_tissues,
)

COMPLETE = PhantomConfig(view="heart", dropout=False)
CLEAN = PhantomConfig(view="heart", dropout=False, artifacts=False, random_contrast_share=0.0)


def test_bssfp_signal_equals_the_hand_computed_steady_state():
    # E1 = exp(-0.003), E2 = exp(-0.06), a = 90 degrees: sin = 1, cos = 0, TE = 0:
    # (1 - E1) / (1 - E1 E2)
    expected = (1 - np.exp(-0.003)) / (1 - np.exp(-0.063))
    found = signal.bssfp(np.array(1.0), np.array(1000.0), np.array(50.0), 3.0, 0.0, 90.0)
    assert found == pytest.approx(expected, rel=1e-12)


def test_bssfp_at_tr_near_zero_tends_to_the_known_limit():
    # For TR << T2: S = M0 sin a / ((T1/T2 + 1) - cos a (T1/T2 - 1)) (Scheffler and Lehnhardt 2003)
    t1_ms, t2_ms, angle = 979.0, 64.0, 50.0
    ratio, alpha = t1_ms / t2_ms, np.deg2rad(angle)
    expected = np.sin(alpha) / ((ratio + 1) - np.cos(alpha) * (ratio - 1))
    found = signal.bssfp(np.array(1.0), np.array(t1_ms), np.array(t2_ms), 0.01, 0.0, angle)
    assert found == pytest.approx(expected, rel=1e-3)


def test_inversion_recovery_is_zero_at_the_null_time_and_changes_sign_there():
    t1_ms, trr_ms = np.array(541.0), 1500.0
    null_ms = signal.null_time_ms(541.0, trr_ms)

    def at(ti_ms):
        return signal.inversion_recovery(np.array(1.0), t1_ms, np.array(50.0), ti_ms, trr_ms, 0.0)

    assert at(null_ms) == pytest.approx(0.0, abs=1e-12)
    assert at(null_ms - 20) < 0 < at(null_ms + 20)


def test_null_time_with_full_recovery_is_t1_times_ln_2():
    assert signal.null_time_ms(500.0, 1e6) == pytest.approx(500 * np.log(2))


def test_stir_nulls_fat_at_t1_times_ln_2():
    nulled = signal.stir(np.array(1.0), np.array(260.0), np.array(84.0), 260 * np.log(2), 1e6, 60.0)
    assert nulled == pytest.approx(0.0, abs=1e-12)


def test_contrast_agent_shortens_t1_by_the_relaxivity_equation():
    tissues = sample_tissues(np.random.default_rng(0))
    t1_ms, _ = tissues.after_contrast()
    rate = 1000 / tissues.t1_ms[SCAR] + 4.1 * tissues.gadolinium_mm[SCAR]
    assert t1_ms[SCAR] == pytest.approx(1000 / rate)
    assert t1_ms[SCAR] < t1_ms[MYOCARDIUM] < t1_ms[MVO]


def test_edema_has_longer_t2_than_muscle_in_every_patient():
    for seed in range(20):
        tissues = sample_tissues(np.random.default_rng(seed))
        assert tissues.t2_ms[EDEMA] > 1.1 * tissues.t2_ms[MYOCARDIUM]


def test_published_values_are_those_of_the_reference():
    assert PUBLISHED[LV_BLOOD][:2] == (1411.0, 249.0)
    assert PUBLISHED[MYOCARDIUM][0] == 979.0


def test_the_same_seed_gives_the_same_patient_and_another_seed_another():
    first, again = generate_patient(7, COMPLETE), generate_patient(7, COMPLETE)
    other = generate_patient(8, COMPLETE)
    assert np.array_equal(first.labels, again.labels)
    assert all(np.array_equal(first.images[s], again.images[s]) for s in ("bssfp", "lge", "t2"))
    assert first.spacing_mm != other.spacing_mm


@pytest.mark.slow
@pytest.mark.parametrize("injury", ["none", "acute", "chronic"])
def test_injury_decides_which_labels_exist(injury):
    config = replace(
        COMPLETE, normal_share=float(injury == "none"), acute_share=float(injury == "acute")
    )
    patients = [generate_patient(seed, config) for seed in range(6)]
    scar = sum(int((p.labels == MYOPS["scar"]).sum()) for p in patients)
    edema = sum(int((p.labels == MYOPS["edema"]).sum()) for p in patients)
    assert (scar > 0) == (injury != "none")
    assert (edema > 0) == (injury == "acute")
    assert all(p.acute == (injury == "acute") for p in patients)


@pytest.mark.slow
def test_mvo_is_always_inside_scar_and_occurs():
    config = replace(COMPLETE, normal_share=0.0, acute_share=1.0)
    patients = [generate_patient(seed, config) for seed in range(12)]
    assert any(p.mvo.any() for p in patients)
    for patient in patients:
        assert (patient.labels[patient.mvo] == MYOPS["scar"]).all()


def test_labels_are_only_those_of_myops():
    labels = np.concatenate([np.unique(generate_patient(s, COMPLETE).labels) for s in range(4)])
    assert set(labels.tolist()) <= {0, *MYOPS.values()}


def test_drawn_ventricle_has_the_volume_of_its_profile():
    # Smooth walls: the region's area at every level is that of a circle of known radius.
    heart = replace(
        sample_heart(np.random.default_rng(3), "none"),
        epicardium_waves=[],
        septum_flattening=0.0,
        drift_mm=(0.0, 0.0),
        base_tilt=0.0,
        infarcts=[],
    )
    levels = np.array([0.1, 0.4, 0.7], np.float32)
    step_mm = 0.25
    axis = np.arange(-60, 60, step_mm, dtype=np.float32)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    shape = (len(levels), *x.shape)
    tissue = np.full(shape, AIR, np.uint8)
    level = np.broadcast_to(levels[:, None, None], shape)
    region = draw_heart(
        tissue,
        heart,
        np.broadcast_to(x, shape),
        np.broadcast_to(y, shape),
        level,
        np.zeros(shape, np.float32),
    )
    radius = epicardial_radius(heart, np.zeros(3, np.float32), levels)
    assert region.sum((1, 2)) * step_mm**2 == pytest.approx(np.pi * radius**2, rel=2e-3)


@pytest.mark.slow
def test_lge_shows_scar_brighter_than_remote_myocardium_in_the_physical_phantom():
    config = replace(CLEAN, normal_share=0.0, acute_share=0.0)
    brighter = 0
    for seed in range(8):
        patient = generate_patient(seed, config)
        lge = patient.images["lge"]
        scar = lge[patient.labels == MYOPS["scar"]]
        normal = lge[patient.labels == MYOPS["normal_myocardium"]]
        brighter += scar.mean() > normal.mean()
    assert brighter >= 7


def test_reference_sequence_is_the_frame_of_the_truth():
    # Without artifacts every sequence lies on the truth: blood stands out from muscle in bSSFP.
    patient = generate_patient(11, CLEAN)
    image = patient.images["bssfp"]
    blood = image[patient.labels == MYOPS["blood_pool"]]
    muscle = image[patient.labels == MYOPS["normal_myocardium"]]
    assert np.median(blood) > 1.3 * np.median(muscle)


@pytest.mark.slow
def test_dropout_always_leaves_lge_or_bssfp():
    present = [set(generate_patient(s, PhantomConfig(view="finder")).images) for s in range(25)]
    assert all({"lge", "bssfp"} & p for p in present)
    assert len({frozenset(p) for p in present}) >= 3


def test_complete_configuration_has_all_three_sequences():
    assert set(generate_patient(0, COMPLETE).images) == {"bssfp", "lge", "t2"}


def test_unknown_view_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'full', 'heart' or 'finder', found 'chest'"):
        generate_patient(0, PhantomConfig(view="chest"))


def test_scanner_shift_moves_the_image_by_whole_pixels():
    rng = np.random.default_rng(0)
    image = np.zeros((2, 32, 32), np.float32)
    image[:, 10:14, 8:12] = 1
    shift = np.array([[3.0, -2.0], [0.0, 0.0]])
    moved = acquisition.image_through_scanner(rng, image, shift, 0.0, 1.0, signed=True)

    def center(plane):
        weight = np.clip(plane, 0.2, None) - 0.2
        return (
            np.array([(weight.sum(1) * np.arange(32)).sum(), (weight.sum(0) * np.arange(32)).sum()])
            / weight.sum()
        )

    assert center(moved[0]) - center(moved[1]) == pytest.approx([3, -2], abs=0.05)


def test_magnitude_noise_is_rician_and_signed_noise_is_centered():
    air = np.zeros((4, 64, 64), np.float32)
    none = np.zeros((4, 2))
    magnitude = acquisition.image_through_scanner(
        np.random.default_rng(1), air, none, 0.1, 1.0, signed=False
    )
    real = acquisition.image_through_scanner(
        np.random.default_rng(1), air, none, 0.1, 1.0, signed=True
    )
    # In air a Rician is a Rayleigh: mean / SD = sqrt(pi / (4 - pi)) = 1.913
    assert magnitude.mean() / magnitude.std() == pytest.approx(1.913, rel=0.03)
    assert abs(real.mean()) < 0.05 * real.std()


def test_smooth_field_has_unit_variance_and_is_smooth():
    field = smooth_field(np.random.default_rng(0), (30, 120, 120), (1, 1, 1), 8.0)
    assert field.std() == pytest.approx(1.0, rel=0.15)
    assert np.abs(np.diff(field, axis=2)).mean() < 0.25


def test_files_follow_myops_naming_and_hold_the_same_numbers(tmp_path):
    patient = generate_patient(3, COMPLETE)
    folder = write_patient(patient, tmp_path / "p")
    names = {f.name for f in folder.iterdir()}
    assert names == {
        f"phantom_000003_{s}"
        for s in ("C0.nii.gz", "DE.nii.gz", "T2.nii.gz", "gd.nii.gz", "mvo.nii.gz", "truth.json")
    }
    truth = sitk.ReadImage(str(folder / "phantom_000003_gd.nii.gz"))
    assert np.array_equal(sitk.GetArrayFromImage(truth), patient.labels)
    assert truth.GetSpacing() == pytest.approx(patient.spacing_mm, rel=1e-6)
    known = json.loads((folder / "phantom_000003_truth.json").read_text("utf-8"))
    scar_ml = (patient.labels == MYOPS["scar"]).sum() * np.prod(patient.spacing_mm) / 1000
    assert known["volume_ml"].get("2221", 0.0) == pytest.approx(scar_ml, abs=1e-3)
    assert known["synthetic"] is True


def test_a_sequence_of_an_earlier_patient_of_the_same_name_does_not_stay(tmp_path):
    patient = generate_patient(3, replace(COMPLETE, view="finder"))
    write_patient(patient, tmp_path)
    without_t2 = {name: patient.images[name] for name in ("bssfp", "lge")}
    write_patient(replace(patient, images=without_t2), tmp_path)
    assert sorted(path.name.split("_")[2] for path in tmp_path.glob("*.nii.gz")) == [
        f"{part}.nii.gz" for part in ("C0", "DE", "gd", "mvo")
    ]


def test_cohort_has_one_folder_per_seed_and_names_its_configuration(tmp_path):
    folders = write_cohort(40, 2, tmp_path, COMPLETE)
    assert [f.name for f in folders] == ["phantom_000040", "phantom_000041"]
    assert json.loads((tmp_path / "cohort.json").read_text("utf-8"))["config"]["view"] == "heart"


def test_an_interrupted_write_leaves_no_half_patient(tmp_path, monkeypatch):
    def interrupted(patient):
        raise KeyboardInterrupt

    monkeypatch.setattr("myops.phantom.files._truth", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_patient(generate_patient(3, replace(COMPLETE, view="finder")), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_cohort_tells_its_progress(tmp_path):
    seen = []
    config = replace(COMPLETE, view="finder")
    write_cohort(40, 2, tmp_path, config, lambda share, name: seen.append((share, name)))
    assert seen == [(0.0, "phantom_000040"), (0.5, "phantom_000041")]


def test_an_upright_phantom_is_read_back_as_drawn_whatever_the_order_of_its_slices(tmp_path):
    # The canonical orientation of a Case is septum left, inferior wall below, base first.
    orders = set()
    for seed in (5, 6):
        patient = generate_patient(seed, replace(COMPLETE, view="finder", upright=True))
        case = load_case_folder(write_patient(patient, tmp_path / str(seed)))
        apex_first = patient.description["apex_first"]
        expected = patient.images["lge"][::-1] if apex_first else patient.images["lge"]
        assert np.array_equal(case.images["lge"], expected)
        orders.add(apex_first)
    assert orders == {False, True}
