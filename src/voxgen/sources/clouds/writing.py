"""Writing clouds in HDF5, in a form that the settings which read a file read, too."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxgen.errors import InputError
from voxgen.io.files import replacing
from voxgen.io.hdf5_writing import new_hdf5
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.candidates import Choice
from voxgen.sources.clouds.columns import split_unit
from voxgen.sources.clouds.cutting import Runs, Scattered
from voxgen.sources.clouds.datasets import H5Table, Ragged, Stack, type_of
from voxgen.sources.clouds.hdf5 import join, parent
from voxgen.sources.clouds.parts import UNSCALED, Found, Scale
from voxgen.sources.clouds.units import Units, is_pixels

CHUNK_BYTES = 1 << 20

H5Part = Stack | Ragged | Runs | Scattered
Layout = Literal["stacked", "padded", "groups", "table"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Form:
    """How clouds are written.

    Attributes:
        layout: stacked: a dataset (N, P, C); padded: the same, filled up with NaN, and beside it the number
            of points of each cloud; groups: one dataset, or group of axes, per cloud; table: all points one
            after another, and beside them, or as a field, the number of each point's cloud.
        key: path of the points; of groups `*` is the cloud's number, and without it cloud_*/ precedes.
        unit: text of the attribute `units`; empty: none is written.
        scale: factors from the written numbers to data.unit; points are divided by them.
        ids: what stands beside the points: path from their group, or from the root with a leading slash.
        kind: points are a matrix (n, C), records (n,), or a group with one dataset (n,) per axis.
        axes: columns, fields or datasets of x, y (and z); further columns of a matrix are NaN.
    """

    layout: Layout
    key: str
    unit: str
    dtype: np.dtype[Any]
    scale: Scale = UNSCALED
    ids: str = "cloud"
    kind: Literal["matrix", "records", "axes"] = "matrix"
    axes: tuple[int | str, ...] = (0, 1, 2)

    @property
    def beside(self) -> str:
        """Path of `ids` from the root."""
        home = self.key if self.kind == "axes" else parent(self.key)
        return self.ids if self.ids.startswith("/") else join(home, self.ids)


def find_form(
    file: Any, choice: Choice, parts: Sequence[H5Part], found: Found, units: Units, wanted: CloudSettings
) -> Form:
    """The form nearest to that of an HDF5 file; of tiles a table `points` beside `cloud` in data.unit.

    Lists of variable length become groups. A table by offsets or counts becomes one with the column `cloud`,
    which is read without these two settings. `units` are those that the file states along x, y (and z);
    there are none where no member has points.
    """
    if wanted.tile is not None or not units:
        return Form("table", "points", wanted.unit, np.dtype(np.float32))
    part = next((part for part in parts if not _is_empty(part)), parts[0])
    member = part.key if isinstance(part, Stack | Ragged) else part.table.key
    axes = found.columns or (0, 1, 2)
    if isinstance(part, Stack):
        layout: Layout = "padded" if found.counts else "stacked"
    else:
        cut = isinstance(part, Scattered) or (isinstance(part, Runs) and part.edges is not None)
        layout = "table" if cut else "groups"
    kind: Literal["matrix", "records", "axes"] = "matrix"
    if choice.kind == "table":
        kind = "axes" if choice.catalog.dataset(member) is None else "records"
    key = _number(choice.key, member) if layout == "groups" else member.strip("/")
    unit, scale = _state_unit(axes, units, found.scale, wanted)
    return Form(layout, key, unit, _find_dtype(file, part), scale, _name_ids(file, part, found), kind, axes)


def write_clouds(
    path: Path,
    clouds: Iterable[NDArray[Any]],
    form: Form,
    extras: Mapping[str, tuple[ArrayLike, str | None]] | None = None,
) -> None:
    """Write clouds (n, 3) in data.unit in a layout that `open_clouds` reads, whole or not at all.

    One cloud is held at a time. `extras` are further datasets, name: (values, unit or None); one whose name
    the layout takes is left out.

    Raises:
        InputError: the layout is stacked and the clouds differ in size, or there is none.
    """
    with replacing(path) as temporary, new_hdf5(temporary) as file:
        count = -1
        for count, cloud in enumerate(clouds):
            _write(file, path, form, in_form(np.asarray(cloud).reshape(-1, 3), form), count)
        if count < 0:
            raise InputError(f"{path}: there is no cloud to write, all volumes are empty; train for longer")
        for name, (values, unit) in (extras or {}).items():
            if name not in file:
                _label(file.create_dataset(name, data=values), unit)


def in_form(points: NDArray[np.float64], form: Form) -> NDArray[Any]:
    """Points (n, 3) in data.unit as numbers (n, 3), or (n, 2) where z is not written."""
    numbers = points / np.array(form.scale)
    return np.asarray(numbers[:, : len(form.axes)], form.dtype)


def _is_empty(part: H5Part) -> bool:
    return isinstance(part, Runs) and isinstance(part.table, H5Table) and not part.table.rows


def _number(key: str, member: str) -> str:
    """The path of a member with `*` for a number, such that the pattern `key` finds it.

    A key without any `*` is a name, which is found in any group; of one with `?` or [] alone the last name
    is kept.
    """
    patterns, names = key.strip("/").split("/"), member.strip("/").split("/")
    for i in reversed(range(len(patterns))):
        tokens = re.finditer(r"\[!?\]?[^\]]*\]|\*", patterns[i])
        stars = [token.start() for token in tokens if token[0] == "*"]
        if stars:
            head, tail = patterns[i][: stars[-1]], patterns[i][stars[-1] + 1 :]
            names[i] = _star(head, tail, names[i]) if head or tail else "cloud_*"
            return "/".join(names)
    name = key.strip("/") if member.endswith(key.strip("/")) else names[-1]
    return f"cloud_*/{name}".rstrip("/")


def _star(head: str, tail: str, name: str) -> str:
    """A name that matches head*tail with `*` for what the star stands for."""
    spans = [(i, j) for i in range(len(name) + 1) for j in range(i, len(name) + 1)]
    return next(
        f"{name[:i]}*{name[j:]}"
        for i, j in spans
        if fnmatchcase(name[:i], head) and fnmatchcase(name[j:], tail)
    )


def _state_unit(
    axes: tuple[int | str, ...], units: Units, scale: Scale, wanted: CloudSettings
) -> tuple[str, Scale]:
    """The unit to state, and factors from the written numbers to data.unit.

    Names of axes that state a unit keep it. The rest is in data.unit where it has no unit, several ones, or
    pixels whose size stands elsewhere.
    """
    named = [isinstance(axis, str) and split_unit(axis)[1] is not None for axis in axes]
    rest = {unit for unit, own in zip(units, named, strict=True) if not own}
    unit = rest.pop() if len(rest) == 1 else None
    if wanted.scale is not None or all(named):
        return unit or "", scale
    if unit is not None and (wanted.unit == "unitless" or not is_pixels(unit)):
        return unit, scale
    factors = [factor if own else 1.0 for factor, own in zip(scale, [*named, False], strict=False)]
    return wanted.unit, (factors[0], factors[1], factors[2])


def _find_dtype(file: Any, part: H5Part) -> np.dtype[Any]:
    """The floating type that holds x, y and z of the file; float32 for integers."""
    if isinstance(part, Runs | Scattered):
        assert isinstance(part.table, H5Table)
        types = [type_of(file, column) for column in part.table.axes]
    else:
        types = [np.dtype(h5py.check_vlen_dtype(file[part.key].dtype) or file[part.key].dtype)]
    floats = [dtype for dtype in types if dtype.kind == "f"]
    return np.result_type(*floats) if len(set(floats)) > 1 else floats[0] if floats else np.dtype(np.float32)


def _name_ids(file: Any, part: H5Part, found: Found) -> str:
    """What stands beside the points, from their group on where it lies below it."""
    if isinstance(part, Stack) and found.counts is not None:
        return found.counts.removeprefix(join(parent(part.key), ""))
    if isinstance(part, Scattered) and isinstance(part.table, H5Table):
        column = part.table.locate(file, str(found.group_by))
        if column is not None and not column.field and column.number is None:
            return column.path.removeprefix(join(part.table.home, ""))
        return str(found.group_by)
    return "cloud"


def _write(file: Any, path: Path, form: Form, points: NDArray[Any], row: int) -> None:
    if form.layout in ("stacked", "padded"):
        _write_stacked(file, path, form, points, row)
    elif form.layout == "groups":
        key = form.key if "*" in form.key else f"cloud_*/{form.key}"
        for name, values in _arrange(form, points, key.replace("*", f"{row:06d}", 1), row).items():
            _label(file.create_dataset(name, data=values), form.unit)
    else:
        _write_table(file, path, form, points, row)


def _write_stacked(file: Any, path: Path, form: Form, points: NDArray[Any], row: int) -> None:
    values = _spread(points, form.axes)
    if form.key in file:
        dataset = file[form.key]
        missing = dataset.shape[1] - len(values)
        if missing and form.layout == "stacked":
            found = f"{path}: cloud {row} has shape {values.shape}, the first one {dataset.shape[1:]}"
            raise InputError(f"{found}; the layout padded takes clouds of different sizes")
        if missing < 0:
            dataset.resize(len(values), axis=1)
        elif missing:
            values = np.pad(values, ((0, missing), (0, 0)), constant_values=_nothing(values.dtype))
    _append(file, form.key, values[None], form.unit)
    if form.layout == "padded":
        _append(file, form.beside, np.array([len(points)]))


def _write_table(file: Any, path: Path, form: Form, points: NDArray[Any], row: int) -> None:
    if not len(points):
        log.warning("%s: cloud %d has no points, of which a table keeps no trace", path, row)
    arranged = _arrange(form, points, form.key, row)
    for name, values in arranged.items():
        _append(file, name, values, form.unit)
    file[next(iter(arranged))].attrs["group_by"] = form.ids
    if form.kind != "records":
        _append(file, form.beside, np.full(len(points), row))


def _arrange(form: Form, points: NDArray[Any], key: str, row: int) -> dict[str, NDArray[Any]]:
    """The datasets that hold the points (n, 2 or 3) of cloud `row`, by path."""
    if form.kind == "matrix":
        return {key: _spread(points, form.axes)}
    columns = {str(axis): points[:, i] for i, axis in enumerate(form.axes)}
    if form.kind == "axes":
        return {join(key, name): values for name, values in columns.items()}
    if form.layout == "table":
        columns[form.ids] = np.full(len(points), row)
    records = np.empty(len(points), [(name, values.dtype) for name, values in columns.items()])
    for name, values in columns.items():
        records[name] = values
    return {key: records}


def _spread(points: NDArray[Any], axes: tuple[int | str, ...]) -> NDArray[Any]:
    """Points (n, 2 or 3) as a matrix (n, C) with x, y (and z) in the columns `axes`."""
    columns = [int(axis) for axis in axes]
    matrix = np.full((len(points), max(columns) + 1), _nothing(points.dtype), points.dtype)
    matrix[:, columns] = points
    return matrix


def _nothing(dtype: np.dtype[Any]) -> float:
    """What stands where there is no coordinate."""
    return np.nan if dtype.kind == "f" else 0


def _append(file: Any, name: str, rows: NDArray[Any], unit: str = "") -> None:
    """Add rows to a dataset, which is made where it is not yet there; floats that are not written are NaN."""
    if name not in file:
        shape = rows.shape[1:]
        chunk = max(1, CHUNK_BYTES // max(1, int(np.prod(shape)) * rows.dtype.itemsize))
        made = file.create_dataset(
            name,
            (0, *shape),
            rows.dtype,
            maxshape=(None,) * rows.ndim,
            chunks=(chunk, *(max(1, size) for size in shape)),
            fillvalue=np.nan if rows.dtype.kind == "f" else None,
        )
        _label(made, unit)
    dataset = file[name]
    before = len(dataset)
    dataset.resize(before + len(rows), axis=0)
    dataset[before:] = rows


def _label(dataset: Any, unit: str | None) -> None:
    if unit:
        dataset.attrs["units"] = unit
