"""How a table is cut: by offsets, counts, the values of a column, tiles, or not at all."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.cutting import Label, Scattered, Whole, take_census
from voxgen.sources.clouds.names import listing, nearest
from voxgen.sources.clouds.parts import Attributes, plain
from voxgen.sources.clouds.tables import Block, Table


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of a table that could tell clouds apart.

    Attributes:
        likely: those whose name says so, of integers or text.
        known: names that can be asked for, for messages.
        find: whether the table has a column of this name.
        stated: the one that the file itself states, as `write_clouds` does.
    """

    likely: tuple[str, ...]
    known: tuple[str, ...]
    find: Callable[[str], bool]
    stated: str | None = None


def cut(
    table: Table, file: Any, where: str, reading: CloudSettings, columns: Columns, notes: list[str]
) -> tuple[Whole | Scattered, str]:
    """Clouds of a table without offsets, and what tells them apart: the column's name, "tile" or "none".

    Raises:
        InputError: data.group_by is no column, or several columns could tell the clouds apart.
    """
    if reading.tile is not None:
        return _tiled(table, file, where, reading, notes), "tile"
    if reading.group_by == "none":
        return Whole(table), "none"
    if reading.group_by is not None and not columns.find(reading.group_by):
        raise InputError(
            f"{where}: no column '{reading.group_by}', found: {listing(columns.known)}; "
            f"correct data.group_by{nearest(reading.group_by, columns.known)}"
        )
    if (name := reading.group_by or columns.stated) is not None:
        return grouped(table, file, where, name, notes) or Whole(table), name
    taken = {
        name: part for name in columns.likely if (part := grouped(table, file, where, name, notes, True))
    }
    if len(taken) > 1:
        raise InputError(
            f"{where}: {' and '.join(taken)} could each tell the clouds apart; "
            "set data.group_by to one of them, or to none"
        )
    if taken:
        ((name, part),) = taken.items()
        notes.append(f"{len(part)} clouds by '{name}' (data.group_by)")
        return part, name
    notes.append("no column tells clouds apart: the table is one cloud (data.group_by, data.tile)")
    return Whole(table), "none"


def grouped(
    table: Table, file: Any, where: str, name: str, notes: list[str], unasked: bool = False
) -> Scattered | None:
    """A cloud a value of the column `name`, in the order of the values; rows without a value are left out.

    None where the column was taken `unasked` and is constant, differs in every row, or holds fractions.

    Raises:
        InputError: the column was asked for and holds fractions, or nothing.
    """
    labeller = _by_column(name)
    census = take_census(table.blocks(file, [name], 0, None, points=False), labeller, _is_given)
    values = _values(census.labels[:, 0])
    if unasked and (values is None or not 1 < len(values) < census.rows):
        notes.append(f"'{name}' is constant, differs in every row or holds fractions: not taken")
        return None
    if values is None or not len(values):
        found = "fractions" if values is None else "no value"
        raise InputError(
            f"{where}: column '{name}' holds {found}, expected integers or text; "
            "correct data.group_by, or set it to none"
        )
    left = census.rows - int(census.counts.sum())
    if left:
        notes.append(f"{left} points have no '{name}' and belong to no cloud")
    order = np.argsort(values, kind="stable")
    values = values[order]

    def names(i: int) -> tuple[str, Attributes]:
        value = plain(values[i])
        return f"{table.key} where {name} = {value}", {} if value is None else {name: value}

    return Scattered(table, (name,), labeller, census.pick(order), names)


def _tiled(table: Table, file: Any, where: str, reading: CloudSettings, notes: list[str]) -> Scattered:
    """A cloud a tile with at least data.min_points points, relative to the tile's corner."""
    edges = np.array(reading.tile)
    axes = len(edges)

    def labeller(block: Block) -> Label:
        with np.errstate(over="ignore"):
            return np.asarray(np.floor(block.points[:, :axes] / edges))

    census = take_census(table.blocks(file, [], 0, None), labeller, _is_finite)
    left = census.rows - int(census.counts.sum())
    if left:
        notes.append(f"{left} points are not finite and lie in no tile")
    full = census.counts >= reading.min_points
    empty, outside = int((~full).sum()), int(census.counts[~full].sum())
    message = (
        f"{empty} tiles with fewer than {reading.min_points} points are background, {outside} points in all"
    )
    notes.append(f"{int(full.sum())} tiles are clouds; {message} (data.min_points)")
    if not full.any():
        raise InputError(
            f"{where}: none of {len(full)} tiles has {reading.min_points} points; "
            "enlarge data.tile, or lower data.min_points"
        )
    census = census.pick(full)
    corners = np.zeros((len(census.counts), 3))
    corners[:, :axes] = census.labels * edges
    corner_names = [f"corner_{axis}" for axis in "xyz"[:axes]]

    def names(i: int) -> tuple[str, Attributes]:
        number = "/".join(f"{value:.0f}" for value in census.labels[i])
        at = dict(zip(corner_names, corners[i].tolist(), strict=False))
        return f"tile {number}", {"tile": number, **at}

    return Scattered(table, (), labeller, census, names, corners)


def _by_column(name: str) -> Callable[[Block], Label]:
    return lambda block: block.columns[name][:, None]


def _is_finite(labels: Label) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(labels).all(axis=1))


def _is_given(labels: Label) -> NDArray[np.bool_]:
    if labels.dtype.kind == "f":
        return _is_finite(labels)
    given = labels != "" if labels.dtype.kind == "U" else np.ones(labels.shape, dtype=bool)
    return np.asarray(given.all(axis=1))


def _values(labels: NDArray[Any]) -> NDArray[Any] | None:
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
