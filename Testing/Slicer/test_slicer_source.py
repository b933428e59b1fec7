"""The module on Slicer's own Python base files, where SLICER_SOURCE names a checkout of Slicer.

    make test-slicer-source SLICER_SOURCE=/path/to/Slicer

That also runs test_widget.py with these files in place of the stand-ins for them. Qt, CTK and qMRML
widgets stay stand-ins.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("PySide6", reason="PySide6 is not installed: pip install PySide6-Essentials")
if not os.environ.get("SLICER_SOURCE"):
    pytest.skip(
        "SLICER_SOURCE is not set: it names a checkout of Slicer, see `make help`",
        allow_module_level=True,
    )

import slicer
from standins import desktop as standins
from standins import real_base
from standins.desktop import closePanel, desktop, emptyParent, openPanel

from MyoPSSegmenterLib import SampleData
from MyoPSSegmenterLib.Runtime import Dependencies

SOURCE = real_base.checkout()


@pytest.fixture
def windows(scene: Any) -> Iterator[Any]:
    """Give what the user would see; the process looks like desktop Slicer with its own base."""
    with desktop(scene) as made:
        yield made


@pytest.fixture
def panel(windows: Any) -> Iterator[Any]:
    """Give the module's widget, entered."""
    made = openPanel()
    yield made
    if made.workflow is not None:
        closePanel(made)


def isOfCheckout(thing: Any) -> bool:
    return SOURCE in Path(inspect.getfile(thing)).parents


def test_the_base_is_the_checkouts(panel: Any) -> None:
    wrapper = type(panel._parameterNode)
    assert isOfCheckout(slicer.util.loadUI)
    assert isOfCheckout(sys.modules["slicer.ScriptedLoadableModule"])
    assert hasattr(wrapper, "allParameters"), "expected Slicer's wrapper, found the stand-in"


def test_what_the_user_chose_is_text_in_the_node_and_comes_back(panel: Any) -> None:
    parameters = panel._parameterNode
    panel.ui.fillCheckBox.checked = True
    panel.ui.stepSpinBox.value = 2.5
    panel.ui.readerEdit.text = "AB"
    node = parameters.parameterNode
    assert node.GetParameter("reader") == "AB"
    again = type(parameters)(node)
    assert (again.fillColors, again.stepMm, again.reader) == (True, 2.5, "AB")
    with pytest.raises(ValueError):
        again.stepMm = 50.0


def test_the_descriptor_fills_what_slicer_shows(windows: Any) -> None:
    import MyoPSSegmenter

    module = Path(MyoPSSegmenter.__file__)
    parent = SimpleNamespace(path=str(module))
    made = MyoPSSegmenter.MyoPSSegmenter(parent)
    assert (parent.title, parent.categories) == ("MyoPS Segmenter", ["Cardiac"])
    assert parent.contributors != ["Andras Lasso (PerkLab, Queen's University)"]
    assert parent.icon is not None
    assert slicer.selfTests["MyoPSSegmenter"] == made.runTest
    assert Path(made.resourcePath("UI/MyoPSSegmenter.ui")).is_file()


def test_a_reload_by_slicer_makes_a_panel_that_is_ready(
    panel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    parent = emptyParent()
    parent.isEntered = True

    def reload() -> None:  # what the C++ widget does
        import MyoPSSegmenter

        made.append(MyoPSSegmenter.MyoPSSegmenterWidget(parent))
        made[0].setup()

    panel.parent.reload = reload
    slicer.modules.myopssegmenter.widgetRepresentation = lambda: panel.parent
    slicer.modules.MyoPSSegmenterWidget = panel
    kept = {
        n: m for n, m in sys.modules.copy().items() if n.startswith(("myops", "MyoPSSegmenterLib"))
    }
    try:
        panel.onReload()
        assert panel.workflow is None
        assert made[0]._parameterNode is not None
        made[0].exit()
        made[0].cleanup()
    finally:
        sys.modules.update(kept)


def test_the_sample_patient_is_downloaded_by_script(panel: Any) -> None:
    sampleData = real_base.loadSampleData(SOURCE)
    SampleData.registerSampleData(sampleData.SampleDataLogic, slicer.mrmlScene)
    first = sampleData.downloadSample(SampleData.SAMPLE_NAME)
    assert first.GetName() == "MyoPSPhantom bSSFP"
    assert first.GetImageData().GetNumberOfPoints() > 100_000
    names = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")]
    assert sorted(names) == sorted(SampleData.NODE_NAMES.values())
    panel.exit()
    panel.enter()
    assert set(panel.logic.myops.patient.volumes) == {"bssfp", "lge", "t2"}


def test_a_damaged_file_in_slicers_cache_is_replaced(windows: Any, scene: Any) -> None:
    sampleData = real_base.loadSampleData(SOURCE)
    SampleData.registerSampleData(sampleData.SampleDataLogic, scene)
    cache = Path(scene.GetCacheManager().GetRemoteCacheDirectory())
    cache.mkdir(parents=True, exist_ok=True)
    damaged = cache / "MyoPSPhantom_11_DE.nii.gz"
    damaged.write_bytes(b"not an image")
    nodes = sampleData.downloadSamples(SampleData.SAMPLE_NAME)
    assert [node.GetName() for node in nodes] == list(SampleData.NODE_NAMES.values())
    assert damaged.stat().st_size > 100_000


def test_slicers_installer_takes_our_list_and_our_arguments(
    windows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaging = slicer.packaging
    signature = inspect.signature(packaging.pip_ensure)
    asked: list[Any] = []

    def ensure(*values: Any, **options: Any) -> None:
        asked.append(signature.bind(*values, **options).arguments)

    monkeypatch.setattr(packaging, "pip_ensure", ensure)
    with Dependencies._pinned() as constraints:
        Dependencies._installOthers(constraints)
        assert Path(asked[0]["constraints"]).read_text(encoding="utf-8").startswith("numpy==")
    names = {requirement.name for requirement in asked[0]["requirements"]}
    listed = (Path(__file__).parents[2] / "MyoPSSegmenter/Resources/requirements.txt").read_text(
        "utf-8"
    )
    lines = [line for line in listed.splitlines() if line and not line.startswith("#")]
    assert names == {line.split(">=")[0] for line in lines}
    assert {"highdicom", "jinja2", "safetensors"} <= names
    assert packaging.pip_check(asked[0]["requirements"])


def test_sentences_of_the_panel_and_the_logic_are_translated(
    windows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {n: sys.modules.pop(n) for n in list(sys.modules) if n.startswith("MyoPSSegmenterLib")}
    try:
        from MyoPSSegmenterLib.Panels.Waiting import installFirst
        from MyoPSSegmenterLib.Runtime.BackgroundWork import inWords

        english = (
            "Waits for packages that are not installed: press Install at the top of the panel."
        )
        said = "unexpected {kind}: {error}. The log holds the details."
        translations = {
            ("Panels.Waiting", english): "Wartet auf Pakete.",
            ("Runtime.BackgroundWork", said): "{error} ({kind})",
        }
        monkeypatch.setattr(standins, "TRANSLATIONS", translations)
        assert installFirst() == "Wartet auf Pakete."
        assert inWords(KeyError("x")) == "'x' (KeyError)"
    finally:
        for name in [n for n in sys.modules if n.startswith("MyoPSSegmenterLib")]:
            del sys.modules[name]
        sys.modules.update(kept)
