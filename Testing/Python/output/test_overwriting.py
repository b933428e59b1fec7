"""No command writes over what it reads, or over files that it has not written."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner, Result

from myops.cli import cli
from myops.errors import InputError
from myops.output.overwriting import lies_in, refuse_foreign, refuse_overwriting, refuse_replacing
from myops.training.export import main as export_command

READINGS = "case,reader,session,method,mass_g\n" + "".join(
    f"P{case},{reader},1,drawn,{10 + case}\n" for case in range(4) for reader in ("Ana", "Ben")
)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def assert_refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("Error: ")
    assert [word for word in words if word not in line] == []


def test_a_file_is_the_same_under_every_name_and_link(tmp_path):
    (tmp_path / "a").mkdir()
    image = tmp_path / "a" / "image.nii"
    image.write_text("voxels", "utf-8")
    (tmp_path / "linked").symlink_to(image)
    os.link(image, tmp_path / "hard")
    for name in ("a/image.nii", "a/../a/image.nii", "linked", "hard"):
        with pytest.raises(InputError, match="which is read, would be overwritten; name another"):
            refuse_overwriting([tmp_path / name], [image], "name another")
    refuse_overwriting([tmp_path / "new.nii"], [image, tmp_path / "missing"], "name another")


def test_a_folder_with_files_of_others_is_refused_and_an_own_one_is_not(tmp_path):
    folder = tmp_path / "out"
    refuse_foreign(folder, ["own_*"], "go elsewhere")
    folder.mkdir()
    (folder / "own_1").touch()
    refuse_foreign(folder, ["own_*"], "go elsewhere")
    (folder / "patient").touch()
    (folder / "patient_2").touch()
    with pytest.raises(InputError, match="found patient and 1 more; go elsewhere"):
        refuse_foreign(folder, ["own_*"], "go elsewhere")


def test_a_table_of_the_users_is_refused_until_the_commands_own_mark_is_there(tmp_path):
    (tmp_path / "table.csv").touch()
    with pytest.raises(InputError, match=r"expected no table\.csv of another origin"):
        refuse_replacing(tmp_path, ["a.csv", "table.csv"], "mark.json", "go elsewhere")
    (tmp_path / "mark.json").touch()
    refuse_replacing(tmp_path, ["a.csv", "table.csv"], "mark.json", "go elsewhere")


def test_a_path_lies_in_a_folder_by_whatever_link(tmp_path):
    (tmp_path / "weights" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "weights")
    for name in ("weights", "link", "weights/deep", "link/deep", "weights/deep/new.file"):
        assert lies_in(tmp_path / name, tmp_path / "weights"), name
    assert not lies_in(tmp_path / "weights2", tmp_path / "weights")
    assert not lies_in(tmp_path, tmp_path / "weights")
    assert not lies_in(tmp_path / "weights", tmp_path / "missing")


@pytest.mark.parametrize("written", ["prediction", "truth"])
def test_compare_does_not_write_its_numbers_over_a_label_map(tmp_path, written):
    paths = {name: tmp_path / f"{name}.nii.gz" for name in ("prediction", "truth")}
    for path in paths.values():
        sitk.WriteImage(sitk.GetImageFromArray(np.full((2, 4, 4), 200, np.uint16)), str(path))
    before = paths[written].read_bytes()
    done = run("compare", *paths.values(), "--output", paths[written])
    assert_refused(done, f"{written}.nii.gz", "would be overwritten", "--output")
    assert paths[written].read_bytes() == before


@pytest.mark.parametrize("name", ["readings.csv", "agreement.csv", "tests.csv", "times.csv"])
def test_study_does_not_write_over_the_table_that_it_reads(tmp_path, name):
    source = tmp_path / name
    source.write_text(READINGS, "utf-8")
    assert_refused(run("study", source, "--output", tmp_path), name, "would be overwritten")
    assert source.read_text("utf-8") == READINGS
    assert sorted(tmp_path.iterdir()) == [source]


def test_study_does_not_replace_a_table_of_the_users_but_its_own(tmp_path):
    source, out = tmp_path / "table.csv", tmp_path / "out"
    source.write_text(READINGS, "utf-8")
    out.mkdir()
    (out / "readings.csv").write_text("mine", "utf-8")
    assert_refused(run("study", source, "--output", out), "readings.csv", "another origin")
    assert (out / "readings.csv").read_text("utf-8") == "mine"
    (out / "readings.csv").unlink()
    for _ in range(2):  # its own results are replaced
        assert run("study", source, "--output", out).exit_code == 0
    # These are a table of readings as well, and are not read and replaced at once.
    assert_refused(run("study", out / "readings.csv", "--output", out), "would be overwritten")


def test_a_phantom_is_not_mixed_with_a_patient_or_with_another_phantom(tmp_path):
    (tmp_path / "P1_LGE.nii.gz").touch()
    assert_refused(run("phantom", tmp_path, "--seed", 1), "P1_LGE.nii.gz", "folder of their own")
    assert_refused(run("phantom", tmp_path, "--patients", 2), "P1_LGE.nii.gz")
    assert len(list(tmp_path.iterdir())) == 1
    own = tmp_path / "own"
    own.mkdir()
    (own / "phantom_000002_C0.nii.gz").touch()
    assert_refused(run("phantom", own, "--seed", 1), "phantom_000002_C0.nii.gz")


def test_the_shipped_weights_are_never_the_place_that_nobody_named(tmp_path):
    done = CliRunner().invoke(export_command, [str(tmp_path / "checkpoint.pt")])
    assert done.exit_code == 2
    assert "--folder" in done.output


def test_the_demo_does_not_replace_the_clicks_of_a_reader(tmp_path):
    session = tmp_path / "session.json"
    session.write_text(json.dumps({"steps": []}), "utf-8")
    assert_refused(run("demo", "--output", tmp_path), "session.json", "another origin")
    assert list(tmp_path.iterdir()) == [session]
