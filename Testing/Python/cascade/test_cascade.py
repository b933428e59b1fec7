"""The cascade with networks whose answers are known: geometry, labels and rules by hand."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from oblique import OBLIQUE
from scipy.ndimage import binary_erosion

from myops.cascade.postprocessing import (
    clean_region,
    joint_probabilities,
    make_labels,
    mean_border,
    remove_doubtful_scar,
    remove_small_components,
    rescale_odds,
    uncertainty,
)
from myops.cascade.segment import CascadeConfig, crop_case, segment, smooth_across_slices
from myops.case import case_from_images, restore
from myops.errors import Cancelled, InputError
from myops.geometry.square import SquareBox
from myops.labels import MYOPS
from myops.networks import device
from myops.networks.build import build_assn, build_heartfinder, build_prsn
from myops.weights.files import SHIPPED_FOLDER, Models, load_models

SPACING = (1.6, 1.6, 9.0)
# The crafted heart: tissue values that the simple networks below can tell apart by thresholds.
LUNG, BLOOD, NORMAL, BRIGHT = 0.0, 1.0, 2.0, 4.0
NORMAL_LABEL, BLOOD_LABEL, RV_LABEL, EDEMA_LABEL, SCAR_LABEL = MYOPS.values()


class Finder(torch.nn.Module):
    """Whatever is brighter than the median (lung) in any sequence is the ventricle."""

    def forward(self, images):
        lv = images.amax(dim=1, keepdim=True)
        return torch.cat((40 * (lv - 0.5), torch.full_like(lv, -9.0)), dim=1)


class Outline(torch.nn.Module):
    def forward(self, images, present):
        return 40 * (images.amax(dim=1, keepdim=True) - 0.3)


class Tissue(torch.nn.Module):
    """Blood, normal or bright by thresholds between them; scar from LGE, edema from T2."""

    def forward(self, candidates, present):
        _bssfp, lge, t2 = candidates.unbind(dim=1)
        normal = torch.full_like(lge, 2.0)
        blood = torch.where(candidates.amax(dim=1) < 0.95, 9.0, 0.0)
        edema = torch.where(t2 > 1.05, 5.0, 0.0)
        scar = torch.where(lge > 1.05, 9.0, 0.0)
        return {"main": torch.stack((blood, normal, edema, scar), dim=1)}


class Beyond(Tissue):
    """Sees three pixels beyond the region and calls what is as dark as lung there outside."""

    margin = 3

    def forward(self, candidates, present):
        main = super().forward(candidates, present)["main"]
        lung = torch.where(candidates.amax(dim=1, keepdim=True) < 0.65, 30.0, -30.0)
        return {"main": torch.cat((main, lung), dim=1)}


class LeftHalf(Beyond):
    """Takes what lies to the right of its square's middle for outside as well."""

    def forward(self, candidates, present):
        main = super().forward(candidates, present)["main"]
        main[:, -1, :, main.shape[-1] // 2 :] = 30.0
        return {"main": main}


SIMPLE = Models(
    Finder(), Outline(), Tissue(), None, torch.device("cpu"), {"assn": "a", "prsn": "b"}
)


# The factors answer the shipped PRSN's caution; the simple networks say what they mean.
PLAIN = CascadeConfig(scar_odds=1, edema_odds=1)


def heart(bright=None, shape=(6, 100, 90)):
    """A ring of 24-40 mm radii with an off-center bright sector in slices 1-4, and its labels."""
    z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]
    dy, dx = (y - 45) * SPACING[1], (x - 50) * SPACING[0]
    radius, angle = np.hypot(dy, dx), np.arctan2(dy, dx)
    inside = (z >= 1) & (z <= 4)
    image = np.full(shape, LUNG, np.float32)
    image[inside & (radius < 40)] = NORMAL
    image[inside & (radius < 24)] = BLOOD
    sector = inside & (radius < 40) & (radius >= 24) & (angle > 0.2) & (angle < 1.4)
    if bright:
        image[sector] = BRIGHT
    return image, sector


