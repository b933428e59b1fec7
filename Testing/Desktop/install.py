r"""Install what the networks need into desktop Slicer, as the panel's Install button does.

    Slicer --no-splash --additional-module-paths MyoPSSegmenter \
        --python-script Testing/Desktop/install.py

The PyTorch extension is installed first; a user does that in the Extensions Manager and restarts
Slicer. Quits with 0 or 1. Not run yet: it needs desktop Slicer and a network.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import slicer

EXTENSION = "PyTorch"


def main() -> None:
    """Install the extension, then the packages; quit with the result."""
    status = slicer.util.EXIT_FAILURE
    try:
        _installExtension()
        from MyoPSSegmenterLib.Runtime import Dependencies

        Dependencies.install(lambda fraction, stage: print(f"{fraction:4.0%} {stage}"))
        lacking = Dependencies.missing()
        assert lacking == [], f"still missing: {Dependencies.inWords(lacking)}"
        status = slicer.util.EXIT_SUCCESS
    except Exception:
        traceback.print_exc()
    slicer.util.exit(status)


def _installExtension() -> None:
    """Install the extension and let this process import its modules without a restart."""
    manager = slicer.app.extensionsManagerModel()
    manager.interactive = False
    if not manager.isExtensionInstalled(EXTENSION):
        restart = False
        if not manager.installExtensionFromServer(EXTENSION, restart):
            raise RuntimeError(f"expected the extension {EXTENSION} from the server, found none")
    for folder in Path(manager.extensionsInstallPath).rglob("qt-scripted-modules"):
        sys.path.append(str(folder))


if __name__ == "__main__":
    main()
