"""CMake's lists are the files on disk: what is not listed is not in the installed extension."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODULE = ROOT / "MyoPSSegmenter"
SLICER_LAYER = ("MyoPSSegmenter.py", "MyoPSSegmenterLib", "Resources")
LISTS = {
    "MODULE_PYTHON_SCRIPTS": (SLICER_LAYER, True),
    "MODULE_PYTHON_RESOURCES": (SLICER_LAYER, False),
    "MYOPS_SCRIPTS": (("myops",), True),
    "MYOPS_RESOURCES": (("myops",), False),
}
# Stands in for Slicer's own CMake: writes what it was told.
FAKE_SLICER = """
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/nothing.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/nothing.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/nothing.cmake)
function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(M "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  message(STATUS "name=${M_NAME}")
  message(STATUS "files=${M_SCRIPTS};${M_RESOURCES}")
  message(STATUS "left=${M_UNPARSED_ARGUMENTS}")
endfunction()
function(slicer_add_python_unittest)
  message(STATUS "unittest=${ARGN}")
endfunction()
"""


def is_cache(path: Path) -> bool:
    """Whether a file is what tools leave behind, such as .ruff_cache and __pycache__."""
    return any(part.startswith((".", "__pycache__")) for part in path.parts)


def on_disk(parts: tuple[str, ...], scripts: bool) -> list[str]:
    """Files of the module under some names: Python scripts, or everything else."""
    found = []
    for part in parts:
        place = MODULE / part
        found += [place] if place.is_file() else [p for p in place.rglob("*") if p.is_file()]
    names = [path.relative_to(MODULE) for path in found if (path.suffix == ".py") == scripts]
    return sorted(str(name) for name in names if not is_cache(name))


def cmake_list(name: str) -> list[str]:
    text = (MODULE / "CMakeLists.txt").read_text(encoding="utf-8")
    found = re.search(rf"set\({name}\n(.*?)\n\s*\)", text, re.DOTALL)
    assert found, f"CMakeLists.txt has no list {name}"
    return found.group(1).split()


@pytest.mark.parametrize("name", LISTS)
def test_cmake_lists_every_file_of_the_module_once(name: str) -> None:
    expected = on_disk(*LISTS[name])
    assert cmake_list(name) == expected, f"paste into {name}:\n" + "\n".join(
        f"  {path}" for path in expected
    )


def test_no_file_of_the_module_belongs_to_no_list() -> None:
    known = {name for parts, _ in LISTS.values() for name in parts}
    known |= {"CMakeLists.txt", "myops_web"}
    present = {p.name for p in MODULE.iterdir() if not is_cache(Path(p.name))}
    # What pip leaves after an install from the checkout; Slicer has no use for the web front end.
    assert {name for name in present - known if not name.endswith(".egg-info")} == set()


def test_every_resource_is_package_data() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lists = re.search(r"\[tool.setuptools.package-data\]\n(.*?)\n\n", text, re.DOTALL)
    assert lists
    patterns: list[str] = []
    for package, globs in re.findall(r'^"?([\w.]+)"? = \[(.*)\]$', lists.group(1), re.MULTILINE):
        folder = package.replace(".", "/")
        patterns += [f"{folder}/{glob}" for glob in re.findall(r'"(.*?)"', globs)]
    missing = [
        name
        for name in cmake_list("MYOPS_RESOURCES")
        if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
    ]
    assert missing == []


@pytest.mark.skipif(
    not (shutil.which("cmake") and shutil.which("c++")), reason="cmake or a compiler is missing"
)
def test_cmake_hands_slicer_one_module_with_all_files_and_its_test(tmp_path: Path) -> None:
    fake = tmp_path / "slicer"
    fake.mkdir()
    (fake / "SlicerConfig.cmake").write_text(FAKE_SLICER, encoding="utf-8")
    (fake / "nothing.cmake").write_text("", encoding="utf-8")
    command = ["cmake", "-S", ROOT, "-B", tmp_path / "build", f"-DSlicer_DIR={fake}"]
    done = subprocess.run(
        [*map(str, command), "-DBUILD_TESTING=ON"],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = dict(re.findall(r"^-- (name|files|left|unittest)=(.*)$", done.stdout, re.MULTILINE))
    expected = [name for list_name in LISTS for name in cmake_list(list_name)]
    assert said["name"] == "MyoPSSegmenter"
    assert said["unittest"] == "SCRIPT;MyoPSSegmenter.py"
    assert said["left"] == ""
    assert sorted(said["files"].split(";")) == sorted(expected)
    assert [name for name in said["files"].split(";") if not (MODULE / name).is_file()] == []
