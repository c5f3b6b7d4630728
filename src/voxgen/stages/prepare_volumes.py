"""Stage `prepare_volumes`: one shard of a volume source -> NIfTI volumes on the grid, manifest and index."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.io.files import read_json, write_table
from voxgen.io.shards import Shard
from voxgen.settings.clouds import Source
from voxgen.settings.machine import Machine
from voxgen.settings.scans import Scans
from voxgen.sources.channels import file_channel
from voxgen.sources.decathlon import Task, channel_number, read_task
from voxgen.sources.raw_files import listed_scans, scan_name
from voxgen.sources.scans import prepare
from voxgen.sources.spheres import Sphere, read_spheres, render
from voxgen.volumes import manifest
from voxgen.volumes.grid import Grid
from voxgen.volumes.nifti import write_volume

COLUMNS = (*manifest.COLUMNS, "low", "high", "attributes")
INDEX = ("id", "file", "key", "row", "points", "label", "attributes", "digest", "reason")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Made:
    """A volume (X, Y, Z) in its own grid, the intensities that became 0 and 1, and what the original was."""

    volume: NDArray[np.float32]
    grid: Grid
    low: float
    high: float
    digest: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Item:
    """A volume to be made: its id, where it comes from, what is known of it, and how it is made."""

    id: str
    file: str
    key: str
    attributes: dict[str, Any]
    make: Callable[[], Made]


def prepare_volumes(
    raw: Sequence[Path],
    listing: Path | None,
    name: str,
    grid: Path,
    shard: Shard,
    out: Path,
    source: Source,
    scans: Scans,
    label: str | None,
    quantile: float,
    seed: int,
    machine: Machine,
) -> None:
    """Write the volumes `{id}.nii.gz` of one shard, manifest.csv and index.csv into `out`.

    `raw` are the shard's scans themselves (source nifti), or one table of contents: dataset.json of a
    decathlon task, or a table of spheres, of which contiguous rows are taken. What a `listing` of scans says
    of them becomes attributes, `label` is the name of one. Ids are `{name}-{name of the scan}`, for spheres
    `{name}-{row:06d}`. index.csv lists all volumes, the bad ones with a reason; manifest.csv the good ones,
    with `low` and `high`, the intensities that became 0 and 1, and `attributes`, JSON of what the original
    was. `digest` is that of the original.

    Raises:
        InputError: `raw` is no task or no table of spheres, or the channel is none of it.
    """
    template = Grid.from_json(read_json(grid))
    items = list(enumerate(_items(raw, listing, name, template, source, scans, seed)))
    if source != "nifti":
        items = items[shard.part(len(items))]
    rows, index = [], []
    for row, item in items:
        known = {"id": item.id, "file": item.file, "key": item.key, "row": row, "points": 0}
        try:
            made = item.make()
            _refuse_clash(item, made)
        except InputError as error:
            reason = str(error).removeprefix(f"{item.file}: ")
            index.append({**known, "attributes": _json(item.attributes), "reason": reason})
            continue
        attributes = item.attributes | made.attributes
        known |= {"attributes": _json(attributes), "digest": made.digest}
        index.append({**known, "label": _label(item, attributes, label)})
        rows.append({**known, **_written(made, out, f"{item.id}.nii.gz", quantile, machine)})
    write_table(out / "manifest.csv", rows, COLUMNS)
    write_table(out / "index.csv", index, INDEX)


def _written(made: Made, out: Path, file: str, quantile: float, machine: Machine) -> dict[str, Any]:
    grid, volume = made.grid, made.volume
    place = (grid.origin, grid.spacing, grid.unit)
    write_volume(out / file, volume, *place, compression=machine.compression)
    statistics = manifest.described(volume, grid, quantile)
    return {"file": file, "outside": 0, **statistics, "low": made.low, "high": made.high}


def _items(
    raw: Sequence[Path],
    listing: Path | None,
    name: str,
    grid: Grid,
    source: Source,
    settings: Scans,
    seed: int,
) -> Iterator[Item]:
    if source == "spheres":
        return _spheres(raw[0], name, replace(grid, placement="fixed"), seed)
    if source == "decathlon":
        return _cases(read_task(raw[0].parent), name, grid, settings)
    return _scans(raw, {} if listing is None else listed_scans(listing), name, grid, settings)


def _cases(task: Task, name: str, grid: Grid, settings: Scans) -> Iterator[Item]:
    number = channel_number(task, settings.channel)
    for note in task.notes:
        log.info("%s: %s", name, note)
    for case in task.cases:
        image, channel = case.image(number)
        known = {"label_file": None if case.label is None else str(case.label)}
        make = partial(_scan, image, grid, settings, channel)
        yield Item(f"{name}-{case.name}", str(image), case.name, known, make)


def _scans(
    scans: Sequence[Path], said: dict[str, dict[str, str]], name: str, grid: Grid, settings: Scans
) -> Iterator[Item]:
    number = file_channel(settings.channel)
    for scan in scans:
        make = partial(_scan, scan, grid, settings, number)
        yield Item(f"{name}-{scan_name(scan)}", str(scan), scan_name(scan), said.get(str(scan), {}), make)


def _scan(scan: Path, grid: Grid, settings: Scans, channel: int | None) -> Made:
    done = prepare(scan, grid.shape, grid.spacing, settings.percentiles, channel, settings.channel_axis)
    own = replace(grid, origin=done.origin, spacing=done.spacing, unit="mm", placement="fixed")
    return Made(done.volume, own, done.low, done.high, done.digest, done.attributes)


def _spheres(table: Path, name: str, grid: Grid, seed: int) -> Iterator[Item]:
    for row, sphere in enumerate(read_spheres(table)):
        make = partial(_sphere, sphere, grid, seed)
        yield Item(f"{name}-{row:06d}", str(table), f"sphere {sphere.index}", asdict(sphere), make)


def _sphere(sphere: Sphere, grid: Grid, seed: int) -> Made:
    volume = render(sphere, grid.shape, seed)
    return Made(volume, grid, 0.0, 1.0, blake2b(volume.tobytes(), digest_size=16).hexdigest(), {})


def _refuse_clash(item: Item, made: Made) -> None:
    if clash := sorted(set(item.attributes) & set(made.attributes)):
        raise InputError(f"{item.file}: the list's column {clash[0]} is what a scan itself says; rename it")


def _label(item: Item, attributes: dict[str, Any], name: str | None) -> str:
    if name is not None and name not in attributes:
        raise InputError(
            f"{item.file}: data.label is {name}, but of it is known only: {', '.join(attributes)}; "
            "correct data.label, or name the scans in a .csv list with a column of that name"
        )
    return "" if name is None else str(attributes[name])


def _json(attributes: dict[str, Any]) -> str:
    return json.dumps(attributes, ensure_ascii=False, sort_keys=True)
