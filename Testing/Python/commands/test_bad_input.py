"""Every kind of bad input, once through the library and once through the command line.

Both must say in one line what was expected, what was found and what to do; the command line leaves
with exit code 2, without a traceback and without anything written.
"""

import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner
from oblique import OBLIQUE

from myops.case import load_case
from myops.cli import cli
from myops.errors import InputError
from myops.evaluation.metrics import compare_files
from myops.info import as_text, describe

# Offsets in the 348 bytes of a NIfTI-1 header.
DIM, PIXDIM, CODES, SFORM = 42, 80, 252, 280


@dataclass(frozen=True)
class Bad:
    """One kind of bad input: how to make it, and a part of what must be said."""

    name: str
    make: Callable[[Path], dict[str, Path]]
    said: str
    remedy: str


def pixels(shape: tuple[int, ...] = (6, 24, 20), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 2000, shape).astype(np.int16)


def written(path: Path, array: np.ndarray, origin: tuple[float, ...] = (-5.0, 3.0, 9.0)) -> Path:
    image = sitk.GetImageFromArray(array)
    if image.GetDimension() == 3:
        image.SetSpacing((1.5, 1.5, 10.0))
        image.SetOrigin(origin)
        image.SetDirection(OBLIQUE)
    sitk.WriteImage(image, str(path))
    return path


def only(name: str, content: Callable[[Path], object]) -> Callable[[Path], dict[str, Path]]:
    """Make a folder's one file, given as the LGE."""

    def make(folder: Path) -> dict[str, Path]:
        content(folder / name)
        return {"lge": folder / name}

    return make


def array(values: np.ndarray) -> Callable[[Path], dict[str, Path]]:
    return only("image.nii.gz", lambda path: written(path, values))


def truncated(name: str) -> Callable[[Path], dict[str, Path]]:
    def make(folder: Path) -> dict[str, Path]:
        path = written(folder / name, pixels())
        data = path.with_suffix(".raw") if path.suffix == ".mhd" else path
        data.write_bytes(data.read_bytes()[: int(data.stat().st_size * 0.7)])
        return {"lge": path}

    return make


def patched(*patches: tuple[int, bytes]) -> Callable[[Path], dict[str, Path]]:
    """Make a NIfTI file and write bytes into its header."""

    def content(path: Path) -> None:
        written(path, pixels())
        header = bytearray(path.read_bytes())
        for offset, new in patches:
            header[offset : offset + len(new)] = new
        path.write_bytes(header)

    return only("image.nii", content)


def text_header(name: str, old: str, new: str) -> Callable[[Path], dict[str, Path]]:
    """Make a file with a text header and change a line of it."""

    def content(path: Path) -> None:
        image = sitk.GetImageFromArray(pixels())
        image.SetSpacing((1.5, 2.0, 10.0))
        sitk.WriteImage(image, str(path))
        before = path.read_bytes()
        after = before.replace(old.encode(), new.encode())
        assert after != before
        path.write_bytes(after)

    return only(name, content)


def rgb(path: Path) -> None:
    colors = np.random.default_rng(0).integers(0, 255, (6, 24, 20, 3)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(colors, isVector=True), str(path))


def cine(path: Path) -> None:
    frames = [sitk.GetImageFromArray(pixels(seed=seed)) for seed in range(3)]
    sitk.WriteImage(sitk.JoinSeries(frames), str(path))


def complex_numbers(path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(pixels().astype(np.complex64)), str(path))


def labels(*values: int) -> np.ndarray:
    return np.random.default_rng(0).choice(np.array(values, np.int16), (6, 24, 20))


def with_nan(share: float) -> np.ndarray:
    values = pixels().astype(np.float32)
    values.ravel()[: int(values.size * share)] = np.nan
    return values


def apart(folder: Path) -> dict[str, Path]:
    return {
        "lge": written(folder / "a_LGE.nii.gz", pixels()),
        "t2": written(folder / "a_T2.nii.gz", pixels(), (900.0, 0.0, 0.0)),
    }


