"""Packages that Slicer does not bring: which are missing, and how they are installed. No Qt here.

PyTorch comes through Slicer's PyTorch extension, which knows the build that fits the graphics card;
the others through `slicer.packaging.pip_ensure`. Slicer's own SimpleITK and numpy are pinned while
pip runs, so that no package can replace them.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from myops.errors import InputError
from myops.progress import Progress
from MyoPSSegmenterLib.Runtime.Translation import tr as _

REQUIREMENTS = Path(__file__).parents[2] / "Resources" / "requirements.txt"
PIP_VARIABLE = "PIP_CONSTRAINT"
REQUESTER = "MyoPS Segmenter"
TORCH_REQUIREMENT = ">=2.4"
# Part of Slicer; builds of its own that a wheel from PyPI must not replace.
PROTECTED = ("numpy", "SimpleITK", "scipy")


@dataclass(frozen=True)
class Package:
    """A package that a step needs.

    Attributes:
        module: its name in Python.
        title: its name for people.
        purpose: "automatic" (the networks, clicks among them), "files", "report" or "archive".
        use: what the user cannot do without it.
    """

    module: str
    title: str
    purpose: str
    use: str


PACKAGES = (
    Package("torch", "PyTorch", "automatic", _("automatic segmentation and clicks")),
    Package("safetensors", "safetensors", "automatic", _("automatic segmentation and clicks")),
    Package("nibabel", "NiBabel", "files", _("NIfTI files")),
    Package("pydicom", "pydicom", "files", _("DICOM files")),
    Package("gdcm", "python-gdcm", "files", _("compressed DICOM files")),
    Package("jinja2", "Jinja2", "report", _("reports")),
    Package("matplotlib", "matplotlib", "report", _("pictures in reports")),
    Package("highdicom", "highdicom", "archive", _("DICOM results")),
)


def missing(purpose: str | None = None) -> list[Package]:
    """Packages that are not installed.

    segment-anything is none of them: only a refiner on SAM, which an expert has added or trained,
    needs it, and says so. The click heads of both packs do not.

    Args:
        purpose: "automatic" (what the networks need), "files" (what reading patients needs),
            "report", "archive" (what DICOM results need), or None for all.
    """
    return [p for p in PACKAGES if purpose in (None, p.purpose) and not isInstalled(p.module)]


def isInstalled(module: str) -> bool:
    """Whether Python finds a module; it is not imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def inWords(packages: list[Package]) -> str:
    """What is missing and what for: "PyTorch (automatic segmentation)", joined by commas."""
    return ", ".join(f"{package.title} ({package.use})" for package in packages)


def install(progress: Progress = lambda fraction, stage: None) -> None:
    """Install everything that is missing; returns when it is done. Needs the internet.

    Args:
        progress: called with (fraction 0..1, what is done now).

    Raises:
        InputError: in plain words, what did not work and what to do.
    """
    before = _versions()
    _requirePackaging()  # before anything large is downloaded
    with _pinned() as constraints:
        if not isInstalled("torch"):
            progress(0.05, _("PyTorch (large: this can take several minutes)"))
            _installTorch()
        if missing():
            progress(0.7, _("smaller packages"))
            _installOthers(constraints)
    importlib.invalidate_caches()
    progress(1.0, _("done"))
    _check(before)


def _installTorch() -> None:
    try:
        import PyTorchUtils  # part of Slicer's PyTorch extension
    except ImportError as error:
        raise InputError(
            _(
                "expected Slicer's PyTorch extension, found none; open the Extensions Manager, "
                "install the extension named PyTorch, restart Slicer and press Install again"
            )
        ) from error
    try:
        torch = PyTorchUtils.PyTorchUtilsLogic().installTorch(
            askConfirmation=False, torchVersionRequirement=TORCH_REQUIREMENT
        )
    except Exception as error:
        raise InputError(inPlainWords("PyTorch", error)) from error
    if torch is None:
        raise InputError(
            _(
                "PyTorch was not installed: the installation was canceled; press Install to try "
                "again"
            )
        )


def _requirePackaging() -> None:
    try:
        import slicer.packaging  # noqa: F401
    except ImportError as error:
        raise InputError(
            _("expected 3D Slicer 5.11 or newer, found an older one; install the stable Slicer")
        ) from error


@contextmanager
def _pinned() -> Iterator[Path]:
    """A file that pins Slicer's own packages; pip reads it, whoever calls pip meanwhile."""
    was = os.environ.get(PIP_VARIABLE)
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text(
            "".join(f"{n}=={v}\n" for n, v in _versions().items()), encoding="utf-8"
        )
        os.environ[PIP_VARIABLE] = str(constraints)
        try:
            yield constraints
        finally:
            if was is None:
                del os.environ[PIP_VARIABLE]
            else:
                os.environ[PIP_VARIABLE] = was


def _installOthers(constraints: Path) -> None:
    import slicer.packaging

    try:
        slicer.packaging.pip_ensure(
            slicer.packaging.load_requirements(str(REQUIREMENTS)),
            constraints=str(constraints),
            prompt_install=False,  # the user has just pressed Install
            requester=REQUESTER,
        )
    except Exception as error:
        raise InputError(inPlainWords(_("The packages"), error)) from error


def _versions() -> dict[str, str]:
    """Version of each protected package that is there."""
    found = {}
    for name in PROTECTED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _check(before: dict[str, str]) -> None:
    """Say what is still missing, and whether a package of Slicer's own was replaced."""
    left = missing()
    if left:
        raise InputError(
            _(
                "still missing: {names}; restart Slicer, and press Install again if it is still "
                "asked for"
            ).format(names=inWords(left))
        )
    changed = [name for name, found in _versions().items() if before.get(name, found) != found]
    if changed:
        raise InputError(
            _(
                "the installation replaced {names}, which belongs to Slicer; please reinstall "
                "Slicer and report this"
            ).format(names=", ".join(changed))
        )


# Words in an installer's error, and what they mean for the user.
CAUSES = (
    (("no space left", "errno 28", "disk full"), _("the disk is full; free some space")),
    (
        ("permission denied", "access is denied", "errno 13", "winerror 5"),
        _("Slicer's folder cannot be written to; install Slicer in a folder of your own"),
    ),
    (
        ("ssl", "certificate"),
        _(
            "the secure connection was refused; a hospital's firewall often causes this, ask "
            "your IT department to allow pypi.org and download.pytorch.org"
        ),
    ),
    (
        ("connection", "timed out", "timeout", "resolve", "network", "proxy", "unreachable"),
        _("the internet cannot be reached; check the connection or the proxy"),
    ),
    (
        ("no matching distribution", "could not find a version", "conflict"),
        _("there is no version for this Slicer; use the present stable Slicer"),
    ),
)


def inPlainWords(what: str, error: Exception) -> str:
    """An installer's error for somebody who knows no pip; the log holds the original.

    Args:
        what: what was being installed.
        error: what the installer raised.
    """
    text = str(error).lower()
    for words, cause in CAUSES:
        if any(word in text for word in words):
            return _("{what} could not be installed: {cause}, then press Install again.").format(
                what=what, cause=cause
            )
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return _(
        "{what} could not be installed ({first}); the Python console of Slicer shows the "
        "details. Press Install to try again."
    ).format(what=what, first=first[:200])
