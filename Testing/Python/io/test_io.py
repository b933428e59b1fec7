import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from oblique import OBLIQUE

from myops.errors import InputError
from myops.io.atomic import write_atomic, write_image
from myops.io.images import read_image


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".mhd"])
def test_every_format_gives_back_voxels_and_geometry(tmp_path, make_image, texture, suffix) -> None:
    image = make_image(texture(), direction=OBLIQUE)
    path = write_image(image, tmp_path / "new" / f"image{suffix}")
    again = read_image(path)
    assert np.array_equal(sitk.GetArrayFromImage(again), sitk.GetArrayFromImage(image))
    assert again.GetSpacing() == pytest.approx(image.GetSpacing(), rel=1e-6)
    assert again.GetOrigin() == pytest.approx(image.GetOrigin(), rel=1e-5)
    assert again.GetDirection() == pytest.approx(image.GetDirection(), abs=1e-5)


def test_one_frame_of_a_cine_is_read_with_its_geometry(tmp_path, make_image, texture) -> None:
    frames = [make_image(texture(seed=seed), direction=OBLIQUE) for seed in range(3)]
    sitk.WriteImage(sitk.JoinSeries(frames), str(tmp_path / "cine.nii.gz"))
    image = read_image(tmp_path / "cine.nii.gz", frame=2)
    assert np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(frames[2]))
    assert image.GetDirection() == pytest.approx(OBLIQUE, abs=1e-5)


def test_a_cine_of_one_frame_needs_no_choice(tmp_path, make_image, texture) -> None:
    sitk.WriteImage(sitk.JoinSeries([make_image(texture())]), str(tmp_path / "cine.nii.gz"))
    assert read_image(tmp_path / "cine.nii.gz").GetSize() == (20, 24, 6)


def test_the_frame_is_ignored_for_a_still_volume(tmp_path, make_image, texture) -> None:
    path = write_image(make_image(texture()), tmp_path / "still.nii.gz")
    assert read_image(path, frame=5).GetSize() == (20, 24, 6)


def test_a_volume_of_one_slice_is_read(tmp_path, make_image, texture) -> None:
    path = write_image(make_image(texture((1, 24, 20))), tmp_path / "slice.nii.gz")
    assert read_image(path).GetSize() == (20, 24, 1)


def test_an_odd_sform_is_read_without_a_word(tmp_path, make_image, texture, capfd) -> None:
    """ACDC files carry an sform whose scales are not the spacing: ITK warns, users cannot act."""
    path = write_image(make_image(texture(), origin=(0.0, 0.0, 0.0)), tmp_path / "odd.nii")
    header = bytearray(path.read_bytes())
    header[280:328] = struct.pack("<12f", -1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0)
    path.write_bytes(header)
    image = read_image(path)
    assert image.GetSpacing() == pytest.approx((1.5, 1.5, 10.0))
    assert capfd.readouterr() == ("", "")


def test_warnings_of_simpleitk_are_shown_again_afterwards(tmp_path, make_image, texture) -> None:
    path = write_image(make_image(texture()), tmp_path / "image.nii.gz")
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    read_image(path)
    assert sitk.ProcessObject.GetGlobalWarningDisplay() == shown


def test_every_acdc_heart_can_be_read(real_hearts, capfd) -> None:
    paths = sorted((real_hearts / "acdc").glob("*.nii.gz"))
    assert len(paths) > 0
    for path in paths:
        image = read_image(path)
        with gzip.open(path) as stream:
            header = stream.read(348)
        assert image.GetSize() == struct.unpack("<3h", header[42:48])
        assert image.GetSpacing() == pytest.approx(struct.unpack("<3f", header[80:92]))
    assert capfd.readouterr() == ("", "")


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "result.txt"
    target.write_text("old", encoding="utf-8")

    def interrupted(beside: Path) -> None:
        beside.write_text("half", encoding="utf-8")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomic(target, interrupted)
    assert [path.name for path in tmp_path.iterdir()] == ["result.txt"]
    assert target.read_text("utf-8") == "old"


def test_the_writer_works_beside_the_target_under_the_same_suffix(tmp_path: Path) -> None:
    seen = []

    def writer(beside: Path) -> None:
        seen.append(beside)
        beside.write_bytes(b"whole")

    assert write_atomic(tmp_path / "out.nii.gz", writer).read_bytes() == b"whole"
    assert seen[0].parent == tmp_path
    assert seen[0].name.endswith(".nii.gz")
    assert not seen[0].exists()


def test_a_folder_that_is_a_file_cannot_be_written(tmp_path: Path, make_image, texture) -> None:
    (tmp_path / "occupied").write_text("a file", encoding="utf-8")
    with pytest.raises(InputError, match=r"out\.nii\.gz cannot be written .*; choose another"):
        write_image(make_image(texture()), tmp_path / "occupied" / "out.nii.gz")
    assert (tmp_path / "occupied").read_text("utf-8") == "a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="Permission denied"):
            write_atomic(
                tmp_path / "out.txt", lambda beside: beside.write_text("x", encoding="utf-8")
            )
    finally:
        tmp_path.chmod(0o700)
