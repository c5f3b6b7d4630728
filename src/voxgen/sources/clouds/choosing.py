"""Which datasets of an HDF5 file hold the clouds, by their shapes, types and names."""

import glob
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

import h5py
import numpy as np

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.catalog import Catalog, Item, build_catalog
from voxgen.sources.clouds.columns import find_axes, is_coordinates, match_name, name_some, suggest
from voxgen.sources.clouds.hdf5 import decode, join, parent
from voxgen.sources.clouds.units import may_be_length

MOST_COLUMNS = 16
FITTING = "(N, P, 3), (points, 3), records with x, y, z, or datasets x, y, z in a group"

Kind = Literal["stack", "ragged", "matrix", "records", "axes"]


@dataclass(frozen=True, slots=True)
class Choice:
    """Where the clouds are: datasets (for axes: groups) of one kind.

    Attributes:
        key: the path of the single member, or a pattern that finds all of them.
        catalog: what is known of the file by now.
        said: the members as messages name them.
        rank: what speaks for it: complete axes, a known name, floating point numbers.
    """

    kind: Kind
    key: str
    members: tuple[str, ...]
    catalog: Catalog
    said: str = ""
    rank: tuple[bool, bool, bool] = (True, True, True)
    notes: list[str] = field(default_factory=list)


def choose(file: Any, wanted: CloudSettings) -> Choice:
    """The coordinates at data.key, or those that are found.

    Raises:
        InputError: there are none, or several that are as likely.
    """
    key = wanted.key
    if key is not None and isinstance(found := file.get(key), h5py.Dataset):
        item = Item("/" + key.strip("/"), tuple(found.shape or ()), found.dtype)
        kind = _kind_of(item, wanted)
        if kind is None:
            _refuse(file.filename, item)
        return Choice(kind, key.strip("/"), (item.path,), Catalog(file, {item.path: item}))
    catalog = build_catalog(file)
    choice = _find(catalog, wanted) if key is None else _match(catalog, key.strip("/"), wanted)
    if choice.kind == "axes":
        _note_others(choice, set(choice.members), "x, y", wanted)
    else:
        _check_members(choice, wanted)
    if catalog.broken:
        choice.notes.append(f"links that lead nowhere are left out: {name_some(catalog.broken, 4)}")
    return choice


def _match(catalog: Catalog, key: str, wanted: CloudSettings) -> Choice:
    """The members of a pattern, of a group with axes, or of a name that stands in several groups."""
    if isinstance(catalog.file.get(key or "/"), h5py.Group):
        paths = ["/" + key]
    elif glob.has_magic(key):
        paths = catalog.expand("/", key.split("/"))
    else:
        paths = [name for name in [*catalog.datasets, *catalog.groups] if name.endswith("/" + key)]
    items = {path: catalog.dataset(path) for path in paths}
    datasets = [item for item in items.values() if item is not None]
    if datasets:
        filled = (_kind_of(item, wanted) for item in datasets if 0 not in item.shape)
        kind: Kind = next((found for found in filled if found is not None), "matrix")
        return Choice(kind, key, tuple(item.path for item in datasets), catalog)
    groups = tuple(path for path in items if _axes_of_group(catalog.children(path), wanted))
    if not groups:
        raise InputError(_wrong_key(catalog, key, wanted))
    return Choice("axes", key or "/", groups, catalog)


def _find(catalog: Catalog, wanted: CloudSettings) -> Choice:
    candidates = [*_find_datasets(catalog, wanted), *_find_groups(catalog, wanted)]
    best = max((candidate.rank for candidate in candidates), default=None)
    likely = [candidate for candidate in candidates if candidate.rank == best]
    if not likely:
        raise InputError(_nothing_fits(catalog, wanted))
    if len(likely) > 1:
        raise InputError(_several_fit(likely))
    return likely[0]


def _find_datasets(catalog: Catalog, wanted: CloudSettings) -> list[Choice]:
    """Datasets of one depth and one name, digits aside, in which there are points."""
    classes: dict[tuple[int, str], list[Item]] = {}
    for item in catalog.datasets.values():
        classes.setdefault((item.path.count("/"), _star(item.leaf)), []).append(item)
    found = []
    for items in classes.values():
        kinds = [_kind_of(item, wanted, strict=True) for item in items]
        counted = Counter(kind for kind in kinds if kind)
        if not counted:
            continue
        kind = counted.most_common(1)[0][0]
        first = items[kinds.index(kind)]
        pictured = decode(catalog.file[first.path].attrs.get("CLASS", "")) == "IMAGE"
        if pictured or not may_be_length(catalog.unit_of(first.path)):
            continue
        axes = _axes_of_fields(first.dtype.names, wanted) if first.dtype.names else "xyz"
        complete = len(axes) == 3 or wanted.z is not None
        floating = first.dtype.kind == "f" or kind in ("records", "ragged")
        rank = (complete, is_coordinates(first.leaf), floating)
        members = tuple(item.path for item in items)
        said = str(items[0]) + _count_more(items)
        found.append(Choice(kind, _to_pattern(members), members, catalog, said, rank))
    return found


