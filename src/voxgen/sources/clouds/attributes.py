"""What is known of clouds beside their points: attributes, values a cloud, constant columns."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.sources.clouds.hdf5 import load, parent
from voxgen.sources.clouds.names import listing
from voxgen.sources.clouds.parts import Attributes, Value, plain

HOUSEKEEPING = {
    *("CLASS", "VERSION", "TITLE", "FILTERS", "EXTDIM", "FLAVOR", "NROWS", "PYTABLES_FORMAT_VERSION"),
    *("units", "unit", "group_by"),
}
SETTINGS = "data.label, data.split.group or data.split.stratify"


@dataclass(frozen=True, slots=True)
class Beside:
    """Where the attributes of the clouds of one part are found.

    Attributes:
        file: path of the file, for messages.
        home: HDF5 path of the coordinates; empty where there is none (CSV).
        free: HDF5 paths whose scalar attributes every cloud gets.
        datasets: name: (path, row of the part's first cloud) of datasets with a value a cloud.
        above: names to look up on the coordinates, their group, and the groups above.
        columns: columns of the table that must be the same in all points of a cloud.
        parse: whether these columns are text that may mean numbers (CSV).
    """

    file: str = ""
    home: str = ""
    free: tuple[str, ...] = ()
    datasets: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    above: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    parse: bool = False

    def rows(self, file: Any, start: int, stop: int) -> list[Attributes]:
        """Attributes of the clouds start <= i < stop, but for those from columns."""
        fixed: Attributes = {}
        for path in self.free:
            fixed |= scalars(file[path])
        fixed |= {name: found for name in self.above if (found := look_up(file, self.home, name)) is not None}
        values = {
            name: load(file[path], slice(first + start, first + stop)).reshape(-1)
            for name, (path, first) in self.datasets.items()
        }
        return [
            fixed | {name: value for name in values if (value := plain(values[name][i])) is not None}
            for i in range(stop - start)
        ]

    def constants(self, columns: Mapping[str, Sequence[NDArray[Any]]], key: str) -> Attributes:
        """The one value of each column; an empty text for a cloud without points.

        Raises:
            InputError: a column differs within the cloud `key`.
        """
        found: Attributes = {}
        for name, parts in columns.items():
            values = np.unique(np.concatenate(parts)) if parts else np.empty(0)
            if len(values) > 1:
                raise InputError(
                    f"{self.file}: {key}: column '{name}' holds {listing(map(str, values.tolist()), 3)} "
                    f"within one cloud, expected one value a cloud; correct {SETTINGS}, or data.group_by"
                )
            value = plain(values[0]) if len(values) else ""
            if value is not None:
                found[name] = parsed(value) if self.parse and isinstance(value, str) else value
        return found


def parsed(text: str) -> Value:
    """The number that a text means, else the text; 007 stays a name."""
    if re.fullmatch(r"-?(0|[1-9]\d*)", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?(0|[1-9]\d*)\.\d+(e[+-]?\d+)?", text, re.IGNORECASE) else text


def scalars(item: Any) -> Attributes:
    """Scalar attributes of a group or dataset, without those of bookkeeping and units."""
    found = {name: _attribute(item, name) for name in item.attrs if name not in HOUSEKEEPING}
    return {name: value for name, value in found.items() if value is not None}


def look_up(file: Any, home: str, name: str) -> Value | None:
    """An attribute, or a dataset of one value, of the coordinates or the nearest group above them."""
    path = home
    while True:
        item = file[path]
        if name in item.attrs:
            return _attribute(item, name)
        beside = item.get(name) if isinstance(item, h5py.Group) else None
        if isinstance(beside, h5py.Dataset) and beside.size == 1:
            return plain(load(beside, ()))
        if path == "/":
            return None
        path = parent(path)


def beside_of(
    file: Any,
    homes: tuple[str, str],
    rows: tuple[int, int, int],
    carry: Sequence[str],
    has_column: Callable[[str], bool],
    several: bool,
    taken: Iterable[str] = (),
) -> Beside:
    """Where the attributes of clouds are; each of `carry` is found or refused.

    `homes` are paths of the coordinates and of the group that holds them, or is them; `rows` are (clouds of
    the part, its first cloud in the file, clouds of the file); `has_column` tells whether the table has a
    column of a name; `several`: datasets beside with a value a cloud come along, but for `taken`.
    """
    count, first, total = rows
    home, where = homes
    group = file[where] if several or carry else {}
    datasets: dict[str, tuple[str, int]] = {}
    for name in group if several else ():
        path = f"{where.rstrip('/')}/{name}"
        if path not in {home, *taken} and _is_a_value_each(group.get(name), count):
            datasets[name] = (path, 0)
    above, columns = [], []
    for name in carry:
        if name in datasets:
            continue
        if _is_a_value_each(file.get(name), total):
            datasets[name] = (name, first)
        elif _is_a_value_each(group.get(name), count):
            datasets[name] = (f"{where.rstrip('/')}/{name}", 0)
        elif look_up(file, home, name) is not None:
            above.append(name)
        elif has_column(name):
            columns.append(name)
        else:
            raise InputError(_not_found(file, home, name, total))
    free = (home,) if where == "/" and total > 1 else tuple(dict.fromkeys([where, home]))
    return Beside(file.filename, home, free, datasets, tuple(above), tuple(columns))


def _attribute(item: Any, name: str) -> Value | None:
    value = item.attrs[name]
    return None if isinstance(value, h5py.Empty) else plain(value)


def _is_a_value_each(item: Any, count: int) -> bool:
    if not isinstance(item, h5py.Dataset) or item.shape not in ((count,), (count, 1)):
        return False
    return item.dtype.kind in "iufbS" or h5py.check_string_dtype(item.dtype) is not None


def _not_found(file: Any, home: str, name: str, total: int) -> str:
    fields = file[home].dtype.names if isinstance(file[home], h5py.Dataset) else None
    there, path = list(fields or ()), home
    while True:
        item = file[path]
        there += list(scalars(item))
        if isinstance(item, h5py.Group):
            there += [child for child in item if isinstance(item.get(child), h5py.Dataset)]
        if path == "/":
            break
        path = parent(path)
    return (
        f"{file.filename}: {home}: no '{name}': neither a dataset of {total} values, one a cloud, "
        f"nor an attribute or column; there is: {listing(dict.fromkeys(there))}; "
        f"correct {SETTINGS}, or set it to null"
    )
