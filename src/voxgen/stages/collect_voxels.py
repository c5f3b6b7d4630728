"""Stage `collect_voxels`: shards and split -> a manifest and a folder a split, and the intensity law."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from voxgen.errors import InputError
from voxgen.intensity import Law, fit
from voxgen.io.files import read_table, write_json, write_table

Row = dict[str, str]

log = logging.getLogger(__name__)


def collect_voxels(
    shards: list[Path],
    split: Path,
    manifests: Mapping[str, Path],
    folders: Mapping[str, Path],
    intensity: Path,
    law: Law,
    quantile: float,
) -> None:
    """Write for each split a manifest (the shards' columns and `split`, sorted by id) and a folder.

    A folder holds relative links `{id}.nii.gz` to the volumes in `shards`. `intensity` gets the law with
    its constant from the train split, see `voxgen.intensity`.

    Raises:
        InputError: volumes and split disagree, or the train split has no foreground.
    """
    rows, places = _volumes(shards)
    assigned = {entry["id"]: entry["split"] for entry in read_table(split)}
    _check(set(rows), set(assigned), split)
    columns = [*next(iter(rows.values())), "split"]
    levels: list[float] = []
    for name, manifest in manifests.items():
        chosen = [{**rows[cloud], "split": name} for cloud in sorted(assigned) if assigned[cloud] == name]
        _link(folders[name], {row["file"]: places[row["id"]] / row["file"] for row in chosen})
        write_table(manifest, chosen, columns)
        _report(name, chosen)
        if name == "train":
            levels = [float(row["level"]) for row in chosen]
    fitted = fit(law, levels)
    write_json(intensity, {**fitted.to_json(), "quantile": quantile, "n_train": len(levels)})


def _volumes(shards: list[Path]) -> tuple[dict[str, Row], dict[str, Path]]:
    """Manifest row and folder of each volume, by id."""
    rows: dict[str, Row] = {}
    places: dict[str, Path] = {}
    for shard in shards:
        for row in read_table(shard / "manifest.csv"):
            if row["id"] in rows:
                raise InputError(
                    f"{shard}: volume {row['id']} is in {places[row['id']]} too; run voxelize again"
                )
            rows[row["id"]], places[row["id"]] = row, shard
    return rows, places


def _check(volumes: set[str], assigned: set[str], split: Path) -> None:
    differing = sorted(volumes ^ assigned)
    if differing or not volumes:
        found = f"{len(volumes)} volumes, {len(assigned)} clouds in {split}"
        first = f", the first that is in one only: {differing[0]}" if differing else ""
        raise InputError(f"{found}{first}; run voxelize and split_clouds again")


def _link(folder: Path, targets: Mapping[str, Path]) -> None:
    """Make `folder` hold exactly these relative links."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.is_symlink():
            old.unlink()
    for name, target in targets.items():
        (folder / name).symlink_to(os.path.relpath(target, folder))


def _report(name: str, rows: list[Row]) -> None:
    points = sum(int(row["points"]) for row in rows)
    outside = sum(int(row["outside"]) for row in rows)
    level = logging.WARNING if outside > 0.01 * points else logging.INFO
    log.log(
        level,
        "%s: %d volumes; %d of %d points (%.2f %%) lie outside the bounds",
        *(name, len(rows), outside, points, 100 * outside / max(1, points)),
    )
