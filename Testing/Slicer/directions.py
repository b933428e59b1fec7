"""Orientations of image stacks, as direction cosines in columns (LPS)."""

from __future__ import annotations

import numpy as np

# x to the left and back, y to the feet, z along the ventricle to the apex, as measured.
RIGHT = np.array([0.733192, 0.660188, 0.163037])
DOWN = np.array([-0.104592, 0.346381, -0.932245])
OBLIQUE = np.linalg.qr(np.stack([RIGHT, DOWN, np.cross(DOWN, RIGHT)], axis=1))[0]
DIRECTIONS = {
    "axial": np.eye(3),
    "oblique": OBLIQUE,
    "flipped slices": OBLIQUE @ np.diag([1, 1, -1]),
    "flipped rows": OBLIQUE @ np.diag([1, -1, 1]),
    "axes swapped": OBLIQUE[:, [2, 0, 1]],
    "coronal, left-handed": np.array([[1.0, 0, 0], [0, 0, 1], [0, 1, 0]]),
}