def make_case(geometry=None, **arrays):
    images = {}
    for name, array in arrays.items():
        image = sitk.GetImageFromArray(texture(array))
        image.SetSpacing(SPACING)
        image.SetOrigin((-70.0, 20.0, 5.0))
        images[name] = geometry(image) if geometry else image
    return case_from_images(images)


def texture(array):
    """A little noise, without which the case is refused as a label map."""
    noise = np.random.default_rng(0).uniform(-0.02, 0.02, array.shape)
    return (array + noise).astype(np.float32)


def volumes_ml(case, result):
    return {v: (result.labels == v).sum() * case.geometry.voxel_volume_ml for v in MYOPS.values()}


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_a_crafted_heart_gets_its_own_labels_back():
    image, sector = heart(bright=True)
    plain, _ = heart()
    case = make_case(lge=image, t2=plain)
    result = segment(case, SIMPLE, config=PLAIN)
    labels = sitk.GetArrayFromImage(restore(case, result.labels))
    assert dice(labels == SCAR_LABEL, sector) > 0.97
    # The half-bright pixels of the outer edge look like blood to the simple network.
    inner = binary_erosion(plain != LUNG, np.ones((1, 5, 5)))
    assert dice((labels == BLOOD_LABEL) & inner, plain == BLOOD) > 0.98
    assert dice(labels != 0, plain != LUNG) > 0.985
    assert not (labels == EDEMA_LABEL).any() and not (labels == RV_LABEL).any()
    assert not labels[[0, 5]].any()
    # 4 slices of pi 40^2 mm^2, 9 mm apart.
    total_ml = sum(volumes_ml(case, result).values())
    assert total_ml == pytest.approx(4 * np.pi * 1600 * 9 / 1000, rel=0.05)
    assert result.geometry == case.geometry
    assert result.model == {"assn": "a", "prsn": "b"}
    assert set(result.seconds) == {"heart finder", "ASSN", "PRSN", "labels"}


def test_the_prsn_moves_the_border_as_far_as_its_weight_lets_it():
    case = make_case(lge=heart()[0])
    models = replace(SIMPLE, prsn=LeftHalf())
    unmoved = segment(case, models, config=PLAIN)
    whole = unmoved.labels != 0
    assert (whole == (segment(case, SIMPLE, config=PLAIN).labels != 0)).all()
    # Both networks are sure off the border: against 0.1 ASSN stays, against 10 it gives way.
    kept = segment(case, models, config=replace(PLAIN, prsn_border=0.1, flips=False)).labels != 0
    assert kept[binary_erosion(whole, np.ones((1, 3, 3)))].all()
    halved = segment(case, models, config=replace(PLAIN, prsn_border=10.0, flips=False))
    assert (halved.labels != 0).sum() == pytest.approx(whole.sum() / 2, rel=0.05)
    # What the border is drawn by is also what certainty and uncertainty are told by.
    assert ((halved.probabilities["lv_region"] > 0.5) == (halved.labels != 0)).all()


def test_the_mean_border_is_the_weighted_mean_of_logits():
    assn, prsn = np.array([[[0.5, 0.9, 1.0]]]), np.array([[[0.9, 0.1, 0.0]]])
    # Logits 0, 2.1972 and (cut off at 0.9999) 9.2102 with 2.1972, -2.1972 and -9.2102.
    assert mean_border(assn, prsn, 1.0) == pytest.approx(np.array([[[0.75, 0.5, 0.5]]]), abs=1e-4)
    thrice = mean_border(assn, prsn, 3.0)
    assert thrice[0, 0, :2] == pytest.approx([0.8386, 0.25], abs=1e-4)


