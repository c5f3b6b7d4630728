"""Which rows of a cloud are points, and whether it can be used: the same for inspect and the index."""

import numpy as np
from numpy.typing import NDArray

from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.parts import Points, Scale
from voxgen.sources.missing import is_sentinel

ALIKE = 3  # equal points at the end of a cloud that look like padding


def keep_points(points: Points, scale: Scale, wanted: CloudSettings, absent: bool) -> Points:
    """The rows (n, 3) that are points, by what the file (`absent`: NaN rows are none) and settings say.

    `scale` are the factors from the file's numbers, in which data.missing is given, to data.unit.
    """
    if wanted.missing is not None:
        raw = points / np.array(scale)
        gone = ~np.isfinite(points) | np.isclose(raw[..., None], list(wanted.missing), rtol=1e-6).any(-1)
        points = points[~gone.any(axis=1)]
    elif absent:
        points = points[~np.isnan(points).all(axis=1)]
    if wanted.counts == "until_repeat" and len(points) and (repeats := _count_repeats(points)) > 1:
        one_number = len(set((points[-1] / scale).tolist())) == 1  # no point of the cloud: 0, -1
        points = points[: len(points) - repeats + (not one_number)]
    return points


def judge(points: Points, extent: Points, scale: Scale, wanted: CloudSettings) -> str:
    """Why a cloud (n, 3) of extent (2, 3) cannot be used, and the setting that decides; empty if it can."""
    if not np.isfinite(extent).all():
        bad = np.flatnonzero(~np.isfinite(points).all(axis=1)).tolist()
        return (
            f"NaN or infinite coordinates in {len(bad)} of {len(points)} rows, first row {bad[0]}; "
            "data.missing: [] leaves such rows out"
        )
    repeats = _count_repeats(points)
    if repeats >= ALIKE and repeats < len(points) and wanted.counts is None and wanted.mask is None:
        return (
            f"ends with {repeats} equal points {_say(points[-1] / scale)}, as padding does; set data.counts "
            "to the lengths of the clouds, to until_repeat to leave repetitions out, or to none"
        )
    if wanted.missing is None and (doubt := _find_sentinel(points, extent, scale)):
        return doubt
    if len(points) < wanted.min_points:
        return f"{len(points)} points, expected at least {wanted.min_points} (data.min_points)"
    return ""


def _count_repeats(points: Points) -> int:
    """How many points at the end are equal, the last one included."""
    if len(points) < 2 or (points[-1] != points[-2]).any():
        return 1
    other = np.flatnonzero((points != points[-1]).any(axis=1))
    return len(points) if not other.size else len(points) - 1 - int(other[-1])


def _find_sentinel(points: Points, extent: Points, scale: Scale) -> str:
    """What is said of numbers that stand for missing ones; empty if there are none.

    They are known as such, the smallest or largest along an axis, and stand out from the others: they are
    whole where the others are not, or farther from them than these are from each other.
    """
    low, high = extent
    for i, axis in enumerate("xyz"):
        for extreme in (low[i], high[i]):
            if is_sentinel(float(extreme / scale[i])):
                rest = points[points[:, i] != extreme, i] / scale[i]
                if rest.size and _stands_out(number := float(extreme / scale[i]), rest):
                    return (
                        f"{len(points) - rest.size} of {len(points)} rows have {number:g} as {axis}, where "
                        f"others lie from {rest.min():g} to {rest.max():g}, as a missing value does; set "
                        f"data.missing to [{number!r}] to leave them out, or to [] if they are points"
                    )
    nothing = int((points == 0).all(axis=1).sum()) if (low <= 0).all() and (high >= 0).all() else 0
    if ALIKE <= nothing < len(points) and (points != np.floor(points)).any(axis=0).all():
        return (
            f"{nothing} of {len(points)} rows are (0, 0, 0), as padding is; set data.mask to what says which "
            "rows are points, or data.missing to [] if these are"
        )
    return ""


def _stands_out(extreme: float, rest: NDArray[np.float64]) -> bool:
    low, high = rest.min(), rest.max()
    far = max(extreme - high, low - extreme) > high - low
    fractions = (rest != np.floor(rest)).mean() > 0.5
    return bool(abs(extreme) >= 1e10 or far or fractions)


def _say(point: NDArray[np.float64]) -> str:
    return f"({', '.join(f'{value:g}' for value in point)})"
