"""An oblique orientation for tests, and the directions of its axes."""

from __future__ import annotations

import numpy as np

# A short-axis orientation measured on a patient: x to the left and back, y to the feet, z along
# the left ventricle to the apex.
RIGHT = np.array([0.733192, 0.660188, 0.163037])
DOWN = np.array([-0.104592, 0.346381, -0.932245])
OBLIQUE = tuple(np.stack([RIGHT, DOWN, np.cross(DOWN, RIGHT)], axis=1).ravel())
