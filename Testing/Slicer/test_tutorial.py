"""The tutorial that CI plays in desktop Slicer, on the stand-ins for its widgets."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("PySide6", reason="PySide6 is not installed: pip install PySide6-Essentials")
pytest.importorskip("torch", reason="torch is not installed")

from standins.desktop import closePanel, desktop, openPanel

TUTORIAL = Path(__file__).parents[1] / "Desktop" / "tutorial.py"


@pytest.fixture
def tutorial():
    """Give the script as a module; importing it starts nothing."""
    spec = importlib.util.spec_from_file_location("tutorial", TUTORIAL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.scheduled
def test_the_tutorial_does_what_the_guide_says_with_the_panels_buttons(scene, tutorial, tmp_path):
    said = []
    with desktop(scene) as windows:
        panel = openPanel()
        try:
            tutorial.play(panel, tmp_path, said.append)
        finally:
            closePanel(panel)
        assert windows.errors == []
    assert said[0].startswith("automatic: scar ") and said[-1].startswith("exported ")