def _find_groups(catalog: Catalog, wanted: CloudSettings) -> list[Choice]:
    """Groups of one depth that hold one dataset per axis."""
    held: dict[str, dict[str, Item]] = {group: {} for group in catalog.groups}
    for path, item in catalog.datasets.items():
        held.setdefault(parent(path), {})[item.leaf] = item
    classes: dict[int, list[str]] = {}
    for group in catalog.groups:
        axes = _axes_of_group(held[group], wanted)
        if axes and all(may_be_length(catalog.unit_of(join(group, name))) for name in axes):
            classes.setdefault(0 if group == "/" else group.count("/"), []).append(group)
    found = []
    for groups in classes.values():
        axes = _axes_of_group(held[groups[0]], wanted)
        complete = len(axes) == 3 or wanted.z is not None
        size = held[groups[0]][axes[0]].shape
        said = f"{groups[0].lstrip('/')}/{{{','.join(axes)}}} {size}{_count_more(groups)}"
        rank = (complete, True, True)
        found.append(Choice("axes", _to_pattern(groups), tuple(groups), catalog, said, rank))
    return found


def _kind_of(item: Item, wanted: CloudSettings, strict: bool = False) -> Kind | None:
    """What a dataset could be; `strict` leaves out what only a user can mean."""
    if (base := h5py.check_vlen_dtype(item.dtype)) is not None:
        numeric = isinstance(base, np.dtype) and base.kind in "iuf"
        return "ragged" if numeric and (len(item.shape) == 1 or item.shape[1:] == (3,)) else None
    if item.dtype.names is not None:
        return "records" if len(item.shape) == 1 and _axes_of_fields(item.dtype.names, wanted) else None
    least = 2 if wanted.z is not None else 3
    if not item.numeric or len(item.shape) not in (2, 3) or item.shape[-1] < least:
        return None
    named = wanted.columns is not None and not all(isinstance(column, int) for column in wanted.columns)
    pictured = item.dtype == np.uint8 and not is_coordinates(item.leaf)
    if strict and (named or pictured or item.shape[-1] > MOST_COLUMNS):
        return None
    return "stack" if len(item.shape) == 3 else "matrix"


def _axes_of_group(items: Mapping[str, Item], wanted: CloudSettings) -> list[str]:
    """Names of x, y (and z) among the datasets of a group; empty unless they are lists of one length."""
    lists = {name: item for name, item in items.items() if len(item.shape) == 1 and item.numeric}
    found = _axes_of_fields(tuple(lists), wanted)
    return found if len({lists[name].shape for name in found}) == 1 else []


def _axes_of_fields(names: Sequence[str], wanted: CloudSettings) -> list[str]:
    """Names of x, y (and z) among fields; empty without x and y."""
    if wanted.columns is not None:
        asked = [match_name(str(column), names) for column in wanted.columns]
        return [found[0] for found in asked] if all(asked) else []
    axes = find_axes(names)
    return [found[0] for found in axes.values() if found] if axes["x"] and axes["y"] else []


def _check_members(choice: Choice, wanted: CloudSettings) -> None:
    """Refuse members that are neither of the kind nor empty; note groups without a member."""
    for row, member in enumerate(choice.members):
        item = choice.catalog.dataset(member)
        assert item is not None
        empty = 0 in item.shape and choice.kind != "stack" and (item.numeric or item.dtype.names)
        if not empty and _kind_of(item, wanted) != choice.kind:
            _refuse(choice.catalog.file.filename, item, choice.kind, row)
    holders = {parent(member) for member in choice.members}
    _note_others(choice, holders, f"'{choice.members[0].rpartition('/')[2]}'", wanted)


def _note_others(choice: Choice, holders: set[str], what: str, wanted: CloudSettings) -> None:
    """Note how many groups beside those that hold the clouds hold none."""
    depths = {holder.count("/") for holder in holders if holder != "/"}
    peers = [group for group in choice.catalog.groups if group != "/" and {group.count("/")} == depths]
    without = sum(group not in holders for group in peers)
    if without and (len(holders) > 1 or (wanted.key or "").strip("/") != choice.members[0].strip("/")):
        message = f"{without} of {len(peers)} groups hold no dataset {what}: they are not taken as clouds"
        choice.notes.append(message)


