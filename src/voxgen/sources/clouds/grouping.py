"""What tells the clouds of a table apart: offsets, counts, the values of a column, tiles, or nothing."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.attributes import to_plain
from voxgen.sources.clouds.columns import name_some, suggest
from voxgen.sources.clouds.cutting import Block, Columns, Label, Runs, Scattered, Table, take_census
from voxgen.sources.clouds.hdf5 import load, parent
from voxgen.sources.clouds.padding import LENGTHS, find_named, list_near, to_whole
from voxgen.sources.clouds.parts import Attributes, Found
from voxgen.volumes.faces import cells

Numbers = NDArray[np.int64]
Way = Literal["offsets", "counts"]

FEWEST = 4  # points of a cloud, on average, that a column of an unknown name tells apart
NOISE = -1  # the class of points that a clustering leaves out
NAMES: dict[Way, set[str]] = {
    "offsets": {"offsets", "starts", "ptr", "index_ptr", "indptr"},
    "counts": LENGTHS | {"rowsize", "row_size"},
}


def find_edges(
    file: Any, member: str, home: str, rows: int, wanted: CloudSettings, found: Found
) -> tuple[Numbers | None, str]:
    """Edges (N + 1,) of the clouds of a table of `rows`, and the dataset behind them; None without one.

    Unasked, integers of any name are taken that cover all rows: offsets from 0 to `rows`, numbers that sum to
    `rows`, or pairs (N, 2) of which each begins where the one before ends.

    Raises:
        InputError: data.offsets or data.counts does not fit, or several datasets could be the edges.
    """
    for way in NAMES:
        if (asked := wanted.named(way)) is not None:
            path = find_named(file, member, home, asked, way)
            edges, expected = _to_edges(_load_integers(file, path, way), rows, way)
            if edges is None:
                raise InputError(f"{file.filename}: {member}: {path} {expected}; correct data.{way}")
            setattr(found, way, getattr(found, way) or path)
            return edges, path
    return _find_edges_unasked(file, member, home, rows, wanted, found)


def _find_edges_unasked(
    file: Any, member: str, home: str, rows: int, wanted: CloudSettings, found: Found
) -> tuple[Numbers | None, str]:
    fitting: dict[str, tuple[Way, Numbers]] = {}
    unsure: list[str] = []
    for path, values in _list_integers(file, member, home, rows):
        leaf = path.rpartition("/")[2].lower()
        if wanted.offsets is None and _may_begin_clouds(values, rows):
            unsure.append(path)
        for way, names in NAMES.items():
            if getattr(wanted, way) == "none":
                continue
            edges, expected = _to_edges(values, rows, way)
            if edges is not None and (leaf in names or _covers(values, rows, way)):
                fitting.setdefault(path, (way, edges))
            elif leaf in names and values.ndim == 1 and 1 < len(values) != rows:
                unsure.append(f"{path}, which {expected},")
    if len({tuple(edges.tolist()) for _, edges in fitting.values()}) > 1:
        raise InputError(
            f"{file.filename}: {member}: {name_some(fitting)} could each tell the clouds apart; set "
            "data.offsets or data.counts to one of them, or data.group_by to none"
        )
    if not fitting and unsure:
        raise InputError(
            f"{file.filename}: {member}: {name_some(unsure)} may say where its clouds begin; set "
            "data.offsets or data.counts to it, or both to none"
        )
    if not fitting:
        return None, ""
    path, (way, edges) = next(iter(fitting.items()))
    found.notes.append(f"{len(edges) - 1} clouds by {path} (data.{way})")
    setattr(found, way, path)
    return edges, path


def _list_integers(file: Any, member: str, home: str, rows: int) -> Iterator[tuple[str, Numbers]]:
    """Whole numbers (N,), or pairs (N, 2), near a table: fewer than its rows, or of a known name."""
    for path, item in list_near(file, home):
        pairs = item.shape[1:] == (2,)
        listed = item.ndim == 1 or (item.ndim == 2 and 1 in item.shape) or pairs
        if path == member or not listed or item.dtype.kind not in "iuf" or _is_of_mesh(file, path):
            continue
        leaf = path.rpartition("/")[2].lower()
        if item.size >= rows and not any(leaf in names for names in NAMES.values()):
            continue
        values = to_whole(load(item, ()))
        if values is not None:
            yield path, values if pairs else values.reshape(-1)


def _covers(values: Numbers, rows: int, way: Way) -> bool:
    """Whether values of an unknown name leave no doubt: several clouds, and not a value for each row."""
    if values.ndim == 2:
        return way == "offsets" and len(values) > 1
    if way == "offsets":
        return len(values) > 2 and values[-1] == rows and bool((np.diff(values) > 0).all())
    return 1 < len(values) < rows and bool((values > 0).all())


def _may_begin_clouds(values: Numbers, rows: int) -> bool:
    """Whether numbers of any name may be first rows of clouds, from 0 or 1 on, though they state no end."""
    if values.ndim != 1 or not 1 < len(values) <= rows / FEWEST or values[0] not in (0, 1):
        return False
    steps = np.diff(values)
    return bool((steps > 0).all() and (steps > 1).any() and rows / 2 <= values[-1] < rows)


def _is_of_mesh(file: Any, path: str) -> bool:
    """Whether offsets lie beside the connectivity of a mesh, whose cells they are of, not of clouds."""
    group = file[parent(path)]
    return any("connectivity" in name.lower() for name in group)


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
    if not taken and asked is None and (doubtful := _split_unsurely(table, file, columns)):
        raise InputError(
            f"{where}: {name_some(doubtful)} may tell the clouds apart, or kinds of points within one; set "
            "data.group_by to it, or to none"
        )
    if not taken:
        found.notes.append("no column tells clouds apart: the table is one cloud (data.group_by, data.tile)")
        return Runs(table)
    name, only = taken.popitem()
    found.group_by = name
    if asked is None:
        found.notes.append(f"{len(only)} clouds by '{name}' (data.group_by)")
    return only


def _split_unsurely(table: Table, file: Any, columns: Columns) -> list[str]:
    """The columns that may tell clouds apart: with several values, and by their name or in runs of rows."""
    doubtful = []
    for name in dict.fromkeys([*columns.kinds, *columns.whole]):
        part = None if name in columns.likely else _group(table, file, "", name, [], unasked=True)
        if part is None:
            continue
        census = part.census
        runs = (census.last - census.first + 1 == census.counts).all()
        if name in columns.kinds or (runs and len(part) <= census.rows / FEWEST):
            doubtful.append(name)
    return doubtful


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
    noise = values == NOISE if values.dtype.kind in "iu" else np.zeros(len(values), bool)
    if noise.any() and values.min() == NOISE and len(values) > 1:
        left = int(census.counts[noise].sum())
        notes.append(f"{left} points have the '{name}' -1, noise of a clustering, and belong to no cloud")
        census, values = census.pick(~noise), values[~noise]
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
            return cells(block.points[:, :axes], 0.0, edges)

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
    corners = census.labels * edges
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


def _to_edges(values: Numbers, rows: int, way: Way) -> tuple[Numbers | None, str]:
    """The edges that the values are, or what they should have been."""
    if values.ndim == 2:
        return _join_ranges(values, rows), f"holds no ranges one after another, expected them to cover {rows}"
    if way == "counts":
        if len(values) and values.min() >= 0 and values.sum() == rows:
            return np.concatenate([[0], np.cumsum(values)]), ""
        return None, f"sums to {values.sum()} ({_summarise(values)}), expected the {rows} points"
    if len(values) > 1 and values[0] > 0 and (np.diff(values) > 0).all() and values[-1] == rows:
        return np.concatenate([[0], values]), ""  # the ends alone
    if len(values) > 1 and values[0] == 1 and (np.diff(values) > 0).all() and values[-1] <= rows + 1:
        values = values - 1  # counted from 1
    if len(values) and values[0] == 0 and (np.diff(values) >= 0).all() and values[-1] <= rows:
        return values if values[-1] == rows and len(values) > 1 else np.append(values, rows), ""
    said = f"is not a list of offsets ({_summarise(values)})"
    return None, f"{said}, expected numbers that start at 0, never fall and end at {rows} at most"


def _join_ranges(values: Numbers, rows: int) -> Numbers | None:
    """The edges of ranges (N, 2), [first, end), [first, last] or (first, count), if they cover all rows."""
    if not len(values):
        return None
    first, second = values.T
    for begin in (first, first - 1):  # counted from 0, or from 1
        for ends in (second, second + 1, begin + second):
            if begin[0] == 0 and (begin[1:] == ends[:-1]).all() and ends[-1] == rows:
                return np.append(begin, rows)
    return None


def _load_integers(file: Any, path: str, way: Way) -> Numbers:
    item = file[path]
    shapes = (item.size,), (item.size, 1), (1, item.size), (item.size // 2, 2)
    values = to_whole(load(item, ())) if item.dtype.kind in "iuf" and item.shape in shapes else None
    if values is None:
        raise InputError(
            f"{file.filename}: {path} is {item.shape} {item.dtype}, expected integers (N,); "
            f"correct data.{way}"
        )
    return values if item.shape == (item.size // 2, 2) else values.reshape(-1)


def _summarise(values: Numbers) -> str:
    return f"{len(values)} numbers from {values.min(initial=0)} to {values.max(initial=0)}"
