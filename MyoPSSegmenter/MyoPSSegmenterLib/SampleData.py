"""A synthetic patient to try the module with: its files come with the module, without a network.

They are a phantom's (`myops.phantom`, seed 11), the same ones on every computer. By script:

    import SampleData
    SampleData.downloadSamples("MyoPSPhantom")
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myops.errors import InputError
from myops.sequences import NETWORK_SEQUENCES, SEQUENCE_TITLES
from MyoPSSegmenterLib.Runtime.Translation import tr as _

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
FILES = Path(__file__).parents[1] / "Resources" / "SampleData" / f"{FOLDER}_{SEED}"
# Sequence to name and SHA-256 of its file.
IMAGES = {
    "bssfp": (
        "MyoPSPhantom_11_C0.nii.gz",
        "1a57e83752ff48b96cb98938c0b44992e12dd7c8b9045018a897434206649c86",
    ),
    "lge": (
        "MyoPSPhantom_11_DE.nii.gz",
        "4a1edb10621ac3b5a5e7488f1711c8da3e91cd7d0645f6d721de55c682e81a92",
    ),
    "t2": (
        "MyoPSPhantom_11_T2.nii.gz",
        "0c6fea583b7669f33bc4a7a74dbcfdaed0d401c843aa6c1d784f76e7c905bfd0",
    ),
}
# What the volumes are called, also where Slicer's Sample Data has loaded them.
NODE_NAMES = {key: f"{FOLDER} {SEQUENCE_TITLES[key]}" for key in NETWORK_SEQUENCES}


def makeSamplePatient(folder: Path, seed: int = SEED) -> dict[str, Path]:
    """Put a synthetic patient with a fresh infarct into a folder.

    Args:
        folder: gets bSSFP, LGE and T2 as NIfTI files, and the truth they were drawn from.
        seed: of the patient; that of the sample is copied, another one is made in about 2 s.

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
    if seed == SEED and FILES.is_dir():
        shutil.copytree(FILES, folder, dirs_exist_ok=True)
    else:
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
    from MyoPSSegmenterLib.Scene.SceneBridge import (
        CASE_ATTRIBUTE,
        SEQUENCE_ATTRIBUTE,
        SOURCE_ATTRIBUTE,
        volumeFromImage,
    )

    paths = makeSamplePatient(sampleFolder(cacheFolder, seed), seed)
    images = {sequence: _image(path) for sequence, path in paths.items()}
    nodes = {}
    for sequence, image in images.items():
        nodes[sequence] = volumeFromImage(scene, image, NODE_NAMES[sequence])
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
    """Offer the synthetic patient in Slicer's Sample Data module: by its button, and to scripts.

    The button loads it as `loadSamplePatient`. A script's `SampleData.downloadSamples` takes the
    files from the module's own folder, with their checksums.

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

    sampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=SAMPLE_NAME,
        uris=[(FILES / name).as_uri() for name, _ in IMAGES.values()],
        fileNames=[name for name, _ in IMAGES.values()],
        nodeNames=[NODE_NAMES[key] for key in IMAGES],
        checksums=[f"SHA256:{checksum}" for _, checksum in IMAGES.values()],
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
            _(
                "{name}: expected a file of the sample patient, found a damaged one; delete "
                "{parent} and load the sample again"
            ).format(name=path.name, parent=path.parent)
        ) from None


def _sequencesIn(folder: Path, name: str) -> dict[str, Path]:
    """The patient's image files that are there."""
    from myops.phantom.files import SUFFIXES

    paths = {key: Path(folder) / f"{name}_{suffix}.nii.gz" for key, suffix in SUFFIXES.items()}
    return {key: path for key, path in paths.items() if path.is_file()}
