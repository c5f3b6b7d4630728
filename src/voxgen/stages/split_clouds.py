"""Stage `split_clouds`: all index parts -> who is trained on, what is dropped, and the grid."""

import logging
from pathlib import Path

import numpy as np

from voxgen.errors import InputError
from voxgen.io.files import read_table, write_json, write_table
from voxgen.settings.sections import DataSettings
from voxgen.splits import assign_splits
from voxgen.voxels import Grid, fixed_grid, grid_from_extent, template_grid

SHOWN = 5
Entry = dict[str, str]

log = logging.getLogger(__name__)


def split_clouds(
    parts: list[Path], split: Path, dropped: Path, grid: Path, settings: DataSettings, seed: int
) -> None:
    """Write split.csv (id, split, digest), dropped.csv (id, key, row, reason) and grid.json.

    Of `settings` it reads `split`, `grid`, `unit` and `on_bad_cloud`.

    Raises:
        InputError: there are bad clouds and `on_bad_cloud` is error, or too few good ones.
    """
    entries = sorted((entry for part in parts for entry in read_table(part)), key=lambda entry: entry["id"])
    bad = [entry for entry in entries if entry["reason"]]
    good = [entry for entry in entries if not entry["reason"]]
    if bad and settings.on_bad_cloud == "error":
        raise InputError(_complaint(bad, len(entries)))
    if bad:
        log.warning("%d of %d clouds are left out, see %s", len(bad), len(entries), dropped)
    shares = {"train": settings.split.train, "val": settings.split.val, "test": settings.split.test}
    assigned = assign_splits({entry["id"]: entry["digest"] for entry in good}, shares, seed)
    train = [entry for entry in good if assigned[entry["id"]] == "train"]
    write_json(grid, _grid(settings, train).to_json())
    write_table(
        dropped,
        ({name: entry[name] for name in ("id", "key", "row", "reason")} for entry in bad),
        ("id", "key", "row", "reason"),
    )
    write_table(
        split,
        ({"id": entry["id"], "split": assigned[entry["id"]], "digest": entry["digest"]} for entry in good),
        ("id", "split", "digest"),
    )


def _grid(settings: DataSettings, train: list[Entry]) -> Grid:
    wanted = settings.grid
    if wanted.bounds == "cloud":
        return template_grid(wanted.shape, settings.unit, wanted.method, wanted.sigma)
    if wanted.bounds != "train":
        return fixed_grid(wanted.shape, wanted.bounds, settings.unit, wanted.method, wanted.sigma)
    if not train:
        raise InputError("data.grid.bounds: train, but the train split is empty; raise data.split.train")
    low = np.min([[float(entry[axis + "min"]) for axis in "xyz"] for entry in train], axis=0)
    high = np.max([[float(entry[axis + "max"]) for axis in "xyz"] for entry in train], axis=0)
    return grid_from_extent(wanted.shape, low, high, settings.unit, wanted.method, wanted.sigma)


def _complaint(bad: list[Entry], total: int) -> str:
    lines = [
        f"{entry['id']} ({entry['key']}, row {entry['row']}): {entry['reason']}" for entry in bad[:SHOWN]
    ]
    if len(bad) > SHOWN:
        lines.append(f"and {len(bad) - SHOWN} more")
    return "\n".join(
        [
            f"{len(bad)} of {total} clouds cannot be used:",
            *(f"  {line}" for line in lines),
            "mend the files, or leave such clouds out with data.on_bad_cloud: skip",
        ]
    )
