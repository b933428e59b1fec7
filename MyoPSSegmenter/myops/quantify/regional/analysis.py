"""Regional analysis: segments, transmurality, endocardial surface and salvage of a label map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from myops import labels as regions
from myops.coverage import NOTHING_HIDDEN, Hidden, reasons_by_slice, reasons_here, reasons_of_heart
from myops.geometry.grid import Geometry
from myops.quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML, NOT_ASSESSED, UNKNOWN_SPACING
from myops.quantify.regional.endocardial_surface import (
    EndocardialSurface,
    endocardial_lengths_mm,
    endocardial_surface,
)
from myops.quantify.regional.insertion import find_septum
from myops.quantify.regional.layers import layer_map
from myops.quantify.regional.orientation import (
    Ask,
    Landmarks,
    Orientation,
    Question,
    check_landmarks,
    find_apex,
    find_orientation,
)
from myops.quantify.regional.polar import clean_ventricle, lv_centers, search_rays
from myops.quantify.regional.salvage import Salvage, salvage
from myops.quantify.regional.segments import (
    BASAL,
    HALF_RING,
    LEVEL_NAMES,
    MID,
    SEGMENT_NAMES,
    segment_map,
    segment_of,
    slice_levels,
)
from myops.quantify.regional.transmurality import Chords, Transmurality, find_chords, summarize
from myops.structures import ASSESSABLE

REMEDIES: Mapping[Ask, str] = {
    "anterior_insertion": "give the anterior RV insertion point",
    "inferior_insertion": "give the inferior RV insertion point too",
    "apex": "say whether the first or the last slice is the apical one",
}
NO_WALL = "no myocardium in this part"
FEW_SLICES = "fewer than three slices show the cavity in at least half a ring"
# An apical slice this large against the largest one: the stack ends before the apex.
CUT_APEX_SHARE = 0.6


@dataclass(frozen=True)
class Wall:
    """Disease in one part of the wall. Missing numbers are None; `reasons` says why.

    Attributes:
        voxels: voxels of wall, scar and edema included.
        mass_g: their mass; None when the spacing is unknown.
        scar_percent, edema_percent, scar_or_edema_percent: volume shares, 0..100; edema is
            without the scar inside it.
        scar_g, edema_g: the same in g.
        transmurality: of the scar, by chords; None when scar was not assessed.
        reasons: "mass", "scar", "edema", "scar_or_edema" to why its numbers are missing.
    """

    voxels: int
    mass_g: float | None
    scar_percent: float | None
    edema_percent: float | None
    scar_or_edema_percent: float | None
    scar_g: float | None
    edema_g: float | None
    transmurality: Transmurality | None
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Segment:
    """One of the 17 segments; `reason` says why it was not assessed."""

    number: int
    name: str
    wall: Wall
    reason: str | None

    @property
    def note(self) -> str:
        """Why numbers are missing in this segment; what the whole patient lacks is left out."""
        if self.reason:
            return self.reason
        reasons = (
            why
            for name, why in self.wall.reasons.items()
            if name != "mass" and why != NOT_ASSESSED[name]
        )
        return "; ".join(dict.fromkeys(reasons))


@dataclass(frozen=True)
class RegionalSlice:
    """One slice, numbered from 1 along the canonical stack.

    Attributes:
        level: "basal", "mid", "apical", "apex"; None where it is unknown or there is no LV.
        wall: disease in it.
        infarct_endocardium_mm: length of the endocardium under scar; None if not assessed.
        endocardium_mm: length of the endocardium cut by chords; None when the spacing is unknown.
    """

    number: int
    level: str | None
    wall: Wall
    infarct_endocardium_mm: float | None
    endocardium_mm: float | None


@dataclass(frozen=True)
class Regional:
    """Where the disease is.

    Attributes:
        segments: 17 segments; empty with `segments_reason`.
        segments_reason: why there are no segments, and the remedy.
        ask: the landmark to give before there are segments, for a front end; None otherwise.
        segment_labels: uint8 (z, y, x), 1..17 in the wall; None without segments.
        orientation: the insertion used; None without segments.
        whole: the whole LV wall.
        slices: every slice.
        surface: endocardial surface of the infarct.
        salvage: salvage index with its warning.
        warnings: in words.
        note: what the shares refer to, where other numbers of the result have another base.
        layer_labels: uint8 (z, y, x), thirds of the wall from `layers.layer_map`.
    """

    segments: tuple[Segment, ...]
    segments_reason: str | None
    ask: Ask | None
    segment_labels: np.ndarray | None
    orientation: Orientation | None
    whole: Wall
    slices: tuple[RegionalSlice, ...]
    surface: EndocardialSurface
    salvage: Salvage
    warnings: tuple[str, ...]
    note: str = ""
    layer_labels: np.ndarray | None = None


def regional(
    labels: np.ndarray,
    geometry: Geometry,
    assessed: frozenset[str],
    spacing_known: bool = True,
    landmarks: Landmarks | None = None,
    hidden: Hidden = NOTHING_HIDDEN,
    no_spacing: str = UNKNOWN_SPACING,
) -> Regional:
    """Analyze a label map by segment, slice and chord.

    Args:
        labels: uint16 (z, y, x), MyoPS values.
        geometry: the Case's (canonical) grid.
        assessed: which of `structures.ASSESSABLE` the present sequences let one assess.
        spacing_known: False refuses masses, lengths and areas.
        landmarks: what the reader says about the orientation, if anything.
        hidden: where tissues cannot be assessed although the case has their image, see `coverage`.
        no_spacing: why the spacing is unknown, see `mass.spacing_refusal`.

    Raises:
        ValueError: the label map is not on the grid.
        InputError: an impossible landmark, see `check_landmarks`.
    """
    if labels.shape != geometry.array_shape:
        raise ValueError(f"expected labels of {geometry.array_shape}, found {labels.shape}")
    landmarks = landmarks or Landmarks()
    check_landmarks(landmarks, labels)
    ventricle = clean_ventricle(labels)
    centers = lv_centers(ventricle, geometry.spacing_mm)
    levels, orientation, reason, ask = _lay_out(ventricle, centers, geometry, landmarks)
    reference = (orientation.anterior_deg, orientation.septum_turn) if orientation else (0.0, 1)
    chords = find_chords(ventricle, centers, geometry.spacing_mm, *reference)
    segment_labels = None
    if orientation is not None and levels is not None:
        segment_labels = segment_map(labels, centers, levels, *reference, geometry.spacing_mm)
    voxel_ml = geometry.voxel_volume_ml if spacing_known else None
    measured = _Measured.of(labels, chords, assessed, voxel_ml, hidden, no_spacing)
    lacking = reasons_of_heart(hidden, regions.myocardium(labels))
    of_slices = reasons_by_slice(hidden, regions.myocardium(labels))
    missing = lacking.get("scar") if "scar" in assessed else NOT_ASSESSED["scar"]
    spacing = geometry.spacing_mm[2] if spacing_known else None
    return Regional(
        segments=_segments(measured, segment_labels, levels),
        segments_reason=reason,
        ask=ask,
        segment_labels=segment_labels,
        orientation=orientation,
        whole=measured.wall(
            np.ones(measured.tissue.shape, bool), np.ones(chords.assessed.shape, bool), lacking
        ),
        slices=_slices(measured, levels, of_slices),
        surface=endocardial_surface(chords, spacing, missing),
        salvage=salvage(labels, assessed, lacking),
        warnings=_warnings(ventricle, levels, orientation, chords),
        layer_labels=layer_map(labels, chords, centers, geometry.spacing_mm, *reference),
    )


def _lay_out(
    ventricle: np.ndarray, centers: np.ndarray, geometry: Geometry, landmarks: Landmarks
) -> tuple[np.ndarray | None, Orientation | None, str | None, Ask | None]:
    """Levels and orientation, or why there are none and what to ask."""
    if not regions.myocardium(ventricle).any():
        return None, None, "no segments: no myocardium was found", None
    apex_last = find_apex(ventricle, geometry, landmarks.apex)
    if isinstance(apex_last, Question):
        return None, None, *_asked(apex_last)
    polar = search_rays(ventricle, centers, geometry.spacing_mm)
    levels = slice_levels(ventricle, polar.covered, apex_last)
    if levels is None:
        return None, None, f"no segments: {FEW_SLICES}", None
    septum = find_septum(polar, np.isin(levels, (BASAL, MID)) & (polar.covered >= HALF_RING))
    orientation = find_orientation(septum, geometry, apex_last, landmarks, ventricle, centers)
    if isinstance(orientation, Question):
        return levels, None, *_asked(orientation)
    return levels, orientation, None, None


def _asked(question: Question) -> tuple[str, Ask]:
    return f"no segments: {question.reason}; {REMEDIES[question.ask]}", question.ask


@dataclass(frozen=True)
class _Measured:
    """Wall voxels and chords of a stack, to be summed up over any part of it.

    Attributes:
        tissue: uint16 (n,), labels of the wall's voxels.
        places: their indices (z, y, x), each (n,).
        chords: of the stack.
        assessed: which of `structures.ASSESSABLE` can be assessed.
        voxel_ml: volume of a voxel; None when the spacing is unknown.
        hidden: tissue to bool (n,), where it cannot be assessed.
        no_spacing: why `voxel_ml` is None.
    """

    tissue: np.ndarray
    places: tuple[np.ndarray, ...]
    chords: Chords
    assessed: frozenset[str]
    voxel_ml: float | None
    hidden: Hidden
    no_spacing: str

    @classmethod
    def of(
        cls,
        labels: np.ndarray,
        chords: Chords,
        assessed: frozenset[str],
        voxel_ml: float | None,
        hidden: Hidden,
        no_spacing: str,
    ) -> _Measured:
        """Take the wall's voxels out of a label map (z, y, x)."""
        places = np.nonzero(regions.myocardium(labels))
        of_wall = {name: where[places] for name, where in hidden.items()}
        return cls(labels[places], places, chords, assessed, voxel_ml, of_wall, no_spacing)

    def wall(
        self, voxels: np.ndarray, rays: np.ndarray, lacking: Mapping[str, str] | None = None
    ) -> Wall:
        """Disease in a part of the wall.

        Args:
            voxels: bool (n,), which of the wall's voxels.
            rays: bool (z, 96), which chords.
            lacking: what cannot be assessed there, with the reason; looked up if None.
        """
        part = self.tissue[voxels]
        if lacking is None:
            lacking = reasons_here(self.hidden, voxels) if voxels.any() else {}
        reasons = {**lacking, **self._not_assessed()}
        scar = None if "scar" in reasons else int(regions.scar(part).sum())
        edema = None if "edema" in reasons else int(regions.edema(part).sum())
        both = None if scar is None or edema is None else scar + edema
        depth = self.chords.transmurality_percent[rays]
        return Wall(
            voxels=part.size,
            mass_g=self._grams(part.size),
            scar_percent=_share(scar, part.size),
            edema_percent=_share(edema, part.size),
            scar_or_edema_percent=_share(both, part.size),
            scar_g=self._grams(scar),
            edema_g=self._grams(edema),
            transmurality=None if scar is None else summarize(depth),
            reasons={**reasons, **({} if self.voxel_ml is not None else {"mass": self.no_spacing})},
        )

    def _not_assessed(self) -> dict[str, str]:
        """What cannot be assessed anywhere."""
        found = {n: NOT_ASSESSED[n] for n in ASSESSABLE if n not in self.assessed}
        return found | ({"scar_or_edema": NOT_ASSESSED["scar_or_edema"]} if found else {})

    def _grams(self, voxels: int | None) -> float | None:
        if voxels is None or self.voxel_ml is None:
            return None
        return voxels * self.voxel_ml * MYOCARDIAL_DENSITY_G_PER_ML


