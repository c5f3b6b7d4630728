"""Which datasets of an HDF5 file hold the clouds."""

import glob
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import h5py

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.catalog import Catalog, Item, catalogue
from voxgen.sources.clouds.hdf5 import parent, text
from voxgen.sources.clouds.kinds import FITTING, MOST_COLUMNS, Kind, axes_of, kind_of, refuse
from voxgen.sources.clouds.names import is_coordinates, listing, nearest
from voxgen.sources.clouds.units import is_length


@dataclass(frozen=True, slots=True)
class Choice:
    """Where the clouds are: datasets (for axes: groups) of one kind.

    Attributes:
        key: the path of the single member, or a pattern that finds all of them.
        catalog: what is known of the file by now.
        said: members as the user reads them in messages.
        rank: what speaks for it: complete axes, a known name, floating point numbers.
    """

    kind: Kind
    key: str
    members: tuple[str, ...]
    catalog: Catalog
    said: str = ""
    rank: tuple[bool, bool, bool] = (True, True, True)
    notes: list[str] = field(default_factory=list)


def choose(path: str, file: Any, reading: CloudSettings) -> Choice:
    """The coordinates at data.key, or those that are found.

    Raises:
        InputError: there are none, or several that are as likely.
    """
    key = reading.key
    if key is not None and isinstance(found := file.get(key), h5py.Dataset):
        item = Item("/" + key.strip("/"), tuple(found.shape or ()), found.dtype)
        kind = kind_of(item, reading)
        if kind is None:
            refuse(path, item, reading)
        return Choice(kind, key.strip("/"), (item.path,), Catalog(file, {item.path: item}))
    catalog = catalogue(file)
    if key is None:
        choice = _found(path, file, catalog, reading)
    else:
        choice = _named(path, file, catalog, key, reading)
    if catalog.broken:
        choice.notes.append(f"links that lead nowhere are left out: {listing(catalog.broken, 4)}")
    return choice


def _named(path: str, file: Any, catalog: Catalog, key: str, reading: CloudSettings) -> Choice:
    """The members of a pattern, of a group with axes, or of a name that stands in several groups."""
    wanted = key.strip("/")
    by_group = catalog.by_group()
    if isinstance(file.get(wanted or "/"), h5py.Group):
        paths = ["/" + wanted]
    elif glob.has_magic(wanted):
        paths = catalog.expanded("/", wanted.split("/"))
    else:
        ending = "/" + wanted
        paths = [name for name in [*catalog.datasets, *catalog.groups] if name.endswith(ending)]
    items = {name: catalog.dataset(name) for name in paths}
    datasets = [item for item in items.values() if item is not None]
    if datasets:
        filled = (kind_of(item, reading) for item in datasets if 0 not in item.shape)
        kind: Kind = next((found for found in filled if found is not None), "matrix")
        choice = Choice(kind, wanted, tuple(item.path for item in datasets), catalog)
        return _whole_class(path, choice, datasets, catalog, reading)
    groups = [name for name in items if axes_of(by_group.get(name) or catalog.children(name), reading)]
    if not groups:
        raise InputError(_wrong_key(path, catalog, wanted, reading))
    choice = Choice("axes", wanted or "/", tuple(groups), catalog)
    _tell_of_others(path, choice, set(groups), "x, y", catalog, reading)
    return choice


def _found(path: str, file: Any, catalog: Catalog, reading: CloudSettings) -> Choice:
    candidates = [*_dataset_classes(file, catalog, reading), *_axes_classes(catalog, reading)]
    best = max((candidate.rank for candidate in candidates), default=None)
    likely = [candidate for candidate in candidates if candidate.rank == best]
    if not likely:
        raise InputError(_nothing_fits(path, catalog, reading))
    if len(likely) > 1:
        raise InputError(_several(path, likely))
    if likely[0].kind == "axes":
        _tell_of_others(path, likely[0], set(likely[0].members), "x, y", catalog, reading)
        return likely[0]
    items = [catalog.datasets[member] for member in likely[0].members]
    return _whole_class(path, likely[0], items, catalog, reading)


def _dataset_classes(file: Any, catalog: Catalog, reading: CloudSettings) -> list[Choice]:
    """Datasets of one depth and one name, but for digits, in which there are points."""
    classes: dict[tuple[int, str], list[Item]] = {}
    for item in catalog.datasets.values():
        classes.setdefault((item.path.count("/"), _starred(item.leaf)), []).append(item)
    found = []
    for items in classes.values():
        kinds = Counter(kind for item in items if (kind := kind_of(item, reading, strict=True)))
        if not kinds:
            continue
        kind = kinds.most_common(1)[0][0]
        first = next(item for item in items if kind_of(item, reading, strict=True) == kind)
        pictured = text(file[first.path].attrs.get("CLASS", "")) == "IMAGE"
        if pictured or not is_length(catalog.unit_of(first.path)):
            continue
        axes = axes_of(first.dtype.names, reading) if first.dtype.names else "xyz"
        complete = len(axes) == 3 or reading.z is not None
        floating = first.dtype.kind == "f" or kind in ("records", "ragged")
        rank = (complete, is_coordinates(first.leaf), floating)
        members = tuple(item.path for item in items)
        found.append(Choice(kind, _pattern(members), members, catalog, _said(items), rank))
    return found