BAD = [
    Bad("missing", only("none.nii.gz", lambda path: None), "found nothing there", "check the path"),
    Bad("folder", only("folder.nii", Path.mkdir), "found a folder", "name a file"),
    Bad("empty", only("empty.nii.gz", Path.touch), "found an empty file", "export it again"),
    Bad(
        "text named as an image",
        only("notes.nii", lambda path: path.write_text("no image " * 99, encoding="utf-8")),
        "found no image format",
        "convert it to NIfTI",
    ),
    Bad(
        "text",
        only("notes.txt", lambda path: path.write_text("no image " * 99, encoding="utf-8")),
        "found no image format",
        "convert it to NIfTI",
    ),
    *(
        Bad(f"truncated {name}", truncated(name), "truncated", "copy or export it again")
        for name in ("a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.mhd")
    ),
    Bad("2D", array(pixels((24, 20))), "found a 2D image (20x24)", "join the slices"),
    Bad(
        "2D picture",
        only("a.png", lambda path: written(path, pixels((24, 20)).astype(np.uint8))),
        "found a 2D image",
        "join the slices",
    ),
    Bad("4D cine", only("a.nii.gz", cine), "4D cine of 3 frames", "--frame 0 to 2"),
    Bad("RGB", only("a.nrrd", rgb), "found 3 (color or vector)", "gray-scale"),
    Bad("complex", only("a.nii.gz", complex_numbers), "complex numbers", "magnitude"),
    Bad("constant", array(np.full((6, 24, 20), 7, np.int16)), "same value 7", "check the export"),
    Bad("zeros", array(np.zeros((6, 24, 20), np.int16)), "same value 0", "check the export"),
    Bad(
        "mostly NaN",
        only("a.nrrd", lambda path: written(path, with_nan(0.6))),
        "60% NaN",
        "export the image again",
    ),
    Bad("NIfTI of NaN", array(with_nan(1.0)), "100% NaN", "export the image again"),
    Bad("MyoPS labels", array(labels(0, 200, 500, 600, 1220, 2221)), "label map", "MR image"),
    Bad("EMIDEC labels", array(labels(0, 1, 2, 3, 4)), "label map", "MR image"),
    Bad("binary mask", array(labels(0, 255)), "only the values 0, 255", "MR image"),
    *(
        Bad(
            f"NIfTI spacing {value:g}",
            patched((PIXDIM, struct.pack("<f", value))),
            f"above 0 mm on every axis, found {value:g}",
            "repair the header",
        )
        for value in (0.0, -1.5, float("nan"), float("inf"))
    ),
    Bad(
        "MetaImage spacing -2",
        text_header("a.mha", "ElementSpacing = 1.5 2 10", "ElementSpacing = 1.5 -2 10"),
        "above 0 mm on every axis, found 1.5 x -2 x 10",
        "repair the header",
    ),
    Bad(
        "MetaImage spacing 0",
        text_header("a.mha", "ElementSpacing = 1.5 2 10", "ElementSpacing = 1.5 0 10"),
        "above 0 mm on every axis",
        "repair the header",
    ),
    Bad(
        "NRRD spacing 0",
        text_header("a.nrrd", "(0,2,0)", "(0,0,0)"),
        "above 0 mm on every axis",
        "repair the header",
    ),
    Bad(
        "sheared",
        patched(
            (CODES, struct.pack("<2h", 0, 1)),
            (SFORM, struct.pack("<12f", 1.5, 0.4, 0, 0, 0, 1.5, 0, 0, 0, 0, 10, 0)),
        ),
        "axes at right angles",
        "orthogonal grid",
    ),
    Bad(
        "huge",
        patched((DIM, struct.pack("<3h", 4000, 4000, 50))),
        "at most 50 million voxels, found 4000x4000x50 = 800 million",
        "crop it around the heart",
    ),
    Bad("apart in space", apart, "t2: expected images of the same patient space", "one study"),
    Bad(
        "T2 alone",
        lambda folder: {"t2": written(folder / "a.nii.gz", pixels())},
        "found T2 alone",
        "add one",
    ),
]
every_bad_input = pytest.mark.parametrize("bad", BAD, ids=[bad.name for bad in BAD])


