"""Raw point clouds in HDF5: one stacked dataset, or one group a cloud.

Layouts, found out from `key`:
    stacked: the dataset `key` of shape (N, P, C), C >= 3; the first three columns are x, y, z.
    groups: each root group is a cloud and holds a dataset `key` of shape (n, C), C >= 3.
"""

import difflib
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from voxgen.errors import InputError
from voxgen.io.files import replacing

Layout = Literal["stacked", "groups"]
Points = NDArray[np.float64]

BLOCK_BYTES = 4 << 20
CACHE_BYTES = 32 << 20
OBJECTS_LISTED = 2000

log = logging.getLogger(__name__)


class CloudFile:
    """The clouds of one open HDF5 file; `open_clouds` makes it.

    Attributes:
        layout: "stacked" or "groups".
        dtype: type of the stored coordinates.
        unit: attribute `units` of the (first) dataset, None where it has none.
    """

    layout: Layout

    def __init__(self, path: Path, file: Any, key: str) -> None:
        self.path, self.key = path, key
        self._file = file
        self._groups: list[str] = []
        found = file.get(key)
        if isinstance(found, h5py.Dataset):
            self.layout, first = "stacked", found
            self._length = int(self._checked(found, rank=3).shape[0])
        else:
            self.layout, first = "groups", self._find_groups()
            self._length = len(self._groups)
        if not self._length:
            raise InputError(f"{path}: '{key}' holds no cloud (shape {first.shape}), expected at least one")
        self.dtype: np.dtype[Any] = first.dtype
        unit = first.attrs.get("units")
        self.unit: str | None = None if unit is None else _text(unit)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[tuple[int, str, Points]]:
        return self.read(0, len(self))

    def uniform_points(self) -> int | None:
        """Points that every cloud has, or None where the counts differ."""
        if self.layout == "stacked":
            return int(self._file[self.key].shape[1])
        counts = {self._file[name][self.key].shape[0] for name in self._groups}
        return int(counts.pop()) if len(counts) == 1 else None

    def read(self, start: int, stop: int) -> Iterator[tuple[int, str, Points]]:
        """Yield (row, HDF5 path, points (n, 3)) of rows start <= row < stop; holds a block of rows at most.

        Raises:
            InputError: a cloud has the wrong rank or type, or its bytes cannot be read.
        """
        if self.layout == "groups":
            for row, name in enumerate(self._groups[start:stop], start):
                dataset = self._file[name][self.key]
                filled = dataset.size and self._checked(dataset, rank=2, row=row)
                points = self._load(dataset, np.s_[:, :3], row) if filled else np.empty((0, 3))
                yield row, dataset.name, points
            return
        dataset = self._file[self.key]
        rows = _rows_in_block(dataset)
        for first in range(start, stop, rows):
            block = self._load(dataset, np.s_[first : min(first + rows, stop), :, :3], first)
            for offset, points in enumerate(block):
                yield first + offset, dataset.name, points

    def labels(self, name: str) -> list[str]:
        """One label a cloud: root dataset (N,) or (N, 1), or in each group a dataset or attribute.

        Raises:
            InputError: there is no such dataset, or it does not hold one label a cloud.
        """
        root = self._file.get(name)
        if isinstance(root, h5py.Dataset):
            values: list[NDArray[Any] | None] = [np.asarray(value) for value in np.atleast_1d(root[()])]
        else:
            values = [_label_of(self._file[group], name) for group in self._groups]
        single = [value for value in values if value is not None and value.size == 1]
        if len(values) != len(self) or len(single) != len(self):
            raise InputError(
                f"{self.path}: '{name}' does not hold one label for each of the {len(self)} clouds; "
                "correct data.label, or set it to null"
            )
        return [_text(value.reshape(-1)[0]) for value in single]

    def _find_groups(self) -> Any:
        groups = [name for name in self._file if self._file.get(name, getclass=True) is h5py.Group]
        self._groups = [name for name in groups if isinstance(self._file[name].get(self.key), h5py.Dataset)]
        if not self._groups:
            raise InputError(_wrong_key(self.path, self._file, self.key))
        if len(groups) > len(self._groups):
            message = "%s: %d of %d groups hold no dataset '%s': they are not taken as clouds"
            log.warning(message, self.path, len(groups) - len(self._groups), len(groups), self.key)
        return self._file[self._groups[0]][self.key]

    def _checked(self, dataset: Any, rank: int, row: int | None = None) -> Any:
        expected = "(N, P, 3 or more columns)" if rank == 3 else "(points, 3 or more columns)"
        where = f"{self.path}: {dataset.name}" + ("" if row is None else f", row {row}")
        if dataset.dtype.kind not in "iuf":
            expected = f"numbers of shape {expected}; copy x, y, z into such a dataset"
            raise InputError(f"{where}: type {dataset.dtype} is not numeric, expected {expected}")
        if dataset.ndim != rank or dataset.shape[-1] < 3:
            hint = "; store a single cloud as (1, P, 3)" if rank == 3 and dataset.ndim == 2 else ""
            raise InputError(
                f"{where}: found shape {dataset.shape}, expected {expected}; correct data.key{hint}"
            )
        return dataset

    def _load(self, dataset: Any, selection: Any, row: int) -> Points:
        try:
            return np.asarray(dataset[selection], dtype=np.float64)
        except OSError as error:
            where = f"{self.path}: {dataset.name}, row {row}"
            raise InputError(f"{where}: cannot be read ({error}); fetch the file again") from None


