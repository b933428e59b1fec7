"""Lay a sequence on the reference: the in-plane shift that breathing and motion left between them.

Sequences are taken in different breath-holds, so the heart sits some millimeters elsewhere
(3.3 mm on average, PMC8285264) although the headers place all images in one patient. What is
sought is one shift in the slice plane for the whole stack: the one with the largest mutual
information (Viola and Wells, IJCV 1997;24:137) in a disc around the heart, since the chest wall
does not move with it.

All shifts up to 18 mm are tried on a coarse grid, and those around the best few pixel by pixel; a
parabola finds the peak between pixels. Mutual information has several peaks: gradient descent
(ITK's, Mattes) left the right one even when it began there (Docs/results.md). A shift is proposed
only if it is clearly better than none, so nothing gets worse in its own measure.

It is the one estimator of the project: `myops info`, `myops segment --register`, cohorts and the
panel all ask it. Of what a shift in the slice plane cannot mend - slices that moved one by one,
another phase of the heart, turned stacks - it gives a compromise. How far off it is on phantoms is
in Docs/results.md. Not measured on real patients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from myops.case import Case
from myops.errors import InputError
from myops.geometry.masks import bounding_box

# 15 mm, more than breathing and motion do, and what single slices add to it.
MAX_SHIFT_MM = 18.0
# Radius of the disc that is compared: a heart with its surroundings.
RADIUS_MM = 65.0
# Noise is averaged over this length (standard deviation), less than a wall is thick.
BLUR_MM = 1.0
BINS = 24
# Gains in mutual information below this share of it are met between sequences that lie on each
# other, too: they come from noise and partial volume.
LEAST_GAIN_SHARE = 0.06
# And below this many nats: images without anything in common gain by chance.
LEAST_GAIN = 0.006
# Shifts below this are not worth a resampling, and are found where there is none.
LEAST_SHIFT_MM = 1.5
# Fewer common voxels of the disc say nothing.
LEAST_COMMON_SHARE = 0.3
# The parabola is laid through the peak and its neighbors this many pixels away.
PEAK_REACH = 1
# The first search takes every second shift and pixel; so many of its best are looked at closely.
STEP = 2
PEAKS = 3
# More voxels tell little more about one shift, and the panel waits: then every fourth is used.
MOST_VOXELS = 50_000


@dataclass(frozen=True)
class Alignment:
    """Where a sequence fits the reference best.

    Attributes:
        sequence: "bssfp", "lge" or "t2".
        translation_mm: LPS shift (3,) that moves the sequence onto the reference, in its slice
            plane; zeros where nothing clearly better than the present place was found.
        moved_mm: length of the shift.
        similarity_before: mutual information (nats) with the reference at the present place.
        similarity_after: after the shift; never smaller.
        note: the outcome in words, for the user.
    """

    sequence: str
    translation_mm: tuple[float, float, float]
    moved_mm: float
    similarity_before: float
    similarity_after: float
    note: str

    @property
    def worthwhile(self) -> bool:
        """Whether a shift is proposed."""
        return self.moved_mm > 0


@dataclass(frozen=True)
class Pair:
    """Both images as bin numbers, and where each counts; all arrays (z, y, x), one grid.

    Attributes:
        fixed, moving: intp bin numbers, 0 to BINS - 1.
        disc: bool, where the fixed image is compared.
        covered: bool, where the moving image is known.
        pixel_mm: size (y, x).
        center_px: (y, x) of the disc's middle.
    """

    fixed: np.ndarray
    moving: np.ndarray
    disc: np.ndarray
    covered: np.ndarray
    pixel_mm: tuple[float, float]
    center_px: tuple[float, float]

    def slice(self, k: int) -> Pair:
        """One slice alone."""
        one = np.s_[k : k + 1]
        parts = (self.fixed[one], self.moving[one], self.disc[one], self.covered[one])
        return Pair(*parts, self.pixel_mm, self.center_px)


def find_alignment(
    case: Case, sequence: str, center: tuple[float, float, float] | None = None
) -> Alignment:
    """Find the in-plane shift that lays a sequence on the reference; takes a tenth of a second.

    Args:
        case: the images.
        sequence: which one to move; not the reference.
        center: LPS position of the heart in mm; the middle of the image if None.

    Returns:
        The shift, or none with the reason in `note`.

    Raises:
        InputError: the sequence is absent or the reference, or the images share no field around
            the heart.
    """
    if sequence not in case.images or sequence == case.reference:
        others = ", ".join(name for name in case.sequences if name != case.reference) or "none"
        raise InputError(
            f"expected a sequence beside the reference {case.reference} ({others}), found "
            f"{sequence!r}; choose one of them"
        )
    pair = make_pair(case, sequence, center)
    similarity = _similarities(pair)
    before = float(similarity[tuple(count // 2 for count in similarity.shape)])
    after, shift_yx_mm, inside = peak_of(similarity, pair.pixel_mm)
    moved_mm = float(np.hypot(*shift_yx_mm))
    right, down = case.geometry.axes[:2]
    # The reference's voxel finds its partner at +shift: the sequence moves the other way.
    translation = -(shift_yx_mm[1] * right + shift_yx_mm[0] * down)
    refused = _refusal(sequence, moved_mm, before, after, inside)
    if refused:
        return Alignment(sequence, (0.0, 0.0, 0.0), 0.0, before, max(before, after), refused)
    note = (
        f"{sequence}: moved by {moved_mm:.1f} mm in the slice plane onto the reference "
        f"(mutual information {before:.2f} before, {after:.2f} after)."
    )
    x, y, z = (float(value) for value in translation)
    return Alignment(sequence, (x, y, z), moved_mm, before, after, note)


def _refusal(
    sequence: str, moved_mm: float, before: float, after: float, inside: bool
) -> str | None:
    """Why the best shift found is not proposed; None if it is."""
    if not inside:
        return (
            f"{sequence}: no best place within {MAX_SHIFT_MM:.0f} mm of the present one; "
            "nothing was moved. Move it by hand in the Transforms module if it lies wrong."
        )
    least_gain = max(LEAST_GAIN_SHARE * before, LEAST_GAIN)
    if moved_mm < LEAST_SHIFT_MM or after - before < least_gain:
        return (
            f"{sequence}: no clearly better place than the present one was found within "
            f"{MAX_SHIFT_MM:.0f} mm of it; nothing was moved."
        )
    return None


def make_pair(
    case: Case,
    sequence: str,
    center: tuple[float, float, float] | None = None,
    reach_mm: float = MAX_SHIFT_MM,
) -> Pair:
    """Both images around the heart, ready to be compared at shifts of up to a length.

    Raises:
        InputError: they share hardly anything of the disc.
    """
    width_mm, height_mm, _ = case.geometry.spacing_mm
    pixel_mm = (height_mm, width_mm)
    disc = _disc(case, center)
    covered = case.covered_by(sequence)
    if np.count_nonzero(disc & covered) < LEAST_COMMON_SHARE * np.count_nonzero(disc):
        raise InputError(
            f"expected {sequence} and {case.reference} to share the field around the heart, found "
            "that they hardly do; check that both are short-axis stacks of one study"
        )
    # Wider by the largest shift and the blur.
    margins = [int(np.ceil((reach_mm + 3 * BLUR_MM) / length)) + 1 for length in pixel_mm]
    near = bounding_box(disc, (0, *margins))
    fixed, moving = case.images[case.reference][near], case.images[sequence][near]
    disc, covered = disc[near], covered[near]
    row, column = center_px(case, center)
    return Pair(
        _binned(_blurred(fixed, pixel_mm), disc),
        _binned(_blurred(moving, pixel_mm), disc & covered),
        disc,
        covered,
        pixel_mm,
        (row - near[1].start, column - near[2].start),
    )


def center_px(case: Case, center: tuple[float, float, float] | None) -> tuple[float, float]:
    """Row and column of the heart, or of the middle of the image."""
    _, rows, columns = case.geometry.array_shape
    if center is None:
        return (rows - 1) / 2, (columns - 1) / 2
    column, row = case.geometry.index_xyz(np.array(center))[:2]
    return float(row), float(column)


def similarity_at(
    case: Case, sequence: str, center: tuple[float, float, float] | None = None
) -> float:
    """Mutual information (nats) of a sequence with the reference around the heart, as they lie.

    Raises:
        InputError: see `make_pair`.
    """
    pair = make_pair(case, sequence, center)
    common = pair.disc & pair.covered
    return mutual_information(pair.fixed[common], pair.moving[common])


def similarity_map(pair: Pair, start: np.ndarray, reach_mm: float) -> np.ndarray:
    """Mutual information for all shifts around one, -inf beyond.

    Args:
        pair: the images.
        start: int (2,), rows and columns, in the middle of the result.
        reach_mm: how far from it.
    """
    reach = [int(reach_mm / length) + PEAK_REACH for length in pair.pixel_mm]
    around = np.array(list(np.ndindex(*(2 * count + 1 for count in reach)))) - reach
    around = around[np.hypot(*(around * pair.pixel_mm).T) <= reach_mm + max(pair.pixel_mm)]
    found = np.full([2 * count + 1 for count in reach], -np.inf)
    found[tuple((around + reach).T)] = _tried(pair, around + start)
    return found


def _disc(case: Case, center: tuple[float, float, float] | None) -> np.ndarray:
    """Bool (z, y, x): within RADIUS_MM of the center, in the plane."""
    _, rows, columns = case.geometry.array_shape
    row, column = center_px(case, center)
    width_mm, height_mm, _ = case.geometry.spacing_mm
    down = (np.arange(rows) - row)[:, None] * height_mm
    disc = np.hypot(down, (np.arange(columns) - column) * width_mm) <= RADIUS_MM
    return np.array(np.broadcast_to(disc, case.geometry.array_shape))


def _blurred(image: np.ndarray, pixel_mm: tuple[float, float]) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    sigma = (0.0, *(BLUR_MM / length for length in pixel_mm))
    return np.asarray(gaussian_filter(image.astype(np.float32), sigma, mode="nearest"))


def _binned(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Bin numbers with about as many voxels of the mask in each: no contrast or outlier matters."""
    edges = np.quantile(image[mask], np.linspace(0, 1, BINS + 1)[1:-1])
    return np.searchsorted(edges, image.ravel(), side="right").reshape(image.shape)


