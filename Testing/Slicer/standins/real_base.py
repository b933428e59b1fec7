"""Slicer's own Python files in place of the stand-ins for them, from a checkout of Slicer.

The environment variable SLICER_SOURCE names the checkout (or any folder with its `Base/Python` and
`Modules/Scripted/SampleData`). Its files run as they are; nothing of them is copied here. Qt, CTK
and qMRML widgets stay stand-ins, the scene stays that of slicer-core.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

VARIABLE = "SLICER_SOURCE"
# Modules of Slicer's package `slicer`, each after those that it imports.
NAMES = ("util", "i18n", "packaging", "ScriptedLoadableModule", "parameterNodeWrapper")


def checkout() -> Path | None:
    """The folder that SLICER_SOURCE names; None without it.

    Raises:
        FileNotFoundError: it holds no Slicer.
    """
    found = os.environ.get(VARIABLE)
    if not found:
        return None
    folder = Path(found).expanduser().absolute()
    if not (folder / "Base" / "Python" / "slicer" / "ScriptedLoadableModule.py").is_file():
        raise FileNotFoundError(
            f"{VARIABLE}: expected a checkout of Slicer, found no Base/Python/slicer in {folder}; "
            "clone https://github.com/Slicer/Slicer and name its folder"
        )
    return folder


def names() -> tuple[str, ...]:
    """Full names of the modules that `load` replaces."""
    return tuple(f"slicer.{name}" for name in NAMES)


def load(folder: Path) -> None:
    """Put Slicer's own modules into `sys.modules` and into the package `slicer`.

    Args:
        folder: see `checkout`. `qt` and `ctk` must be there already.
    """
    import slicer

    for name in NAMES:
        module = _import(f"slicer.{name}", _file(folder / "Base" / "Python" / "slicer", name))
        setattr(slicer, name, module)


def loadSampleData(folder: Path) -> ModuleType:
    """Slicer's module Sample Data; `load` comes before."""
    scripted = folder / "Modules" / "Scripted"
    return _import("SampleData", _file(scripted / "SampleData", "SampleData"))


def _file(folder: Path, name: str) -> Path:
    package = folder / name / "__init__.py"
    return package if package.is_file() else folder / f"{name}.py"


def _import(fullName: str, path: Path) -> ModuleType:
    isPackage = path.name == "__init__.py"
    folders = [str(path.parent)] if isPackage else None
    spec = importlib.util.spec_from_file_location(
        fullName, path, submodule_search_locations=folders
    )
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"expected a file of Slicer, found none: {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[fullName] = module
    spec.loader.exec_module(module)
    return module
