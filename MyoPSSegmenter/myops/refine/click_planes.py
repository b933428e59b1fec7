"""What a click means, as planes: features of every pixel of a slice relative to the newest click.

All planes are float32 in one square of S x S pixels, the refiner's. `still_planes` come from the
images and the automatic result and are computed once per slice; `moving_planes` come from the
present label map and the clicks. Each is brought to about -3..3 by fixed numbers, so that a small
network can read them as they are. What they are, and why: Docs/explanation/refiner.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from myops.geometry.masks import label_components
from myops.refine.geodesic import geodesic_distances
from myops.refine.prompts import STRUCTURES
from myops.sequences import NETWORK_SEQUENCES, channel
from myops.structures import DISEASE, NETWORK_TISSUES, SHOWN_BY

BLOOD, NORMAL, EDEMA, SCAR = (NETWORK_TISSUES.index(name) for name in (
    "blood_pool", "normal_myocardium", "edema", "scar"))  # fmt: skip
# Smoothings of the signal, and of what neighboring slices say, in pixels (standard deviation).
SMOOTHINGS = (0.0, 1.0, 2.0)
BESIDE_SIGMA = 2.0
# Muscle of less pixels in the whole stack tells no level; noise-free images have no spread.
FEWEST_PIXELS = 50
LEAST_SPREAD = 0.05
# Scar is at least so many robust SDs brighter than muscle.
LEAST_SCAR_SD = 2.0
# Ways outside what was clicked into (inside for a click that adds) cost so many times as much.
OTHER_SIDE_COST = 5.0
# A signal that differs from the click's by more than one robust SD, blood, and what lies more than
# 3 mm outside the wall make a way longer.
SIGNAL_COST, LARGEST_EXCESS, BLOOD_COST, OUTSIDE_COST, OUTSIDE_MM = 3.0, 3.0, 2.0, 2.0, 3.0
# A click into an empty mask has no border to reach to: half a usual wall.
USUAL_REACH_MM, LEAST_REACH_MM = 5.0, 1.0
# Distances d become d / (d + this): near the click they differ most.
HALF_MM = 10.0
FAR_MM = 1000.0

STILL_NAMES = (
    *(f"cascade's logit of {name}" for name in (*NETWORK_TISSUES, "the left ventricle")),
    *(f"probability of {name} beside" for name in ("edema", "scar")),
    *(f"{name} in robust SDs, smoothing {s:g}" for name in NETWORK_SEQUENCES for s in SMOOTHINGS),
    "lge between muscle and scar",
    *(f"there is {name}" for name in NETWORK_SEQUENCES),
)
MOVING_NAMES = (
    "distance into the epicardium",
    "distance into the endocardium",
    "depth in the wall",
    "mask",
    "blurred mask",
    "distance into the mask",
    "size of the mask",
    "mask beside",
    "the part that was clicked into",
    "sign",
    "number of clicks",
    "reach",
    "distance to the click",
    "distance to the click over reach",
    "way within the part",
    "way within the part over reach",
    "way through like signal",
    "way through like signal over reach",
    "distance to any +",
    "distance to any -",
    *(f"{name} minus that at the click" for name in NETWORK_SEQUENCES),
    "angle from the click",
    "radius minus that of the click",
    "depth minus that of the click",
    "inside the box",
    "there is a box",
    *(f"corrects {name}" for name in STRUCTURES),
)
PLANES = len(STILL_NAMES) + len(MOVING_NAMES)


# A pixel may be meant within 7 mm of the ventricle, in the mask, within 15 mm of the click, or
# where the cascade gives the ventricle one chance in twenty. In the planes' own units.
DOMAIN_LIMITS = {
    "distance into the epicardium": -7.0 / 10,
    "mask": 0.5,
    "distance to the click": 15 / (15 + HALF_MM),
    "cascade's logit of the left ventricle": float(np.log(0.05 / 0.95)) / 3,
}


@dataclass(frozen=True)
class Levels:
    """Signal of a patient's own muscle and scar, in units of the normalized images.

    Attributes:
        muscle: float (3,), median of the automatic normal myocardium in each sequence.
        spread: float (3,), its robust standard deviation (1.4826 x median absolute deviation).
        scar: float (3,), median of the automatic scar above muscle, in these spreads.
    """

    muscle: np.ndarray
    spread: np.ndarray
    scar: np.ndarray


@dataclass(frozen=True)
class Situation:
    """What a reader sees and has said in one slice, in the square.

    Attributes:
        structure: index into `STRUCTURES`.
        mask: bool (S, S), the structure's present mask.
        blood: bool (S, S), the present blood pool.
        ventricle: bool (S, S), the present left ventricle, blood pool and wall.
        beside: float (S, S) in 0..1, the mean of the structure's masks in the slices beside.
        points: x, y in pixels of the square and 1 or 0 (+ or -) for each click, the newest last.
        box: x0, y0, x1, y1 in pixels of the square, or None.
    """

    structure: int
    mask: np.ndarray
    blood: np.ndarray
    ventricle: np.ndarray
    beside: np.ndarray
    points: Sequence[tuple[float, float, int]]
    box: tuple[float, float, float, float] | None = None


def stack_levels(images: np.ndarray, normal: np.ndarray, scar: np.ndarray) -> Levels:
    """The levels of a stack.

    Args:
        images: float (z, 3, S, S), normalized; 0 where a sequence shows nothing.
        normal: bool (z, S, S), the automatic normal myocardium.
        scar: bool (z, S, S), the automatic scar.
    """
    found = np.array([_levels(images[:, k], normal, scar) for k in range(images.shape[1])])
    return Levels(*found.astype(np.float32).T)


def _levels(image: np.ndarray, normal: np.ndarray, scar: np.ndarray) -> tuple[float, float, float]:
    shown = image != 0
    muscle = image[normal & shown]
    if muscle.size < FEWEST_PIXELS:
        return 0.0, 1.0, LEAST_SCAR_SD
    middle = float(np.median(muscle))
    spread = max(1.4826 * float(np.median(np.abs(muscle - middle))), LEAST_SPREAD)
    bright = image[scar & shown]
    level = np.median(bright) if bright.size >= FEWEST_PIXELS else np.percentile(muscle, 95)
    return middle, spread, max((float(level) - middle) / spread, LEAST_SCAR_SD)


def still_planes(
    images: np.ndarray,
    present: np.ndarray,
    probabilities: np.ndarray,
    beside: np.ndarray,
    levels: Levels,
) -> np.ndarray:
    """Planes that no click changes.

    Args:
        images: float (3, S, S), normalized; 0 where a sequence shows nothing.
        present: float (3,), 1 for a sequence that the slice has.
        probabilities: float (4, S, S), the cascade's, of `NETWORK_TISSUES`.
        beside: float (4, S, S), the same, the mean of the slices beside; 0 without any.
        levels: of the stack.

    Returns:
        float32 (len(STILL_NAMES), S, S).
    """
    size = images.shape[-1]
    joint = np.concatenate((probabilities, probabilities.sum(axis=0, keepdims=True)))
    logits = _logit(joint) / 3
    blurred = [ndimage.gaussian_filter(beside[k], BESIDE_SIGMA) for k in (EDEMA, SCAR)]
    signal = in_spreads(images, levels) * present[:, None, None]
    smooth = np.stack([_smoothed(plane) for plane in signal])
    lge = smooth[channel("lge"), 1] / levels.scar[channel("lge")]
    flags = np.broadcast_to(present[:, None, None], (len(present), size, size))
    signals = np.clip(smooth / 4, -3, 3).reshape(-1, size, size)
    planes = (logits, np.stack(blurred), signals, np.clip(lge, -1, 2)[None], flags)
    return np.concatenate(planes).astype(np.float32)


def in_spreads(images: np.ndarray, levels: Levels) -> np.ndarray:
    """Images (3, S, S) in robust SDs above the patient's own muscle; 0 where nothing is shown."""
    above = (images - levels.muscle[:, None, None]) / levels.spread[:, None, None]
    return np.where(images != 0, above, 0).astype(np.float32)


