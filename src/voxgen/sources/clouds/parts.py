"""What every layout offers: parts of a file whose clouds can be read in order, and what was found."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
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

    @property
    def scale(self) -> Scale:
        """Factors along x, y, z from the file's numbers to data.unit."""

    def pieces(self, file: Any, start: int, stop: int) -> Iterator[Piece]:
        """Yield (key, points (n, 3) in data.unit, attributes) of the clouds start <= i < stop."""

    def sizes(self, file: Any) -> Iterable[int]:
        """Number of points of each cloud; a single number where all have the same."""


@dataclass(slots=True)
class Found:
    """What was recognised in a file, in the terms of the settings.

    Attributes:
        layout: in words.
        key: data.key that finds the same; empty for CSV.
        columns: data.columns that are the same; empty where the layout has none.
        group_by: "none" where a table could be cut but is one cloud; None where nothing is cut by a column.
        absent: whether the file itself says that some of its rows are no points; they come as NaN.
        unit_found: the unit that the file states, None if it states none.
        scale: factors from the file's numbers to data.unit.
        notes: what was decided, and why.
    """

    layout: str = ""
    key: str = ""
    columns: tuple[str | int, ...] = ()
    group_by: str | None = None
    offsets: str | None = None
    counts: str | None = None
    mask: str | None = None
    absent: bool = False
    tile: tuple[float, ...] | None = None
    unit_found: str | None = None
    scale: Scale = UNSCALED
    notes: list[str] = field(default_factory=list)


def place_points(raw: NDArray[Any], scale: Scale, z: float | None) -> Points:
    """Coordinates (..., 3) in data.unit from the file's numbers (..., 3), or from (..., 2) and `z`."""
    points = np.asarray(raw, dtype=np.float64)
    if scale != UNSCALED:
        points = points * np.array(scale[: points.shape[-1]])
    if z is None:
        return points
    return np.concatenate([points, np.full((*points.shape[:-1], 1), z)], axis=-1)