def options(paths: dict[str, Path]) -> list[str]:
    return [part for name, path in paths.items() for part in (f"--{name}", str(path))]


@every_bad_input
def test_the_library_refuses_it_in_one_line(bad: Bad, tmp_path: Path, capfd) -> None:
    with pytest.raises(InputError) as caught:
        load_case(**bad.make(tmp_path))
    message = str(caught.value)
    assert bad.said in message
    assert bad.remedy in message
    assert "expected" in message
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")


@every_bad_input
def test_the_command_refuses_it_with_exit_code_2_and_writes_nothing(
    bad: Bad, tmp_path: Path
) -> None:
    paths = bad.make(tmp_path)
    before = sorted(tmp_path.iterdir())
    result = CliRunner().invoke(cli, ["segment", *options(paths), "-o", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert bad.said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert sorted(tmp_path.iterdir()) == before


def test_the_process_itself_shows_one_line_and_no_traceback(tmp_path: Path) -> None:
    path = written(tmp_path / "a.nii.gz", labels(0, 200, 500))
    command = [sys.executable, "-m", "myops", "info", "--lge", str(path)]
    package = Path(cli.callback.__code__.co_filename).parents[1]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=package, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: lge: expected an image, found only the values 0, 200")
    assert done.stderr.count("\n") == 1


def test_a_wrong_frame_is_refused_with_the_right_range(tmp_path: Path) -> None:
    cine(tmp_path / "a.nii.gz")
    for frame in (3, -1):
        with pytest.raises(InputError, match=f"expected a frame from 0 to 2, found {frame}"):
            load_case(bssfp=tmp_path / "a.nii.gz", frame=frame)
    assert load_case(bssfp=tmp_path / "a.nii.gz", frame=1).images["bssfp"].shape == (6, 24, 20)


def test_one_slice_few_nans_and_unset_spacing_are_warnings_not_errors(tmp_path: Path) -> None:
    values = pixels((1, 24, 20)).astype(np.float32)
    values[0, 0, 0] = np.inf
    image = sitk.GetImageFromArray(values)
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    result = CliRunner().invoke(cli, ["info", "--lge", str(tmp_path / "a.nrrd")])
    assert result.exit_code == 0
    for said in ("a single slice", "1 NaN or infinite voxels", "the header holds no spacing"):
        assert f"Warning: lge: {said}" in result.output
    case = load_case(lge=tmp_path / "a.nrrd", spacing_mm=(1.5, 1.5, 8.0))
    assert "no spacing" not in as_text(describe(case))


def test_evaluate_refuses_what_cannot_be_compared(tmp_path: Path) -> None:
    truth = written(tmp_path / "truth.nii.gz", labels(0, 200, 500))
    moved = written(tmp_path / "moved.nii.gz", labels(0, 200, 500), (0.0, 0.0, 0.0))
    image = written(tmp_path / "image.nii.gz", pixels())
    for prediction, said in (
        (moved, "expected labels on the grid of the truth image"),
        (image, "image.nii.gz: expected MyoPS labels"),
        (tmp_path / "none.nii.gz", "found nothing there"),
    ):
        with pytest.raises(InputError) as caught:
            compare_files(prediction, truth)
        assert said in str(caught.value)
        result = CliRunner().invoke(cli, ["evaluate", str(prediction), str(truth)])
        assert result.exit_code == 2
        assert said in result.stderr
        assert result.stderr.count("\n") == 1


def test_an_output_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    truth = written(tmp_path / "truth.nii.gz", labels(0, 200, 500))
    (tmp_path / "occupied").write_text("a file, no folder", encoding="utf-8")
    output = str(tmp_path / "occupied" / "scores.json")
    result = CliRunner().invoke(cli, ["evaluate", str(truth), str(truth), "-o", output])
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
    assert (tmp_path / "occupied").read_text("utf-8") == "a file, no folder"
