"""Other ways to lay a sequence on the reference, for `registration.py`: none is part of the program.

SimpleITK and itk-elastix (Apache-2.0) with mutual information in the same disc around the heart as
the program's own search. Every way gives where points of the reference's grid lie in the sequence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from myops.case import Case
from myops.registration import RADIUS_MM, find_alignment

# Points (n, 3) in mm, x, y, z on the reference's grid, of one slice -> where they lie in the sequence.
Places = Callable[[np.ndarray, int], np.ndarray]
# One level of smoothing after the other, in mm; slices 10 mm apart do not mix.
SMOOTHING_MM = (4.0, 2.0, 1.0)
BINS, ITERATIONS = 32, 100


@dataclass(frozen=True)
class Pictures:
    """A pair to register in mm of the grid, origin 0.

    Attributes:
        fixed, moving, mask: images of one grid.
        center_xyz_mm: of the heart.
        stack_mm: the shift (x, y) of the stack that the program's own search finds.
    """

    fixed: sitk.Image
    moving: sitk.Image
    mask: sitk.Image
    center_xyz_mm: tuple[float, float, float]
    stack_mm: tuple[float, float]


def pictures(case: Case, sequence: str, center: tuple[float, float, float]) -> Pictures:
    """The pair as every rival gets it; the search for the stack's shift is not timed."""
    spacing = case.geometry.spacing_mm
    column, row = case.geometry.index_xyz(np.array(center))[:2]
    depth, rows, columns = case.geometry.array_shape
    away = np.hypot(
        (np.arange(rows)[:, None] - row) * spacing[1], (np.arange(columns) - column) * spacing[0]
    )
    disc = np.broadcast_to((away <= RADIUS_MM).astype(np.uint8), (depth, rows, columns))
    images = []
    for pixels in (case.images[case.reference], case.images[sequence], disc):
        image = sitk.GetImageFromArray(np.ascontiguousarray(pixels))
        image.SetSpacing(spacing)
        images.append(image)
    found = find_alignment(case, sequence, center)
    along = [-np.array(found.translation_mm) @ axis for axis in case.geometry.axes[:2]]
    middle = (column * spacing[0], row * spacing[1], (depth - 1) / 2 * spacing[2])
    return Pictures(*images, middle, (float(along[0]), float(along[1])))


def sitk_rigid_3d(pair: Pictures) -> Places:
    """SimpleITK: one rigid motion in 3D, from the headers."""
    start = sitk.Euler3DTransform(pair.center_xyz_mm)
    found = _gradient_descent(pair.fixed, pair.moving, pair.mask, start)
    return lambda points, k: np.array([found.TransformPoint(p.tolist()) for p in points])


def sitk_slices(pair: Pictures) -> Places:
    """SimpleITK: each slice rigid in its plane, from the stack's shift."""
    found = []
    for k in range(pair.fixed.GetDepth()):
        start = sitk.Euler2DTransform(pair.center_xyz_mm[:2], 0.0, pair.stack_mm)
        planes = (pair.fixed[:, :, k], pair.moving[:, :, k], pair.mask[:, :, k])
        found.append(_gradient_descent(*planes, start))
    return lambda points, k: _in_plane(found[k], points)


def _gradient_descent(
    fixed: sitk.Image, moving: sitk.Image, mask: sitk.Image, start: sitk.Transform
) -> sitk.Transform:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricFixedMask(mask)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.5)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 0.01, ITERATIONS, 0.5)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([1] * len(SMOOTHING_MM))
    method.SetSmoothingSigmasPerLevel(list(SMOOTHING_MM))
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(start, inPlace=False)
    before = method.MetricEvaluate(fixed, moving)
    try:
        found = method.Execute(fixed, moving)
    except RuntimeError:  # it has left the image
        return start
    method.SetInitialTransform(found, inPlace=False)
    return found if method.MetricEvaluate(fixed, moving) < before else start


def elastix_rigid_3d(pair: Pictures) -> Places:
    """itk-elastix: one rigid motion in 3D, from the headers."""
    found = _elastix(pair.fixed, pair.moving, pair.mask, pair.center_xyz_mm)
    return lambda points, k: np.array([found.TransformPoint(p.tolist()) for p in points])


def elastix_slices(pair: Pictures) -> Places:
    """itk-elastix: each slice rigid in its plane, from the stack's shift."""
    found = []
    for k in range(pair.fixed.GetDepth()):
        moving = pair.moving[:, :, k]
        # Laid where the search has found the stack; what is left is sought.
        moving.SetOrigin([-value for value in pair.stack_mm])
        own = _elastix(pair.fixed[:, :, k], moving, pair.mask[:, :, k], pair.center_xyz_mm[:2])
        shift = sitk.TranslationTransform(2, pair.stack_mm)
        found.append(sitk.CompositeTransform([shift, own]))
    return lambda points, k: _in_plane(found[k], points)


def _elastix(
    fixed: sitk.Image, moving: sitk.Image, mask: sitk.Image, center: tuple[float, ...]
) -> sitk.Transform:
    import itk

    dimension = fixed.GetDimension()
    parameters = itk.ParameterObject.New()
    rigid = parameters.GetDefaultParameterMap("rigid", 3)
    schedule = ["4", "4", "1", "2", "2", "1", "1", "1", "1"]
    if dimension == 2:
        schedule = [value for n, value in enumerate(schedule) if n % 3 < 2]
    given = {
        "ImagePyramidSchedule": schedule,
        "NumberOfHistogramBins": [str(BINS)],
        "MaximumNumberOfIterations": [str(ITERATIONS)],
        "AutomaticTransformInitialization": ["false"],
        "ErodeMask": ["false"],
        "CenterOfRotationPoint": [str(value) for value in center],
        "WriteResultImage": ["false"],
    }
    for name, values in given.items():
        rigid[name] = values
    parameters.AddParameterMap(rigid)
    try:
        _, result = itk.elastix_registration_method(
            _itk(fixed, np.float32),
            _itk(moving, np.float32),
            fixed_mask=_itk(mask, np.uint8),
            parameter_object=parameters,
            log_to_console=False,
            number_of_threads=1,
        )
    except RuntimeError:  # too few samples lie in the image: it has left it
        return sitk.TranslationTransform(dimension)
    noted = result.GetParameterMap(0)
    numbers = [float(value) for value in noted["TransformParameters"]]
    middle = [float(value) for value in noted["CenterOfRotationPoint"]]
    if dimension == 2:
        return sitk.Euler2DTransform(middle, numbers[0], numbers[1:])
    return sitk.Euler3DTransform(middle, *numbers[:3], numbers[3:])


def _itk(image: sitk.Image, kind: type) -> object:
    import itk

    found = itk.image_from_array(sitk.GetArrayFromImage(image).astype(kind))
    found.SetSpacing(image.GetSpacing())
    found.SetOrigin(image.GetOrigin())
    return found


def _in_plane(transform: sitk.Transform, points: np.ndarray) -> np.ndarray:
    moved = [(*transform.TransformPoint((float(x), float(y))), z) for x, y, z in points]
    return np.array(moved)


RIVALS: dict[str, Callable[[Pictures], Places]] = {
    "SimpleITK, rigid in 3D": sitk_rigid_3d,
    "SimpleITK, rigid slice by slice": sitk_slices,
    "elastix, rigid in 3D": elastix_rigid_3d,
    "elastix, rigid slice by slice": elastix_slices,
}
