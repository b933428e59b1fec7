"""The code as a whole: imports stay light, the index entry agrees with CMake."""

from __future__ import annotations

import ast
import json
import re
import struct
from pathlib import Path

import pytest
from fresh_python import MODULE, loaded_after, run_python

ROOT = Path(__file__).parents[3]
LIBRARY = MODULE / "myops"
SOURCES = sorted(LIBRARY.rglob("*.py"))
HEAVY = ("torch", "SimpleITK", "scipy", "matplotlib", "lightning", "numpy")


def imported_names(source: Path) -> set[str]:
    """Top-level names of every import statement in a file, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(str(node.module).split(".")[0])
    return names


@pytest.mark.parametrize("module", ["myops", "myops.cli"])
def test_help_needs_none_of_the_heavy_packages(module: str) -> None:
    assert loaded_after(module).isdisjoint(HEAVY)


@pytest.mark.parametrize("name", ["structures", "sequences", "labels"])
def test_the_tables_stand_on_the_ground_floor(name: str) -> None:
    code = f"import sys, myops.{name}\nprint(*[n for n in sys.modules if n.startswith('myops.')])"
    tables = {f"myops.{one}" for one in ("structures", "sequences", "labels")}
    tables |= {"myops.errors", "myops.io", "myops.io.readable"}
    assert set(run_python(code).split()) <= tables
    assert loaded_after(f"myops.{name}").isdisjoint(HEAVY)


def test_quantification_runs_without_torch() -> None:
    assert "torch" not in loaded_after("myops.quantify.measure")


def test_reading_a_case_needs_no_torch() -> None:
    assert "torch" not in loaded_after("myops.case")


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_the_library_knows_no_screen(source: Path) -> None:
    assert imported_names(source).isdisjoint({"slicer", "qt", "ctk", "vtk", "PySide6", "trame"})


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_nothing_in_the_library_unpickles_by_hand(source: Path) -> None:
    assert imported_names(source).isdisjoint({"pickle", "cloudpickle", "dill", "joblib"})


def test_no_two_classes_share_a_name() -> None:
    homes: dict[str, list[str]] = {}
    for source in sorted(MODULE.rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(str(source.relative_to(MODULE)))
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def test_every_folder_of_the_library_with_scripts_is_a_package() -> None:
    folders = {path.parent for path in SOURCES}
    assert [f for f in folders if not (f / "__init__.py").is_file()] == []


def test_the_index_entry_and_cmake_name_one_category_and_one_address() -> None:
    entry = json.loads((ROOT / "MyoPSSegmenter.json").read_text("utf-8"))
    cmake = (ROOT / "CMakeLists.txt").read_text("utf-8")
    allowed = {"$schema", "build_dependencies", "category", "scm_revision", "scm_url", "tier"}
    assert set(entry) == allowed
    assert f'EXTENSION_CATEGORY "{entry["category"]}"' in cmake
    assert f'EXTENSION_HOMEPAGE "{entry["scm_url"].removesuffix(".git")}"' in cmake
    assert f'EXTENSION_DEPENDS "{" ".join(entry["build_dependencies"])}"' in cmake


def test_the_icon_is_a_128_pixel_png_with_transparency() -> None:
    data = (ROOT / "Resources" / "MyoPSSegmenter.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height, bits, color_type = struct.unpack(">IIBB", data[16:26])
    assert (width, height, bits, color_type) == (128, 128, 8, 6)


def test_the_index_finds_small_screenshots_and_a_name_that_it_takes() -> None:
    cmake = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    entry = json.loads((ROOT / "MyoPSSegmenter.json").read_text(encoding="utf-8"))
    assert entry["scm_url"].rsplit("/", 1)[1].startswith("Slicer")
    (listed,) = re.findall(r'EXTENSION_SCREENSHOTURLS "([^"]+)"', cmake)
    base = entry["scm_url"].removesuffix(".git").replace("github.com", "raw.githubusercontent.com")
    for url in listed.split():
        path = ROOT / url.removeprefix(f"{base}/main/")
        assert path.read_bytes().startswith(b"\x89PNG"), url
        assert path.stat().st_size < 500_000, url
