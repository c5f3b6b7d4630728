"""What tells the clouds of a table apart: offsets, counts, the values of a column, tiles, or nothing."""

from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.attributes import to_plain
from voxgen.sources.clouds.columns import name_some, suggest
from voxgen.sources.clouds.cutting import Block, Label, Runs, Scattered, Table, take_census
from voxgen.sources.clouds.hdf5 import join, load
from voxgen.sources.clouds.parts import Attributes, Found

Numbers = NDArray[np.int64]
Way = Literal["offsets", "counts"]

NAMES: dict[Way, set[str]] = {
    "offsets": {"offsets", "starts", "ptr", "index_ptr", "indptr"},
    "counts": {"counts", "n_points", "num_points", "lengths", "sizes", "npoints"},
}


def find_padding(
    file: Any, member: str, home: str, shape: tuple[int, int], wanted: CloudSettings
) -> str | None:
    """Path of the dataset with the points of each cloud of a padded (N, P, C); None: all are points.

    Raises:
        InputError: data.counts does not fit.
    """
    clouds, most = shape
    for path, values in _candidates(file, member, home, "counts", wanted):
        if len(values) == clouds and values.min(initial=0) >= 0 and values.max(initial=0) <= most:
            return path
        if wanted.counts is not None:
            raise InputError(
                f"{file.filename}: {path}: {len(values)} counts up to {values.max(initial=0)}, "
                f"expected {clouds} from 0 to {most} for {member}; correct data.counts"
            )
    return None


def find_edges(
    file: Any, member: str, home: str, rows: int, wanted: CloudSettings, found: Found
) -> tuple[Numbers | None, str]:
    """Edges (N + 1,) of the clouds of a table of `rows`, and the dataset behind them; None without one.

    Raises:
        InputError: data.offsets or data.counts does not fit.
    """
    asked: list[Way] = [way for way in NAMES if getattr(wanted, way) is not None]
    for way in asked[:1] or NAMES:
        for path, values in _candidates(file, member, home, way, wanted):
            edges, expected = (_use_offsets if way == "offsets" else _use_counts)(values, rows)
            if edges is None and asked:
                raise InputError(f"{file.filename}: {member}: {path} {expected}; correct data.{way}")
            if edges is None:
                found.notes.append(f"{path} {expected}: not taken")
                continue
            if not asked:
                found.notes.append(f"{len(edges) - 1} clouds by {path} (data.{way})")
            setattr(found, way, getattr(found, way) or path)
            return edges, path
    return None, ""


def cut(table: Table, file: Any, where: str, wanted: CloudSettings, found: Found) -> Runs | Scattered:
    """The clouds of a table without offsets; what tells them apart is noted in `found`.

    Raises:
        InputError: data.group_by is not a column, or several columns could tell the clouds apart.
    """
    if wanted.tile is not None:
        return _cut_tiles(table, file, where, wanted, found.notes)
    found.group_by = "none"
    if wanted.group_by == "none":
        return Runs(table)
    columns, taken = table.columns(file), dict[str, Scattered]()
    if wanted.group_by is not None and not table.has_column(file, wanted.group_by):
        raise InputError(
            f"{where}: no column '{wanted.group_by}', found: {name_some(columns.known)}; "
            f"correct data.group_by{suggest(wanted.group_by, columns.known)}"
        )
    asked = wanted.group_by or columns.stated
    for name in columns.likely if asked is None else [asked]:
        part = _group(table, file, where, name, found.notes, unasked=asked is None)
        if part is not None:
            taken[name] = part
    if len(taken) > 1:
        raise InputError(
            f"{where}: {' and '.join(taken)} could each tell the clouds apart; "
            "set data.group_by to one of them, or to none"
        )
    if not taken:
        found.notes.append("no column tells clouds apart: the table is one cloud (data.group_by, data.tile)")
        return Runs(table)
    name, only = taken.popitem()
    found.group_by = name
    if asked is None:
        found.notes.append(f"{len(only)} clouds by '{name}' (data.group_by)")
    return only


def _group(
    table: Table, file: Any, where: str, name: str, notes: list[str], unasked: bool
) -> Scattered | None:
    """One cloud per value of the column `name`, in the order of the values; rows without one are left out.

    None where the column was taken `unasked` and is constant, differs in every row, or holds fractions.

    Raises:
        InputError: the column was asked for and holds fractions, or nothing.
    """

    def label(block: Block) -> Label:
        return block.columns[name][:, None]

    census = take_census(table.blocks(file, [name], 0, None, points=False), label, _is_given)
    values = _interpret(census.labels[:, 0])
    if unasked and (values is None or not 1 < len(values) < census.rows):
        notes.append(f"'{name}' is constant, differs in every row or holds fractions: not taken")
        return None
    if values is None or not len(values):
        held = "fractions" if values is None else "no value"
        raise InputError(
            f"{where}: column '{name}' holds {held}, expected integers or text; "
            "correct data.group_by, or set it to none"
        )
    if left := census.rows - int(census.counts.sum()):
        notes.append(f"{left} points have no '{name}' and belong to no cloud")
    order = np.argsort(values, kind="stable")
    values = values[order]

    def describe(i: int) -> tuple[str, Attributes]:
        value = to_plain(values[i])
        return f"{table.key} where {name} = {value}", {} if value is None else {name: value}

    return Scattered(table, (name,), label, census.pick(order), describe)


