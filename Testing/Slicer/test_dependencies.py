"""Packages that are missing: which, what for, how they come, and what is said when they do not."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import slicer

from myops.errors import InputError
from MyoPSSegmenterLib.Runtime import Dependencies


class Installer:
    """Plays `slicer.packaging` and `PyTorchUtils`: what is asked for, and what then is there."""

    def __init__(self, absent: set[str]) -> None:
        self.absent = absent
        self.asked: dict[str, Any] = {}
        self.constraints = self.torchConstraints = ""
        self.error: Exception | None = None
        self.torchError: Exception | None = None

    def load_requirements(self, path: str) -> list[str]:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        return [line for line in lines if line and not line.startswith("#")]

    def pip_ensure(self, requirements: list[str], **options: Any) -> None:
        if self.error is not None:
            raise self.error
        self.asked |= {"requirements": requirements, **options}
        self.constraints = Path(options["constraints"]).read_text(encoding="utf-8")
        names = {re.split("[>=]", name)[0].replace("-", "_") for name in requirements}
        self.absent -= {name.removeprefix("python_") for name in names}

    def installTorch(self, **options: Any) -> object | None:
        if self.torchError is not None:
            raise self.torchError
        self.asked["torch"] = options
        if "PIP_CONSTRAINT" in os.environ:  # pip reads it, whoever calls pip
            self.torchConstraints = Path(os.environ["PIP_CONSTRAINT"]).read_text(encoding="utf-8")
        self.absent.discard("torch")
        return object()


@pytest.fixture
def installer(monkeypatch: pytest.MonkeyPatch) -> Installer:
    """Give an installer on a computer where none of the packages is there."""
    made = Installer({package.module for package in Dependencies.PACKAGES})
    packaging = ModuleType("slicer.packaging")
    packaging.load_requirements = made.load_requirements  # type: ignore[attr-defined]
    packaging.pip_ensure = made.pip_ensure  # type: ignore[attr-defined]
    torchUtils = ModuleType("PyTorchUtils")
    torchUtils.PyTorchUtilsLogic = lambda: made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    monkeypatch.setattr(slicer, "packaging", packaging, raising=False)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", torchUtils)
    monkeypatch.setattr(Dependencies, "isInstalled", lambda name: name not in made.absent)
    return made


def titles(purpose: str | None = None) -> list[str]:
    return [package.title for package in Dependencies.missing(purpose)]


def test_what_is_missing_is_told_by_purpose(installer: Installer) -> None:
    assert titles("automatic") == ["PyTorch", "safetensors"]
    assert titles("files") == ["NiBabel", "pydicom", "python-gdcm"]
    assert titles("report") == ["Jinja2", "matplotlib"]
    assert titles("archive") == ["highdicom"]
    assert len(titles()) == 8


def test_what_is_missing_is_said_with_its_use(installer: Installer) -> None:
    installer.absent = {"safetensors"}
    said = Dependencies.inWords(Dependencies.missing())
    assert said == "safetensors (automatic segmentation and clicks)"


def test_without_segment_anything_nothing_is_missing_and_clicks_are_offered(
    installer: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "slicer.i18n", SimpleNamespace(tr=lambda text: text))
    from MyoPSSegmenterLib.Panels import Waiting

    installer.absent = {"segment_anything"}
    assert titles() == []
    logic = SimpleNamespace(
        correction=SimpleNamespace(refinerProblem="", labels=None),
        automatic=SimpleNamespace(isRunning=False),
        patient=SimpleNamespace(ready=lambda: None),
    )
    assert Waiting.prompts(logic) is None
    assert Waiting.waitsFor(logic)["automatic"] is None
    installer.absent = {"safetensors"}
    assert "press Install" in str(Waiting.prompts(logic))
    assert Waiting.waitsFor(logic)["automatic"] is not None


def test_torch_comes_through_slicers_extension_and_the_rest_through_pip_ensure(
    installer: Installer,
) -> None:
    progress: list[tuple[float, str]] = []
    Dependencies.install(lambda fraction, stage: progress.append((fraction, stage)))
    assert installer.asked["torch"]["torchVersionRequirement"] == ">=2.4"
    assert not any("torch" in name for name in installer.asked["requirements"])
    assert installer.asked["requester"] == "MyoPS Segmenter"
    assert [fraction for fraction, _ in progress] == sorted(fraction for fraction, _ in progress)
    assert progress[-1][0] == 1.0
    assert Dependencies.missing() == []


def test_torch_that_is_there_is_left_alone(installer: Installer) -> None:
    installer.absent = {"matplotlib"}
    Dependencies.install()
    assert "torch" not in installer.asked


def test_slicers_own_simpleitk_and_numpy_are_pinned_while_pip_runs(installer: Installer) -> None:
    import numpy

    Dependencies.install()
    assert f"numpy=={numpy.__version__}\n" in installer.constraints
    assert re.search(r"^SimpleITK==\d", installer.constraints, re.MULTILINE)
    names = {re.split("[>=]", name)[0].lower() for name in installer.asked["requirements"]}
    assert names.isdisjoint({"numpy", "simpleitk", "scipy", "torch"})


def test_a_replaced_simpleitk_is_said(
    installer: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = iter(["2.3", "2.3", "2.5"])
    monkeypatch.setattr(Dependencies, "_versions", lambda: {"SimpleITK": next(versions)})
    with pytest.raises(InputError, match="replaced SimpleITK, which belongs to Slicer"):
        Dependencies.install()


def test_no_requirement_is_pinned_exactly() -> None:
    text = Dependencies.REQUIREMENTS.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines == sorted(lines)
    assert all(re.fullmatch(r"[\w-]+>=[\d.]+", line) for line in lines)


def test_the_requirements_are_those_of_the_pip_package() -> None:
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    for line in Dependencies.REQUIREMENTS.read_text(encoding="utf-8").splitlines():
        assert line.startswith("#") or f'"{line}"' in pyproject
    assert f'"torch{Dependencies.TORCH_REQUIREMENT}"' in pyproject


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("HTTPSConnectionPool: Max retries, connection timed out", "internet cannot be reached"),
        ("SSLError: certificate verify failed", "firewall"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("PermissionError: [Errno 13] Permission denied", "folder cannot be written"),
        ("No matching distribution found for python-gdcm", "stable Slicer"),
        ("something else\nwith a second line", "could not be installed (something else)"),
    ],
)
def test_a_failure_is_explained_in_plain_words(installer: Installer, said: str, told: str) -> None:
    installer.error = RuntimeError(said)
    with pytest.raises(InputError) as caught:
        Dependencies.install()
    assert told in str(caught.value)
    assert "Install" in str(caught.value)


def test_an_old_slicer_is_refused_before_anything_large_is_downloaded(
    installer: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    with pytest.raises(InputError, match=r"5\.11 or newer"):
        Dependencies.install()
    assert installer.asked == {}


def test_slicers_own_packages_are_pinned_while_pytorch_is_installed_too(
    installer: Installer,
) -> None:
    Dependencies.install()
    assert "numpy==" in installer.torchConstraints
    assert "SimpleITK==" in installer.torchConstraints
    assert "PIP_CONSTRAINT" not in os.environ


def test_without_the_pytorch_extension_the_user_hears_where_it_is(
    installer: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(InputError, match="Extensions Manager"):
        Dependencies.install()


def test_a_canceled_installation_of_torch_is_no_crash(
    installer: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    canceled = SimpleNamespace(installTorch=lambda **_: None)
    monkeypatch.setattr(sys.modules["PyTorchUtils"], "PyTorchUtilsLogic", lambda: canceled)
    with pytest.raises(InputError, match="canceled"):
        Dependencies.install()


def test_an_installation_that_leaves_a_gap_is_no_success(
    installer: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Slicer in testing mode: `pip_ensure` returns without doing anything.
    monkeypatch.setattr(sys.modules["slicer.packaging"], "pip_ensure", lambda *_, **__: None)
    with pytest.raises(InputError, match="still missing: safetensors"):
        Dependencies.install()


def test_looking_for_packages_imports_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "jinja2", raising=False)
    Dependencies.missing()
    assert "jinja2" not in sys.modules
