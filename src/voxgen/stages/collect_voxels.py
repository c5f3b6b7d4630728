"""Stage `collect_voxels`: shards and split -> a manifest and a folder a split, and the intensity law."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voxgen.errors import InputError
from voxgen.io.files import read_json, read_table, write_json, write_table
from voxgen.settings.intensity import IntensitySettings
from voxgen.settings.machine import Machine
from voxgen.volumes.dropped import settle
from voxgen.volumes.grid import Grid, Shape, as_stored
from voxgen.volumes.intensity import IDENTITY, fit
from voxgen.volumes.manifest import Split, described, grid_of
from voxgen.volumes.nifti import read_volume, write_volume
from voxgen.volumes.resolution import resized, resized_grid

CONDITIONS = ("label", "attributes")  # what is known of an item besides its volume

Row = dict[str, Any]

log = logging.getLogger(__name__)


def collect_voxels(
    shards: Sequence[Path],
    outside: Sequence[Path],
    split: Path,
    stored: Path,
    train: Split,
    val: Split,
    test: Split,
    grid: Path,
    intensity: Path,
    dropped: Path,
    settings: IntensitySettings,
    train_shape: Shape | None,
    on_bad_cloud: str,
    max_dropped: float,
    machine: Machine,
) -> None:
    """Write per split a manifest (the shards' columns, `split` and CONDITIONS, sorted by id) and a folder.

    A folder holds relative links `{id}.nii.gz` to the volumes in `shards`, which lie on the grid `stored`;
    or, where `train_shape` says so, volumes at that resolution. `grid` gets the grid of either. `intensity`
    gets the law with its constant from the train split, see `voxgen.volumes.intensity`; `dropped` the clouds
    that the tables `outside` list as wholly outside the grid.

    Raises:
        InputError: volumes and split disagree, a split is left empty, the train split has no foreground, or
            clouds lie outside the grid and may not be dropped.
    """
    rows, places = _volumes(shards)
    assigned = {entry["id"]: entry for entry in read_table(split)}
    lost = [row for table in outside for row in read_table(table) if row["id"] in assigned]
    settle(lost, len(assigned), dropped, on_bad_cloud, max_dropped)
    for row in lost:
        del assigned[row["id"]]
    _check(set(rows), set(assigned), split)
    whole = Grid.from_json(read_json(stored))
    seen = resized_grid(whole, train_shape or whole.shape)
    columns = list(dict.fromkeys([*next(iter(rows.values())), "split", *CONDITIONS]))
    levels: list[float] = []
    for name, (manifest, folder) in {"train": train, "val": val, "test": test}.items():
        chosen = [
            {**rows[one], "split": name, **{key: entry[key] for key in CONDITIONS}}
            for one, entry in sorted(assigned.items())
            if entry["split"] == name
        ]
        if not chosen:
            raise InputError(f"the {name} split has no volume left, see {dropped}; give more clouds")
        if train_shape is None:
            _link(folder, {row["file"]: places[row["id"]] / row["file"] for row in chosen})
        else:
            for row in chosen:
                source = places[row["id"]] / row["file"]
                row |= _write_resized(row, source, folder, whole, seen.shape, settings.quantile, machine)
        write_table(manifest, chosen, columns)
        _report(name, chosen, seen.holds_counts)
        if name == "train":
            levels = [float(row["level"]) for row in chosen]
    write_json(grid, seen.to_json())
    fitted = fit(settings.law, levels) if seen.holds_counts else IDENTITY
    constants = {"quantile": settings.quantile, "n_train": len(levels)}
    write_json(intensity, fitted.to_json() | constants)


def _volumes(shards: Sequence[Path]) -> tuple[dict[str, Row], dict[str, Path]]:
    """Manifest row and folder of each volume, by id."""
    rows: dict[str, Row] = {}
    places: dict[str, Path] = {}
    for shard in shards:
        for row in read_table(shard / "manifest.csv"):
            if row["id"] in rows:
                both = f"{shard} and {places[row['id']]}"
                raise InputError(f"volume {row['id']} is in {both}; delete these folders and run again")
            rows[row["id"]], places[row["id"]] = row, shard
    return rows, places


def _check(volumes: set[str], assigned: set[str], split: Path) -> None:
    differing = sorted(volumes ^ assigned)
    if differing or not volumes:
        found = f"{len(volumes)} volumes, {len(assigned)} clouds in {split}"
        first = f", the first that is in one only: {differing[0]}" if differing else ""
        raise InputError(f"{found}{first}; delete results/voxels/shards and run again")


def _write_resized(
    row: Row, source: Path, folder: Path, whole: Grid, shape: Shape, quantile: float, machine: Machine
) -> dict[str, Any]:
    """Write a volume at another resolution; what the manifest says of it."""
    grid = resized_grid(grid_of(row, whole), shape)
    volume = as_stored(resized(read_volume(source), shape, grid.method), grid)
    place = (grid.origin, grid.spacing, grid.unit)
    write_volume(folder / row["file"], volume, *place, compression=machine.compression)
    return described(volume, grid, quantile)


def _link(folder: Path, targets: Mapping[str, Path]) -> None:
    """Make `folder` hold exactly these relative links."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.is_symlink():
            old.unlink()
    for name, target in targets.items():
        (folder / name).symlink_to(os.path.relpath(target, folder))


def _report(name: str, rows: Sequence[Row], counts: bool) -> None:
    if not counts:
        log.info("%s: %d volumes", name, len(rows))
        return
    points = sum(int(row["points"]) for row in rows)
    outside = sum(int(row["outside"]) for row in rows)
    level = logging.WARNING if outside > 0.01 * points else logging.INFO
    log.log(
        level,
        "%s: %d volumes; %d of %d points (%.2f %%) lie outside the bounds",
        *(name, len(rows), outside, points, 100 * outside / max(1, points)),
    )
