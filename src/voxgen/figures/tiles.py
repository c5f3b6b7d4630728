"""Images side by side as one array, for places that take pixels and no figure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voxgen.figures.sheet import Image, Quantity, Volume, colour_scale, telling

GAP = 2  # pixels
SMALLEST = 64  # pixels along the longer side of a tile


def tiled(rows: Sequence[Sequence[Volume]], quantity: Quantity) -> NDArray[np.uint8]:
    """Rows of volumes (X, Y, Z) of one shape, seen along z, as an image (rows, columns, RGB).

    A row has a colour scale of its own, since differences are far smaller than what they are taken of.
    """
    return np.concatenate(
        [_row([telling(quantity)(volume, "z") for volume in row], quantity) for row in rows]
    )


def _row(images: Sequence[Image], quantity: Quantity) -> NDArray[np.uint8]:
    signed = any(image.min() < 0 for image in images)
    scale = colour_scale(images, "intensity" if signed else quantity)
    factor = -(-SMALLEST // max(images[0].shape))
    tiles = []
    for image in images:
        coloured = scale.colours(scale.norm(image[::-1]))[..., :3]
        large = np.repeat(np.repeat(coloured, factor, 0), factor, 1)
        tiles.append(np.pad(large, ((0, GAP), (0, GAP), (0, 0)), constant_values=1.0))
    return np.asarray(255 * np.concatenate(tiles, axis=1), np.uint8)
