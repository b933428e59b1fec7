"""The papers' tables from one command: split, rows, resuming, scores and claims."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from circle_heart import spacing_unknown
from click.testing import CliRunner
from torch import nn

from myops.cascade.network_inputs import heart_box, tissue_box
from myops.case import Case
from myops.cli import cli
from myops.datasets import LabeledCase
from myops.errors import InputError
from myops.evaluation.cohort import PatientResult
from myops.evaluation.interactive import Run, ScoredStep
from myops.evaluation.metrics import Agreement, compare
from myops.labels import MYOPS, lv_region
from myops.phantom.files import write_cohort
from myops.phantom.patient import PhantomConfig, generate_patient
from myops.reproduce import evaluate as evaluation
from myops.reproduce import interactive, picture, predict, run
from myops.reproduce.cohort import (
    Split,
    TestCase,
    make_cohort,
    make_outside,
    read_cases,
    shared_sequences,
    split_cases,
)
from myops.reproduce.evaluate import Regions, Reproduction, label_map
from myops.reproduce.protocol import PROTOCOLS
from myops.reproduce.rows import (
    CASCADE,
    NNUNET,
    NNUNET_CLAIM,
    TABLES,
    Claim,
    PaperTable,
    Row,
    choose_rows,
    rows_for,
    without_nnunet,
)
from myops.reproduce.table import (
    CaseScore,
    claim_lines,
    mass_lines,
    per_patient,
    read_scores,
    subgroup_lines,
    table_lines,
    write_scores,
)
from myops.training.checkpoint import learned_by
from myops.training.config import CONFIGS, UnetConfig, make_config
from myops.training.data.cases import CasePatient, choose_cases
from myops.training.loop import STAGES
from myops.training.stages import prsn, unet
from myops.training.stages.refiner import patient_case


def named(name: str, sequences: tuple[str, ...] = ("bssfp", "lge", "t2")) -> LabeledCase:
    values = np.random.default_rng(zlib.crc32(name.encode())).normal(size=(len(sequences), 1, 2, 2))
    images = dict(zip(sequences, map(sitk.GetImageFromArray, values), strict=True))
    labels, drawn = np.zeros((1, 2, 2), np.uint16), np.ones(1, bool)
    return LabeledCase("myops", name, images, labels, drawn, frozenset())


def agreement(dice: float | None, hd_mm: float | None = None) -> Agreement:
    return Agreement(dice, hd_mm, None, None, None, None, 1.0, 1.0, 0.0, None)


def scores_of(row: str, values: list[float | None], structure: str = "scar") -> list[CaseScore]:
    return [
        CaseScore(row, 0, f"patient {k}", structure, agreement(value))
        for k, value in enumerate(values)
    ]


def test_myops_2020_is_split_as_in_the_paper():
    cases = [named(f"myops_test_{k}") for k in range(201, 221)]
    cases += [named(f"myops_training_{k}") for k in range(101, 126)]
    split = split_cases(cases, Path("here"))
    assert split.train == tuple(f"myops_training_{k}" for k in range(101, 126))
    assert split.test == tuple(f"myops_test_{k}" for k in range(201, 221))


@pytest.mark.parametrize(("count", "trained"), [(4, 2), (9, 5), (18, 10), (45, 25)])
def test_other_numbers_of_patients_are_split_in_the_same_share(count, trained):
    split = split_cases([named(f"{k:03d}") for k in range(count)], Path("here"))
    assert len(split.train) == trained
    assert (*split.train, *split.test) == tuple(f"{k:03d}" for k in range(count))


def test_bad_data_is_refused_with_what_is_expected():
    with pytest.raises(InputError, match=r"at least 4 labeled patients .* found 1"):
        split_cases([named("a")], Path("here"))
    some = [named(name) for name in "abcd"]
    with pytest.raises(InputError, match="same sequences .* found t2 of a and none of e"):
        shared_sequences([*some, named("e", ("bssfp", "lge"))], Path("here"))
    with pytest.raises(InputError, match="found t2 of e and none of a"):
        shared_sequences([named("a", ("lge",)), named("e", ("lge", "t2"))], Path("here"))
    with pytest.raises(InputError, match="a name twice"):
        split_cases([*some, named("a")], Path("here"))


def test_a_patient_under_two_names_is_refused():
    some = [named(name) for name in "abcd"]
    again = replace(some[1], name="z", images=named("z").images | {"lge": some[1].images["lge"]})
    with pytest.raises(InputError, match=r"found one \(.*\) as b, z; leave out all but one"):
        split_cases([*some, again], Path("here"))


def test_healthy_hearts_and_infarcts_are_split_alike():
    # By name alone all healthy ones, which come first, would be trained on.
    infarct = np.full((1, 2, 2), MYOPS["scar"], np.uint16)
    cases = [named(f"N{k}", ("lge",)) for k in range(4)]
    cases += [replace(named(f"P{k}", ("lge",)), labels=infarct) for k in range(5)]
    split = split_cases(cases, Path("here"))
    assert split == Split(("P0", "P1", "P2", "N0", "N1"), ("P3", "P4", "N2", "N3"))


def test_too_few_healthy_hearts_to_split_stay_where_their_names_are():
    infarct = np.full((1, 2, 2), MYOPS["scar"], np.uint16)
    cases = [replace(named(f"P{k}"), labels=infarct) for k in range(4)] + [named("Q")]
    assert split_cases(cases, Path("here")) == Split(("P0", "P1", "P2"), ("P3", "Q"))


def test_lge_alone_allows_the_rows_that_see_lge_and_measures_no_edema():
    table = rows_for(CASCADE, frozenset({"lge"}))
    names = ["DAE", "ASSN without DAE", "ASSN", "U-Net scar (LGE)", "PRSN branch LGE"]
    assert [row.name for row in table.rows] == [*names, "nnU-Net"]
    assert [(claim.words, claim.better, claim.structure) for claim in table.claims] == [
        ("the DAE reduces HD", "ASSN", "lv_region"),
        (NNUNET_CLAIM, "PRSN branch LGE", "scar"),
        (NNUNET_CLAIM, "ASSN", "lv_region"),
    ]
    soft = next(row for row in rows_for(TABLES["robust"], frozenset({"lge"})).rows if row.region)
    assert soft.measures == ("scar",)
    claims = rows_for(TABLES["robust"], frozenset({"lge"})).claims
    assert {claim.structure for claim in claims} == {"scar"}


def test_lge_and_t2_measure_both_but_not_what_needs_three():
    table = rows_for(CASCADE, frozenset({"lge", "t2"}))
    assert [row.name for row in table.rows if "edema" in row.measures] == [
        "U-Net edema (T2)",
        "PRSN branch T2",
        "nnU-Net",
    ]
    assert rows_for(CASCADE, frozenset({"bssfp", "lge", "t2"})) is CASCADE


def test_a_table_of_fusion_is_refused_where_there_is_nothing_to_fuse(tmp_path):
    write_cohort(11, 4, tmp_path / "data", PhantomConfig(dropout=False))
    for image in (*tmp_path.rglob("*_C0.nii.gz"), *tmp_path.rglob("*_T2.nii.gz")):
        image.unlink()
    command = ["reproduce", "dssnet", "--data", str(tmp_path / "data"), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 2
    assert "expected bSSFP, LGE and T2 of every patient, found LGE" in result.output
    assert not (tmp_path / "out" / "protocol.json").exists()


@pytest.mark.parametrize("name", TABLES)
def test_every_row_has_settings_that_its_stage_knows_and_rows_that_come_before(name):
    table = TABLES[name]
    seen: set[str] = set()
    for row in table.rows:
        settings = dict(row.settings) | dict.fromkeys(row.uses, "checkpoint.pt")
        if row.stage != NNUNET:
            config = make_config(row.stage, settings | {"size": "64"})
            STAGES[row.stage].build(config)
        assert {*row.uses.values(), *([row.region] if row.region else [])} <= seen
        seen.add(row.name)
        assert "," not in row.name  # --rows takes names with commas between
    assert len({row.folder for row in table.rows}) == len(table.rows)
    for claim in table.claims:
        for row in table.rows:
            if row.name in (claim.better, claim.worse):
                assert claim.structure in row.measures
        assert {claim.better, claim.worse} <= seen


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_names_settings_that_every_stage_has(name):
    protocol = PROTOCOLS[name]
    for stage in {row.stage for row in CASCADE.rows} - {NNUNET}:
        make_config(stage, protocol.settings | {"size": str(protocol.sizes["heart"])})
    assert set(protocol.sizes) == {row.size for table in TABLES.values() for row in table.rows}
    for stage, settings in protocol.stage_settings.items():
        make_config(stage, protocol.settings | settings)


def test_a_stage_with_settings_of_its_own_has_them_in_place_of_the_common_ones():
    quick = PROTOCOLS["quick"]
    assert quick.settings_for("dae") == quick.settings
    assert quick.settings_for("clickhead")["steps"] != quick.settings["steps"]
    assert quick.settings_for("clickhead")["device"] == quick.settings["device"]


def test_without_nnunet_its_row_and_what_is_said_of_it_are_left_out():
    table = without_nnunet(CASCADE)
    assert [row.name for row in table.rows] == [r.name for r in CASCADE.rows if r.name != "nnU-Net"]
    assert not any("nnU-Net" in claim.words for claim in table.claims)
    assert len(table.claims) == len(CASCADE.claims) - 4


def test_choosing_a_row_takes_along_what_it_needs_and_the_claims_it_can_answer():
    chosen = choose_rows(CASCADE, ["PRSN", "MFB-PRSN"])
    assert [row.name for row in chosen.rows] == ["DAE", "ASSN", "MFB-PRSN", "PRSN"]
    assert {claim.words for claim in chosen.claims} == {"channel attention beats MFB"}
    with pytest.raises(InputError, match="unknown rows YOLO: expected some of U-Net bSSFP, DAE"):
        choose_rows(CASCADE, ["YOLO"])


def test_scores_come_back_from_their_file_as_they_were(tmp_path):
    scores = scores_of("PRSN", [0.5, None, 1 / 3])
    write_scores(tmp_path / "cases.csv", scores)
    assert read_scores(tmp_path / "cases.csv") == scores


def test_the_mean_of_a_patient_is_over_seeds_and_leaves_undefined_ones_out():
    scores = scores_of("PRSN", [0.4, 0.9, None])
    scores += [replace(score, seed=1) for score in scores_of("PRSN", [0.6, None, None])]
    scores += scores_of("other", [0.0, 0.0, 0.0])
    found = per_patient(scores, "PRSN", "scar", "dice")
    assert found == {"patient 0": pytest.approx(0.5), "patient 1": 0.9, "patient 2": None}


def small_table(lower: bool = False) -> PaperTable:
    rows = (
        Row("A", "prsn", measures=("scar",), published={"scar": "0.64"}),
        Row("B", "prsn", measures=("scar",)),
    )
    measure = "hd_mm" if lower else "dice"
    return PaperTable("t", "s", rows, (Claim("A beats B", "A", "B", "scar", measure, lower),))


def test_a_row_shows_mean_and_sample_deviation_of_its_patients_and_counts_the_undefined():
    lines = table_lines(small_table(), scores_of("A", [0.2, 0.4, 0.6, None]))
    assert lines[2].startswith("| A | scar | 0.400 ± 0.200 (")
    assert "1 undefined" in lines[2]
    assert lines[2].endswith("| 0.64 |")
    assert lines[3] == "| B | scar | – | – | – | – | – |"  # not measured


@pytest.mark.parametrize(
    ("better", "holds"),
    [([0.8, 0.7, 0.9, 0.8], "yes"), ([0.9, 0.4, 0.6, 0.3], "not shown"), ([0.1] * 4, "no")],
)
def test_a_claim_holds_only_where_the_interval_leaves_no_doubt(better, holds):
    scores = scores_of("A", better) + scores_of("B", [0.5, 0.5, 0.5, 0.5])
    line = claim_lines(small_table(), scores)[2]
    assert line.endswith(f"| {holds} |")
    assert f"{np.mean(better) - 0.5:+.3f}" in line


def test_a_claim_shows_the_difference_of_every_seed():
    scores = scores_of("A", [0.6, 0.8]) + scores_of("B", [0.5, 0.5])
    scores += [replace(s, seed=1) for s in scores_of("A", [0.4, 0.5]) + scores_of("B", [0.5, 0.5])]
    line = claim_lines(small_table(), scores)[2]
    assert "| +0.200, -0.050 |" in line
    assert "| +0.075 (" in line


def test_less_is_better_for_a_distance():
    def distances(row: str, values: list[float]) -> list[CaseScore]:
        return [
            CaseScore(row, 0, f"patient {k}", "scar", agreement(0.5, value))
            for k, value in enumerate(values)
        ]

    scores = distances("A", [3, 4, 5, 3]) + distances("B", [8, 9, 9, 12])
    assert claim_lines(small_table(lower=True), scores)[2].endswith("| yes |")
    scores = distances("B", [3, 4, 5, 3]) + distances("A", [8, 9, 9, 12])
    assert claim_lines(small_table(lower=True), scores)[2].endswith("| no |")


def test_a_claim_counts_patients_that_both_rows_have():
    scores = scores_of("A", [0.9, None, 0.8]) + scores_of("B", [0.5, 0.1, None])
    assert "+0.400" in claim_lines(small_table(), scores)[2]


@pytest.fixture(scope="module")
def phantom() -> tuple[Case, np.ndarray]:
    patient = generate_patient(970_200, PhantomConfig(view="heart", dropout=False, normal_share=0))
    case = patient_case(patient)
    from myops.geometry.canonical import to_canonical

    return case, to_canonical(patient.labels, case.original)


class Oracle(nn.Module):
    """Answers with the truth that was cut out as its images are: logits of one-hot planes."""

    def __init__(self, planes: np.ndarray) -> None:
        super().__init__()
        self.planes = torch.from_numpy(planes).float()
        self.unused = nn.Parameter(torch.zeros(1))
        self.seen = 0

    def forward(self, images: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        chunk = self.planes[self.seen : self.seen + len(images)]
        self.seen += len(images)
        return 20 * chunk - 10


def one_hot(truth: np.ndarray, values: list[int], box, size: int) -> np.ndarray:
    from myops.geometry.square import crop_stack

    planes = [crop_stack((truth == v).astype(np.float32), box, size) > 0.5 for v in values]
    planes = np.stack([~np.any(planes, axis=0), *planes], axis=1)
    return planes.astype(np.float32)


def test_a_network_that_knows_the_truth_gets_it_back_on_the_cases_grid(phantom):
    case, truth = phantom
    truth_lv = lv_region(truth)
    box = heart_box(truth_lv.astype(np.float32), case.geometry.spacing_mm)
    values = [MYOPS["normal_myocardium"], MYOPS["edema"], MYOPS["scar"]]
    config = UnetConfig(target="tissues", size=256)
    labels = predict.predict_tissues(Oracle(one_hot(truth, values, box, 256)), config, case, box)
    found = compare(labels, truth, case.geometry.spacing_mm)
    assert found["scar"].dice > 0.95
    assert found["myocardium"].dice > 0.95

    region = predict.predict_region(
        Oracle(one_hot(truth_lv.astype(int), [1], box, 256)),
        UnetConfig(target="region", size=256),
        case,
        box,
    )
    assert compare(predict.region_labels(region), truth, (1, 1, 1))["lv_region"].dice > 0.97


@pytest.mark.parametrize("sequences", [("bssfp", "lge", "t2"), ("bssfp", "lge")])
def test_a_network_sees_a_patient_as_its_training_shows_it(phantom, sequences, monkeypatch):
    """Found by measuring: a U-Net of the whole square was shown other intensities than it knew."""
    case, truth = phantom
    images = {name: case.images[name] for name in sequences}
    case = replace(case, images=images)
    lv = lv_region(truth)
    patient = CasePatient("p", images, truth, truth > 9999, case.geometry.spacing_mm, True)
    box, tissue = (
        make(lv.astype(kind), case.geometry.spacing_mm)
        for make, kind in ((heart_box, np.float32), (tissue_box, bool))
    )
    monkeypatch.setattr(unet, "jittered_box", lambda *_: box)
    monkeypatch.setattr(prsn, "jittered_tissue_box", lambda *_: tissue)
    # The region as it is, without the errors that a training makes.
    monkeypatch.setattr(prsn, "perturb_region", lambda region, *_: region.astype(np.float32))
    shown: list[torch.Tensor] = []

    class Looks(nn.Module):
        def forward(self, images, _present):
            shown.append(images)
            return torch.zeros(len(images), 4, *images.shape[2:])

    for config in (UnetConfig(target="tissues", size=64), UnetConfig(size=64, inside=1)):
        config = replace(config, target="tissues")
        batch = unet.prepare(patient, np.random.default_rng(0), config)
        trained = prsn.candidates({name: torch.from_numpy(v) for name, v in batch.items()})
        shown.clear()
        predict.predict_tissues(Looks(), config, case, box, lv if config.inside else None)
        seen = torch.cat(shown)
        if config.inside:  # slices without a ventricle are not trained on
            seen = seen[(seen != 0).any(dim=(1, 2, 3))]
        assert seen.shape == trained.shape
        both = (seen != 0) & (trained != 0)
        # A region's border is cut out of labels here and of a mask there.
        assert both.sum() > 0.97 * ((seen != 0) | (trained != 0)).sum()
        assert (seen - trained.float())[both].abs().max() < 0.02
        assert seen.std() > 0.1


def test_both_stages_of_a_dssnet_make_one_label_map_on_the_cases_grid(phantom):
    case, truth = phantom
    box = heart_box(lv_region(truth).astype(np.float32), case.geometry.spacing_mm)
    wall = np.isin(truth, [200, 1220, 2221])
    anatomy = np.where(wall, 2, (truth == MYOPS["blood_pool"]).astype(int))
    coarse = torch.from_numpy(one_hot(anatomy, [1, 2], box, 256))
    fine = torch.from_numpy(one_hot(truth, [200, 1220, 2221], box, 256))

    class Both(Oracle):
        def forward(self, images, *_):
            chunk = slice(self.seen, self.seen + len(images))
            self.seen += len(images)
            return {"coarse": 20 * coarse[chunk] - 10, "fine": 20 * fine[chunk] - 10}

    labels = predict.predict_dssnet(Both(fine.numpy()), case, box, 256)
    found = compare(labels, truth, case.geometry.spacing_mm)
    for structure in ("lv_region", "blood_pool", "myocardium", "scar"):
        assert found[structure].dice > 0.94, structure


def test_inside_a_region_nothing_is_found_outside_it(phantom):
    case, truth = phantom
    box = heart_box(lv_region(truth).astype(np.float32), case.geometry.spacing_mm)
    region = lv_region(truth)
    region[: len(region) // 2] = False
    everywhere_scar = Oracle(np.tile([[[[0.0]], [[0.0]], [[0.0]], [[1.0]]]], (40, 1, 64, 64)))
    config = UnetConfig(target="tissues", size=64, inside=1)
    labels = predict.predict_tissues(everywhere_scar, config, case, box, region)
    assert not labels[~region].any()
    assert (labels[region] == MYOPS["scar"]).mean() > 0.95


@pytest.fixture
def counted(monkeypatch):
    """A training that writes nothing but its call; an evaluation that gives one score per row."""
    calls: list[str] = []

    def train(stage, settings, folder, resume, patients):
        calls.append(f"{folder.name} {settings['seed']} {resume}")
        return folder / "checkpoint.pt"

    monkeypatch.setattr("myops.training.loop.train", train)
    monkeypatch.setattr(
        run,
        "evaluate",
        lambda _regions, _tests, _seed, row, _path: scores_of(row.name, [0.5], "lv_region"),
    )
    monkeypatch.setattr(run, "make_cohort", lambda folder, *_: folder)
    monkeypatch.setattr(run, "read_cases", lambda *_: [named(name) for name in "abcdef"])
    monkeypatch.setattr(run, "_test_cases", lambda _: [])
    monkeypatch.setattr(run, "choose_cases", lambda *_: [])
    return calls


def wanted_in(folder: Path, seeds: int = 1) -> Reproduction:
    protocol = replace(PROTOCOLS["quick"], seeds=seeds)
    return Reproduction("cascade", choose_rows(CASCADE, ["ASSN"]), protocol, folder)


def test_a_second_call_trains_only_what_is_not_done(counted, tmp_path):
    run.reproduce(wanted_in(tmp_path), lambda _: None)
    assert counted == ["dae 0 True", "assn 0 True"]
    (tmp_path / "seed_0" / "assn" / "cases.csv").unlink()  # as if killed before it was evaluated
    said: list[str] = []
    path = run.reproduce(wanted_in(tmp_path), said.append)
    assert counted == ["dae 0 True", "assn 0 True", "assn 0 True"]
    assert "0.500" in path.read_text("utf-8")


def test_another_protocol_is_not_mixed_into_a_folder(counted, tmp_path):
    run.reproduce(wanted_in(tmp_path), lambda _: None)
    other = wanted_in(tmp_path)
    other = replace(other, protocol=replace(other.protocol, sizes={"heart": 96, "tissue": 64}))
    with pytest.raises(InputError, match=r"holds another reproduction \(protocol differ\)"):
        run.reproduce(other, lambda _: None)


def test_more_seeds_and_rows_are_added_to_those_there(counted, tmp_path):
    run.reproduce(wanted_in(tmp_path), lambda _: None)
    more = wanted_in(tmp_path, seeds=2)
    run.reproduce(replace(more, table=choose_rows(CASCADE, ["ASSN without DAE"])), lambda _: None)
    assert counted[2:] == ["assn_without_dae 0 True", "assn_without_dae 1 True"]
    run.reproduce(more, lambda _: None)
    assert counted[4:] == ["dae 1 True", "assn 1 True"]


def test_a_row_of_other_settings_is_not_mixed_into_a_folder(counted, tmp_path):
    first = wanted_in(tmp_path)
    run.reproduce(first, lambda _: None)
    rows = tuple(replace(row, settings={"jitter": "2"}) for row in first.table.rows)
    with pytest.raises(InputError, match="row DAE, row ASSN differ"):
        run.reproduce(replace(first, table=replace(first.table, rows=rows)), lambda _: None)


def test_a_row_is_trained_on_the_trained_names_with_the_checkpoints_it_uses(tmp_path):
    wanted, split = wanted_in(tmp_path), Split(("a", "b"), ("c",))
    settings = run.settings_of(wanted, Path("data"), split, 1, wanted.table.rows[1])
    assert settings["case_names"] == "a,b"
    assert settings["cases"] == "data"
    assert settings["seed"] == "1"
    assert settings["dae"] == str(tmp_path / "seed_1" / "dae" / "checkpoint.pt")
    assert isinstance(make_config("assn", settings), CONFIGS["assn"])


@pytest.fixture
def trained_on(counted, monkeypatch):
    """As `counted`, with the real choice of patients: row to the names that it was trained on."""
    found: dict[str, list[str]] = {}

    def train(stage, settings, folder, resume, patients):
        found[folder.name] = [one.name for one in patients]
        return folder / "checkpoint.pt"

    monkeypatch.setattr("myops.training.loop.train", train)
    monkeypatch.setattr(run, "read_cases", read_cases)
    monkeypatch.setattr(run, "choose_cases", choose_cases)
    return found


@pytest.mark.slow
def test_every_row_is_trained_on_the_training_patients_alone(trained_on, folder_of_4, tmp_path):
    run.reproduce(replace(wanted_in(tmp_path), data=folder_of_4), lambda _: None)
    names = [f"phantom_{970_400 + k:06d}" for k in range(4)]
    assert trained_on == {"dae": names[:2], "assn": names[:2]}
    plan = json.loads((tmp_path / "protocol.json").read_text("utf-8"))
    assert plan["split"] == {"train": names[:2], "test": names[2:]}


def test_patients_of_another_kind_are_none_that_the_rows_learn_from(
    trained_on, folder_of_4, tmp_path
):
    copy = tmp_path / "outside" / "renamed"
    shutil.copytree(folder_of_4 / "phantom_970401", copy)
    for path in copy.iterdir():
        path.rename(path.with_name(path.name.replace("phantom_970401", "somebody")))
    wanted = replace(wanted_in(tmp_path / "out"), data=folder_of_4, outside=tmp_path / "outside")
    with pytest.raises(InputError, match="has not learned from, found somebody"):
        run.reproduce(wanted, lambda _: None)
    assert not trained_on


def test_other_patients_under_the_same_names_are_not_mixed_into_a_folder(
    counted, tmp_path, monkeypatch
):
    cases = [named(name) for name in "abcdef"]
    monkeypatch.setattr(run, "read_cases", lambda *_: cases)
    run.reproduce(wanted_in(tmp_path), lambda _: None)
    # One patient of each side, exchanged: the folder's trainings have learned from "f" as "a".
    exchanged = [replace(cases[5], name="a"), *cases[1:5], replace(cases[0], name="f")]
    corrected = [replace(cases[0], labels=cases[0].labels + np.uint16(200)), *cases[1:]]
    for other in (exchanged, corrected):
        monkeypatch.setattr(run, "read_cases", lambda *_, other=other: other)
        with pytest.raises(InputError, match=r"another reproduction \(patients differ\)"):
            run.reproduce(wanted_in(tmp_path), lambda _: None)


def test_a_folder_with_tables_of_another_origin_is_refused(counted, tmp_path):
    (tmp_path / "cases.csv").write_text("my own list", "utf-8")
    with pytest.raises(InputError, match=r"expected no cases\.csv of another origin"):
        run.reproduce(wanted_in(tmp_path), lambda _: None)
    assert (tmp_path / "cases.csv").read_text("utf-8") == "my own list"


PRSN = Row("PRSN", "prsn", "tissue", region="ASSN", measures=("scar",))
WITH_REGION = PaperTable("t", "s", (Row("ASSN", "assn", measures=("lv_region",)), PRSN), ())


def with_region(folder: Path) -> Reproduction:
    return Reproduction("cascade", WITH_REGION, PROTOCOLS["quick"], folder)


def test_a_row_looks_inside_the_region_of_the_assn_of_its_own_seed(tmp_path, monkeypatch):
    wanted = with_region(tmp_path)
    monkeypatch.setattr(evaluation, "load_trained", lambda path: (path, UnetConfig()))
    monkeypatch.setattr(predict, "predict_region", lambda network, *_: np.full((1, 1, 1), network))
    regions, test = Regions(wanted), SimpleNamespace(box="a box", name="p", case=None)
    for seed in (0, 1):
        found = regions.of(seed, PRSN, test)
        assert found == tmp_path / f"seed_{seed}" / "assn" / "checkpoint.pt"
    assert regions.of(0, WITH_REGION.rows[0], test) is None


@pytest.mark.parametrize("who", ["ASSN", "PRSN"])
def test_no_row_is_scored_on_a_patient_that_it_or_its_regions_network_has_learned_from(
    who, tmp_path, monkeypatch
):
    wanted = with_region(tmp_path)
    scored: list[str] = []
    learned = {wanted.checkpoint(0, wanted.row(who)): frozenset({"image of q"})}
    monkeypatch.setattr(evaluation, "learned_by", lambda path: learned.get(path, frozenset()))
    monkeypatch.setattr(evaluation, "load_trained", lambda _: (None, None))
    monkeypatch.setattr(evaluation, "label_map", lambda test, *_: scored.append(test.name))
    monkeypatch.setattr(evaluation, "score_case", lambda *_: [])
    tests = [
        TestCase(name, None, None, None, None, frozenset({f"image of {name}"})) for name in "pq"
    ]
    path = wanted.checkpoint(0, PRSN)
    with pytest.raises(InputError, match=f"expected cases that {who} has not learned from"):
        evaluation.evaluate(Regions(wanted), tests, 0, PRSN, path)
    assert scored == []
    evaluation.evaluate(Regions(wanted), tests[:1], 0, PRSN, path)
    assert scored == ["p"]


def test_a_start_that_knows_a_test_patient_is_refused_before_the_training(
    trained_on, folder_of_4, tmp_path, monkeypatch
):
    known = read_cases(folder_of_4)[3].image_checksums
    monkeypatch.setattr(run, "learned_by", lambda path: {Path("mine.pt"): known}[path])
    wanted = wanted_in(tmp_path)
    settings = wanted.protocol.settings | {"start": "mine.pt"}
    wanted = replace(wanted, protocol=replace(wanted.protocol, settings=settings), data=folder_of_4)
    with pytest.raises(InputError, match=r"mine\.pt has not learned from, found phantom_970403"):
        run.reproduce(wanted, lambda _: None)
    assert not trained_on


@pytest.mark.slow
def test_a_trained_row_carries_the_images_it_has_learned_from(folder_of_4, tmp_path):
    wanted = wanted_in(tmp_path)
    settings = PROTOCOLS["quick"].settings | {"steps": "2", "pool_start": "1", "workers": "0"}
    wanted = replace(
        wanted,
        table=choose_rows(CASCADE, ["ASSN without DAE"]),
        data=folder_of_4,
        protocol=replace(
            wanted.protocol,
            settings=settings | {"threads": "1"},
            stage_settings={"assn": {"widths": "4,4"}},
        ),
    )
    run.reproduce(wanted, lambda _: None)
    cases = read_cases(folder_of_4)
    (row,) = wanted.table.rows
    known = learned_by(wanted.checkpoint(0, row))
    assert known == cases[0].image_checksums | cases[1].image_checksums
    # Asked to score what it was trained on, it refuses.
    learned = [SimpleNamespace(name=one.name, image_checksums=one.image_checksums) for one in cases]
    with pytest.raises(InputError, match="found phantom_970400, phantom_970401, whose images"):
        evaluation.evaluate(Regions(wanted), learned, 0, row, wanted.checkpoint(0, row))


def test_a_patient_without_a_heart_counts_as_missed():
    test = SimpleNamespace(box=None, truth=np.ones((2, 4, 4)))
    labels = label_map(test, CASCADE.rows[-2], (nn.Identity(), UnetConfig()))
    assert labels.shape == (2, 4, 4)
    assert not labels.any()


@pytest.mark.scheduled
def test_the_command_trains_real_rows_and_prints_the_table(tmp_path):
    arguments = ["reproduce", "cascade", "--patients", "4", "--rows", "PRSN branch LGE"]
    arguments += ["--set", "steps=2", "--set", "widths=4,4", "--set", "threads=1"]
    arguments += ["--set", "workers=0", "--set", "pool_start=1", "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "[3/3] PRSN branch LGE, seed 0" in done.output
    assert "2 patients trained on, 2 tested" in done.output
    assert "2 steps of 8 slices each" in done.output
    cases = read_scores(tmp_path / "out" / "cases.csv")
    assert {score.row for score in cases} == {"ASSN", "PRSN branch LGE"}
    assert len({score.case for score in cases}) == 2


@pytest.mark.scheduled
def test_two_processes_of_torchrun_make_one_table(folder_of_4, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    arguments = ["reproduce", "cascade", "--data", str(folder_of_4), "--rows", "ASSN without DAE"]
    for setting in ("steps=2", "widths=4,4", "threads=1", "workers=0", "pool_start=1", "devices=2"):
        arguments += ["--set", setting]
    done = subprocess.run(
        [*torchrun, "-m", "myops", *arguments, "--output", str(tmp_path / "out")],
        capture_output=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Table: ") == 1
    assert done.stdout.count("[1/1] ASSN without DAE, seed 0") == 1
    assert len(read_scores(tmp_path / "out" / "cases.csv")) == 2


@pytest.mark.slow
def test_rows_are_also_tested_on_patients_of_another_kind(folder_of_4, tmp_path):
    drawn = PhantomConfig(view="heart", dropout=False, normal_share=0.0, random_contrast_share=1.0)
    write_cohort(970_500, 3, tmp_path / "others", drawn)
    arguments = ["reproduce", "cascade", "--data", str(folder_of_4), "--rows", "ASSN without DAE"]
    for setting in ("steps=2", "widths=4,4", "threads=1", "workers=0", "pool_start=1"):
        arguments += ["--set", setting]
    arguments += ["--output", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert "Out of distribution" not in done.output
    # Asked for later, the rows that are done are tested on them without a new training.
    outside = ["--outside", str(tmp_path / "others")]
    done = CliRunner().invoke(cli, arguments + outside, catch_exceptions=False)
    assert "Out of distribution" in done.output
    assert "finished at step" not in done.output
    found = read_scores(tmp_path / "out" / "outside.csv")
    assert {score.case for score in found} == {f"phantom_{970_500 + k:06d}" for k in range(3)}


def test_the_phantoms_of_another_kind_are_others_than_the_cohorts(tmp_path):
    written: dict[str, PhantomConfig] = {}

    def note(patient, folder):
        written[folder.name] = patient

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("myops.phantom.patient.generate_patient", lambda seed, drawn: drawn)
        patch.setattr("myops.phantom.files.write_patient", note)
        make_cohort(tmp_path / "cohort", 2, lambda *_: None)
        make_outside(tmp_path / "outside", 2, lambda *_: None)
    assert len(written) == 4
    cohort, outside = written["phantom_960000"], written["phantom_965000"]
    assert (cohort.wide, outside.wide) == (0.0, 1.0)
    assert cohort.normal_share == outside.normal_share == 0.0


def test_an_unknown_table_is_refused_with_the_known_ones(tmp_path):
    done = CliRunner().invoke(cli, ["reproduce", "yolo", "--output", str(tmp_path)])
    assert done.exit_code != 0
    assert all(name in done.output for name in TABLES)


def test_scar_masses_are_compared_with_the_true_ones_by_hand():
    tests, results = [], []
    for k, (voxels, error_g) in enumerate([(100, 1.0), (200, -2.0), (300, 3.0), (400, 0.0)]):
        image = sitk.Image((20, 20, 2), sitk.sitkFloat32)
        image.SetSpacing((2.0, 2.0, 10.0))  # 0.04 mL a voxel
        labels = np.zeros((2, 20, 20), np.uint16)
        labels.reshape(-1)[:voxels] = MYOPS["scar"]
        one = LabeledCase("myops", f"p{k}", {"lge": image}, labels, np.ones(2, bool), frozenset())
        tests.append(one)
        step = ScoredStep(3, 0.5, None, 1, error_g)
        results.append(
            PatientResult("myops", one.name, voxels, 50.0, (Run("m", "automatic", (), (step,)),))
        )
    masses = interactive.true_masses_g(tests)
    assert masses == pytest.approx({"p0": 4.2, "p1": 8.4, "p2": 12.6, "p3": 16.8})
    line = interactive.mass_table(results, tests).splitlines()[2]
    # |errors| 0, 1, 2, 3: median 1.5, quartiles 0.75 and 2.25; CCC by its definition:
    x, y = np.array([5.2, 6.4, 15.6, 16.8]), np.array([4.2, 8.4, 12.6, 16.8])
    ccc = 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert line.startswith(f"| m | 3 | 4 | 1.50 (0.75–2.25) | +0.50 | {ccc:.3f} (")


@pytest.mark.scheduled
def test_the_interactive_table_comes_from_an_adaptation_and_clicks(tmp_path, folder_of_4):
    arguments = ["reproduce", "interactive", "--data", str(folder_of_4), "--set", "minutes=0.01"]
    arguments += ["--set", "workers=0", "--set", "pool_start=1", "--set", "batch_size=1"]
    arguments += ["--set", "threads=1", "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    for method in ("default", "adapted", "region growing"):
        assert f"| {method} | 5 | 2 |" in done.output
    assert (tmp_path / "out" / "seed_0" / "refiner" / "weights" / "clickhead.safetensors").exists()
    assert (tmp_path / "out" / "seed_0" / "clicks" / "interactive.png").exists()
    again = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert "clicking" not in again.output  # nothing is done twice


@pytest.fixture(scope="module")
def folder_of_4(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("four")
    write_cohort(970_400, 4, folder, PhantomConfig(view="heart", dropout=False, normal_share=0.0))
    return folder


def test_acute_and_chronic_patients_are_shown_apart():
    lines = subgroup_lines(small_table(), scores_of("A", [0.2, 0.4, 0.6, 0.8]), {"patient 0"})
    assert lines[2].startswith("| A | 0.200 ± 0.000")
    assert "n = 1 | 0.600 ± 0.200" in lines[2]
    everyone = {f"patient {k}" for k in range(4)}
    assert subgroup_lines(small_table(), scores_of("A", [0.2, 0.4, 0.6, 0.8]), everyone) == []


def test_scar_masses_of_a_row_come_from_its_volumes():
    def sized(name: str, found_ml: float, true_ml: float) -> CaseScore:
        measured = replace(agreement(0.5), volume_prediction_ml=found_ml, volume_truth_ml=true_ml)
        return CaseScore("A", 0, name, "scar", measured)

    scores = [sized("a", 10, 20), sized("b", 20, 20), sized("c", 50, 30)]
    line = mass_lines(small_table(), scores)[2]
    # Errors of -10.5, 0 and 21 g: median 10.5, quartiles 5.25 and 15.75, mean 3.5.
    assert line.startswith("| A | 10.50 (5.25–15.75) | +3.50 |")


def test_the_picture_shows_the_truth_and_every_row(phantom, tmp_path):
    import matplotlib.image

    case, truth = phantom
    test = TestCase("p", case, truth, np.ones(len(truth), bool), None)
    labels = {"A": truth, "B": np.zeros_like(truth)}
    path = picture.draw(tmp_path / "table.png", small_table(), picture.Answers(test, labels))
    pixels = matplotlib.image.imread(path)
    third = pixels.shape[1] // 4
    red = [
        ((part[..., 0] > 0.8) & (part[..., 1] < 0.5) & (part[..., 2] < 0.5)).sum()
        for part in (pixels[:, third * k : third * (k + 1)] for k in range(3))
    ]
    assert red[0] > 50  # the truth's scar
    assert red[1] > 50  # a row that found it
    assert red[2] == 0  # a row that found nothing


def test_a_folder_of_weights_leaves_room_for_the_curves():
    from myops.evaluation.tables import _short_name

    assert _short_name("/a/very/long/path/seed_0/refiner/weights") == "refiner/weights"
    assert _short_name("region growing") == "region growing"


def test_a_patient_without_spacing_has_a_dice_but_no_distance_and_no_mass(phantom):
    case, truth = phantom
    bare = spacing_unknown(case)
    test = TestCase("bare", bare, truth, np.ones(len(truth), bool), None)
    (score,) = evaluation.score_case(
        replace(small_table().rows[0], measures=("scar",)), 0, test, truth
    )
    assert score.agreement.dice == 1.0
    assert score.agreement.hd_mm is None and score.agreement.volume_truth_ml is None
    assert "spacing" in score.agreement.reason


def test_masses_of_a_row_leave_out_patients_without_volumes():
    def sized(name: str, found_ml: float | None, true_ml: float | None) -> CaseScore:
        measured = replace(agreement(0.5), volume_prediction_ml=found_ml, volume_truth_ml=true_ml)
        return CaseScore("A", 0, name, "scar", measured)

    known = [sized("a", 10, 20), sized("b", 20, 20), sized("c", 50, 30)]
    with_one = [*known, sized("d", None, None)]
    assert mass_lines(small_table(), with_one) == mass_lines(small_table(), known)
    assert mass_lines(small_table(), [sized("d", None, None)]) == []
