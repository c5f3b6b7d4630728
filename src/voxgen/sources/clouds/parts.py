"""What every layout of clouds offers: a part of a file, whose clouds can be read in order."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Value = str | int | float | bool
Attributes = dict[str, Value]
Piece = tuple[str, Points, Attributes]
Scale = tuple[float, float, float]

UNSCALED: Scale = (1.0, 1.0, 1.0)


class Part(Protocol):
    """Clouds that are stored together. It holds names and numbers only: `file` is the opened file."""

    def __len__(self) -> int: ...

    def pieces(self, file: Any, start: int, stop: int) -> Iterator[Piece]:
        """Yield (key, points (n, 3) in data.unit, attributes) of the clouds start <= i < stop."""

    def sizes(self, file: Any) -> Iterable[int]:
        """Points of each cloud."""


def placed(raw: NDArray[Any], scale: Scale, z: float | None) -> Points:
    """Coordinates (..., 3) in data.unit from the file's numbers (..., 3), or (..., 2) and `z`."""
    points = np.asarray(raw, dtype=np.float64)
    if scale != UNSCALED:
        points = points * np.array(scale[: points.shape[-1]])
    if z is None:
        return points
    return np.concatenate([points, np.full((*points.shape[:-1], 1), z)], axis=-1)


def plain(value: Any) -> Value | None:
    """A plain Python value from a scalar or an array of one; None if it is no number and no short text."""
    array = np.asarray(value)
    if array.size != 1 or array.dtype.names is not None:
        return None
    item = array.reshape(-1)[0]
    item = item.item() if isinstance(item, np.generic) else item
    if isinstance(item, bytes):
        item = item.decode(errors="replace")
    if isinstance(item, str):
        return item if len(item) <= 200 else None
    return item if isinstance(item, bool | int | float) else None
