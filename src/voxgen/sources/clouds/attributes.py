"""What is known of clouds beside their points: attributes, datasets of one value per cloud, columns."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import h5py
import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.sources.clouds.columns import name_some
from voxgen.sources.clouds.hdf5 import climb, join, load, parent
from voxgen.sources.clouds.parts import Attributes, Value

HOUSEKEEPING = {
    *("CLASS", "VERSION", "TITLE", "FILTERS", "EXTDIM", "FLAVOR", "NROWS", "PYTABLES_FORMAT_VERSION"),
    *("units", "unit", "group_by", "MATLAB_class", "MATLAB_fields", "H5PATH", "_FillValue", "missing_value"),
    *("scale_factor", "add_offset", "_NCProperties", "Conventions", "NAME", "_Netcdf4Dimid"),
}
SETTINGS = "data.label, data.covariates, data.split.group or data.split.stratify"
LONGEST = 200  # characters of a text that counts as an attribute


@dataclass(frozen=True, slots=True)
class Places:
    """Where the attributes of the clouds of one part are found.

    Attributes:
        file: path of the file, for messages.
        fixed: attributes that all clouds of the part have.
        free: HDF5 paths whose scalar attributes every cloud gets.
        datasets: name: (path, row of the part's first cloud) of datasets with one value per cloud.
        columns: columns of the table that must be the same in all points of a cloud.
        parse: whether these columns are text that may mean numbers (CSV).
    """

    file: str = ""
    fixed: Attributes = field(default_factory=dict)
    free: tuple[str, ...] = ()
    datasets: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    parse: bool = False

    def read(self, file: Any, start: int, stop: int) -> list[Attributes]:
        """Attributes of the clouds start <= i < stop, except those from columns."""
        shared: Attributes = {}
        for path in self.free:
            shared |= read_scalars(file[path])
        shared |= self.fixed
        values = {
            name: _load_span(file[path], first + start, first + stop)
            for name, (path, first) in self.datasets.items()
        }
        return [
            shared | {name: value for name in values if (value := to_plain(values[name][i])) is not None}
            for i in range(stop - start)
        ]

    def pick_constants(self, columns: Mapping[str, NDArray[Any]], key: str) -> Attributes:
        """The one value of each column; an empty text for a cloud without points.

        Raises:
            InputError: a column differs within the cloud `key`.
        """
        found: Attributes = {}
        for name, column in columns.items():
            values = np.unique(column)
            if len(values) > 1:
                raise InputError(
                    f"{self.file}: {key}: column '{name}' holds {name_some(map(str, values.tolist()), 3)} "
                    f"within one cloud, expected one value per cloud; correct {SETTINGS}, or data.group_by"
                )
            value = to_plain(values[0]) if len(values) else ""
            if value is not None:
                found[name] = parse_number(value) if self.parse and isinstance(value, str) else value
        return found


def find_places(
    file: Any,
    member: str,
    home: str,
    rows: tuple[int, int, int],
    carry: Sequence[str],
    several: bool,
    taken: Sequence[str],
) -> Places:
    """Where the attributes of the clouds at `member` are; what of `carry` is nowhere has to be a column.

    `home` is the group that holds the coordinates, or is them; `rows` are (clouds of the part, its first
    cloud in the file, clouds of the file); `several`: datasets beside with one value per cloud come along,
    except those `taken`.
    """
    count, first, total = rows
    group = file[home] if several or carry else {}
    datasets: dict[str, tuple[str, int]] = {}
    for name in group if several else ():
        path = join(home, name)
        if path not in {member, *taken} and _has_one_value_each(group.get(name), count):
            datasets[name] = (path, 0)
    fixed: Attributes = {}
    for name in carry:
        if name in datasets:
            continue
        if _has_one_value_each(file.get(name), total):
            datasets[name] = (name, first)
        elif _has_one_value_each(group.get(name), count):
            datasets[name] = (join(home, name), 0)
        elif (value := _look_up(file, member, name)) is not None:
            fixed[name] = value
    columns = tuple(name for name in carry if name not in datasets and name not in fixed)
    free = (member,) if home == "/" and total > 1 else tuple(dict.fromkeys([home, member]))
    return Places(file.filename, fixed, free, datasets, columns)


def refuse_carried(file: Any, member: str, name: str, total: int) -> NoReturn:
    """Say that `name` is nowhere, and what there is.

    Raises:
        InputError: always.
    """
    fields = file[member].dtype.names if isinstance(file[member], h5py.Dataset) else None
    there = list(fields or ())
    for item in (file[path] for path in climb(member)):
        there += list(read_scalars(item))
        if isinstance(item, h5py.Group):
            there += [child for child in item if isinstance(item.get(child), h5py.Dataset)]
    found = (item for path in climb(parent(member)) if isinstance(item := file[path].get(name), h5py.Dataset))
    shaped = next((f" is {item.shape} {item.dtype}," for item in found), ":")
    raise InputError(
        f"{file.filename}: {member}: no '{name}'{shaped} expected a dataset of {total} values, one value per "
        f"cloud, an attribute or a column; there is: {name_some(dict.fromkeys(there))}; "
        f"correct {SETTINGS}, or set it to null"
    )


def read_scalars(item: Any) -> Attributes:
    """Scalar attributes of a group or dataset, without those of bookkeeping and units."""
    if not h5py.h5a.get_num_attrs(item.id):
        return {}
    names = list(item.attrs)
    if {"pandas_type", "NROWS"} & set(names):
        return {}  # pandas and PyTables keep there how they store a table
    found = {name: _read_attribute(item, name) for name in names if name not in HOUSEKEEPING}
    return {name: value for name, value in found.items() if value is not None}


def to_plain(value: Any) -> Value | None:
    """A plain Python value from a scalar or an array of one; None for neither a number nor a short text."""
    array = np.asarray(value)
    if array.size != 1 or array.dtype.names is not None:
        return None
    item = array.reshape(-1)[0]
    item = item.item() if isinstance(item, np.generic) else item
    if isinstance(item, bytes):
        item = item.decode(errors="replace")
    if isinstance(item, str):
        return item if len(item) <= LONGEST else None
    return item if isinstance(item, bool | int | float) else None


def parse_number(text: str) -> Value:
    """The number that a text means, else the text; 007 stays a name."""
    if re.fullmatch(r"-?(0|[1-9]\d*)", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?(0|[1-9]\d*)\.\d+(e[+-]?\d+)?", text, re.IGNORECASE) else text


def _look_up(file: Any, member: str, name: str) -> Value | None:
    """An attribute, or a dataset of one value, of the coordinates or of the nearest group above them."""
    for path in climb(member):
        item = file[path]
        if name in item.attrs:
            return _read_attribute(item, name)
        beside = item.get(name) if isinstance(item, h5py.Group) else None
        if isinstance(beside, h5py.Dataset) and beside.size == 1:
            return to_plain(load(beside, ()))
    return None


def _read_attribute(item: Any, name: str) -> Value | None:
    value = item.attrs[name]
    return None if isinstance(value, h5py.Empty) else to_plain(value)


def _load_span(item: Any, start: int, stop: int) -> NDArray[Any]:
    """The values start <= i < stop of a list (N,), (N, 1), or (1, N) as MATLAB stores it."""
    span = slice(start, stop)
    return load(item, (0, span) if item.shape[0] == 1 != item.size else span).reshape(-1)


def _has_one_value_each(item: Any, count: int) -> bool:
    if not isinstance(item, h5py.Dataset) or item.shape not in ((count,), (count, 1), (1, count)):
        return False
    return item.dtype.kind in "iufbS" or h5py.check_string_dtype(item.dtype) is not None
