"""Stage `plot_voxels`: the volumes of the splits -> what they look like, and their statistics."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.figures.sheet import pick_evenly, quantity_of
from voxgen.figures.split_sheets import Shown, save_data_preview, save_statistics
from voxgen.io.files import read_table, write_json
from voxgen.volumes.manifest import Split
from voxgen.volumes.nifti import read_volume

SHOWN = 4  # volumes of each split in the preview
READ = 200  # volumes of each split whose voxels are counted
WORST = 5  # clouds of each split that are named
BINS = 50
NOTHING = {"volumes": 0, **dict.fromkeys(("occupied", "empty", "density", "points", "outside"))}
FAINTEST = -10  # power of 2 below which counts are not told apart

Row = dict[str, str]
Edges = NDArray[np.float64]


@dataclass(frozen=True)
class _Voxels:
    """Voxels of the volumes that were read: share that is 0, and a histogram of the others (bins,)."""

    volumes: int
    empty: float
    histogram: NDArray[np.int64]

    @property
    def first(self) -> int:
        """The first bin that is not empty; the last where all are."""
        return int(np.append(np.flatnonzero(self.histogram), len(self.histogram) - 1)[0])


def plot_voxels(train: Split, val: Split, test: Split, preview: Path, statistics: Path, figure: Path) -> None:
    """Write `preview` (PNG), `statistics` (JSON) and `figure` (PNG of the statistics).

    Not all splits are empty. All rows are counted, but
    voxels of at most READ volumes per split, evenly spread over its manifest. In `statistics` shares lie in
    [0, 1]; `occupied` is the mean share of occupied voxels of all volumes, `empty` the share of read voxels
    that are 0. A bin of a histogram holds its lower edge, the last one both; the first bin of counts may hold
    fainter ones too. Volumes of no clouds have null in place of `points` and
    `outside`, a split without volumes has null throughout.
    """
    splits = {"train": train, "val": val, "test": test}
    tables = {name: rows for name, (manifest, _) in splits.items() if (rows := read_table(manifest))}
    folders = {name: folder for name, (_, folder) in splits.items()}
    every = [row for rows in tables.values() for row in rows]
    clouds = any(int(row["points"]) for row in every)
    quantity = quantity_of(clouds)
    save_data_preview(
        preview,
        {
            name: [_shown(row, folders[name]) for row in pick_evenly(rows, SHOWN)]
            for name, rows in tables.items()
        },
        every[0]["unit"],
        quantity,
    )
    files = {
        name: [folders[name] / row["file"] for row in pick_evenly(rows, READ)]
        for name, rows in tables.items()
    }
    edges = _octaves(every) if clouds else _range(file for some in files.values() for file in some)
    voxels = {name: _voxels(some, edges) for name, some in files.items()}
    first = min(one.first for one in voxels.values())
    points_edges = _bins([int(row["points"]) for row in every]) if clouds else None
    content = {
        "quantity": quantity,
        "density_edges": edges[first:].tolist(),
        "points_edges": None if points_edges is None else points_edges.tolist(),
        "splits": {
            name: _described(tables[name], voxels[name], first, points_edges) if name in tables else NOTHING
            for name in splits
        },
    }
    write_json(statistics, content)
    save_statistics(figure, content)


def _described(
    rows: Sequence[Row], voxels: _Voxels, first: int, points_edges: Edges | None
) -> dict[str, Any]:
    """What statistics.json says of one split."""
    return {
        "volumes": len(rows),
        "occupied": float(np.mean([float(row["occupied"]) for row in rows])),
        "empty": voxels.empty,
        "density": {"volumes": voxels.volumes, "histogram": voxels.histogram[first:].tolist()},
        "points": None if points_edges is None else _points(rows, points_edges),
        "outside": None if points_edges is None else _outside(rows),
    }


def _points(rows: Sequence[Row], edges: Edges) -> dict[str, Any]:
    points = np.array([int(row["points"]) for row in rows])
    names = ("min", "lower_quartile", "median", "upper_quartile", "max")
    quartiles = np.quantile(points, (0, 0.25, 0.5, 0.75, 1)).tolist()
    return {
        "total": int(points.sum()),
        **dict(zip(names, quartiles, strict=True)),
        "histogram": np.histogram(points, edges)[0].tolist(),
    }


def _outside(rows: Sequence[Row]) -> dict[str, Any]:
    points, outside = (sum(int(row[name]) for row in rows) for name in ("points", "outside"))
    shares = {row["id"]: int(row["outside"]) / max(1, int(row["points"])) for row in rows}
    worst = sorted(shares, key=lambda one: (-shares[one], one))[:WORST]
    return {
        "total": outside,
        "share": outside / max(1, points),
        "worst": [{"id": one, "share": shares[one]} for one in worst],
    }


def _voxels(files: Sequence[Path], edges: Edges) -> _Voxels:
    histogram = np.zeros(len(edges) - 1, np.int64)
    size = zeros = 0
    for volume in map(read_volume, files):
        values = volume[volume != 0]
        size, zeros = size + volume.size, zeros + volume.size - values.size
        histogram += np.histogram(np.maximum(values, edges[0]), edges)[0]
    return _Voxels(len(files), zeros / size, histogram)


def _octaves(rows: Iterable[Row]) -> Edges:
    """Edges of bins that are twice as wide as the one before: each has a whole number in it from 1 on."""
    highest = max(float(row["max"]) for row in rows)
    last = int(np.floor(np.log2(highest))) if highest > 0 else 0
    return np.exp2(np.arange(min(FAINTEST, last), last + 2, dtype=np.float64))


def _range(files: Iterable[Path]) -> Edges:
    """Edges of BINS equal bins from the lowest to the highest voxel."""
    extremes = [(volume.min(), volume.max()) for volume in map(read_volume, files)]
    return np.histogram_bin_edges(np.array(extremes, np.float64), BINS).astype(np.float64)


def _bins(numbers: Sequence[int]) -> Edges:
    """Edges of equal bins for whole numbers: 2 n^(1/3) of them (Rice's rule), and no more than numbers."""
    bins = min(BINS, max(numbers) - min(numbers) + 1, round(2 * len(numbers) ** (1 / 3)))
    return np.histogram_bin_edges(numbers, bins).astype(np.float64)


def _shown(row: Row, folder: Path) -> Shown:
    return Shown(
        row["id"], read_volume(folder / row["file"]), [float(row[f"spacing_{axis}"]) for axis in "xyz"]
    )
