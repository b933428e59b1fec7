"""Label files: the one reader of every command, by place and not by shape.

Nothing is resampled: a label map belongs to the image it was drawn on. It may be stored with other
axes (flipped or in another order) as long as its voxels lie at the same places.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from myops import labels as regions
from myops.errors import InputError
from myops.geometry.canonical import canonical_grid, from_canonical, to_canonical
from myops.geometry.grid import GRID_TOLERANCE_MM, Geometry, from_sitk
from myops.io.geometry_notes import MARK_KEY, geometry_notes
from myops.io.images import read_image
from myops.labels import CONVENTIONS, DEFAULT_CONVENTION, Convention, check_convention
from myops.output.earlier_results import mark_warning

if TYPE_CHECKING:
    from myops.case import Case

# Less of the blood pool inside the wall than this is the other ventricle, or another convention.
LEAST_SHARE_INSIDE = 0.5
# A slice with less of a wall says nothing about what lies inside it.
LEAST_WALL_PIXELS = 30


@dataclass(frozen=True)
class LabelFile:
    """A label file as it is stored.

    Attributes:
        name: of the file.
        labels: uint16 (z, y, x), MyoPS values.
        geometry: its grid; `is_unset` where the header holds none.
        spacing_reason: why its spacing is not known; "" where it is.
        mark: what `earlier_results.mark_text` wrote into its header; "" for other programs' files.
    """

    name: str
    labels: np.ndarray
    geometry: Geometry
    spacing_reason: str = ""
    mark: str = ""


def read_label_file(
    path: str | Path, convention: str | Convention = DEFAULT_CONVENTION
) -> LabelFile:
    """Read a label file of any format that images have.

    Args:
        path: the file.
        convention: how it numbers the structures: a name out of `labels.CONVENTIONS`, or a
            data set's own.

    Raises:
        InputError: an unreadable file, an unknown convention, or values that are not labels of it
            (NaN and infinities among them).
    """
    path = Path(path)
    values, found = _read(path)
    if isinstance(convention, str):
        check_convention(convention)
        convention = CONVENTIONS[convention]
    try:
        labels = convention.to_myops(values)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error
    return replace(found, labels=labels)


def read_on_case(
    path: str | Path, case: Case, convention: str = DEFAULT_CONVENTION
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read a label map drawn on a case's reference image.

    Returns:
        uint16 (z, y, x), MyoPS values on the case's grid, and warnings.

    Raises:
        InputError: see `read_label_file`; or another grid than the reference's.
    """
    found = read_label_file(path, convention)
    labels, warnings = on_grid(found, case.original.geometry, case.placed, case.reference)
    labels = to_canonical(labels, case.original)
    other = mark_warning(found.mark, case, found.name)
    warnings += (*([other] if other else []), *anatomy_warnings(labels, found.name))
    return labels, warnings


def read_mask_on_case(path: str | Path, case: Case) -> np.ndarray:
    """Read a mask drawn on a case's reference image: bool (z, y, x), True where not 0.

    Raises:
        InputError: see `read_mask_file`; another grid, or an empty mask.
    """
    found = read_mask_file(path)
    if not found.labels.any():
        raise InputError(f"{found.name}: expected a mask with voxels, found none; draw it again")
    mask, _ = on_grid(found, case.original.geometry, case.placed, case.reference)
    return to_canonical(mask, case.original) != 0


def read_mask_file(path: str | Path) -> LabelFile:
    """Read a mask: labels are 1 where the file is not 0.

    Raises:
        InputError: an unreadable file, NaN or infinities.
    """
    values, found = _read(Path(path))
    if not np.isfinite(values).all():
        count = int(np.count_nonzero(~np.isfinite(values)))
        raise InputError(
            f"{found.name}: expected a mask of numbers, found {count} NaN or infinite voxels; "
            "export it again"
        )
    return replace(found, labels=(values != 0).astype(np.uint16))


