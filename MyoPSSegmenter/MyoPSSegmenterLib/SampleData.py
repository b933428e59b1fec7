"""A synthetic patient to try the module with: made on this computer, without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myops.errors import InputError
from myops.sequences import NETWORK_SEQUENCES, SEQUENCE_TITLES

# SimpleITK, numpy and the scene's part of the module are imported where they are used: this file is
# read at every start of Slicer.
if TYPE_CHECKING:
    import SimpleITK as sitk
    import slicer

# What Slicer's Sample Data module shows.
CATEGORY = "MyoPS Segmenter"
SAMPLE_NAME = "MyoPSPhantom"
SEED = 11
FOLDER = "MyoPSPhantom"


def makeSamplePatient(folder: Path, seed: int = SEED) -> dict[str, Path]:
    """Write a synthetic patient with a fresh infarct; takes about two seconds.

    Args:
        folder: gets bSSFP, LGE and T2 as NIfTI files, and the truth they were drawn from.
        seed: of the patient; the same one gives the same files.

    Returns:
        "bssfp", "lge" and "t2" to their files. Files that are there already are kept.

    Raises:
        OSError: the folder cannot be written.
    """
    from myops.phantom.files import SUFFIXES, write_patient

    name = f"{FOLDER}_{seed}"
    found = _sequencesIn(folder, name)
    if set(found) == set(SUFFIXES):
        return found
    from myops.phantom.patient import SAMPLE, generate_patient

    write_patient(generate_patient(seed, SAMPLE), folder, name)
    return _sequencesIn(folder, name)


def loadSamplePatient(
    scene: slicer.vtkMRMLScene, cacheFolder: str | Path, seed: int = SEED
) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
    """Add the synthetic patient's volumes to the scene.

    Args:
        scene: gets three volume nodes.
        cacheFolder: where the files are kept, in a folder of their own.
        seed: of the patient.

    Returns:
        "bssfp", "lge" and "t2" to their nodes.

    Raises:
        OSError: the cache cannot be written.
        InputError: a file in the cache is damaged; delete the folder then.
    """
    from MyoPSSegmenterLib.Scene.SceneBridge import volumeFromImage
    from MyoPSSegmenterLib.Steps.PatientLogic import (
        CASE_ATTRIBUTE,
        SEQUENCE_ATTRIBUTE,
        SOURCE_ATTRIBUTE,
    )

    paths = makeSamplePatient(sampleFolder(cacheFolder, seed), seed)
    images = {sequence: _image(path) for sequence, path in paths.items()}
    nodes = {}
    for sequence, image in images.items():
        nodes[sequence] = volumeFromImage(scene, image, f"{FOLDER} {SEQUENCE_TITLES[sequence]}")
        # As the module marks what it has loaded: it takes them as the patient when it is opened.
        nodes[sequence].SetAttribute(SEQUENCE_ATTRIBUTE, sequence)
        nodes[sequence].SetAttribute(SOURCE_ATTRIBUTE, paths[sequence].name)
        nodes[sequence].SetAttribute(CASE_ATTRIBUTE, f"{FOLDER}_{seed}")
    return nodes


def sampleFolder(cacheFolder: str | Path, seed: int = SEED) -> Path:
    """The folder of the synthetic patient; `PatientLogic.loadFolder` takes it."""
    return Path(cacheFolder) / f"{FOLDER}_{seed}"


def registerSampleData(
    sampleDataLogic: Any,
    scene: slicer.vtkMRMLScene,
    thumbnail: str | Path | None = None,
    loaded: Callable[[dict[str, slicer.vtkMRMLScalarVolumeNode]], object] | None = None,
) -> None:
    """Offer the synthetic patient in Slicer's Sample Data module, as a button.

    A script takes `loadSamplePatient`: what Slicer's `downloadSample` fetches are addresses, and
    these files are made.

    Args:
        sampleDataLogic: the class `SampleData.SampleDataLogic`.
        scene: gets the volumes when the user asks for them; its cache keeps the files.
        thumbnail: picture for the button.
        loaded: called with the nodes, so that the module can choose them at once.
    """

    def load(_source: Any = None) -> list[slicer.vtkMRMLScalarVolumeNode]:
        nodes = loadSamplePatient(scene, cacheFolder(scene))
        if loaded is not None:
            loaded(nodes)
        return list(nodes.values())

    names = [f"{FOLDER} {SEQUENCE_TITLES[name]}" for name in NETWORK_SEQUENCES]
    sampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=SAMPLE_NAME,
        # Nothing is downloaded: Slicer only wants as many addresses as there are files.
        uris=[""] * len(names),
        fileNames=[f"{name}.nii.gz" for name in names],
        nodeNames=names,
        customDownloader=load,
        thumbnailFileName=None if thumbnail is None else str(thumbnail),
    )


def cacheFolder(scene: slicer.vtkMRMLScene) -> Path:
    """Slicer's folder for downloaded files; one for temporary files where it has none."""
    import tempfile

    manager = scene.GetCacheManager()
    folder = manager.GetRemoteCacheDirectory() if manager is not None else None
    return Path(folder or Path(tempfile.gettempdir()) / "MyoPSSegmenter")


def _image(path: Path) -> sitk.Image:
    """Read a file of our own; SimpleITK does, so that the sample needs no installation.

    Raises:
        InputError: a damaged file.
    """
    import SimpleITK as sitk

    try:
        return sitk.ReadImage(str(path))
    except RuntimeError:
        raise InputError(
            f"{path.name}: expected a file of the sample patient, found a damaged one; delete "
            f"{path.parent} and load the sample again"
        ) from None


def _sequencesIn(folder: Path, name: str) -> dict[str, Path]:
    """The patient's image files that are there."""
    from myops.phantom.files import SUFFIXES

    paths = {key: Path(folder) / f"{name}_{suffix}.nii.gz" for key, suffix in SUFFIXES.items()}
    return {key: path for key, path in paths.items() if path.is_file()}
