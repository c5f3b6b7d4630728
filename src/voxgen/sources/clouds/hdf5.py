"""Opening HDF5 files and loading from them, with errors that say what to do."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError

CACHE_BYTES = 32 << 20
PACKED = ("scale_factor", "add_offset")
MISSING = ("_FillValue", "missing_value")
FILTERS = {
    305: "LZO",
    307: "BZIP2",
    32000: "LZF",
    32001: "Blosc",
    32004: "LZ4",
    32008: "Bitshuffle",
    32013: "ZFP",
    32015: "Zstandard",
    32017: "SZ",
    32019: "JPEG",
    32024: "SZ3",
    32026: "Blosc2",
}


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Open a file for reading.

    Raises:
        InputError: the file is missing, damaged, or not HDF5.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; correct data.files")
    if not h5py.is_hdf5(path) and _is_text(path):
        raise InputError(f"{path}: is text, expected HDF5; set data.source: csv, or correct data.files")
    try:
        file = h5py.File(path, "r", rdcc_nbytes=CACHE_BYTES)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read as HDF5 ({error}), expected a whole HDF5 file; "
            "fetch it again if it was truncated, or correct data.files"
        ) from None
    with file:
        yield file


def load(dataset: Any, selection: Any, row: int | None = None, fields: Sequence[str] = ()) -> NDArray[Any]:
    """The selected values of a dataset, of records only the `fields`; `row` is for the message.

    What the dataset says of its numbers holds (see `unpack`).

    Raises:
        InputError: the bytes cannot be read, or the filter that compressed them is not installed.
    """
    source = dataset.fields(list(fields)) if fields else dataset
    try:
        try:
            return unpack(dataset, np.asarray(source[selection]))
        except OSError:
            if not list_missing_filters(dataset):
                raise
            with suppress(ImportError):
                importlib.import_module("hdf5plugin")
            return unpack(dataset, np.asarray(source[selection]))
    except OSError as error:
        where = f"{dataset.file.filename}: {dataset.name}" + ("" if row is None else f", row {row}")
        if missing := list_missing_filters(dataset):
            raise InputError(
                f"{where}: compressed with {', '.join(missing)}, a filter that is not installed; "
                "pip install hdf5plugin, or set HDF5_PLUGIN_PATH to the folder that holds the filter"
            ) from None
        raise InputError(f"{where}: cannot be read ({error}); fetch the file again") from None


def unpack(dataset: Any, values: NDArray[Any]) -> NDArray[Any]:
    """Numbers as the attributes of their dataset say that they are meant: CF conventions 1.8, 2.5.1 and 8.1.

    They are multiplied by `scale_factor`, `add_offset` is added, and what equals `_FillValue` or
    `missing_value` before is NaN. Without these attributes the values stay as they are.
    """
    if values.dtype.kind not in "iuf" or not h5py.h5a.get_num_attrs(dataset.id):
        return values
    stated = {name: dataset.attrs[name] for name in (*PACKED, *MISSING) if name in dataset.attrs}
    if not stated:
        return values
    unpacked = values.astype(np.float64)
    unpacked = unpacked * _number(stated, "scale_factor", 1.0) + _number(stated, "add_offset", 0.0)
    for name in MISSING:
        unpacked[np.isin(values, np.ravel(stated.get(name, ())))] = np.nan
    return unpacked


def states_missing(dataset: Any) -> bool:
    """Whether a dataset says which of its numbers mean that there is none."""
    return any(name in dataset.attrs for name in MISSING)


def list_missing_filters(dataset: Any) -> list[str]:
    """Names of the filters of a dataset that are not installed."""
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    absent = [number for number in filters if not h5py.h5z.filter_avail(number)]
    return [f"{FILTERS.get(number, 'an unknown filter')} (HDF5 filter {number})" for number in absent]


def decode(value: Any) -> str:
    """The text of an attribute: bytes are decoded, several equal texts become one."""
    parts = [
        part.decode(errors="replace") if isinstance(part, bytes) else str(part) for part in np.ravel(value)
    ]
    return ", ".join(dict.fromkeys(parts if len(parts) == 1 else filter(None, parts)))


def parent(path: str) -> str:
    """Path of the group that holds `path`; the root is "/"."""
    return path.rstrip("/").rpartition("/")[0] or "/"


def join(path: str, name: str) -> str:
    """Path of what is called `name` in the group at `path`."""
    return f"{path.rstrip('/')}/{name}"


def climb(path: str) -> Iterator[str]:
    """The path, and the groups above it up to the root."""
    yield path
    while path != "/":
        path = parent(path)
        yield path


def _number(stated: Mapping[str, Any], name: str, otherwise: float) -> float:
    values = np.unique(np.ravel(stated.get(name, otherwise)).astype(np.float64))
    if len(values) != 1:
        raise InputError(
            f"the attribute {name} holds {len(values)} numbers, expected one; store the numbers unpacked"
        )
    return float(values[0])


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(4096)
    first = head.partition(b"\n")[0]
    return b"\0" not in head and any(mark in first for mark in (b",", b";", b"\t"))