def _logit(probability: np.ndarray) -> np.ndarray:
    clipped = np.clip(probability.astype(np.float32), 0.0025, 0.9975)
    return np.log(clipped / (1 - clipped))


def _smoothed(plane: np.ndarray) -> np.ndarray:
    """A plane (S, S) at every smoothing, (3, S, S)."""
    if not plane.any():
        return np.zeros((len(SMOOTHINGS), *plane.shape), np.float32)
    return np.stack([ndimage.gaussian_filter(plane, s) if s else plane for s in SMOOTHINGS])


def moving_planes(
    still: Sequence[np.ndarray], situations: Sequence[Situation], pixel_mm: Sequence[float]
) -> np.ndarray:
    """Planes of the present label maps and clicks, several slices at a time.

    Args:
        still: of `still_planes`, one for each slice.
        situations: of the slices.
        pixel_mm: side of a pixel of each slice's square.

    Returns:
        float32 (n, len(MOVING_NAMES), S, S).
    """
    views = [_View(*one) for one in zip(still, situations, pixel_mm, strict=True)]
    costs = np.stack([cost for view in views for cost in (view.part_cost(), view.signal_cost())])
    places = np.repeat([view.place for view in views], 2, axis=0)
    ways = geodesic_distances(costs, places).reshape(len(views), 2, *costs.shape[1:])
    return np.stack([view.planes(*way) for view, way in zip(views, ways, strict=True)])


