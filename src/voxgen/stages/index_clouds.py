"""Stage `index_clouds`: a raw file -> one line a cloud, with what is wrong with it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from voxgen.clouds import CloudFile, Points, open_clouds
from voxgen.io.files import write_table
from voxgen.settings.sections import DataSettings

BOUNDS = ("xmin", "ymin", "zmin", "xmax", "ymax", "zmax")
COLUMNS = ("id", "key", "row", "points", "label", *BOUNDS, "digest", "reason")


def index_clouds(raw: Path, name: str, out: Path, settings: DataSettings) -> None:
    """Write the index of raw file `raw`, whose clouds are called `{name}-{row:06d}`.

    Of `settings` it reads `key`, `label` and `min_points`. Bounds are in the unit of the data; `digest`
    is that of the float64 coordinates; `reason` says why a cloud is bad, and is empty for a good one.

    Raises:
        InputError: the file, the key or the labels cannot be read.
    """
    with open_clouds(raw, settings.key) as clouds:
        labels = clouds.labels(settings.label) if settings.label is not None else [""] * len(clouds)
        write_table(out, _entries(clouds, name, labels, settings.min_points), COLUMNS)


def _entries(clouds: CloudFile, name: str, labels: list[str], min_points: int) -> Iterator[dict[str, Any]]:
    for row, key, points in clouds:
        reason = _reason(points, min_points)
        bounds = [] if reason else [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]
        yield {
            "id": f"{name}-{row:06d}",
            "key": key,
            "row": row,
            "points": len(points),
            "label": labels[row],
            **dict(zip(BOUNDS, bounds, strict=False)),
            "digest": hashlib.blake2b(points.tobytes(), digest_size=16).hexdigest(),
            "reason": reason,
        }


def _reason(points: Points, min_points: int) -> str:
    """Why a cloud (n, 3) cannot be used; empty if it can."""
    if not len(points):
        return "empty"
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if bad.size:
        return f"NaN or infinite coordinates in {bad.size} of {len(points)} rows, first row {bad[0]}"
    if len(points) < min_points:
        return f"{len(points)} points, expected at least {min_points}"
    return ""
