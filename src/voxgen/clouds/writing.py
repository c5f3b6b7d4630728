"""Writing clouds in HDF5, in the layout of another file."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxgen.clouds.parts import UNSCALED, Scale
from voxgen.errors import InputError
from voxgen.io.files import replacing

CHUNK_BYTES = 1 << 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Form:
    """How clouds are written.

    Attributes:
        layout: stacked: a dataset (N, P, 3); groups: a group with a dataset (n, 3) a cloud; ragged: a
            variable-length dataset (N,) of flattened points; table: a dataset (M, 3), beside it `ids` (M,).
        key: name of the dataset, for groups within each group.
        unit: text of the attribute `units`; empty: none is written.
        scale: factors from the written numbers to data.unit; points are divided by them.
        ids: name of the dataset with the number of each point's cloud (table).
    """

    layout: Literal["stacked", "groups", "ragged", "table"]
    key: str
    unit: str
    dtype: np.dtype[Any]
    scale: Scale = UNSCALED
    ids: str = "cloud"


def write_clouds(
    path: Path,
    clouds: Iterable[NDArray[Any]],
    form: Form,
    extras: Mapping[str, tuple[ArrayLike, str | None]] | None = None,
) -> None:
    """Write clouds (n, 3) in data.unit in a layout that `open_clouds` reads, whole or not at all.

    One cloud is held at a time. `extras` are further datasets, name: (values, unit or None).

    Raises:
        InputError: the layout is stacked and the clouds differ in size, or there is none.
    """
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        count = -1
        for count, cloud in enumerate(clouds):
            points = np.asarray(cloud).reshape(-1, 3)
            if form.scale != UNSCALED:
                points = points / np.array(form.scale)
            _write(file, path, form, points.astype(form.dtype), count)
        if count < 0:
            raise InputError(f"{path}: there is no cloud to write, all volumes are empty; train for longer")
        for name, (values, unit) in (extras or {}).items():
            _label(file.create_dataset(name, data=values), unit)


def _write(file: Any, path: Path, form: Form, points: NDArray[Any], row: int) -> None:
    if form.layout == "groups":
        _label(file.create_dataset(f"cloud_{row:06d}/{form.key}", data=points), form.unit)
    elif form.layout == "stacked":
        dataset = _extensible(file, form, form.key, points.shape, points.dtype)
        if points.shape != dataset.shape[1:]:
            found = f"{path}: cloud {row} has shape {points.shape}, the first one {dataset.shape[1:]}"
            raise InputError(f"{found}; the layout groups takes clouds of different sizes")
        _append(dataset, points[None])
    elif form.layout == "ragged":
        dataset = _extensible(file, form, form.key, (), h5py.vlen_dtype(points.dtype))
        dataset.resize(row + 1, axis=0)
        dataset[row] = points.reshape(-1)
    else:
        if not len(points):
            log.warning("%s: cloud %d has no points, of which a table keeps no trace", path, row)
        dataset = _extensible(file, form, form.key, (3,), points.dtype)
        dataset.attrs["group_by"] = form.ids
        _append(dataset, points)
        beside = f"{form.key.rpartition('/')[0]}/{form.ids}"
        _append(_extensible(file, None, beside, (), np.dtype(np.int64)), np.full(len(points), row))


def _extensible(file: Any, form: Form | None, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
    """The dataset (0, *shape) that grows along its first axis, made where it is not yet there."""
    if name not in file:
        rows = max(1, CHUNK_BYTES // max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize))
        chunks = (rows, *(max(1, size) for size in shape))
        file.create_dataset(name, (0, *shape), dtype, maxshape=(None, *shape), chunks=chunks)
        _label(file[name], form.unit if form is not None else None)
    return file[name]


def _append(dataset: Any, rows: NDArray[Any]) -> None:
    before = len(dataset)
    dataset.resize(before + len(rows), axis=0)
    dataset[before:] = rows


def _label(dataset: Any, unit: str | None) -> None:
    if unit:
        dataset.attrs["units"] = unit