@contextmanager
def open_clouds(path: Path, key: str) -> Iterator[CloudFile]:
    """Open the clouds at `key`; see `CloudFile`.

    Raises:
        InputError: the file is missing, damaged or no HDF5, or `key` is no dataset of clouds.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; correct data.files")
    try:
        file = h5py.File(path, "r", rdcc_nbytes=CACHE_BYTES)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read as HDF5 ({error}), expected a whole HDF5 file; "
            "fetch it again if it was truncated, or correct data.files"
        ) from None
    with file:
        yield CloudFile(path, file, key)


def write_clouds(
    path: Path,
    clouds: Iterable[NDArray[Any]],
    layout: Layout,
    key: str,
    unit: str,
    dtype: DTypeLike,
    extras: Mapping[str, tuple[ArrayLike, str | None]] | None = None,
) -> None:
    """Write clouds (n, 3) in a layout that `open_clouds` reads, whole or not at all.

    `unit` becomes the attribute `units`; `extras` are further datasets, name: (values, unit or None).

    Raises:
        InputError: the layout is stacked and the clouds differ in size, or there is none.
    """
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        count = -1
        for count, cloud in enumerate(clouds):
            points = np.asarray(cloud)
            points = points.astype(dtype)
            if layout == "groups":
                file.create_dataset(f"cloud_{count:06d}/{key}", data=points).attrs["units"] = unit
            else:
                _append(file, path, key, unit, points, count)
        if count < 0:
            raise InputError(f"{path}: there is no cloud to write, all volumes are empty; train for longer")
        for name, (values, extra_unit) in (extras or {}).items():
            dataset = file.create_dataset(name, data=values)
            if extra_unit is not None:
                dataset.attrs["units"] = extra_unit


def _append(file: Any, path: Path, key: str, unit: str, points: NDArray[Any], row: int) -> None:
    if row == 0:
        rows = max(1, (1 << 20) // max(1, points.nbytes))
        chunks = (rows, *(max(1, size) for size in points.shape))
        file.create_dataset(
            key, (0, *points.shape), points.dtype, maxshape=(None, *points.shape), chunks=chunks
        )
        file[key].attrs["units"] = unit
    elif points.shape != file[key].shape[1:]:
        found = f"{path}: cloud {row} has shape {points.shape}, the first one {file[key].shape[1:]}"
        raise InputError(f"{found}; the layout groups takes clouds of different sizes")
    file[key].resize(row + 1, axis=0)
    file[key][row] = points


def _rows_in_block(dataset: Any) -> int:
    rows = max(1, BLOCK_BYTES // max(1, dataset.shape[1] * 3 * 8))
    stored = dataset.chunks[0] if dataset.chunks else 1
    return int(rows - rows % stored) or rows


def _label_of(group: Any, name: str) -> NDArray[Any] | None:
    if isinstance(group.get(name), h5py.Dataset):
        return np.asarray(group[name][()])
    return np.asarray(group.attrs[name]) if name in group.attrs else None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _wrong_key(path: Path, file: Any, key: str) -> str:
    found: dict[str, str] = {}
    fitting: set[str] = set()

    def look(name: str, item: Any) -> bool | None:
        if isinstance(item, h5py.Dataset):
            found[name] = f"{name} {item.shape} {item.dtype if item.dtype.names is None else 'records'}"
            numeric = item.dtype.kind in "iuf" and item.ndim > 1 and item.shape[-1] >= 3
            if numeric and item.ndim == 3:
                fitting.add(name)
            elif numeric and item.ndim == 2 and "/" in name:
                fitting.add(name.split("/", 1)[1])
        return len(found) >= OBJECTS_LISTED or None

    file.visititems(look)
    nearest = difflib.get_close_matches(key, sorted(fitting), n=1, cutoff=0.0)
    start = f"{path}: no dataset '{key}' of shape (N, P, 3), and no root group with a dataset '{key}' (n, 3)"
    if nearest:
        return (
            f"{start}; these would fit: {', '.join(sorted(fitting)[:8])}; set data.key, nearest: {nearest[0]}"
        )
    listed = ", ".join(list(found.values())[:8]) or "no dataset at all"
    return f"{start}; nothing in the file would fit, found: {listed}; copy x, y, z into such a dataset"