def test_with_a_margin_the_prsn_sees_beyond_the_region_and_the_region_stays():
    plain, _ = heart()
    case = make_case(lge=plain)
    shown = []

    class Watched(Beyond):
        def forward(self, candidates, present):
            shown.append((candidates[:, 1] != 0).sum().item())
            return super().forward(candidates, present)

    class Blind(Watched):
        margin = 0

        def forward(self, candidates, present):
            return {"main": super().forward(candidates, present)["main"][:, :4]}

    one = CascadeConfig(flips=False, scar_odds=1)
    wide, tight = (segment(case, replace(SIMPLE, prsn=p()), config=one) for p in (Watched, Blind))
    assert shown[0] > 1.1 * shown[1]
    np.testing.assert_array_equal(wide.probabilities["lv_region"], tight.probabilities["lv_region"])
    np.testing.assert_array_equal(wide.labels != 0, tight.labels != 0)
    # What it calls outside is divided among the tissues: inside, they still sum to the region.
    names = ("blood_pool", "normal_myocardium", "edema", "scar")
    joint = sum(wide.probabilities[name] for name in names)
    inner = binary_erosion(wide.labels != 0, np.ones((1, 3, 3)))
    np.testing.assert_allclose(joint[inner], wide.probabilities["lv_region"][inner], atol=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda i: sitk.Flip(i, [True, False, False]), id="flip x"),
        pytest.param(lambda i: sitk.Flip(i, [False, True, True]), id="flip y and z"),
        pytest.param(lambda i: sitk.PermuteAxes(i, [2, 0, 1]), id="slices first"),
        pytest.param(lambda i: sitk.PermuteAxes(i, [1, 0, 2]), id="transposed"),
    ],
)
def test_flips_and_permutations_of_the_axes_leave_every_mass_unchanged(change):
    images = {"lge": heart(bright=True)[0], "bssfp": heart()[0]}
    straight, changed = make_case(**images), make_case(change, **images)
    expected, found = segment(straight, SIMPLE), segment(changed, SIMPLE)
    assert volumes_ml(changed, found) == pytest.approx(volumes_ml(straight, expected))
    labels = change(restore(straight, expected.labels))
    again = restore(changed, found.labels)
    assert again.GetSize() == labels.GetSize()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(again), sitk.GetArrayFromImage(labels))


def test_an_oblique_patient_has_the_same_masses():
    def oblique(image):
        image.SetDirection(OBLIQUE)
        return image

    images = {"lge": heart(bright=True)[0], "t2": heart()[0]}
    straight, tilted = make_case(**images), make_case(oblique, **images)
    expected = volumes_ml(straight, segment(straight, SIMPLE))
    assert expected[SCAR_LABEL] > 5
    assert volumes_ml(tilted, segment(tilted, SIMPLE)) == pytest.approx(expected)


def test_without_t2_edema_is_not_assessed_and_counts_as_normal():
    case = make_case(lge=heart(bright=True)[0])
    result = segment(case, SIMPLE)
    assert result.assessed == {"scar"}
    assert not result.probabilities["edema"].any()
    assert any("no T2: edema was not assessed" in warning for warning in result.warnings)
    total = sum(
        result.probabilities[n] for n in ("blood_pool", "normal_myocardium", "edema", "scar")
    )
    inside = result.labels > 0
    np.testing.assert_allclose(total[inside], result.probabilities["lv_region"][inside], atol=1e-5)


def test_without_lge_scar_is_not_assessed_and_the_t2_lesion_is_edema():
    image, sector = heart(bright=True)
    case = make_case(bssfp=heart()[0], t2=image)
    result = segment(case, SIMPLE, config=PLAIN)
    assert result.assessed == {"edema"}
    labels = sitk.GetArrayFromImage(restore(case, result.labels))
    assert not result.probabilities["scar"].any() and not (labels == SCAR_LABEL).any()
    assert dice(labels == EDEMA_LABEL, sector) > 0.97


def test_cine_alone_gives_anatomy_without_scar_and_edema():
    result = segment(make_case(bssfp=heart(bright=True)[0]), SIMPLE)
    assert result.assessed == frozenset()
    assert set(np.unique(result.labels)) == {0, NORMAL_LABEL, BLOOD_LABEL}


