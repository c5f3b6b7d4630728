"""Clouds that were normalised, with what gives them back their units beside them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.sources.clouds.hdf5 import join, load
from voxgen.sources.clouds.padding import CHECKED, Look
from voxgen.sources.clouds.parts import Found

# Parts of names that differ between the two: lower and upper end, or middle and width.
ENDS = (("min", "max"), ("low", "high"), ("lower", "upper"))
MIDDLES = (
    *(("mean", "std"), ("mu", "sigma"), ("mean", "scale"), ("shift", "scale"), ("centroid", "scale")),
    *(("center", "scale"), ("centre", "scale"), ("centroid", "radius"), ("center", "radius")),
)
Place = tuple[str, str | None]  # path of a dataset and None, or a path and the name of an attribute
Laws = tuple[str, ...]
CLOSE = 1e-3  # share of an extent, or of one, that counts as none: statistics are often float32


@dataclass(frozen=True, slots=True)
class Restore:
    """How numbers are given back their units: number * (b - a) / 2 + (a + b) / 2 and the like.

    Attributes:
        first, second: where the lower end and the upper, or the middle and the width, are.
        law: signed ([-1, 1] between two ends), unit ([0, 1] between them), or middle (b * number + a).
    """

    first: Place
    second: Place
    law: str

    def apply(self, file: Any, raw: NDArray[Any], clouds: slice) -> NDArray[np.float64]:
        """The numbers (n, P, 3) of some clouds as they were before."""
        a, b = (_values(file, place, clouds, len(raw)) for place in (self.first, self.second))
        return _restore(np.asarray(raw, np.float64), a, b, self.law)


def find_restore(file: Any, member: str, home: str, clouds: int, look: Look, found: Found) -> Restore | None:
    """What gives clouds back their units; None where nothing beside them says that they were normalised.

    `look` gives the numbers (n, P, 3) of the first clouds. Two datasets, or attributes, of known names are
    tried by what the clouds then are: restored clouds lie between the ends, or their numbers now have the
    mean 0 and the deviation, or radius, 1. Statistics of the clouds as they are stay unused.

    Raises:
        InputError: there are such values, and neither holds.
    """
    for (low, high), laws in _pairs(file, member, home, clouds):
        raw = look(CHECKED)
        span = slice(0, len(raw))
        a, b = (_values(file, place, span, len(raw)) for place in (low, high))
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            continue
        said = " and ".join(name or path for path, name in (low, high))
        if _are_statistics(raw, a, b, laws):
            found.notes.append(f"{said} are those of the clouds as they are: not used")
            continue
        holding = [law for law in laws if _holds(raw, a, b, law)]
        if len(holding) != 1:
            reach = f"from {np.nanmin(raw):g} to {np.nanmax(raw):g}"
            raise InputError(
                f"{file.filename}: {member}: {said} may be what its numbers, {reach}, were normalised by, "
                "but do not show how; set data.normalised: keep to take the numbers as they are"
            )
        found.notes.append(f"given back in their units by {said} (data.normalised: keep: as stored)")
        return Restore(low, high, holding[0])
    _refuse_bounds(file, member, home, clouds, look)
    return None


def _refuse_bounds(file: Any, member: str, home: str, clouds: int, look: Look) -> None:
    """Refuse numbers that fill [0, 1] or [-1, 1] where an array beside may hold both ends of an extent."""
    shapes = {(2, 3), (3, 2), (clouds, 2, 3), (clouds, 3, 2)}
    held = {join(home, name): file[home].get(name) for name in file[home]}
    arrays = {path: item for path, item in held.items() if getattr(item, "shape", None) in shapes}
    both = [path for path, item in arrays.items() if path != member and item.dtype.kind in "iuf"]
    if (
        both
        and _reaches(raw := look(CHECKED), 1.0, np.nanmax)
        and any(_reaches(raw, low, np.nanmin) for low in (0.0, -1.0))
    ):
        raise InputError(
            f"{file.filename}: {member}: its numbers fill {np.nanmin(raw):g} to {np.nanmax(raw):g}, and "
            f"{both[0]} may be what they were normalised by; set data.normalised: keep to take them as such"
        )


def _reaches(raw: NDArray[Any], end: float, most: Callable[[NDArray[Any]], Any]) -> bool:
    return bool(_near(most(raw), end, 1.0))


def _pairs(file: Any, member: str, home: str, clouds: int) -> Iterator[tuple[tuple[Place, Place], Laws]]:
    """Pairs of values whose names differ in the words of a law alone: min_vals and max_vals."""
    places = dict(_list_values(file, member, home, clouds))
    for pairs, laws in ((ENDS, ("signed", "unit")), (MIDDLES, ("middle",))):
        for first, second in pairs:
            for name in places:
                other = name.replace(first, second)
                if other != name and other in places:
                    yield (places[name], places[other]), laws


def _list_values(file: Any, member: str, home: str, clouds: int) -> Iterator[tuple[str, Place]]:
    """Names in lower case and places of what holds one or three numbers, for all clouds or for each."""
    for path in dict.fromkeys([member, home]):
        values = {name: np.asarray(file[path].attrs[name]) for name in file[path].attrs}
        numbers = {name: value for name, value in values.items() if value.dtype.kind in "iuf"}
        yield from ((name.lower(), (path, name)) for name, value in numbers.items() if value.size in (1, 3))
    for name in file[home]:
        item = file[home].get(name)
        numeric = isinstance(item, h5py.Dataset) and item.shape is not None and item.dtype.kind in "iuf"
        if numeric and item.size in {1, 3, clouds, 3 * clouds}:
            yield name.lower(), (join(home, name), None)


def _values(file: Any, place: Place, clouds: slice, count: int) -> NDArray[np.float64]:
    """Values (count or 1, 1, 3 or 1) that broadcast against clouds."""
    path, name = place
    if name is not None:
        return np.asarray(file[path].attrs[name], np.float64).reshape(1, 1, -1)
    values = load(file[path], ()).astype(np.float64)
    if values.size in (1, 3):
        return values.reshape(1, 1, -1)
    return values.reshape(len(values), 1, -1)[clouds]


def _restore(raw: NDArray[Any], a: NDArray[Any], b: NDArray[Any], law: str) -> NDArray[np.float64]:
    if law == "signed":
        return np.asarray(a + (raw + 1) / 2 * (b - a))
    return np.asarray(a + raw * (b - a) if law == "unit" else a + raw * b)


def _are_statistics(raw: NDArray[Any], a: NDArray[Any], b: NDArray[Any], laws: Laws) -> bool:
    """Whether the values are those of the clouds as they are stored."""
    extent = (np.nanmax(raw, axis=(0, 1)) - np.nanmin(raw, axis=(0, 1))).max()
    if "middle" in laws:
        means = np.nanmean(raw, axis=1, keepdims=True), np.nanmean(raw, axis=(0, 1))
        return any(_near(mean, a, extent) for mean in means)
    ends = (np.nanmin(raw, axis=1, keepdims=True), a), (np.nanmax(raw, axis=1, keepdims=True), b)
    whole = (np.nanmin(raw, axis=(0, 1)), a), (np.nanmax(raw, axis=(0, 1)), b)
    return any(all(_near(*pair, extent) for pair in pairs) for pairs in (ends, whole))


def _holds(raw: NDArray[Any], a: NDArray[Any], b: NDArray[Any], law: str) -> bool:
    """Whether the numbers are what clouds normalised by this law are."""
    each = (0, 1) if len(a) == 1 and len(raw) > 1 else (1,)
    if law == "middle":
        middle = np.nanmean(raw, axis=each)
        radii = np.linalg.norm(raw, axis=-1)
        widths = [np.nanstd(raw, axis=each), np.nanmax(radii, axis=each), np.nanmax(np.abs(raw), axis=each)]
        widths += [np.sqrt(np.nanmean(raw**2, axis=(*each, 2)))]
        return bool(_near(middle, 0, 10) and any(_near(width, 1, 10) for width in widths))
    low = -1.0 if law == "signed" else 0.0
    reach = np.nanmin(raw, axis=each), np.nanmax(raw, axis=each)
    flat = np.broadcast_to((b - a).reshape(len(a), -1), reach[0].reshape(-1, 3).shape) == 0
    ends = [np.where(flat, end, one.reshape(-1, 3)) for one, end in zip(reach, (low, 1.0), strict=True)]
    return bool(_near(ends[0], low, 10) and _near(ends[1], 1.0, 10))


def _near(a: Any, b: Any, extent: float) -> bool:
    return bool((np.abs(np.asarray(a) - b) <= CLOSE * max(extent, 1e-12)).all())