def _similarities(pair: Pair) -> np.ndarray:
    """Mutual information for shifts (rows, columns), no shift in the middle; -inf where not tried.

    Every second shift is tried with every fourth pixel; then, with all pixels of a coarse image, no
    shift, all shifts around the best of them, and every neighbor that the peak's parabola needs.
    """
    step = STEP if np.count_nonzero(pair.disc) > MOST_VOXELS else 1
    reach = [int(MAX_SHIFT_MM / length) + PEAK_REACH for length in pair.pixel_mm]
    shifts = np.array(list(np.ndindex(*(2 * count + 1 for count in reach)))) - reach
    length_mm = np.hypot(*(shifts * pair.pixel_mm).T)
    shifts = shifts[length_mm <= MAX_SHIFT_MM + max(pair.pixel_mm)]
    even = shifts[(shifts % STEP == 0).all(axis=1)]
    best = even[np.argsort(_tried(pair, even, STEP))[::-1][:PEAKS]]
    near = np.abs(shifts[:, None] - best).max(axis=2).min(axis=1) <= STEP
    near |= (shifts == 0).all(axis=1)
    found = np.full([2 * count + 1 for count in reach], -np.inf)
    found[tuple((shifts[near] + reach).T)] = _tried(pair, shifts[near], step)
    peak = np.array(np.unravel_index(np.argmax(found), found.shape)) - reach
    beside = np.abs(shifts - peak).max(axis=1) <= PEAK_REACH
    found[tuple((shifts[beside] + reach).T)] = _tried(pair, shifts[beside], step)
    return found


