"""No circles: every file of the library and of the Slicer layer can be read after its imports.

What is counted: each `import` that runs, at the top of a file or inside a function. Inside a
function something heavy is loaded late, such as torch; that must not hide that two files need each
other, so it counts. Imports under `TYPE_CHECKING` do not: they never run, and they only name the
type of something that was handed over.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from import_graph import circles, import_graph, module_files


@pytest.fixture(scope="module")
def whole() -> dict[str, set[str]]:
    """Give the graph of the library and of the Slicer layer."""
    return import_graph(module_files())


def graph_of(folder: Path, **sources: str) -> dict[str, set[str]]:
    """The graph of a package "p" with these files."""
    package = folder / "p"
    package.mkdir()
    for name, text in {"__init__": "", **sources}.items():
        (package / f"{name}.py").write_text(text, "utf-8")
    return import_graph(module_files(folder))


@pytest.mark.slow
def test_no_file_of_the_library_or_of_the_slicer_layer_leads_back_to_itself(
    whole: dict[str, set[str]],
) -> None:
    assert {"myops.case", "myops.cli", "MyoPSSegmenter", "MyoPSSegmenterLib.ModuleLogic"} <= set(
        whole
    )
    assert circles(whole) == []


def test_networks_know_neither_the_folders_of_weights_nor_what_runs_them(
    whole: dict[str, set[str]],
) -> None:
    above = {
        "myops.weights.files",
        "myops.weights.store",
        "myops.cascade.segment",
        "myops.training.loop",
    }
    networks = {name for name in whole if name.startswith("myops.networks.")}
    assert "myops.networks.prsn" in networks
    assert {name: whole[name] & above for name in networks if whole[name] & above} == {}


def test_three_files_in_a_row_are_no_circle_and_the_same_three_in_a_ring_are_one(
    tmp_path: Path,
) -> None:
    row = {"a": "from p import b", "b": "from p.c import x", "c": "x = 1"}
    assert circles(graph_of(tmp_path, **row)) == []
    (tmp_path / "p" / "c.py").write_text("import p.a\nx = 1", "utf-8")
    assert circles(import_graph(module_files(tmp_path))) == [["p.a", "p.b", "p.c"]]


@pytest.mark.parametrize("line", ["from . import b", "from .b import x", "from p import b"])
def test_an_import_inside_a_function_counts(tmp_path: Path, line: str) -> None:
    sources = {"a": f"def f():\n    {line}\n", "b": "from p.a import f"}
    assert circles(graph_of(tmp_path, **sources)) == [["p.a", "p.b"]]


def test_an_import_for_the_type_checker_does_not_count(tmp_path: Path) -> None:
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.b import B\n"
    assert circles(graph_of(tmp_path, a=typed, b="from p.a import f")) == []