def on_grid(
    found: LabelFile, grid: Geometry, placed: bool, of: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Bring a label file's voxels to the order of another grid that holds the same places.

    Args:
        found: the file.
        grid: of the image that it was drawn on.
        placed: False where that image's header holds no geometry.
        of: the image, for messages.

    Returns:
        The labels (z, y, x) in the order of `grid`, and warnings.

    Raises:
        InputError: the voxels lie at other places.
    """
    own, wanted = canonical_grid(found.geometry), canonical_grid(grid)
    if own.canonical_geometry.is_same_grid(wanted.canonical_geometry, GRID_TOLERANCE_MM):
        return from_canonical(to_canonical(found.labels, own), wanted), ()
    lost = found.geometry.is_unset
    if found.geometry.size_xyz == grid.size_xyz and (lost or not placed):
        if lost and not placed:
            return found.labels, ()
        without = found.name if lost else f"the {of} image"
        return found.labels, (
            f"the header of {without} holds no geometry: the labels were laid on the image voxel "
            "by voxel, as both have the same size. If their rows, columns or slices are stored in "
            "another order, every number about scar and its place is wrong: look at the contours",
        )
    raise InputError(
        f"{found.name}: expected labels on the grid of the {of} image ({grid.in_words}), found "
        f"{found.geometry.in_words}; resample them to that image without interpolation, or draw "
        "them on it"
    )


def anatomy_warnings(labels: np.ndarray, name: str) -> list[str]:
    """A sentence where the blood pool does not lie inside the wall: another convention most often.

    Args:
        labels: MyoPS values (z, y, x), slices first.
        name: of the file.
    """
    blood, right = inside_wall(labels)
    if (blood is None or blood >= LEAST_SHARE_INSIDE) and (
        blood is not None or right is None or right < LEAST_SHARE_INSIDE
    ):
        return []
    found = (
        f"only {blood:.0%} of the blood pool lies inside the myocardium"
        if blood is not None
        else f"{right:.0%} of the right ventricle lies inside the myocardium of the left"
    )
    return [
        f"{name}: {found}: the labels seem to follow another convention ({_other_conventions()}). "
        "Check --convention: volumes of blood and scar are wrong with the wrong one"
    ]


def _other_conventions() -> str:
    """How each data set but MyoPS, whose values are unmistakable, numbers the structures."""
    return "; ".join(
        f"{one.title}: {one.in_words}"
        for name, one in CONVENTIONS.items()
        if name != DEFAULT_CONVENTION
    )


def inside_wall(labels: np.ndarray) -> tuple[float | None, float | None]:
    """Shares of the blood pool and of the right ventricle inside the wall's convex hull, 0 to 1.

    Args:
        labels: MyoPS values (z, y, x), slices first.

    Returns:
        None for a structure that no slice with a wall holds.
    """
    totals, insides = np.zeros(2), np.zeros(2)
    for plane in labels:
        wall = regions.myocardium(plane)
        cavities = [regions.blood_pool(plane), regions.right_ventricle(plane)]
        if np.count_nonzero(wall) < LEAST_WALL_PIXELS or not (cavities[0] | cavities[1]).any():
            continue
        hull = _hull(wall)
        for k, cavity in enumerate(cavities):
            totals[k] += np.count_nonzero(cavity)
            insides[k] += np.count_nonzero(cavity & hull)
    shares = [float(i / t) if t else None for i, t in zip(insides, totals)]
    return shares[0], shares[1]


def _hull(mask: np.ndarray) -> np.ndarray:
    """Pixels inside the convex hull of a 2D mask; the mask itself where it spans no area."""
    from scipy.spatial import ConvexHull, QhullError

    points = np.argwhere(mask)
    try:
        hull = ConvexHull(points)
    except (QhullError, ValueError):
        return mask
    rows, columns = np.indices(mask.shape)
    pixels = np.stack([rows.ravel(), columns.ravel()], axis=1)
    inside = (pixels @ hull.equations[:, :2].T + hull.equations[:, 2] <= 1e-9).all(axis=1)
    return inside.reshape(mask.shape)


def read_values(path: str | Path) -> tuple[np.ndarray, Geometry, str]:
    """A file's voxels (z, y, x) as they are, its grid, and why its spacing is not known (or "").

    Raises:
        InputError: see `read_image`.
    """
    values, found = _read(Path(path))
    return values, found.geometry, found.spacing_reason


def _read(path: Path) -> tuple[np.ndarray, LabelFile]:
    """A file's voxels as they are, and what else is known of it, without labels."""
    import SimpleITK as sitk

    image = read_image(path)
    mark = image.GetMetaData(MARK_KEY) if image.HasMetaDataKey(MARK_KEY) else ""
    reason = geometry_notes(image).unknown
    nothing = np.zeros(0, np.uint16)
    found = LabelFile(path.name, nothing, from_sitk(image), reason, mark)
    return sitk.GetArrayFromImage(image), found
