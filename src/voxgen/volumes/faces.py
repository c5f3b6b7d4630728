"""Which cell of a lattice a coordinate lies in, also where rounding would decide it."""

import numpy as np
from numpy.typing import NDArray

ROUNDING = 2 * float(np.finfo(np.float32).eps)  # share of a coordinate: a product in float32, stored as one
NOTHING = 1e-3  # share of a cell that is none, however coarse the coordinates are

Array = NDArray[np.float64]


def cells(x: Array, low: float, edge: float | Array) -> Array:
    """The cells i of [low + i * edge, low + (i + 1) * edge) in which coordinates lie.

    A coordinate that is less than `ROUNDING` below a face counts as on it, and so belongs to the cell above:
    positions of pixels, 0.1 * k, or what was stored in float32 lie on faces, but rounding would decide.
    """
    magnitude = np.maximum(np.maximum(np.abs(x), abs(low)), edge)
    slack = np.minimum(ROUNDING * magnitude / edge, NOTHING)
    return np.asarray(np.floor((x - low) / edge + slack))
