"""What a dataset of an HDF5 file could be, by its shape, type and names."""

from typing import Any, Literal, NoReturn

import h5py
import numpy as np

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.catalog import Item
from voxgen.sources.clouds.names import axes_among, is_coordinates, listing, matching

MOST_COLUMNS = 16
FITTING = "(N, P, 3), (points, 3), records with x, y, z, or datasets x, y, z in a group"

Kind = Literal["stack", "ragged", "matrix", "records", "axes"]


def kind_of(item: Item, reading: CloudSettings, strict: bool = False) -> Kind | None:
    """What a dataset could be; `strict` leaves out what only a user can mean."""
    columns = reading.columns
    if (base := h5py.check_vlen_dtype(item.dtype)) is not None:
        numeric = isinstance(base, np.dtype) and base.kind in "iuf"
        return "ragged" if numeric and (len(item.shape) == 1 or item.shape[1:] == (3,)) else None
    if item.dtype.names is not None:
        return "records" if len(item.shape) == 1 and axes_of(item.dtype.names, reading) else None
    least = 2 if reading.z is not None else 3
    if not item.numeric or len(item.shape) not in (2, 3) or item.shape[-1] < least:
        return None
    named = columns is not None and not all(isinstance(column, int) for column in columns)
    pictured = item.dtype == np.uint8 and not is_coordinates(item.leaf)
    if strict and (named or pictured or item.shape[-1] > MOST_COLUMNS):
        return None
    return "stack" if len(item.shape) == 3 else "matrix"


def axes_of(names: Any, reading: CloudSettings) -> list[str]:
    """Names of x, y (and z) among fields, or among the datasets of a group; empty without x and y."""
    if isinstance(names, dict):
        lists = {name: item for name, item in names.items() if len(item.shape) == 1 and item.numeric}
        found = axes_of(tuple(lists), reading)
        return found if len({lists[name].shape for name in found}) == 1 else []
    if reading.columns is not None:
        wanted = [matching(str(column), names) for column in reading.columns]
        return [found[0] for found in wanted] if all(wanted) else []
    axes = axes_among(names)
    return [found[0] for found in axes.values() if found] if axes["x"] and axes["y"] else []


def refuse(
    path: str, item: Item, reading: CloudSettings, kind: str | None = None, row: int | None = None
) -> NoReturn:
    """Say why a dataset is not what was expected: of `kind` where that is known, in `row` of several."""
    where = f"{path}: {item.path}" + ("" if row is None else f", row {row}")
    if not item.numeric and item.dtype.names is None and h5py.check_vlen_dtype(item.dtype) is None:
        raise InputError(
            f"{where}: type {item.dtype} is not numeric, expected numbers of shape {FITTING}; "
            "copy x, y, z into such a dataset, or correct data.key"
        )
    if item.dtype.names is not None and len(item.shape) == 1:
        raise InputError(
            f"{where}: found the fields {listing(item.dtype.names)}, expected x, y, z; "
            "name them in data.columns"
        )
    hint = ""
    if item.shape[-1:] == (2,):
        hint = "; if these are x and y, data.z: 0.0 declares the z of every point"
    elif len(item.shape) == 2 and item.shape[0] == 3:
        hint = "; if its rows are x, y, z, store it transposed"
    expected = {"stack": "(N, P, 3 or more columns)", "matrix": "(points, 3 or more columns)"}.get(
        str(kind), FITTING
    )
    raise InputError(f"{where}: found shape {item.shape}, expected {expected}; correct data.key{hint}")
