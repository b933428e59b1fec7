"""The module file in a bare Python: stand-ins for slicer and qt, no vtk, no numpy, no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

MODULE = Path(__file__).parents[2] / "MyoPSSegmenter"
# Allows Python's own modules and this repository's; slicer and qt are empty shells.
BARE = f"""
import sys, types
sys.path.insert(0, {str(MODULE)!r})

class Bare:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        own = ("MyoPSSegmenter", "MyoPSSegmenterLib", "myops")
        if top not in sys.stdlib_module_names and top not in own:
            raise ModuleNotFoundError(f"{{name}} is not part of a bare Python", name=name)

sys.meta_path.insert(0, Bare())

def shell(name, **members):
    module = types.ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module
    return module

class Base:
    def __init__(self, parent=None):
        self.parent = parent

class Volume: ...
class Application:
    connected = []
    def connect(self, signal, function):
        self.connected.append((signal, function))

slicer = shell("slicer", vtkMRMLScalarVolumeNode=Volume, app=Application())
slicer.i18n = shell("slicer.i18n", tr=lambda t: t, translate=lambda c, t: t)
slicer.util = shell("slicer.util", VTKObservationMixin=type("Mixin", (), {{}}))
kinds = ("", "Widget", "Logic", "Test")
slicer.ScriptedLoadableModule = shell("slicer.ScriptedLoadableModule",
    **{{"ScriptedLoadableModule" + kind: type(kind or "Module", (Base,), {{}}) for kind in kinds}})
slicer.parameterNodeWrapper = shell("slicer.parameterNodeWrapper",
    parameterNodeWrapper=lambda cls: cls, WithinRange=lambda low, high: (low, high))
shell("qt")
shell("ctk")

import MyoPSSegmenter
"""


def bare(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{BARE}\n{code}"],
        capture_output=True,
        encoding="utf-8",
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_module_file_imports_in_a_bare_python() -> None:
    loaded = bare("print(*sorted({name.split('.')[0] for name in sys.modules}))")
    assert set(loaded).isdisjoint({"vtk", "numpy", "SimpleITK", "scipy", "torch", "PySide6"})


def test_the_module_file_imports_nothing_of_ours_before_it_is_needed() -> None:
    code = "print(*[n for n in sys.modules if n.startswith(('myops', 'MyoPSSegmenterLib'))])"
    loaded = bare(code)
    assert loaded == []


def test_the_descriptor_names_the_module_and_offers_sample_data_later() -> None:
    code = """
from types import SimpleNamespace
parent = SimpleNamespace()
MyoPSSegmenter.MyoPSSegmenter(parent)
print(parent.title.replace(" ", "_"), *parent.categories, slicer.app.connected[0][0])
print("research" in parent.helpText)
"""
    assert bare(code) == ["MyoPS_Segmenter", "Cardiac", "startupCompleted()", "True"]


def test_what_happens_at_every_start_of_slicer_imports_no_library() -> None:
    code = """
import types
slicer.vtkMRMLScene = object
import MyoPSSegmenterLib.Scene.Layouts
from MyoPSSegmenterLib import SampleData
offered = []
logic = types.SimpleNamespace(registerCustomSampleDataSource=lambda **one: offered.append(one))
SampleData.registerSampleData(logic, None)
print(len(offered), *sorted({name.split('.')[0] for name in sys.modules}))
MyoPSSegmenter.MyoPSSegmenter(types.SimpleNamespace())
print(*(function.__name__ for _, function in slicer.app.connected))
"""
    count, *loaded = bare(code)
    assert count == "1"
    assert set(loaded).isdisjoint({"vtk", "numpy", "SimpleITK", "scipy", "torch", "PySide6"})
    assert loaded[-2:] == ["registerLayouts", "registerSampleData"]


def test_the_module_file_only_names_and_delegates() -> None:
    source = (MODULE / "MyoPSSegmenter.py").read_text(encoding="utf-8")
    longest = max(
        (node.end_lineno or 0) - node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
    )
    assert len(source.splitlines()) < 300
    assert longest < 25


def test_slicer_finds_the_four_classes_by_their_names() -> None:
    classes = {
        node.name
        for node in ast.parse((MODULE / "MyoPSSegmenter.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    }
    expected = {f"MyoPSSegmenter{kind}" for kind in ("", "Widget", "Logic", "Test")}
    assert expected <= classes


def outsidePanels() -> list[Path]:
    """Every file of the Slicer layer but the panels'."""
    files = (MODULE / "MyoPSSegmenterLib").rglob("*.py")
    found = [path for path in files if path.parent.name != "Panels"]
    assert {path.parent.name for path in found} >= {"Steps", "Scene", "Runtime"}
    return found


def test_only_the_panels_know_qt() -> None:
    for path in outsidePanels():
        names = {
            alias.name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert names.isdisjoint({"qt", "ctk", "PySide6"}), path.name


def test_the_logic_never_asks_for_the_application_or_its_scene() -> None:
    for path in outsidePanels():
        used = {
            node.attr
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "slicer"
        }
        assert used.isdisjoint({"app", "modules", "mrmlScene"}), path.name


# Calls whose first argument the user reads.
SHOWN_BY = {"message", "ignored", "_ignored", "say", "submit", "InputError", "_giveUp"}


def untranslated(path: Path) -> list[str]:
    """Sentences that a file shows without handing them to `_`."""
    found = []
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and call.args and nameOf(call.func) in SHOWN_BY:
            found += [f"{path.name}:{n.lineno}" for n in plainSentences(call.args[0])]
        # The stage of a task, one word or more.
        if isinstance(call, ast.Call) and nameOf(call.func) == "progress" and len(call.args) > 1:
            stage = call.args[1]
            if isinstance(stage, ast.Constant) and stage.value:
                found.append(f"{path.name}:{stage.lineno}")
    return found


def nameOf(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def plainSentences(node: ast.expr) -> list[ast.expr]:
    """Texts with a space in them, and f-strings, that stand outside a call of `_`."""
    if isinstance(node, ast.Call) and nameOf(node.func) == "_":
        return []
    if isinstance(node, ast.JoinedStr):
        parts = [part.value for part in node.values if isinstance(part, ast.Constant)]
        return [node] if any(" " in str(part) for part in parts) else []
    if isinstance(node, ast.Constant):
        return [node] if isinstance(node.value, str) and " " in node.value.strip() else []
    return [found for child in ast.iter_child_nodes(node) for found in plainSentences(child)]


def test_every_sentence_of_the_logic_and_the_panel_goes_through_the_translation() -> None:
    files = [*(MODULE / "MyoPSSegmenterLib").rglob("*.py"), MODULE / "MyoPSSegmenter.py"]
    assert len(files) > 50
    assert [place for path in files for place in untranslated(path)] == []


def test_no_template_is_filled_before_it_is_translated() -> None:
    filled = [
        f"{path.name}:{call.lineno}"
        for path in (MODULE / "MyoPSSegmenterLib").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and nameOf(call.func) == "_"
        if isinstance(call.args[0], (ast.JoinedStr, ast.BinOp))
    ]
    assert filled == []