def _axes_classes(catalog: Catalog, reading: CloudSettings) -> list[Choice]:
    """Groups of one depth that hold a dataset an axis."""
    by_group = catalog.by_group()
    classes: dict[int, list[str]] = {}
    for group in catalog.groups:
        axes = axes_of(by_group.get(group, {}), reading)
        if axes and all(is_length(catalog.unit_of(f"{group.rstrip('/')}/{name}")) for name in axes):
            classes.setdefault(0 if group == "/" else group.count("/"), []).append(group)
    found = []
    for groups in classes.values():
        axes = axes_of(by_group[groups[0]], reading)
        complete = len(axes) == 3 or reading.z is not None
        size = by_group[groups[0]][axes[0]].shape
        more = f" and {len(groups) - 1} more" if len(groups) > 1 else ""
        said = f"{groups[0].lstrip('/')}/{{{','.join(axes)}}} {size}{more}"
        rank = (complete, True, True)
        found.append(Choice("axes", _pattern(tuple(groups)), tuple(groups), catalog, said, rank))
    return found


def _whole_class(
    path: str, choice: Choice, items: list[Item], catalog: Catalog, reading: CloudSettings
) -> Choice:
    """The choice, if all its members are of its kind or empty; groups without a member are told of."""
    for row, item in enumerate(items):
        empty = 0 in item.shape and choice.kind != "stack" and (item.numeric or item.dtype.names)
        if not empty and kind_of(item, reading) != choice.kind:
            refuse(path, item, reading, choice.kind, row)
    holders = {parent(member) for member in choice.members}
    _tell_of_others(path, choice, holders, f"'{items[0].leaf}'", catalog, reading)
    return choice


def _tell_of_others(
    path: str, choice: Choice, holders: set[str], what: str, catalog: Catalog, reading: CloudSettings
) -> None:
    """Log how many groups beside those that hold the clouds hold none."""
    depths = {holder.count("/") for holder in holders if holder != "/"}
    peers = [group for group in catalog.groups if group != "/" and {group.count("/")} == depths]
    without = sum(group not in holders for group in peers)
    if without and (len(holders) > 1 or (reading.key or "").strip("/") != choice.members[0].strip("/")):
        message = f"{without} of {len(peers)} groups hold no dataset {what}: they are not taken as clouds"
        choice.notes.append(message)


def _starred(name: str) -> str:
    return re.sub(r"\d+", "*", name)


def _pattern(members: tuple[str, ...]) -> str:
    """The path of a single member, or a pattern a component."""
    if len(members) == 1:
        return members[0].strip("/") or "/"
    columns = zip(*(member.strip("/").split("/") for member in members), strict=True)
    return "/".join(_component(set(names)) for names in columns)


def _component(names: set[str]) -> str:
    if len(names) == 1:
        return glob.escape(names.pop())
    starred = {_starred(glob.escape(name)) for name in names}
    return starred.pop() if len(starred) == 1 else "*"


def _said(items: list[Item]) -> str:
    return str(items[0]) + (f" and {len(items) - 1} more" if len(items) > 1 else "")


def _several(path: str, likely: list[Choice]) -> str:
    said = " and ".join(candidate.said for candidate in likely[:4])
    keys = listing((candidate.key for candidate in likely), 4)
    members = tuple(member for candidate in likely for member in candidate.members)
    alike = len({(candidate.kind, candidate.members[0].count("/")) for candidate in likely}) == 1
    hint = f", or to {_pattern(members)} if each is a cloud" if alike else ""
    return f"{path}: {said} could each be the clouds, expected one; set data.key to one of {keys}{hint}"


def _wrong_key(path: str, catalog: Catalog, key: str, reading: CloudSettings) -> str:
    fitting = [item for item in catalog.datasets.values() if kind_of(item, reading, strict=True)]
    names = dict.fromkeys(name for item in fitting for name in (item.path.strip("/"), item.leaf))
    start = f"{path}: no dataset or pattern '{key}' of clouds, nor one of that name in a group"
    if not fitting:
        return f"{start}; {_nothing(catalog)}"
    said = listing(map(str, fitting), 8)
    return f"{start}; these would fit: {said}; set data.key to null or correct it{nearest(key, names)}"


def _nothing_fits(path: str, catalog: Catalog, reading: CloudSettings) -> str:
    matrices = [item for item in catalog.datasets.values() if item.numeric and len(item.shape) == 2]
    pairs = [str(item) for item in matrices if item.shape[1] == 2]
    turned = [str(item) for item in matrices if item.shape[0] == 3 and item.shape[1] > MOST_COLUMNS]
    hint = f"; {pairs[0]} may be x and y: then set data.key, and data.z: 0.0 for the z" if pairs else ""
    hint += f"; the rows of {turned[0]} may be x, y, z: then store it transposed" if turned else ""
    asked = "" if reading.columns is None else f" with data.columns {', '.join(map(str, reading.columns))}"
    return f"{path}: no dataset looks like clouds: {FITTING}{asked}; {_nothing(catalog)}{hint}"


def _nothing(catalog: Catalog) -> str:
    listed = listing(map(str, catalog.datasets.values()), 8)
    remedy = "set data.key, or copy x, y, z into such a dataset"
    return f"nothing in the file would fit, found: {listed}; {remedy}"
