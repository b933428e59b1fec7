"""Numbers as table nodes: masses, conventional methods, segments and slices.

Texts are rounded as in the report; the files of an export hold every digit. A number that is not
there is a dash, with its reason in the last column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from myops.io.number_text import DASH, number, number_range, significant
from myops.quantify.regional.transmurality import QUARTILES
from myops.quantify.thresholds.methods import report_rules, rule_title
from myops.structures import DISEASE, MEASURED, STRUCTURES
from MyoPSSegmenterLib.Scene.TableNodes import (
    TABLE_ATTRIBUTE,
    emptyTable,
    fillTable,
    findNode,
    tableNode,
)

if TYPE_CHECKING:
    import slicer

    from myops.quantify.mass import TissueMass
    from myops.quantify.measurements import Measurements, SliceMeasurement, ThresholdedScar
    from myops.quantify.regional.analysis import Segment

# Columns of the slices' table that the plot shows, with the tissue or method each one holds.
SLICE_TISSUES: Mapping[str, str] = {
    "lv_myocardium": "LV mass",
    **{name: STRUCTURES[name].short for name in DISEASE},
}
SLICE_METHODS: Mapping[str, str] = {
    rule.result_name("volume"): rule.title for rule in report_rules()
}
# Less would be shown as 0.0.
LEAST_GRAMS = 0.05
TABLES = ("mass", "methods", "segments", "slices")


def massTable(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLTableNode:
    """The live table: one row per tissue."""
    return tableNode(scene, "mass", "Masses")


def methodsTable(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLTableNode:
    """The conventional methods, a row for each."""
    return tableNode(scene, "methods", "Conventional methods")


def segmentsTable(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLTableNode:
    """The 17 segments."""
    return tableNode(scene, "segments", "Segments")


def slicesTable(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLTableNode:
    """Numbers by slice, which the slice plot draws."""
    return tableNode(scene, "slices", "Slices")


def updateMassTable(scene: slicer.vtkMRMLScene, masses: Mapping[str, TissueMass]) -> None:
    """Show tissue masses; without any, the table has no rows."""
    shown = [(row.amount_title, masses[name]) for name, row in MEASURED.items() if name in masses]
    fillTable(
        massTable(scene),
        {
            "Tissue": [title for title, _ in shown],
            "Mass (g)": [number(mass.mass_g) for _, mass in shown],
            "% of LV mass": [number(mass.percent_of_lv_mass) for _, mass in shown],
            "Volume (mL)": [number(mass.volume_ml) for _, mass in shown],
            "Note": [mass.reason or "" for _, mass in shown],
        },
    )


def updateMethodsTable(scene: slicer.vtkMRMLScene, measurements: Measurements) -> None:
    """Show every conventional method beside the present mask."""
    methods = measurements.methods
    found = list(methods.values())
    node = methodsTable(scene)
    wasModified = node.StartModify()
    fillTable(
        node,
        {
            "Method": [rule_title(scar.result) for scar in found],
            "Mass (g)": [number(scar.mass.mass_g) for scar in found],
            "% of LV mass": [number(scar.mass.percent_of_lv_mass) for scar in found],
            "Dice with mask": [number(scar.dice_with_scar, 2) for scar in found],
            "Threshold": [number_range(scar.result.threshold_range, significant) for scar in found],
            "Peak": [significant(scar.result.peak) for scar in found],
            "Remote, mean ± SD": [_remote(scar) for scar in found],
            "Note": [_methodNote(scar) for scar in found],
        },
    )
    node.EndModify(wasModified)


def emptyTables(scene: slicer.vtkMRMLScene, kinds: Iterable[str] = TABLES) -> None:
    """Take all rows out of those tables that the scene holds; plots of them show nothing then."""
    for kind in kinds:
        node = findNode(scene, "vtkMRMLTableNode", TABLE_ATTRIBUTE, kind)
        if node is not None:
            emptyTable(node)


def updateSegmentsTable(scene: slicer.vtkMRMLScene, measurements: Measurements) -> None:
    """Show the 17 segments; without segments one row says why there are none."""
    regional = measurements.regional
    segments = regional.segments if regional is not None else ()
    columns = {
        "Segment": [str(one.number) for one in segments],
        "Name": [one.name for one in segments],
        "Scar (%)": [number(one.wall.scar_percent) for one in segments],
        "Edema (%)": [number(one.wall.edema_percent) for one in segments],
        "Transmurality of scar (%)": [number(_transmurality(one)) for one in segments],
        "Class of transmurality": [_quartile(one) for one in segments],
        "Wall (g)": [number(one.wall.mass_g) for one in segments],
        "Scar (g)": [number(one.wall.scar_g) for one in segments],
        "Edema (g)": [number(one.wall.edema_g) for one in segments],
        "Note": [one.note for one in segments],
    }
    if regional is not None and not segments:
        columns = {name: [DASH] for name in columns} | {"Note": [regional.segments_reason or ""]}
    fillTable(segmentsTable(scene), columns)


def updateSlicesTable(scene: slicer.vtkMRMLScene, measurements: Measurements) -> None:
    """Show the numbers by slice, as numbers, for the plot reads them too.

    Columns are grams, or percent of the slice's myocardium when the spacing is unknown. What was
    not assessed, or is invalid on this image, has no column.
    """
    slices = measurements.slices
    columns: dict[str, list[str] | list[float]] = {
        "Slice": [float(one.number) for one in slices],
        "Level": _levels(measurements),
        "Position (mm)": [number(one.position_mm) for one in slices],
    }
    unit = sliceUnit(measurements)
    quantity = "mass_g" if unit == "g" else "percent_of_lv_mass"
    for name, title in {**SLICE_TISSUES, **SLICE_METHODS}.items():
        found = [_ofSlice(one, name) for one in slices]
        if not found or any(mass is None or mass.voxels is None for mass in found):
            continue
        # A slice without myocardium has no share of it: nothing to draw there.
        columns[f"{title} ({unit})"] = [float(getattr(m, quantity) or 0.0) for m in found if m]
    fillTable(slicesTable(scene), columns)


def sliceUnit(measurements: Measurements) -> str:
    """Unit of the slices' columns: "g", or "% of the wall" when the spacing is unknown."""
    return "g" if measurements.spacing_known else "% of the wall"


def _levels(measurements: Measurements) -> list[str]:
    if measurements.regional is None:
        return [DASH for _ in measurements.slices]
    return [one.level or DASH for one in measurements.regional.slices]


def _ofSlice(one: SliceMeasurement, name: str) -> TissueMass | None:
    return {**one.tissues, **one.fwhm, **one.conventional}.get(name)


def _transmurality(segment: Segment) -> float | None:
    found = segment.wall.transmurality
    return None if found is None else found.mean_percent


def _quartile(segment: Segment) -> str:
    found = segment.wall.transmurality
    return DASH if found is None or found.quartile is None else QUARTILES[found.quartile]


def _remote(scar: ThresholdedScar) -> str:
    remote = scar.result.remote
    return DASH if remote is None else f"{significant(remote.mean)} ± {significant(remote.sd)}"


def _methodNote(scar: ThresholdedScar) -> str:
    if scar.result.invalid:
        return scar.result.invalid
    notes = list(scar.result.warnings)
    if scar.dice_reason:
        notes.append(scar.dice_reason)
    for name, part in (("core", scar.core), ("dark cores filled in", scar.filled)):
        if part is not None and part.mass_g is not None and part.mass_g >= LEAST_GRAMS:
            notes.append(f"{name} {part.mass_g:.1f} g")
    return "; ".join(notes)