def test_a_t2_that_covers_some_slices_only_gives_edema_in_those_only():
    def first_slices(image):
        return image[:, :, :3]

    full, _ = heart()
    lesion, sector = heart(bright=True)
    lge, t2 = make_image(full), first_slices(make_image(lesion))
    case = case_from_images({"lge": lge, "t2": t2})
    labels = sitk.GetArrayFromImage(restore(case, segment(case, SIMPLE, config=PLAIN).labels))
    assert dice(labels[:3] == EDEMA_LABEL, sector[:3]) > 0.97
    assert not (labels[3:] == EDEMA_LABEL).any()
    assert (labels[3:5] == NORMAL_LABEL).any(axis=(1, 2)).all()


def without_spacing(image):
    image.SetSpacing((1.0, 1.0, 1.0))
    image.SetOrigin((0.0, 0.0, 0.0))
    return image


def test_without_a_spacing_no_scar_is_left_out_for_its_size_and_that_is_said():
    image, _ = heart()
    spot = np.zeros(image.shape, bool)
    # 4 voxels of the wall and their rim are some 16, which are 0.37 mL of 1.6 x 1.6 x 9 mm.
    spot[2, 65:67, 49:51] = True
    assert (image[spot] == NORMAL).all()
    image[spot] = BRIGHT
    known = segment(make_case(lge=image), SIMPLE, config=CascadeConfig(scar_odds=1, flips=False))
    assert not (known.labels == SCAR_LABEL).any(), "less than 0.5 mL is left out"
    bare = make_case(without_spacing, lge=image)
    assert not bare.spacing_known
    found = segment(bare, SIMPLE, config=CascadeConfig(scar_odds=1, flips=False))
    labels = sitk.GetArrayFromImage(restore(bare, found.labels))
    assert (labels == SCAR_LABEL)[spot].all()
    (words,) = (w for w in found.warnings if "spacing" in w)
    assert "islands of scar below 0.5 mL were not left out" in words
    assert not any("mL" in w or "mm" in w for w in found.warnings if w != words)
    assert not any("spacing unknown" in w for w in known.warnings)


def test_a_t2_that_ends_within_the_slices_gives_no_edema_beyond_its_edge():
    full, _ = heart()
    lesion, sector = heart(bright=True)
    t2 = make_image(lesion)[:60]  # the sector reaches from column 51 to 75
    case = case_from_images({"lge": make_image(full), "t2": t2})
    labels = sitk.GetArrayFromImage(restore(case, segment(case, SIMPLE, config=PLAIN).labels))
    edema = labels == EDEMA_LABEL
    assert sector[:, :, 60:].any() and not edema[:, :, 60:].any()
    assert dice(edema[:, :, :60], sector[:, :, :60]) > 0.95


def test_t2_slices_that_hold_one_value_are_absent_to_the_networks_and_give_no_edema():
    full, sector = heart()
    lesion, sector = heart(bright=True)
    t2 = texture(lesion)
    t2[3:] = 0
    image = sitk.GetImageFromArray(t2)
    image.SetSpacing(SPACING)
    case = case_from_images({"lge": make_image(full), "t2": image})
    _, present = crop_case(case, SquareBox((20, 20), 60.0, SPACING[1::-1]), 32)
    z, t2_flag = case.geometry.array_shape[0], present[:, 2].tolist()
    assert sorted(t2_flag) == [0.0] * (z - 3) + [1.0] * 3 and present[:, 1].all()
    labels = sitk.GetArrayFromImage(restore(case, segment(case, SIMPLE, config=PLAIN).labels))
    assert dice(labels[:3] == EDEMA_LABEL, sector[:3]) > 0.97
    assert not (labels[3:] == EDEMA_LABEL).any()


def make_image(array):
    image = sitk.GetImageFromArray(texture(array))
    image.SetSpacing(SPACING)
    return image


