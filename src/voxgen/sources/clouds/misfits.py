"""Messages on files of which no dataset, or no single one, could be the clouds."""

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import h5py
import numpy as np

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.candidates import MOST_COLUMNS, Choice, Kind, is_turned, kind_of, to_pattern
from voxgen.sources.clouds.catalog import Catalog, Item
from voxgen.sources.clouds.columns import find_axes, name_some, suggest
from voxgen.sources.clouds.meaning import holds_coordinates, split_words
from voxgen.sources.clouds.tables import length, list_columns

FITTING = "(N, P, 3), (points, 3), records with x, y, z, or datasets x, y, z in a group"


def refuse(path: str, item: Item, kind: Kind | None = None, row: int | None = None) -> NoReturn:
    """Say why a dataset is not what was expected: of `kind` where that is known, in `row` of several.

    Raises:
        InputError: always.
    """
    where = f"{path}: {item.path}" + ("" if row is None else f", row {row}")
    if h5py.check_vlen_dtype(item.dtype) is not None:
        raise InputError(
            f"{where}: found lists of variable length {item.shape}, expected (N,) of x, y, z in turn or "
            "(N, 3); store x, y, z together, as the columns of one such dataset, or correct data.key"
        )
    if not item.numeric and item.dtype.names is None:
        raise InputError(
            f"{where}: type {item.dtype} is not numeric, expected numbers of shape {FITTING}; "
            "copy x, y, z into such a dataset, or correct data.key"
        )
    if item.dtype.names is not None and len(item.shape) == 1:
        raise InputError(
            f"{where}: found the fields {_say_fields(item.dtype)}, expected x, y, z; "
            "name them in data.columns"
        )
    hint = ""
    if item.shape[-1:] == (2,):
        hint = "; if these are x and y, data.z: 0.0 declares the z of every point"
    elif 3 in item.shape[-2:-1]:
        hint = "; if x, y, z lie along another axis, store it transposed"
    shapes = {"stack": "(N, P, 3 or more columns)", "matrix": "(points, 3 or more columns)"}
    expected = shapes.get(str(kind), FITTING)
    raise InputError(f"{where}: found shape {item.shape}, expected {expected}; correct data.key{hint}")


def _say_fields(dtype: np.dtype[Any]) -> str:
    """Fields with the shapes of their arrays: id, pos (3,), those of nested records as a.b."""

    def say(kind: np.dtype[Any], above: str) -> Iterable[str]:
        for name in kind.names or ():
            if kind[name].names:
                yield from say(kind[name], f"{above}{name}.")
            else:
                yield f"{above}{name} {kind[name].shape or ''}".rstrip()

    return name_some(say(dtype, ""))


def say_several(likely: list[Choice]) -> str:
    """That several candidates are as likely, and the keys that decide."""
    said = " and ".join(candidate.said for candidate in likely[:4])
    keys = name_some((candidate.key for candidate in likely), 4)
    members = [member for candidate in likely for member in candidate.members]
    alike = len({(candidate.kind, candidate.members[0].count("/")) for candidate in likely}) == 1
    hint = f", or to {to_pattern(members)} if each is a cloud" if alike else ""
    path = likely[0].catalog.file.filename
    return f"{path}: {said} could each be the clouds, expected one; set data.key to one of {keys}{hint}"


def say_wrong_key(catalog: Catalog, key: str, wanted: CloudSettings) -> str:
    """That nothing is found at a key, and what would fit."""
    fitting = [item for item in catalog.datasets.values() if kind_of(catalog, item, wanted, strict=True)]
    start = (
        f"{catalog.file.filename}: no dataset or pattern '{key}' of clouds, nor one of that name in a group"
    )
    if not fitting:
        return f"{start}; {_nothing_would_fit(catalog)}"
    names = dict.fromkeys(name for item in fitting for name in (item.path.strip("/"), item.leaf))
    said = name_some(map(str, fitting), 8)
    return f"{start}; these would fit: {said}; set data.key to null or correct it{suggest(key, names)}"


def say_nothing_fits(catalog: Catalog, wanted: CloudSettings, doubts: Sequence[str]) -> str:
    """That there is no candidate; `doubts` are those that by name, unit or place are something else."""
    asked = "" if wanted.columns is None else f" with data.columns {', '.join(map(str, wanted.columns))}"
    start = f"{catalog.file.filename}: no dataset looks like clouds: {FITTING}{asked}"
    if doubts:
        return f"{start}; found {name_some(doubts, 6)}; set data.key if one is the coordinates"
    return f"{start}; {_nothing_would_fit(catalog)}{''.join(_hints(catalog))}"


def _hints(catalog: Catalog) -> Iterable[str]:
    """What may have been meant, where nothing fits."""
    items = list(catalog.datasets.values())
    arrays = [item for item in items if item.numeric and len(item.shape) in (2, 3) and 0 not in item.shape]
    if pairs := [str(item) for item in arrays if item.shape[-1] == 2]:
        yield f"; {pairs[0]} may be x and y: then set data.key, and data.z: 0.0 for the z"
    if turned := [str(item) for item in arrays if is_turned(item)]:
        yield f"; the rows of {turned[0]} may be x, y, z: then set data.key, which reads it transposed"
    elif wide := [str(item) for item in arrays if item.shape[-1] > MOST_COLUMNS]:
        yield f"; x, y, z may lie along another axis of {wide[0]}: then store it transposed"
    for item in items:
        if h5py.check_vlen_dtype(item.dtype) is not None and any(find_axes([item.leaf]).values()):
            yield f"; {item.path.lstrip('/')} holds lists of variable length along one axis: store all (N, 3)"
            return
        if item.dtype.names is not None:
            called = name_some(list_columns(catalog, item.path))
            yield f"; {item.path.lstrip('/')} has the fields {_say_fields(item.dtype)}"
            yield f", called {called} in data.columns"
            return
    for group in catalog.groups:
        lists = [name for name, item in catalog.children(group).items() if length(item)]
        if len(lists) > 2:
            yield f"; {group} has the columns {name_some(lists)}: set data.key and data.columns"
            return


def _nothing_would_fit(catalog: Catalog) -> str:
    ordered = sorted(catalog.datasets.values(), key=lambda item: not _speaks_of_place(item))
    found = name_some(map(str, ordered), 8)
    return f"nothing in the file would fit, found: {found}; set data.key, or copy x, y, z into such a dataset"


def _speaks_of_place(item: Item) -> bool:
    return bool(holds_coordinates(item.path)) or bool(split_words(item.leaf) & {"x", "y", "z", "spatial"})
