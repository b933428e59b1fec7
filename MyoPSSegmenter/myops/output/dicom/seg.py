"""A case's segments as a DICOM segmentation of the source images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from myops import __version__
from myops.case import restore
from myops.output.dicom.segments import PROGRAM, Algorithm, DicomSegment
from myops.structures import NO_CODE, Code, rgb_of

if TYPE_CHECKING:
    from highdicom.seg import Segmentation as SegmentationObject
    from pydicom import Dataset
    from pydicom.sr.coding import Code as DicomCode

    from myops.case import Case
    from myops.output.dicom.sources import SourcePicture

# High, so that they stand behind the scanner's own series.
SEG_SERIES_NUMBER, REPORT_SERIES_NUMBER = 9801, 9802
SEG_DESCRIPTION = "MyoPS Segmenter: segmentation (research use only)"
MANUFACTURER = "MyoPS Segmenter contributors"


def dicom_code(code: Code) -> DicomCode:
    """A coded concept as pydicom writes it."""
    from pydicom.sr.coding import Code as DicomCode

    return DicomCode(code.value, code.scheme, code.meaning)


def new_uid() -> str:
    """An identifier that nobody else has: a random UUID under 2.25, which needs no registration."""
    from pydicom.uid import generate_uid

    return str(generate_uid(prefix=None))


def of_series(number: int, description: str) -> dict[str, Any]:
    """What an object says of itself: the only one of a new series, made by this program."""
    return {
        "series_instance_uid": new_uid(),
        "series_number": number,
        "series_description": description,
        "sop_instance_uid": new_uid(),
        "instance_number": 1,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": PROGRAM,
        "software_versions": __version__,
    }


def instances(sources: Sequence[SourcePicture]) -> list[SourcePicture]:
    """One source for each file."""
    return list({source.uid: source for source in sources}.values())


def make_seg(
    case: Case, segments: Sequence[DicomSegment], sources: Sequence[SourcePicture]
) -> SegmentationObject:
    """Write the segments on the source pictures, slice by slice and pixel by pixel.

    Args:
        case: tells how its grid and that of the pictures go together.
        segments: on the case's grid.
        sources: the picture of every slice, from `sources.read_sources`.
    """
    import highdicom

    masks = np.stack([_on_pictures(case, one.mask) for one in segments], axis=-1)
    made = highdicom.seg.Segmentation(
        source_images=[source.header for source in sources],
        pixel_array=masks,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(k, one) for k, one in enumerate(segments, start=1)],
        device_serial_number="0",
        content_label="MYOPS",
        content_description="Myocardium, scar and edema",
        **of_series(SEG_SERIES_NUMBER, SEG_DESCRIPTION),
    )
    _name_sources(made, sources)
    return made


def _on_pictures(case: Case, mask: np.ndarray) -> np.ndarray:
    """A mask (z, y, x) as the frames of the source, uint8."""
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(restore(case, mask.astype(np.uint8)))


def _description(index: int, segment: DicomSegment) -> Any:
    import highdicom

    red, green, blue = (round(255 * part) for part in rgb_of(segment.color))
    region = [] if segment.region == NO_CODE else [dicom_code(segment.region)]
    return highdicom.seg.SegmentDescription(
        segment_number=index,
        segment_label=segment.title,
        segmented_property_category=dicom_code(segment.category),
        segmented_property_type=dicom_code(segment.kind),
        algorithm_type=segment.algorithm.kind,
        algorithm_identification=_identification(segment.algorithm),
        tracking_uid=new_uid(),
        tracking_id=segment.name,
        anatomic_regions=region or None,
        display_color=highdicom.color.CIELabColor.from_rgb(red, green, blue),
    )


def _identification(algorithm: Algorithm) -> Any:
    import highdicom

    return highdicom.AlgorithmIdentificationSequence(
        name=algorithm.name,
        family=algorithm_family(algorithm),
        version=algorithm.version,
        source=MANUFACTURER,
        parameters=dict(algorithm.parameters),
    )


def algorithm_family(algorithm: Algorithm) -> DicomCode:
    """What kind of algorithm it is, out of CID 7162."""
    from pydicom.sr.codedict import codes

    return codes.DCM.ArtificialIntelligence if algorithm.learned else codes.DCM.EmpiricalAlgorithm


def _name_sources(made: Dataset, sources: Sequence[SourcePicture]) -> None:
    """Put the true instances, frames and series in the place of the headers made up for them."""
    true = {str(source.header.SOPInstanceUID): source for source in sources}
    for groups in made.PerFrameFunctionalGroupsSequence:
        for derivation in groups.DerivationImageSequence:
            for item in derivation.SourceImageSequence:
                source = true.get(str(item.ReferencedSOPInstanceUID))
                if source is None:  # done: the segments of a slice share their item
                    continue
                _refer(item, source)
                if source.frame is not None:
                    item.ReferencedFrameNumber = source.frame
    made.SourceImageSequence = [_reference(source) for source in instances(sources)]
    made.ReferencedSeriesSequence = _series(sources)


def _series(sources: Sequence[SourcePicture]) -> list[Dataset]:
    from pydicom import Dataset

    found = []
    for uid in dict.fromkeys(source.series for source in sources):
        item = Dataset()
        item.SeriesInstanceUID = uid
        own = [source for source in instances(sources) if source.series == uid]
        item.ReferencedInstanceSequence = [_reference(source) for source in own]
        found.append(item)
    return found


def _reference(source: SourcePicture) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    _refer(item, source)
    return item


def _refer(item: Dataset, source: SourcePicture) -> None:
    item.ReferencedSOPClassUID = source.sop_class
    item.ReferencedSOPInstanceUID = source.uid