class Torn(torch.nn.Module):
    """Of the wall it says normal 0.40, edema 0.35 and scar 0.25; blood by its signal."""

    def forward(self, candidates, present):
        blood = torch.where(candidates.amax(dim=1) < 0.95, 9.0, -9.0)
        normal, edema, scar = (torch.full_like(blood, np.log(p)) for p in (0.40, 0.35, 0.25))
        return {"main": torch.stack((blood, normal, edema, scar), dim=1)}


@pytest.mark.parametrize(
    ("odds", "label"),
    [
        ({}, SCAR_LABEL),  # shipped: scar 2 x 0.25 against 0.40
        ({"scar_odds": 1.0}, NORMAL_LABEL),
        ({"scar_odds": 1.7, "edema_odds": 1.0}, SCAR_LABEL),
        ({"scar_odds": 1.0, "edema_odds": 1.3}, EDEMA_LABEL),
    ],
)
def test_each_tissue_is_weighed_by_its_own_odds(odds, label):
    torn = replace(SIMPLE, prsn=Torn())
    case = make_case(lge=heart()[0], t2=heart()[0] + 1)
    found = segment(case, torn, config=CascadeConfig(flips=False, **odds)).labels
    wall = np.isin(found, (NORMAL_LABEL, EDEMA_LABEL, SCAR_LABEL))
    assert (found == label).sum() > 0.9 * wall.sum()


def test_the_shipped_decisions_are_those_that_were_measured():
    """Docs/explanation/real-hearts.md says why; Docs/results.md was measured with them."""
    shipped = CascadeConfig()
    assert (shipped.scar_odds, shipped.edema_odds) == (2.0, 1.0)
    assert shipped.smallest_scar_ml == 0.5
    assert (shipped.neighbors_sd, shipped.flips) == (0.6, True)


def test_shipped_an_island_of_0_4_ml_is_left_out_and_one_of_0_6_ml_stays():
    image, _ = heart()
    voxel_ml = 1.6 * 1.6 * 9 / 1000
    for side, expected in ((2, False), (4, True)):
        spotted = image.copy()
        spotted[2, 65 : 65 + side, 48 : 48 + side] = BRIGHT
        case = make_case(lge=spotted)
        kept = segment(case, SIMPLE, config=replace(PLAIN, smallest_scar_ml=0.0)).labels
        island_ml = (kept == SCAR_LABEL).sum() * voxel_ml
        assert (island_ml > CascadeConfig().smallest_scar_ml) == expected and island_ml > 0.1
        found = segment(case, SIMPLE, config=PLAIN).labels
        assert (found == SCAR_LABEL).any() == expected


class Noted(torch.nn.Module):
    """Notes the precision that matrix products have where the network runs."""

    def __init__(self, network):
        super().__init__()
        self.network, self.seen = network, set()

    def forward(self, *arguments):
        self.seen.add((torch.eye(2) @ torch.eye(2)).dtype)
        return self.network(*arguments)