def mean_beside(stack: np.ndarray) -> np.ndarray:
    """For every slice (first axis) the mean of those beside it, float32; zeros for a single one."""
    filled = stack.astype(np.float32)
    total, count = np.zeros_like(filled), np.zeros(len(filled), np.float32)
    total[1:] += filled[:-1]
    total[:-1] += filled[1:]
    count[1:] += 1
    count[:-1] += 1
    along = (-1,) + (1,) * (filled.ndim - 1)
    return np.asarray(total / np.maximum(count, 1).reshape(along))


def meant_domain(planes: np.ndarray) -> np.ndarray:
    """The pixels that a click can mean: near the ventricle or the click, or in the mask.

    Args:
        planes: float (n, PLANES, S, S), still ones first.

    Returns:
        bool (n, S, S).
    """
    names = (*STILL_NAMES, *MOVING_NAMES)
    found = {name: planes[:, names.index(name)] for name in DOMAIN_LIMITS}
    inside = [
        plane < limit if name == "distance to the click" else plane > limit
        for (name, limit), plane in zip(DOMAIN_LIMITS.items(), found.values(), strict=True)
    ]
    return np.asarray(np.any(inside, axis=0))


class _View:
    """One slice: what several planes are made of."""

    def __init__(self, still: np.ndarray, situation: Situation, pixel_mm: float) -> None:
        self.now, self.pixel_mm, self.size = situation, pixel_mm, still.shape[-1]
        first = 1 + len(NETWORK_TISSUES) + 2
        count = len(NETWORK_SEQUENCES)
        signals = still[first : first + count * len(SMOOTHINGS)]
        self.signal = 4 * signals.reshape(count, len(SMOOTHINGS), self.size, self.size)[:, 1]
        self.shown = still[-count:, 0, 0] > 0
        last = self.now.points[-1] if self.now.points else self._middle()
        self.x, self.y, self.sign = last
        row, column = np.clip(np.floor((self.y + 0.5, self.x + 0.5)), 0, self.size - 1).astype(int)
        self.place = (int(row), int(column))
        self.epicardium = self._depth_mm(self.now.ventricle)
        self.endocardium = self._depth_mm(self.now.blood)
        self.border = self._depth_mm(self.now.mask)
        self.part = self._part()
        self.reach_mm = self._reach_mm()

    def _middle(self) -> tuple[float, float, int]:
        """Where a box without clicks points at: its center; else the square's."""
        x0, y0, x1, y1 = self.now.box or (0.0, 0.0, self.size - 1.0, self.size - 1.0)
        return (x0 + x1) / 2, (y0 + y1) / 2, 1

    def _depth_mm(self, mask: np.ndarray) -> np.ndarray:
        """Distance to a mask's border, above 0 inside; far away where there is none."""
        if not mask.any():
            return np.full(mask.shape, -FAR_MM, np.float32)
        inside = ndimage.distance_transform_edt(mask) if not mask.all() else FAR_MM
        outside = ndimage.distance_transform_edt(~mask)
        # The border runs between pixel centers.
        depth = np.where(mask, inside - 0.5, 0.5 - outside) * self.pixel_mm
        return depth.astype(np.float32)

    def _part(self) -> np.ndarray:
        """Bool (S, S): the connected part of the mask, or of what is not in it, of the click."""
        same = self.now.mask == self.now.mask[self.place]
        parts, _ = label_components(same, "corners")
        return np.asarray(parts == parts[self.place])

    def _reach_mm(self) -> float:
        to_border = abs(float(self.border[self.place]))
        usual = USUAL_REACH_MM if to_border >= FAR_MM else to_border
        return max(usual, LEAST_REACH_MM)

    def part_cost(self) -> np.ndarray:
        """Cost of ways within what the click speaks of: the mask for -, the rest for +."""
        other = self.now.mask if self.sign else ~self.now.mask
        return np.where(other, OTHER_SIDE_COST, 1.0)

    def signal_cost(self) -> np.ndarray:
        """Cost of ways through signal like that at the click, in the structure's own sequence."""
        difference = self._signal_difference()[self._sequence()]
        excess = np.clip(np.abs(difference) - 1, 0, LARGEST_EXCESS)
        cost = 1 + SIGNAL_COST * excess / LARGEST_EXCESS * 2
        if STRUCTURES[self.now.structure] in DISEASE:
            cost = cost + BLOOD_COST * self.now.blood
        beyond = self.epicardium < -OUTSIDE_MM
        return np.asarray(cost + OUTSIDE_COST * beyond)

    def _sequence(self) -> int:
        """The sequence that shows the structure, or the first there is."""
        own = SHOWN_BY.get(STRUCTURES[self.now.structure])
        wanted = [channel(own)] if own else []
        order = [k for k in (*wanted, channel("lge"), *range(len(self.shown))) if self.shown[k]]
        return order[0] if order else channel("lge")

    def _signal_difference(self) -> np.ndarray:
        at_click = self.signal[(slice(None), *self.place)]
        return np.asarray((self.signal - at_click[:, None, None]) * self.shown[:, None, None])

    def planes(self, part_way: np.ndarray, signal_way: np.ndarray) -> np.ndarray:
        """All moving planes, float32 (len(MOVING_NAMES), S, S)."""
        ways = (
            self._distance_mm(self.x, self.y),
            *(self.pixel_mm * w for w in (part_way, signal_way)),
        )
        near = [form for way in ways for form in (_near(way, HALF_MM), _near(way, self.reach_mm))]
        said = [_near(self._nearest_mm(sign), HALF_MM) for sign in (1, 0)]
        signals = np.clip(self._signal_difference() / 4, -3, 3)
        planes = [*self._wall(), *self._mask(), *self._click(), *near, *said, *signals]
        planes += [*self._relative(), *self._box(), *self._structure()]
        filled = np.empty((len(planes), self.size, self.size), np.float32)
        for plane, value in zip(filled, planes, strict=True):
            plane[...] = value
        return filled

    def _wall(self) -> list[np.ndarray]:
        clipped = [np.clip(d / 10, -2, 2) for d in (self.epicardium, self.endocardium)]
        return [*clipped, self._depth()]

    def _depth(self) -> np.ndarray:
        """0 at the endocardium, 1 at the epicardium, beyond them up to -1 and 2."""
        thickness = np.maximum(self.epicardium - self.endocardium, 1.0)
        return np.clip(-self.endocardium / thickness, -1, 2)

    def _mask(self) -> list[np.ndarray | float]:
        mask = self.now.mask.astype(np.float32)
        area_mm2 = float(mask.sum()) * self.pixel_mm**2
        return [
            mask,
            ndimage.gaussian_filter(mask, BESIDE_SIGMA),
            np.clip(self.border / 5, -3, 3),
            float(np.log1p(area_mm2 / 100)),
            ndimage.gaussian_filter(self.now.beside.astype(np.float32), BESIDE_SIGMA),
            self.part,
        ]

    def _click(self) -> list[float]:
        clicks = min(len(self.now.points), 8) / 8
        return [2.0 * self.sign - 1 if self.now.points else 0.0, clicks, self.reach_mm / 5]

    def _distance_mm(self, x: float, y: float) -> np.ndarray:
        rows, columns = np.ogrid[: self.size, : self.size]
        return np.asarray(np.hypot(rows - y, columns - x) * self.pixel_mm)

    def _nearest_mm(self, sign: int) -> np.ndarray:
        """Smallest distance to a click of this sign."""
        nearest = np.full((self.size,) * 2, np.inf)
        for x, y, said in self.now.points:
            if said == sign:
                np.minimum(nearest, self._distance_mm(x, y), out=nearest)
        return np.where(np.isinf(nearest), FAR_MM, nearest)

    def _relative(self) -> list[np.ndarray]:
        """Angle, radius and depth of every pixel relative to the click."""
        inside = self.now.ventricle if self.now.ventricle.any() else np.ones_like(self.now.mask)
        rows, columns = np.nonzero(inside)
        y, x = rows.mean(), columns.mean()
        down, right = np.ogrid[: self.size, : self.size]
        angle = np.arctan2(down - y, right - x) - np.arctan2(self.y - y, self.x - x)
        turned = np.abs((angle + np.pi) % (2 * np.pi) - np.pi) / np.pi
        radius = np.hypot(down - y, right - x) - np.hypot(self.y - y, self.x - x)
        depth = self._depth()
        return [
            turned,
            np.clip(radius * self.pixel_mm / 10, -3, 3),
            depth - depth[self.place],
        ]

    def _box(self) -> list[np.ndarray | float]:
        if self.now.box is None:
            return [0.0, 0.0]
        x0, y0, x1, y1 = self.now.box
        rows, columns = np.ogrid[: self.size, : self.size]
        return [(rows >= y0) & (rows <= y1) & (columns >= x0) & (columns <= x1), 1.0]

    def _structure(self) -> list[float]:
        return [float(k == self.now.structure) for k in range(len(STRUCTURES))]


def _near(distance_mm: np.ndarray, half_mm: float) -> np.ndarray:
    """0 at the click, one half at `half_mm`, towards 1 far away."""
    return distance_mm / (distance_mm + half_mm)
