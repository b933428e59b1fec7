"""The numbers of a case as data: made by `measure`, written by `tables`, shown by the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from myops.quantify.enhanced import Enhanced
from myops.quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML, TissueMass
from myops.quantify.quality.image_quality import ImageQuality
from myops.quantify.regional.analysis import Regional
from myops.quantify.regional.layers import Layers
from myops.quantify.t2_ratio import T2Ratio
from myops.quantify.thresholds.base import ThresholdResult
from myops.quantify.thresholds.remote import RemoteRegion
from myops.slice_registration import Registration

# Of every table of measurements: one row per number.
COLUMNS = (
    *("case", "slice", "structure", "quantity", "value", "unit", "note"),
    "slice_position_mm",
)
CONVENTIONS: Mapping[str, str] = {
    "lv_mass": "normal myocardium + edema + scar, in the phase that was imaged",
    "scar": "muscle labeled as scar, from LGE; fresh necrosis and dark cores inside the scar "
    "(microvascular obstruction) are part of it",
    "edema": "swollen muscle outside the scar, from T2; scar + edema is the union of both",
    "papillary_muscles": "as labeled, unless LV mass was asked for with them; MyoPS labels count "
    "them as blood pool",
    "volume": "voxel count × spacing; slices are counted center to center, gaps included",
    "density": f"{MYOCARDIAL_DENSITY_G_PER_ML} g/mL (SCMR, J Cardiovasc Magn Reson 2020;22:19)",
    "fwhm_peak": "the maximum LGE signal inside the labeled myocardium; one voxel can set it",
    "conventional_mask": "myocardium above the threshold; dark cores that scar and endocardium "
    "enclose, and marked microvascular obstruction, are filled in and given apart",
    "per_slice": "each slice that holds labeled scar has its own threshold; others are skipped",
    "slice_position": "along the normal of the stack as in the file, in LPS mm: what most scanners "
    "write as DICOM's Slice Location",
    "layers": "thirds of the wall from endocardium to epicardium along the rays of transmurality; "
    "core from 60 %, grey zone from 40 % of the maximum; shares are of the layer",
    "t2_ratio": "mean T2 signal relative to remote myocardium, or to a disc of 5 mm radius in "
    "skeletal muscle",
    "enhanced": "scar as a share of LV mass without and with papillary muscles in it, with and "
    "without marked MVO in the scar",
    "angles": "counterclockwise around the LV center as displayed, 0 = image right",
}


@dataclass(frozen=True)
class ThresholdedScar:
    """Scar by one conventional rule, beside the labeled scar.

    Attributes:
        result: threshold, peak, rule, remote region and mask.
        mass: its volume, mass and share of LV mass; no numbers when the rule is invalid.
        dice_with_scar: Dice against the labeled scar, 0..1; None with `dice_reason`.
        filled: the part of `mass` that was filled in as a dark core; None when the rule is invalid
            or nothing was to be filled.
        core, grey_zone: the two parts of `mass`; None for one-part rules.
    """

    result: ThresholdResult
    mass: TissueMass
    dice_with_scar: float | None
    dice_reason: str | None
    filled: TissueMass | None = None
    core: TissueMass | None = None
    grey_zone: TissueMass | None = None


@dataclass(frozen=True)
class SliceMeasurement:
    """Masses of one slice.

    Attributes:
        number: 1-based position along the canonical stack.
        tissues: as `Measurements.tissues`, shares relative to this slice's myocardium.
        fwhm: mass of each rule of `Measurements.fwhm` in this slice, by name.
        conventional: the same for `Measurements.conventional`.
        position_mm: along the stack's normal, see `slice_position`; None where it is not known.
    """

    number: int
    tissues: Mapping[str, TissueMass]
    fwhm: Mapping[str, TissueMass]
    conventional: Mapping[str, TissueMass] = field(default_factory=dict)
    position_mm: float | None = None


@dataclass(frozen=True)
class Measurements:
    """Every number of one case. Missing numbers are None, with the reason beside them.

    Attributes:
        case_name: name of the case.
        spacing_mm: (x, y, z) the volumes were computed with.
        spacing_known: False when the header holds none; volumes and masses are then refused.
        tissues: "lv_myocardium", "scar", "mvo", "edema", "scar_or_edema", "blood_pool".
        slices: the same for every slice.
        remote: remote myocardium; None with `remote_reason`.
        fwhm: the two rules of the report by name, such as "fwhm_half_of_maximum_volume"; empty with
            `fwhm_reason` when there is no LGE image.
        mean_uncertainty: mean voxel uncertainty inside the myocardium, 0..1; None without one.
        warnings: about the case, the segmentation and the numbers.
        conventional: the other conventional rules that were asked for, such as "sd5_volume".
        quality: image quality of the LGE; None without one.
        regional: segments, transmurality, endocardial surface and salvage.
        registrations: how sequences were laid on the reference; empty where that was not asked for.
        papillary_in_lv_mass: whether LV mass and its shares count papillary muscles; `regional`
            never does.
        images_sha256: sequence name to the checksum of the voxels that were measured.
        labels_sha256: checksum of the label map.
        layers: scar, edema, core and grey zone by thirds of the wall.
        t2_ratio: T2 signals relative to remote; None without a T2 image.
        enhanced: scar as a share of both definitions of LV mass.
    """

    case_name: str
    spacing_mm: tuple[float, float, float]
    spacing_known: bool
    tissues: Mapping[str, TissueMass]
    slices: tuple[SliceMeasurement, ...]
    remote: RemoteRegion | None
    remote_reason: str | None
    fwhm: Mapping[str, ThresholdedScar]
    fwhm_reason: str | None
    mean_uncertainty: float | None
    warnings: tuple[str, ...]
    conventional: Mapping[str, ThresholdedScar] = field(default_factory=dict)
    quality: ImageQuality | None = None
    regional: Regional | None = None
    images_sha256: Mapping[str, str] = field(default_factory=dict)
    labels_sha256: str = ""
    papillary_in_lv_mass: bool = False
    registrations: tuple[Registration, ...] = ()
    layers: Layers | None = None
    t2_ratio: T2Ratio | None = None
    enhanced: tuple[Enhanced, ...] = ()

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """Those of the regional analysis too, each once."""
        regional = self.regional.warnings if self.regional is not None else ()
        return tuple(dict.fromkeys((*self.warnings, *regional)))

    @property
    def methods(self) -> dict[str, ThresholdedScar]:
        """All conventional rules by name."""
        return {**self.fwhm, **self.conventional}
