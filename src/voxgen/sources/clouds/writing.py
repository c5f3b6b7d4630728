"""Writing clouds in HDF5, in the layout of another file."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxgen.errors import InputError
from voxgen.io.files import replacing
from voxgen.sources.clouds.hdf5 import parent
from voxgen.sources.clouds.parts import UNSCALED, Scale

CHUNK_BYTES = 1 << 20

Layout = Literal["stacked", "padded", "groups", "ragged", "table", "offsets", "counts"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Form:
    """How clouds are written.

    Attributes:
        layout: stacked: a dataset (N, P, C); padded: the same, filled up with NaN, beside it the points of
            each cloud; groups: points of their own a cloud; ragged: a variable-length dataset (N,), with
            axes (N, 3); table, offsets, counts: all points one after another, beside them the number of
            each point's cloud, the edges (N + 1,), or the points of each cloud (N,).
        key: path of the points; of groups `*` is the cloud's number, and without it cloud_*/ precedes.
        unit: text of the attribute `units`; empty: none is written.
        scale: factors from the written numbers to data.unit; points are divided by them.
        ids: what stands beside the points: path from their group, or from the root with a leading slash.
        kind: points are a matrix (n, C), records (n,), or a group with a dataset (n,) an axis.
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
        home = self.key if self.kind == "axes" else parent(f"/{self.key}")
        return self.ids if self.ids.startswith("/") else f"/{home.strip('/')}/{self.ids}"


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
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        count = -1
        for count, cloud in enumerate(clouds):
            points = np.asarray(cloud).reshape(-1, 3) / np.array(form.scale)
            _write(file, path, form, points[:, : len(form.axes)].astype(form.dtype), count)
        if count < 0:
            raise InputError(f"{path}: there is no cloud to write, all volumes are empty; train for longer")
        for name, (values, unit) in (extras or {}).items():
            if name not in file:
                _label(file.create_dataset(name, data=values), unit)


def _write(file: Any, path: Path, form: Form, points: NDArray[Any], row: int) -> None:
    if form.layout in ("stacked", "padded"):
        _write_stacked(file, path, form, points, row)
    elif form.layout == "ragged":
        _write_ragged(file, form, points, row)
    elif form.layout == "groups":
        key = form.key if "*" in form.key else f"cloud_*/{form.key}"
        for name, values in _arranged(form, points, key.replace("*", f"{row:06d}", 1), row).items():
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


def _write_ragged(file: Any, form: Form, points: NDArray[Any], row: int) -> None:
    shape = (3,) if form.kind == "axes" else ()
    dataset = _extensible(file, form.key, shape, h5py.vlen_dtype(points.dtype), form.unit)
    dataset.resize(row + 1, axis=0)
    if form.kind == "axes":
        for axis in range(3):
            dataset[row, axis] = points[:, axis]
    else:
        dataset[row] = points.reshape(-1)


def _write_table(file: Any, path: Path, form: Form, points: NDArray[Any], row: int) -> None:
    arranged = _arranged(form, points, form.key, row)
    datasets = [_append(file, name, values, form.unit) for name, values in arranged.items()]
    if form.layout == "counts":
        _append(file, form.beside, np.array([len(points)]))
    elif form.layout == "offsets":
        _append(file, form.beside, np.array([0, len(points)] if row == 0 else [len(datasets[0])]))
    else:
        if not len(points):
            log.warning("%s: cloud %d has no points, of which a table keeps no trace", path, row)
        datasets[0].attrs["group_by"] = form.ids
        if form.kind != "records":
            _append(file, form.beside, np.full(len(points), row))


def _arranged(form: Form, points: NDArray[Any], key: str, row: int) -> dict[str, NDArray[Any]]:
    """The datasets that hold the points (n, 2 or 3) of cloud `row`, by path."""
    if form.kind == "matrix":
        return {key: _spread(points, form.axes)}
    columns = {str(axis): points[:, i] for i, axis in enumerate(form.axes)}
    if form.kind == "axes":
        return {f"/{key.strip('/')}/{name}": values for name, values in columns.items()}
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
    return np.nan if dtype.kind == "f" else 0


def _extensible(file: Any, name: str, shape: tuple[int, ...], dtype: Any, unit: str) -> Any:
    """The dataset (0, *shape) that grows, made where it is not yet there; what is not written is NaN."""
    if name not in file:
        rows = max(1, CHUNK_BYTES // max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize))
        chunks = (rows, *(max(1, size) for size in shape))
        fill = np.nan if np.dtype(dtype).kind == "f" else None
        most = (None,) * (1 + len(shape))
        _label(
            file.create_dataset(name, (0, *shape), dtype, maxshape=most, chunks=chunks, fillvalue=fill), unit
        )
    return file[name]


def _append(file: Any, name: str, rows: NDArray[Any], unit: str = "") -> Any:
    dataset = _extensible(file, name, rows.shape[1:], rows.dtype, unit)
    before = len(dataset)
    dataset.resize(before + len(rows), axis=0)
    dataset[before:] = rows
    return dataset


def _label(dataset: Any, unit: str | None) -> None:
    if unit:
        dataset.attrs["units"] = unit
