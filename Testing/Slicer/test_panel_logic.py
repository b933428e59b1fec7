"""The panels speak to `PanelLogic`: the real logic has all of it, and they use nothing else."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from infarct_patient import LabelsOnly, write_infarct_patient

from MyoPSSegmenterLib.ModuleLogic import MyoPSLogic
from MyoPSSegmenterLib.Panels import PanelLogic as protocols
from MyoPSSegmenterLib.Runtime.Events import Events

PANELS = Path(protocols.__file__).parent
STEPS = {
    "patient": protocols.PatientSteps,
    "automatic": protocols.AutomaticSteps,
    "correction": protocols.CorrectionSteps,
    "quantify": protocols.QuantifySteps,
    "study": protocols.StudySteps,
}
# How a panel, a function of `Waiting` and the list of keys call the logic.
LOGIC = ("self.logic", "logic", "panel.logic")


def members(protocol: type) -> set[str]:
    """The names that a protocol asks for, those of its bases too."""
    return {
        name
        for base in protocol.__mro__
        if getattr(base, "_is_protocol", False)
        for name in (*vars(base), *vars(base).get("__annotations__", {}))
        if not name.startswith("_")
    }


def step_of(node: ast.AST, names: dict[str, str]) -> str | None:
    """Which step an expression is, such as `self.logic.study`, or a local name for it."""
    if isinstance(node, ast.Attribute) and ast.unparse(node.value) in LOGIC:
        return node.attr
    return names.get(node.id) if isinstance(node, ast.Name) else None


def local_names(function: ast.AST) -> dict[str, str]:
    """Local names of steps, from lines such as `study = self.logic.study`."""
    found = {}
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign):
            continue
        pair = (node.targets[0], node.value)
        isMany = all(isinstance(one, ast.Tuple) for one in pair)
        for target, value in zip(*(one.elts for one in pair)) if isMany else [pair]:
            step = step_of(value, {})
            if step in STEPS and isinstance(target, ast.Name):
                found[target.id] = step
    return found


def used_by_panels() -> dict[str, set[str]]:
    """Step to the names that some panel uses of it; "" for the logic itself."""
    used: dict[str, set[str]] = defaultdict(set)
    for path in sorted(PANELS.glob("*.py")):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(function, ast.FunctionDef):
                continue
            names = local_names(function)
            for node in ast.walk(function):
                if isinstance(node, ast.Attribute):
                    if ast.unparse(node.value) in LOGIC:
                        used[""].add(node.attr)
                    if (step := step_of(node.value, names)) in STEPS:
                        used[step].add(node.attr)
    return used


def test_the_real_logic_has_all_that_the_panels_ask_for(scene: Any) -> None:
    logic = MyoPSLogic(scene)
    try:
        assert isinstance(logic, protocols.PanelLogic)
        for name, protocol in STEPS.items():
            missing = {one for one in members(protocol) if not hasattr(getattr(logic, name), one)}
            assert missing == set()
    finally:
        logic.close()


def test_the_stand_in_of_the_tests_has_all_that_measuring_asks_of_a_case(
    scene: Any, tmp_path: Path
) -> None:
    write_infarct_patient(tmp_path)
    assert isinstance(LabelsOnly(scene, Events(), tmp_path), protocols.CorrectedCase)


def test_the_panels_use_nothing_of_the_logic_that_the_protocol_does_not_name() -> None:
    assert used_by_panels()[""] == members(protocols.PanelLogic)


@pytest.mark.parametrize("step", STEPS)
def test_of_each_step_the_protocol_names_what_the_panels_use_and_no_more(step: str) -> None:
    assert used_by_panels()[step] == members(STEPS[step])