def _star(name: str) -> str:
    return re.sub(r"\d+", "*", name)


def _to_pattern(members: Sequence[str]) -> str:
    """The path of a single member, or a pattern per component."""
    if len(members) == 1:
        return members[0].strip("/") or "/"
    components = []
    for names in map(set, zip(*(member.strip("/").split("/") for member in members), strict=True)):
        escaped = {glob.escape(name) for name in names}
        alike = escaped if len(escaped) == 1 else {_star(name) for name in escaped}
        components.append(alike.pop() if len(alike) == 1 else "*")
    return "/".join(components)


def _count_more(members: Sequence[Any]) -> str:
    return f" and {len(members) - 1} more" if len(members) > 1 else ""


def _refuse(path: str, item: Item, kind: Kind | None = None, row: int | None = None) -> NoReturn:
    """Say why a dataset is not what was expected: of `kind` where that is known, in `row` of several."""
    where = f"{path}: {item.path}" + ("" if row is None else f", row {row}")
    if not item.numeric and item.dtype.names is None and h5py.check_vlen_dtype(item.dtype) is None:
        raise InputError(
            f"{where}: type {item.dtype} is not numeric, expected numbers of shape {FITTING}; "
            "copy x, y, z into such a dataset, or correct data.key"
        )
    if item.dtype.names is not None and len(item.shape) == 1:
        raise InputError(
            f"{where}: found the fields {name_some(item.dtype.names)}, expected x, y, z; "
            "name them in data.columns"
        )
    hint = ""
    if item.shape[-1:] == (2,):
        hint = "; if these are x and y, data.z: 0.0 declares the z of every point"
    elif len(item.shape) == 2 and item.shape[0] == 3:
        hint = "; if its rows are x, y, z, store it transposed"
    shapes = {"stack": "(N, P, 3 or more columns)", "matrix": "(points, 3 or more columns)"}
    expected = shapes.get(str(kind), FITTING)
    raise InputError(f"{where}: found shape {item.shape}, expected {expected}; correct data.key{hint}")


def _several_fit(likely: list[Choice]) -> str:
    said = " and ".join(candidate.said for candidate in likely[:4])
    keys = name_some((candidate.key for candidate in likely), 4)
    members = [member for candidate in likely for member in candidate.members]
    alike = len({(candidate.kind, candidate.members[0].count("/")) for candidate in likely}) == 1
    hint = f", or to {_to_pattern(members)} if each is a cloud" if alike else ""
    path = likely[0].catalog.file.filename
    return f"{path}: {said} could each be the clouds, expected one; set data.key to one of {keys}{hint}"


def _wrong_key(catalog: Catalog, key: str, wanted: CloudSettings) -> str:
    fitting = [item for item in catalog.datasets.values() if _kind_of(item, wanted, strict=True)]
    start = (
        f"{catalog.file.filename}: no dataset or pattern '{key}' of clouds, nor one of that name in a group"
    )
    if not fitting:
        return f"{start}; {_nothing_would_fit(catalog)}"
    names = dict.fromkeys(name for item in fitting for name in (item.path.strip("/"), item.leaf))
    said = name_some(map(str, fitting), 8)
    return f"{start}; these would fit: {said}; set data.key to null or correct it{suggest(key, names)}"


def _nothing_fits(catalog: Catalog, wanted: CloudSettings) -> str:
    matrices = [item for item in catalog.datasets.values() if item.numeric and len(item.shape) == 2]
    pairs = [str(item) for item in matrices if item.shape[1] == 2]
    turned = [str(item) for item in matrices if item.shape[0] == 3 and item.shape[1] > MOST_COLUMNS]
    hint = f"; {pairs[0]} may be x and y: then set data.key, and data.z: 0.0 for the z" if pairs else ""
    hint += f"; the rows of {turned[0]} may be x, y, z: then store it transposed" if turned else ""
    asked = "" if wanted.columns is None else f" with data.columns {', '.join(map(str, wanted.columns))}"
    start = f"{catalog.file.filename}: no dataset looks like clouds: {FITTING}{asked}"
    return f"{start}; {_nothing_would_fit(catalog)}{hint}"


def _nothing_would_fit(catalog: Catalog) -> str:
    found = name_some(map(str, catalog.datasets.values()), 8)
    return f"nothing in the file would fit, found: {found}; set data.key, or copy x, y, z into such a dataset"
