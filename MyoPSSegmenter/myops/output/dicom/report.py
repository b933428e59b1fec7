"""A case's measurements as a DICOM structured report after template TID 1500."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from myops import __version__
from myops.output.dicom.seg import (
    MANUFACTURER,
    REPORT_SERIES_NUMBER,
    algorithm_family,
    dicom_code,
    instances,
    of_series,
)
from myops.output.dicom.segments import OWN_SCHEME, PROGRAM, DicomSegment
from myops.structures import LEFT_VENTRICLE, MYOCARDIUM, NO_CODE, Code

if TYPE_CHECKING:
    from highdicom.seg import Segmentation as SegmentationObject
    from highdicom.sr import ComprehensiveSR
    from pydicom import Dataset

    from myops.output.dicom.sources import SourcePicture

REPORT_DESCRIPTION = "MyoPS Segmenter: measurements (research use only)"
# SNOMED CT and LOINC codes as in CID 7469, CID 12300 and the DICOM dictionary of pydicom.
VOLUME = Code("SCT", "118565006", "Volume")
MASS = Code("SCT", "118538004", "Mass")
LV_MASS = Code("LN", "18087-7", "Left Ventricle Mass")
THRESHOLD = Code("DCM", "122411", "Threshold Value")
SHARE = Code(OWN_SCHEME, "percent_of_lv", "Share of left ventricular mass")
PEAK = Code(OWN_SCHEME, "peak", "Highest signal in the myocardium")
CARDIAC_MR = Code("SCT", "241620005", "Cardiac MRI")
MILLILITER = Code("UCUM", "mL", "milliliter")
GRAM = Code("UCUM", "g", "gram")
PERCENT = Code("UCUM", "%", "percent")
SIGNAL = Code("UCUM", "[arb'U]", "arbitrary unit")


def make_report(
    segments: Sequence[DicomSegment], seg: SegmentationObject, sources: Sequence[SourcePicture]
) -> ComprehensiveSR:
    """Report the numbers of every segment that has any, each beside what it was measured on.

    Args:
        segments: as they were given to `seg.make_seg`.
        seg: what that made.
        sources: the picture of every slice.
    """
    import highdicom

    measured = [(k, one) for k, one in enumerate(segments, start=1) if one.mass is not None]
    content = highdicom.sr.MeasurementReport(
        observation_context=_observer(),
        procedure_reported=dicom_code(CARDIAC_MR),
        imaging_measurements=[_group(number, one, seg, sources) for number, one in measured],
    )
    return highdicom.sr.ComprehensiveSR(
        evidence=[seg, *_evidence(sources)],
        content=content[0],
        is_complete=True,
        **of_series(REPORT_SERIES_NUMBER, REPORT_DESCRIPTION),
    )


def _observer() -> Any:
    """The program, by a number that each version has."""
    from highdicom import sr
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    device = sr.DeviceObserverIdentifyingAttributes(
        uid=generate_uid(entropy_srcs=[PROGRAM, __version__]),
        name=PROGRAM,
        manufacturer_name=MANUFACTURER,
        model_name=f"{PROGRAM} {__version__}",
    )
    observer = sr.ObserverContext(
        observer_type=codes.DCM.Device, observer_identifying_attributes=device
    )
    return sr.ObservationContext(observer_device_context=observer)


def _group(
    number: int, segment: DicomSegment, seg: SegmentationObject, sources: Sequence[SourcePicture]
) -> Any:
    from highdicom import sr

    described = seg.SegmentSequence[number - 1]
    site = segment.region if segment.region != NO_CODE else _site(segment)
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=described.TrackingUID, identifier=segment.title
        ),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=number,
            source_images=_images(sources),
        ),
        finding_category=dicom_code(segment.category),
        finding_type=dicom_code(segment.kind),
        method=dicom_code(segment.method),
        algorithm_id=sr.AlgorithmIdentification(
            name=segment.algorithm.name,
            version=segment.algorithm.version,
            parameters=[f"{key}={value}" for key, value in segment.algorithm.parameters.items()],
            family=algorithm_family(segment.algorithm),
            manufacturer=MANUFACTURER,
        ),
        finding_sites=[sr.FindingSite(dicom_code(site))],
        measurements=list(_measurements(segment)),
    )


def _site(segment: DicomSegment) -> Code:
    return segment.kind if segment.kind in (MYOCARDIUM, LEFT_VENTRICLE) else MYOCARDIUM


def _images(sources: Sequence[SourcePicture]) -> list[Any]:
    """Every source instance, with the frames that were used of a multi-frame file."""
    from highdicom import sr

    frames: dict[str, list[int]] = {}
    for source in sources:
        frames.setdefault(source.uid, []).extend([] if source.frame is None else [source.frame])
    kinds = {source.uid: source.sop_class for source in sources}
    return [
        sr.SourceImageForSegmentation(kinds[uid], uid, sorted(numbers) or None)
        for uid, numbers in frames.items()
    ]


def _measurements(segment: DicomSegment) -> Iterator[Any]:
    from highdicom import sr

    mass = segment.mass
    assert mass is not None
    whole = LV_MASS if segment.name == "lv_myocardium" else MASS
    found = (
        (VOLUME, mass.volume_ml, MILLILITER),
        (whole, mass.mass_g, GRAM),
        (SHARE, mass.percent_of_lv_mass, PERCENT),
        (THRESHOLD, segment.threshold, SIGNAL),
        (PEAK, segment.peak, SIGNAL),
    )
    for name, value, unit in found:
        if value is not None:
            yield sr.Measurement(dicom_code(name), value, dicom_code(unit))


def _evidence(sources: Sequence[SourcePicture]) -> list[Dataset]:
    """The source instances, described as far as a list of references needs."""
    from pydicom import Dataset

    found = []
    for source in instances(sources):
        item = Dataset()
        item.StudyInstanceUID = source.header.StudyInstanceUID
        item.SeriesInstanceUID = source.series
        item.SOPInstanceUID = source.uid
        item.SOPClassUID = source.sop_class
        item.Modality = "MR"
        found.append(item)
    return found
