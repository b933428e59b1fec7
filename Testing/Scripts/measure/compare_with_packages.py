"""Compare `myops.evaluation.metrics` with SimpleITK, surface-distance and MONAI, and print the differences.

    pip install --no-deps monai surface-distance    (both Apache 2.0; for this script only)
    python Testing/Scripts/measure/compare_with_packages.py [--pairs 40]

Random masks and hostile ones (a single voxel, one slice, disjoint, nested, touching the border,
empty) at anisotropic spacing. Packages that are not installed are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from myops.evaluation.metrics import compare_masks

SPACING_MM = (1.25, 1.5, 9.0)
SHAPE = (8, 40, 36)
MEASURES = ("dice", "hd_mm", "hd95_mm")
Numbers = dict[str, float | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=40, help="random pairs")
    pairs = dict(cases(parser.parse_args().pairs))
    for name, measure in packages().items():
        print(f"\n{name}")
        for kind in ("random", "hostile"):
            chosen = {key: pair for key, pair in pairs.items() if key.startswith(kind)}
            print_differences(kind, chosen, measure)


def print_differences(
    kind: str, pairs: dict[str, tuple[np.ndarray, np.ndarray]], measure: Callable[..., Numbers]
) -> None:
    """The largest difference of each measure; hostile pairs that differ one by one."""
    largest: dict[str, tuple[float, str]] = {}
    for key, (first, second) in pairs.items():
        ours = compare_masks(first, second, SPACING_MM)
        theirs = measure(first, second)
        for name, value in theirs.items():
            own = getattr(ours, name)
            if own is None or value is None or not np.isfinite(value):
                if own is not None or value is not None:
                    print(f"  {key}: {name} ours {shown(own)}, theirs {shown(value)}")
                continue
            apart = abs(own - value)
            if kind == "hostile" and apart > 1e-4 * max(1.0, abs(own)):
                print(f"  {key}: {name} ours {own:.4f}, theirs {value:.4f}")
            largest[name] = max(largest.get(name, (0.0, "")), (apart, key))
    words = ", ".join(f"{name} {apart:.2g} ({key})" for name, (apart, key) in largest.items())
    print(f"  {kind}, {len(pairs)} pairs, largest differences: {words}")


def shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def cases(count: int) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    """Names and pairs of masks, bool (z, y, x)."""
    for seed in range(count):
        yield f"random {seed}", (blob(seed), blob(seed + 1000))
    empty = np.zeros(SHAPE, bool)

    def box(*spans: tuple[int, int]) -> np.ndarray:
        mask = empty.copy()
        mask[tuple(slice(*span) for span in spans)] = True
        return mask

    voxel, far = box((1, 2), (3, 4), (3, 4)), box((6, 7), (35, 36), (30, 31))
    body = box((2, 6), (10, 30), (10, 30))
    yield "hostile single voxels", (voxel, far)
    yield "hostile one slice", (box((3, 4), (5, 20), (5, 20)), box((3, 4), (8, 22), (5, 25)))
    yield (
        "hostile neighboring slices",
        (box((3, 4), (5, 20), (5, 20)), box((4, 5), (5, 20), (5, 20))),
    )
    yield "hostile nested", (body, box((3, 5), (15, 25), (15, 25)))
    yield "hostile hollow", (body, body & ~box((3, 5), (15, 25), (15, 25)))
    yield "hostile at the border", (box((0, 8), (0, 10), (0, 36)), box((0, 8), (0, 12), (0, 36)))
    yield "hostile full", (~empty, body)
    yield "hostile stray voxel", (body | far, body)
    yield "hostile identical", (body, body)
    yield "hostile empty prediction", (empty, body)
    yield "hostile empty truth", (body, empty)
    yield "hostile both empty", (empty, empty)


def blob(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    return gaussian_filter(noise, (1, 3, 3)) > 0.02


def packages() -> dict[str, Callable[[np.ndarray, np.ndarray], Numbers]]:
    """The packages that are installed."""
    found: dict[str, Callable[[np.ndarray, np.ndarray], Numbers]] = {
        "SimpleITK (all voxels of a mask are its points)": simpleitk_voxels,
        "SimpleITK on contours (BinaryContour, padded)": simpleitk_contours,
    }
    try:
        import surface_distance  # noqa: F401

        found["surface-distance (surface elements with an area)"] = deepmind
    except ModuleNotFoundError:
        print("surface-distance is not installed")
    try:
        import monai  # noqa: F401

        found["MONAI with the spacing"] = lambda a, b: monai_numbers(a, b, SPACING_MM[::-1])
        found["MONAI by default (unit spacing)"] = lambda a, b: monai_numbers(a, b, None)
    except ModuleNotFoundError:
        print("MONAI is not installed")
    return found


def image_of(mask: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(SPACING_MM)
    return image


def simpleitk_voxels(first: np.ndarray, second: np.ndarray) -> Numbers:
    return simpleitk(image_of(first), image_of(second), image_of(first), image_of(second))


def simpleitk_contours(first: np.ndarray, second: np.ndarray) -> Numbers:
    images = [image_of(first), image_of(second)]
    padded = [sitk.ConstantPad(image, (1, 1, 1), (1, 1, 1), 0) for image in images]
    return simpleitk(*images, *(sitk.BinaryContour(image) for image in padded))


def simpleitk(a: sitk.Image, b: sitk.Image, points_a: sitk.Image, points_b: sitk.Image) -> Numbers:
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(a, b)
    hausdorff = sitk.HausdorffDistanceImageFilter()
    try:
        hausdorff.Execute(points_a, points_b)
        hd_mm = hausdorff.GetHausdorffDistance()
    except RuntimeError:
        hd_mm = None
    return {"dice": overlap.GetDiceCoefficient(), "hd_mm": hd_mm}


def deepmind(first: np.ndarray, second: np.ndarray) -> Numbers:
    import surface_distance

    if not (first.any() and second.any()):
        return {}  # release 0.1 stops here under NumPy 2 (np.Inf, np.NaN)
    distances = surface_distance.compute_surface_distances(first, second, SPACING_MM[::-1])
    numbers: Numbers = {"dice": surface_distance.compute_dice_coefficient(second, first)}
    for name, percent in (("hd_mm", 100), ("hd95_mm", 95)):
        numbers[name] = surface_distance.compute_robust_hausdorff(distances, percent)
    return numbers


def monai_numbers(
    first: np.ndarray, second: np.ndarray, spacing: tuple[float, ...] | None
) -> Numbers:
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance

    a, b = (torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (first, second))
    numbers: Numbers = {"dice": float(compute_dice(a, b))}
    for name, percent in (("hd_mm", None), ("hd95_mm", 95)):
        found = compute_hausdorff_distance(
            a, b, include_background=True, percentile=percent, spacing=spacing
        )
        numbers[name] = float(found)
    return numbers


if __name__ == "__main__":
    main()
