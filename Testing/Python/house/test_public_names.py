"""The front door: `import myops` is light, and its names are those of one table."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import myops

ROOT = Path(__file__).parents[3]
MODULE = ROOT / "MyoPSSegmenter"
DOOR = MODULE / "myops" / "__init__.py"
# What takes longer to import than a user of one name should wait for.
HEAVY = {"torch", "numpy", "SimpleITK", "nibabel", "pydicom", "scipy", "matplotlib", "typing"}
PLACES = {name: place.partition(":") for name, place in myops.PUBLIC.items()}


def loaded_after(code: str) -> set[str]:
    """Names of the modules that code loads in a fresh interpreter, beyond its own start."""
    script = (
        f"import sys\nsys.path.insert(0, {str(MODULE)!r})\nbefore = set(sys.modules)\n{code}\n"
        "print(*sorted(set(sys.modules) - before), sep='\\n')"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_import_myops_loads_none_of_its_modules_and_nothing_heavy() -> None:
    loaded = loaded_after("import myops")
    assert {name for name in loaded if name.startswith("myops")} == {"myops"}
    assert packages(loaded).isdisjoint(HEAVY)


def test_the_error_is_there_without_numpy() -> None:
    loaded = loaded_after("import myops; myops.InputError")
    assert packages(loaded).isdisjoint(HEAVY - {"typing"})


@pytest.mark.parametrize(
    "name",
    ["load_case", "read_label_map", "measure", "compare", "write_results", "Session", "read_study"],
)
def test_torch_is_loaded_only_by_what_needs_a_network(name: str) -> None:
    assert "torch" not in loaded_after(f"import myops; myops.{name}")


@pytest.mark.parametrize("name", myops.PUBLIC)
def test_a_public_name_is_that_of_its_module(name: str) -> None:
    module, _, own_name = PLACES[name]
    assert getattr(myops, name) is getattr(importlib.import_module(module), own_name or name)


def test_type_checkers_are_told_the_names_of_the_table() -> None:
    tree = list(ast.walk(ast.parse(DOOR.read_text("utf-8"))))
    told = {
        alias.asname: (node.module, alias.name)
        for node in tree
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("myops.")
        for alias in node.names
    }
    for node in tree:  # a name of its own: analyze_study = _analyze
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            (target,) = node.targets
            if isinstance(target, ast.Name) and node.value.id in told:
                told[target.id] = told.pop(node.value.id)
    assert told == {n: (module, own or n) for n, (module, _, own) in PLACES.items()}


def test_a_name_that_is_not_there_is_refused_as_python_does() -> None:
    with pytest.raises(AttributeError, match="module 'myops' has no attribute 'segmnet'"):
        myops.segmnet  # noqa: B018
    with pytest.raises(ImportError):
        exec("from myops import segmnet")


def test_dir_and_star_show_the_public_names_alone() -> None:
    assert dir(myops) == sorted([*myops.PUBLIC, "__version__"])
    names: dict[str, object] = {}
    exec("from myops import *", names)
    assert set(names) - {"__builtins__"} == set(dir(myops))


def test_submodules_are_still_found_in_the_package() -> None:
    from myops import labels

    assert labels.MYOPS["scar"] == 2221
    assert sys.modules["myops.labels"] is labels


def test_the_package_says_that_it_is_typed() -> None:
    assert (MODULE / "myops" / "py.typed").is_file()


FUNCTIONS = [name for name in myops.PUBLIC if inspect.isfunction(getattr(myops, name))]
CLASSES = [name for name in myops.PUBLIC if inspect.isclass(getattr(myops, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_docstring_of_a_function_tells_arguments_and_errors(name: str) -> None:
    function = getattr(myops, name)
    text = inspect.getdoc(function) or ""
    arguments = inspect.signature(function).parameters
    assert [a for a in arguments if f"\n    {a}: " not in text] == []
    assert "\nRaises:\n" in text or name in {"analyze_study"}


@pytest.mark.parametrize("name", CLASSES)
def test_the_docstring_of_a_class_is_its_own(name: str) -> None:
    kind = getattr(myops, name)
    assert kind.__doc__ and not kind.__doc__.startswith(f"{kind.__name__}(")  # dataclass's default


# Their examples stand with `replay` and `read_study`.
WITHOUT_EXAMPLE = {"write_record", "read_record", "analyze_study"}


@pytest.mark.parametrize("name", sorted({*FUNCTIONS, "Refiner", "Session"} - WITHOUT_EXAMPLE))
def test_the_main_names_come_with_an_example(name: str) -> None:
    text = inspect.getdoc(getattr(myops, name)) or ""
    assert "\nExample:\n    >>> " in text
