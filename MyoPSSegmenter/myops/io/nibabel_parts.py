"""The readers of NIfTI headers of the real nibabel package, without what its front door imports.

`import nibabel` also imports its readers of surfaces, streamlines, CIFTI and DICOM, half of the
time of `myops info`. The modules needed here are loaded from its folder under a name of their own.
No code is copied.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any, cast

from myops.errors import InputError

ALIAS = "nibabel_parts"


def nibabel_part(name: str) -> ModuleType:
    """A module of nibabel, such as "nifti1".

    Raises:
        InputError: nibabel is not installed.
    """
    if ALIAS not in sys.modules:
        sys.modules[ALIAS] = _package()
    with _without_pydicom():
        return import_module(f"{ALIAS}.{name}")


def _package() -> ModuleType:
    """A package with nibabel's folder and none of what its `__init__` does."""
    try:
        found = importlib.util.find_spec("nibabel")
    except ValueError:  # imported, and broken
        found = None
    if found is None or not found.submodule_search_locations:
        raise InputError(
            "expected NiBabel to read NIfTI, found it missing; run: pip install nibabel"
        )
    package = ModuleType(ALIAS)
    package.__path__ = list(found.submodule_search_locations)
    return package


@contextmanager
def _without_pydicom() -> Iterator[None]:
    """Hold pydicom back, which nibabel loads for DICOM alone: 0.2 s."""
    if "pydicom" in sys.modules:
        yield
        return
    sys.modules["pydicom"] = cast(Any, None)
    try:
        yield
    finally:
        del sys.modules["pydicom"]