def _share(voxels: int | None, total: int) -> float | None:
    return 100.0 * voxels / total if voxels is not None and total else None


def _segments(
    measured: _Measured, segment_labels: np.ndarray | None, levels: np.ndarray | None
) -> tuple[Segment, ...]:
    if segment_labels is None or levels is None:
        return ()
    of_voxels = segment_labels[measured.places]
    of_rays = np.zeros(measured.chords.assessed.shape, np.uint8)
    for index in np.flatnonzero(levels):
        of_rays[index] = segment_of(measured.chords.from_insertion_deg, int(levels[index]))
    segments = []
    for number, name in SEGMENT_NAMES.items():
        wall = measured.wall(of_voxels == number, of_rays == number)
        segments.append(Segment(number, name, wall, None if wall.voxels else NO_WALL))
    return tuple(segments)


def _slices(
    measured: _Measured, levels: np.ndarray | None, lacking: Sequence[Mapping[str, str]]
) -> tuple[RegionalSlice, ...]:
    infarcted, total = endocardial_lengths_mm(measured.chords)
    known = measured.voxel_ml is not None
    rows = []
    for index in range(len(total)):
        rays = np.zeros(measured.chords.assessed.shape, bool)
        rays[index] = True
        wall = measured.wall(measured.places[0] == index, rays, lacking[index])
        scar_known = known and "scar" not in wall.reasons
        rows.append(
            RegionalSlice(
                number=index + 1,
                level=None if levels is None else LEVEL_NAMES.get(int(levels[index])),
                wall=wall,
                infarct_endocardium_mm=float(infarcted[index]) if scar_known else None,
                endocardium_mm=float(total[index]) if known else None,
            )
        )
    return tuple(rows)


def _warnings(
    ventricle: np.ndarray,
    levels: np.ndarray | None,
    orientation: Orientation | None,
    chords: Chords,
) -> tuple[str, ...]:
    found = list(orientation.warnings) if orientation else []
    if levels is None:
        return tuple(found)
    covered = chords.assessed.mean(axis=1)
    partial = np.flatnonzero((levels == BASAL) & (covered < HALF_RING)) + 1
    if partial.size:
        numbers = ", ".join(str(number) for number in partial)
        found.append(
            f"Slice {numbers}: less than half a ring of wall. Its tissue counts as basal, but not "
            "for the length that is cut into thirds."
        )
    area = regions.lv_region(ventricle).sum(axis=(1, 2))
    end = np.flatnonzero(levels == levels.max())
    if area[end].min() > CUT_APEX_SHARE * area.max():
        found.append("The last slice toward the apex is still large: the stack may not reach it.")
    return tuple(found)
