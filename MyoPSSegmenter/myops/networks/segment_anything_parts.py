"""Networks of the real segment_anything package, without what its front door imports.

`import segment_anything` also imports its predictor and with it torchvision, a large package whose
build has to match torch's exactly. The networks themselves need torch alone, so the `modeling`
folder is loaded as a package of its own name. No code is copied.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from types import ModuleType

from myops.errors import InputError

ALIAS = "segment_anything_modeling"


@cache
def modeling() -> ModuleType:
    """The module `segment_anything.modeling`: ImageEncoderViT, PromptEncoder, MaskDecoder, Sam.

    Raises:
        InputError: the package is not installed.
    """
    found = importlib.util.find_spec("segment_anything")
    if found is None or not found.submodule_search_locations:
        raise InputError(
            "a refiner on SAM needs the package segment-anything, which is not installed: run pip "
            "install segment-anything (in Slicer's Python console: "
            "slicer.util.pip_install('segment-anything')), or choose a shipped pack, whose click "
            "head needs none"
        )
    folder = f"{next(iter(found.submodule_search_locations))}/modeling"
    spec = importlib.util.spec_from_file_location(
        ALIAS, f"{folder}/__init__.py", submodule_search_locations=[folder]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[ALIAS] = module
    spec.loader.exec_module(module)
    return module