@pytest.mark.parametrize("fast", [False, True])
def test_the_result_says_in_which_precision_the_networks_really_ran(monkeypatch, fast):
    monkeypatch.setattr(device, "has_fast_bfloat16", lambda _: fast)
    noted = Noted(Outline())
    found = segment(make_case(lge=heart()[0]), replace(SIMPLE, assn=noted), config=PLAIN)
    expected = torch.bfloat16 if fast else torch.float32
    assert noted.seen == {expected}
    assert found.machine == {
        "precision": str(expected).removeprefix("torch."),
        "device": "cpu",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def test_an_image_without_a_heart_is_refused():
    noise = np.random.default_rng(0).normal(size=(5, 40, 40)).astype(np.float32)
    blind = replace(SIMPLE, heartfinder=Constant(2, -5.0))
    with pytest.raises(InputError, match="no heart found"):
        segment(make_case(lge=noise), blind)


def test_a_heart_that_the_assn_cannot_outline_is_refused():
    with pytest.raises(InputError, match="no heart found"):
        segment(make_case(lge=heart()[0]), replace(SIMPLE, assn=Constant(1, -5.0)))


class Constant(torch.nn.Module):
    def __init__(self, channels, value):
        super().__init__()
        self.channels, self.value = channels, value

    def forward(self, images, *_):
        return torch.full((len(images), self.channels, *images.shape[2:]), self.value)


def test_cancelling_ends_the_work_at_the_next_chunk():
    asked = []

    def cancelled():
        asked.append(True)
        return len(asked) == 4

    case = make_case(lge=heart()[0])
    # Six slices in chunks of two: three questions per network, so the fourth stands in the ASSN.
    steps = []
    with pytest.raises(Cancelled):
        segment(case, SIMPLE, lambda _, step: steps.append(step), cancelled, CascadeConfig(chunk=2))
    assert len(asked) == 4
    assert set(steps) == {"heart finder"}


def test_progress_rises_from_0_to_1_and_names_the_steps():
    seen = []
    segment(
        make_case(lge=heart()[0]), SIMPLE, lambda *p: seen.append(p), config=CascadeConfig(chunk=4)
    )
    fractions = [fraction for fraction, _ in seen]
    # PRSN runs on the four slices that hold the region, in one chunk.
    assert fractions == pytest.approx([0, 0.2 * 4 / 6, 0.2, 0.2 + 0.3 * 4 / 6, 0.5, 0.95, 1])
    assert [step for _, step in seen] == [
        "heart finder", "heart finder", "ASSN", "ASSN", "PRSN", "labels", "done",
    ]  # fmt: skip


def test_chunks_and_flips_do_not_change_what_simple_networks_find():
    case = make_case(lge=heart(bright=True)[0])
    expected = segment(case, SIMPLE).labels
    for config in (CascadeConfig(chunk=1), CascadeConfig(flips=False)):
        np.testing.assert_array_equal(segment(case, SIMPLE, config=config).labels, expected)


def test_smoothing_across_slices_is_a_gaussian_mean_with_repeated_ends():
    logits = np.zeros((5, 1, 1), np.float32)
    logits[2] = 4
    kernel = np.exp(-(np.arange(-2, 3) ** 2) / (2 * 0.6**2))
    expected = 4 * kernel / kernel.sum()
    found = smooth_across_slices(logits, 0.6)[:, 0, 0]
    assert found[1:4] == pytest.approx(expected[1:4], abs=1e-5)
    assert found[0] == pytest.approx(expected[0] + 0.0, abs=1e-5)
    np.testing.assert_array_equal(smooth_across_slices(logits, 0), logits)
    sure = np.full((3, 1, 1), -50, np.float32)
    assert smooth_across_slices(sure, 0.6) == pytest.approx(-6)


def test_an_unsure_slice_follows_its_neighbors_and_a_sure_one_does_not():
    logits = np.array([5, -1, 5], np.float32)[:, None, None]
    assert smooth_across_slices(logits, 0.6)[1] > 0
    assert smooth_across_slices(np.where(logits < 0, -5, logits), 0.6)[1] < 0


def test_odds_of_a_tissue_are_multiplied_and_the_sum_stays_one():
    tissue = np.array([0.2, 0.5, 0.1, 0.2], np.float32).reshape(1, 4, 1, 1)
    found = rescale_odds(tissue, {"scar": 3.0})[0, :, 0, 0]
    assert found == pytest.approx(np.array([0.2, 0.5, 0.1, 0.6]) / 1.4)
    absent = np.array([0.3, 0.7, 0, 0], np.float32).reshape(1, 4, 1, 1)
    np.testing.assert_allclose(rescale_odds(absent, {"scar": 3.0, "edema": 2.0}), absent)
    nothing = np.zeros((1, 4, 1, 1), np.float32)
    np.testing.assert_array_equal(rescale_odds(nothing, {"scar": 3.0}), nothing)


def test_the_same_patient_gives_the_same_result_to_the_last_bit():
    torch.manual_seed(0)
    networks = [build((8, 16)).eval() for build in (build_heartfinder, build_assn, build_prsn)]
    models = replace(SIMPLE, prsn=networks[2])
    case = make_case(lge=heart(bright=True)[0], t2=heart()[0])
    first, second = segment(case, models), segment(case, models)
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_array_equal(first.uncertainty, second.uncertainty)
    for name, probability in first.probabilities.items():
        np.testing.assert_array_equal(probability, second.probabilities[name])
        assert probability.min() >= 0 and probability.max() <= 1
        assert probability.dtype == np.float32


def test_uncertainty_is_the_entropy_of_five_outcomes():
    lv = np.array([[[1.0, 0.5, 0.8, 0.0, 1.0]]], np.float32)
    tissue = np.array([[1, 0, 0, 0], [0, 0, 0, 0], [0.25] * 4, [0] * 4, [0.5, 0.5, 0, 0]])
    tissue = tissue.T.reshape(1, 4, 1, 5).astype(np.float32)
    # Certain; region unknown, tissue not asked; five equal chances; certain; two equal chances.
    expected = np.array([0, np.log(2), np.log(5), 0, np.log(2)]) / np.log(5)
    np.testing.assert_allclose(uncertainty(lv, tissue)[0, 0], expected, atol=1e-6)


def test_cleaning_keeps_the_largest_component_and_fills_its_holes():
    mask = np.zeros((2, 9, 9), bool)
    mask[:, 1:6, 1:6] = True
    filled = mask.copy()
    mask[0, 3, 3] = False  # a hole
    mask[1, 8, 8] = True  # a speck
    np.testing.assert_array_equal(clean_region(mask), filled)
    assert not clean_region(np.zeros((1, 4, 4), bool)).any()


def square_tissue():
    """A 20 pixel square region: myocardium around a cavity of 8 by 8 pixels."""
    lv = np.zeros((1, 40, 40), np.float32)
    lv[:, 10:30, 10:30] = 1
    tissue = np.zeros((1, 4, 40, 40), np.float32)
    tissue[:, 1, 10:30, 10:30] = 1
    tissue[:, :, 16:24, 16:24] = np.array([1, 0, 0, 0])[:, None, None]
    return lv, tissue


def test_a_voxel_of_the_region_gets_its_most_probable_tissue():
    lv, tissue = square_tissue()
    labels = make_labels(lv > 0.5, tissue, np.zeros_like(lv))
    assert (labels == BLOOD_LABEL).sum() == 8 * 8
    assert (labels == NORMAL_LABEL).sum() == 20 * 20 - 8 * 8


def test_islands_of_scar_that_are_too_small_become_the_next_tissue():
    labels = np.full((2, 8, 8), NORMAL_LABEL, np.uint16)
    labels[0, 0, :4] = SCAR_LABEL
    labels[1, 1, 4] = SCAR_LABEL  # touches them at a corner: five voxels together
    labels[0, 6, 2:4] = SCAR_LABEL  # two voxels
    tissue = np.zeros((2, 4, 8, 8), np.float32)
    tissue[:, 1], tissue[:, 3] = 0.3, 0.7
    tissue[0, 2, 6, 3] = 0.35  # rather edema than normal
    found = remove_small_components(labels, tissue, 0.1, 0.25)
    expected = labels.copy()
    expected[0, 6, 2:4] = NORMAL_LABEL, EDEMA_LABEL
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(remove_small_components(labels, tissue, 0.1, 0.0), labels)


def test_a_heart_with_too_little_scar_in_all_has_none_and_the_volume_and_slices_are_told():
    labels = np.full((3, 8, 8), NORMAL_LABEL, np.uint16)
    labels[0, 0, :4] = labels[2, 6, 2:4] = SCAR_LABEL
    tissue = np.zeros((3, 4, 8, 8), np.float32)
    tissue[:, 1], tissue[:, 3] = 0.3, 0.7
    tissue[2, 2, 6, 3] = 0.35  # rather edema than normal
    found, volume_ml, slices = remove_doubtful_scar(labels, tissue, 0.1, 0.61)
    expected = np.full_like(labels, NORMAL_LABEL)
    expected[2, 6, 3] = EDEMA_LABEL
    np.testing.assert_array_equal(found, expected)
    assert volume_ml == pytest.approx(0.6) and slices == (0, 2)
    for least_ml in (0.0, 0.6 - 1e-9):
        kept, volume_ml, slices = remove_doubtful_scar(labels, tissue, 0.1, least_ml)
        np.testing.assert_array_equal(kept, labels)
        assert volume_ml == 0 and slices == ()


def test_scar_that_is_left_out_is_told_in_a_warning_that_says_where():
    case = make_case(lge=heart(bright=True)[0])
    found = segment(case, SIMPLE, config=PLAIN)
    scar_ml = volumes_ml(case, found)[SCAR_LABEL]
    assert not any("possible scar" in warning for warning in found.warnings)
    doubted = segment(case, SIMPLE, config=replace(PLAIN, least_scar_ml=scar_ml + 0.01))
    assert volumes_ml(case, doubted)[SCAR_LABEL] == 0
    assert ((doubted.labels != 0) == (found.labels != 0)).all()  # the wall is as it was
    (warning,) = (warning for warning in doubted.warnings if "possible scar" in warning)
    assert f"possible scar of {scar_ml:.1f} mL in slices 2 to 5 was left out" in warning
    same = segment(case, SIMPLE, config=replace(PLAIN, least_scar_ml=scar_ml - 0.01))
    np.testing.assert_array_equal(same.labels, found.labels)


def test_the_right_ventricle_lies_outside_the_left():
    lv, tissue = square_tissue()
    rv = np.zeros_like(lv)
    rv[:, 15:25, 5:20] = 0.9
    labels = make_labels(lv > 0.5, tissue, rv)
    assert (labels == RV_LABEL).sum() == 10 * 5
    assert (labels[0, 15:25, 5:10] == RV_LABEL).all()


@pytest.mark.slow
@pytest.mark.skipif(
    not (SHIPPED_FOLDER / "manifest.json").is_file(), reason="no weights in this tree yet"
)
def test_the_shipped_weights_outline_the_ventricle_of_a_held_out_phantom():
    from myops.phantom.patient import generate_patient

    patient = generate_patient(900_003)
    images = {}
    for name, array in patient.images.items():
        images[name] = sitk.GetImageFromArray(array)
        images[name].SetSpacing(patient.spacing_mm)
    case = case_from_images(images)
    labels = sitk.GetArrayFromImage(restore(case, segment(case, load_models("cpu")).labels))
    truth = ~np.isin(patient.labels, (0, RV_LABEL))
    assert dice(~np.isin(labels, (0, RV_LABEL)), truth) > 0.9


def test_a_window_around_the_tissue_changes_nothing_but_the_memory():
    rng = np.random.default_rng(3)
    lv, rv = rng.random((2, 2, 8, 9), np.float32)
    tissue = np.zeros((2, 4, 8, 9), np.float32)
    window = (slice(None), slice(2, 6), slice(3, 8))
    tissue[:, :, 2:6, 3:8] = rng.dirichlet(np.ones(4), (2, 4, 5)).transpose(0, 3, 1, 2)
    near = tissue[:, :, 2:6, 3:8]
    region = lv > 0.5
    np.testing.assert_array_equal(
        make_labels(region, near, rv, window), make_labels(region, tissue, rv)
    )
    np.testing.assert_array_equal(uncertainty(lv, near, window), uncertainty(lv, tissue))
    small, large = joint_probabilities(lv, near, rv, window), joint_probabilities(lv, tissue, rv)
    assert small.keys() == large.keys()
    for name in large:
        np.testing.assert_array_equal(small[name], large[name])


def test_a_patient_that_does_not_fit_into_the_memory_is_refused_before_any_network_runs(
    monkeypatch,
):
    monkeypatch.setattr("myops.io.free_memory.available_bytes", lambda: 1000)
    with pytest.raises(InputError, match="free memory to segment .* million voxels, found 0.0 GB"):
        segment(make_case(lge=heart(bright=True)[0]), SIMPLE)