def _cut_tiles(table: Table, file: Any, where: str, wanted: CloudSettings, notes: list[str]) -> Scattered:
    """One cloud per tile of at least data.min_points points, relative to the tile's corner."""
    edges = np.array(wanted.tile)
    axes = len(edges)

    def label(block: Block) -> Label:
        with np.errstate(over="ignore"):
            return np.asarray(np.floor(block.points[:, :axes] / edges))

    census = take_census(table.blocks(file, [], 0, None), label, _is_finite)
    if left := census.rows - int(census.counts.sum()):
        notes.append(f"{left} points are not finite and lie in no tile")
    full = census.counts >= wanted.min_points
    empty, outside = int((~full).sum()), int(census.counts[~full].sum())
    notes.append(
        f"{int(full.sum())} tiles are clouds; {empty} tiles with fewer than {wanted.min_points} points are "
        f"background, {outside} points in all (data.min_points)"
    )
    if not full.any():
        raise InputError(
            f"{where}: none of {len(full)} tiles has {wanted.min_points} points; "
            "enlarge data.tile, or lower data.min_points"
        )
    census = census.pick(full)
    corners = np.zeros((len(census.counts), 3))
    corners[:, :axes] = census.labels * edges
    corner_names = [f"corner_{axis}" for axis in "xyz"[:axes]]

    def describe(i: int) -> tuple[str, Attributes]:
        number = "/".join(f"{value:.0f}" for value in census.labels[i])
        at = dict(zip(corner_names, corners[i].tolist(), strict=False))
        return f"tile {number}", {"tile": number, **at}

    return Scattered(table, (), label, census, describe, corners)


def _is_finite(labels: Label) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(labels).all(axis=1))


def _is_given(labels: Label) -> NDArray[np.bool_]:
    if labels.dtype.kind == "f":
        return _is_finite(labels)
    given = labels != "" if labels.dtype.kind == "U" else np.ones(labels.shape, dtype=bool)
    return np.asarray(given.all(axis=1))


def _interpret(labels: NDArray[Any]) -> NDArray[Any] | None:
    """What the labels mean: integers where all are whole numbers, else text; None for fractions."""
    if labels.dtype.kind not in "fU":
        return labels
    try:
        numbers = labels.astype(np.float64)
    except ValueError:
        return labels
    whole = np.isfinite(numbers).all() and (numbers == np.floor(numbers)).all()
    if whole and (np.abs(numbers) < 2**53).all():
        return numbers.astype(np.int64)
    return None if labels.dtype.kind == "f" or not whole else labels


def _use_offsets(values: Numbers, rows: int) -> tuple[Numbers | None, str]:
    """The edges that the values are, or what they should have been."""
    if len(values) and values[0] == 0 and (np.diff(values) >= 0).all() and values[-1] <= rows:
        return values if values[-1] == rows and len(values) > 1 else np.append(values, rows), ""
    said = f"is not a list of offsets ({_summarise(values)})"
    return None, f"{said}, expected numbers that start at 0, never fall and end at {rows} at most"


def _use_counts(values: Numbers, rows: int) -> tuple[Numbers | None, str]:
    """The edges that follow from the values, or what they should have been."""
    if len(values) and values.min() >= 0 and values.sum() == rows:
        return np.concatenate([[0], np.cumsum(values)]), ""
    return None, f"sums to {values.sum()} ({_summarise(values)}), expected the {rows} points"


def _candidates(
    file: Any, member: str, home: str, way: Way, wanted: CloudSettings
) -> list[tuple[str, Numbers]]:
    """The dataset that the settings name, else those beside the coordinates whose name is known."""
    name = getattr(wanted, way)
    if name is not None:
        return [_load_named(file, member, home, name, way)]
    group = file[home]
    found = ((child, group.get(child)) for child in group if child.lower() in NAMES[way])
    return [
        (join(home, child), load(item, ()).astype(np.int64))
        for child, item in found
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "iu" and item.ndim == 1
    ]


def _load_named(file: Any, member: str, home: str, name: str, way: Way) -> tuple[str, Numbers]:
    beside = () if name.startswith("/") else (join(home, name),)
    for path in (*beside, "/" + name.strip("/")):
        found = file.get(path)
        if isinstance(found, h5py.Dataset):
            if found.dtype.kind not in "iu" or found.shape not in ((found.size,), (found.size, 1)):
                raise InputError(
                    f"{file.filename}: {path} is {found.shape} {found.dtype}, expected integers (N,); "
                    f"correct data.{way}"
                )
            return path, load(found, ()).reshape(-1).astype(np.int64)
    there = [child for child in file[home] if isinstance(file[home].get(child), h5py.Dataset)]
    raise InputError(
        f"{file.filename}: {member}: no dataset '{name}' beside it, found: {name_some(there)}; "
        f"correct data.{way}"
    )


def _summarise(values: Numbers) -> str:
    return f"{len(values)} numbers from {values.min(initial=0)} to {values.max(initial=0)}"
