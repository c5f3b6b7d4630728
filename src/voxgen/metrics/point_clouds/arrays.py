"""What every metric of point clouds takes: N clouds of P points with C coordinates, finite."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def checked(clouds_NPC: NDArray[np.floating]) -> Matrix:
    """The clouds (N, P, C) in float64.

    Raises:
        ValueError: they are not (items, points, coordinates), an axis is empty, or a value is not finite.
    """
    clouds = np.asarray(clouds_NPC, dtype=np.float64)
    if clouds.ndim != 3 or 0 in clouds.shape or not np.isfinite(clouds).all():
        raise ValueError(f"clouds of shape {clouds.shape}: expected finite (items, points, coordinates)")
    return clouds