def _tried(pair: Pair, shifts: np.ndarray, step: int = 1) -> np.ndarray:
    """Mutual information for each shift (rows, columns); -inf where nothing is known.

    Args:
        pair: the images.
        shifts: int (n, 2).
        step: only every so many rows and columns of the disc are compared.
    """
    reach = np.abs(shifts).max(axis=0)
    edge = ((0, 0), (reach[0], reach[0]), (reach[1], reach[1]))
    moving, covered = np.pad(pair.moving, edge), np.pad(pair.covered, edge)
    # Where the disc's voxels lie in the padded image: a shift adds the same to all of them.
    z, y, x = np.nonzero(pair.disc[:, ::step, ::step])
    y, x = step * y, step * x
    first = np.ravel_multi_index((z, y + reach[0], x + reach[1]), moving.shape)
    fixed = pair.fixed[z, y, x]
    found = np.full(len(shifts), -np.inf)
    for number, (row, column) in enumerate(shifts):
        there = first + (row * moving.shape[2] + column)
        known = covered.take(there)
        if known.all():
            found[number] = mutual_information(fixed, moving.take(there))
        elif np.count_nonzero(known) >= LEAST_COMMON_SHARE * len(known):
            found[number] = mutual_information(fixed[known], moving.take(there)[known])
    return found


def mutual_information(first: np.ndarray, second: np.ndarray) -> float:
    """Of two lists of bin numbers, in nats."""
    joint = np.bincount(first * BINS + second, minlength=BINS * BINS).reshape(BINS, BINS)
    share = joint / joint.sum()
    expected = share.sum(axis=1, keepdims=True) * share.sum(axis=0, keepdims=True)
    held = share > 0
    return float((share[held] * np.log(share[held] / expected[held])).sum())


def peak_of(
    similarity: np.ndarray, pixel_mm: tuple[float, float]
) -> tuple[float, tuple[float, float], bool]:
    """The highest place: its similarity, shift (y, x) in mm, and whether it is a peak at all."""
    row, column = (int(k) for k in np.unravel_index(np.argmax(similarity), similarity.shape))
    middle = [count // 2 for count in similarity.shape]
    after = float(similarity[row, column])
    around = similarity[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
    inside = around.shape == (3, 3) and bool(np.isfinite(around).all())
    down = right = 0.0
    if inside:
        down, right = _between(*around[:, 1]), _between(*around[1, :])
    shift = ((row + down - middle[0]) * pixel_mm[0], (column + right - middle[1]) * pixel_mm[1])
    return after, shift, inside


def _between(before: float, peak: float, after: float) -> float:
    """Where a parabola through three neighboring values has its top, -0.5 to 0.5."""
    bend = before - 2 * peak + after
    return float(0.5 * (before - after) / bend) if bend < 0 else 0.0
