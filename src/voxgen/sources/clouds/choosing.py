"""Which datasets of an HDF5 file hold the clouds, by their shapes, types and names."""

import glob
from typing import Any

import h5py

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.candidates import (
    Choice,
    Kind,
    axes_of_lists,
    find_cells,
    find_datasets,
    find_groups,
    is_turned,
    kind_of,
    open_cells,
    say_field,
)
from voxgen.sources.clouds.catalog import Catalog, Item, build_catalog
from voxgen.sources.clouds.columns import name_some
from voxgen.sources.clouds.hdf5 import parent
from voxgen.sources.clouds.meaning import holds_coordinates
from voxgen.sources.clouds.misfits import refuse, say_nothing_fits, say_several, say_wrong_key
from voxgen.sources.clouds.tables import list_columns


def choose(file: Any, wanted: CloudSettings) -> Choice:
    """The coordinates at data.key, or those that are found.

    Raises:
        InputError: there are none, or several that are as likely, or they are something else.
    """
    key = wanted.key
    if key is not None and isinstance(found := file.get(key), h5py.Dataset):
        item = Item("/" + key.strip("/"), tuple(found.shape or ()), found.dtype)
        catalog = Catalog(file, {item.path: item})
        if cells := open_cells(catalog, item):
            _check_members(cells, wanted)
            return cells
        kind = kind_of(catalog, item, wanted)
        if kind is None:
            refuse(file.filename, item)
        choice = Choice(kind, key.strip("/"), (item.path,), catalog)
        _note_meaning(choice)
        return choice
    catalog = build_catalog(file)
    choice = _find(catalog, wanted) if key is None else _match(catalog, key.strip("/"), wanted)
    _check_members(choice, wanted)
    if key is not None:
        _note_meaning(choice)
    if catalog.broken:
        choice.notes.append(f"links that lead nowhere are left out: {name_some(catalog.broken, 4)}")
    return choice


def _match(catalog: Catalog, key: str, wanted: CloudSettings) -> Choice:
    """The members of a pattern, of a group that is a table, or of a name that stands in several groups."""
    if isinstance(catalog.file.get(key or "/"), h5py.Group):
        paths = ["/" + key]
    elif glob.has_magic(key):
        paths = catalog.expand("/", key.split("/"))
    else:
        paths = [name for name in [*catalog.datasets, *catalog.groups] if name.endswith("/" + key)]
    items = {path: catalog.dataset(path) for path in paths}
    datasets = [item for item in items.values() if item is not None]
    if datasets:
        filled = (kind_of(catalog, item, wanted) for item in datasets if 0 not in item.shape)
        kind: Kind = next((found for found in filled if found is not None), "matrix")
        return Choice(kind, key, tuple(item.path for item in datasets), catalog)
    columns = {path: list_columns(catalog, path) for path in items}
    axes = {path: axes_of_lists(catalog, columns[path], wanted) for path in items}
    groups = [path for path in items if axes[path]]
    for group in groups[:1]:
        if said := say_field(catalog, group, columns[group], axes[group]):
            raise InputError(f"{catalog.file.filename}: {group}: {said}; correct data.key")
    if not groups:
        raise InputError(say_wrong_key(catalog, key, wanted))
    return Choice("table", key or "/", tuple(groups), catalog)


def _find(catalog: Catalog, wanted: CloudSettings) -> Choice:
    doubts: list[str] = []
    candidates = [
        *find_datasets(catalog, wanted, doubts),
        *find_groups(catalog, wanted, doubts),
        *find_cells(catalog, wanted),
    ]
    best = max((candidate.rank for candidate in candidates), default=None)
    likely = [candidate for candidate in candidates if candidate.rank == best]
    if not likely:
        raise InputError(say_nothing_fits(catalog, wanted, doubts))
    if len(likely) > 1:
        raise InputError(say_several(likely))
    left = [candidate.said for candidate in candidates if candidate is not likely[0]] + doubts
    if left:
        likely[0].notes.append(f"not taken: {name_some(left, 6)}")
    return likely[0]


def _check_members(choice: Choice, wanted: CloudSettings) -> None:
    """Refuse members that are neither of the kind nor empty, or of another width; note other groups."""
    widths: dict[int, str] = {}
    for row, member in enumerate(choice.members):
        item = choice.catalog.dataset(member)
        if item is None:
            continue
        empty = 0 in item.shape and choice.kind != "stack" and (item.numeric or item.dtype.names)
        if not empty and kind_of(choice.catalog, item, wanted) != choice.kind:
            refuse(choice.catalog.file.filename, item, choice.kind, row)
        if not empty and choice.kind in ("stack", "matrix") and wanted.columns is None:
            widths.setdefault(3 if is_turned(item) else item.shape[-1], member)
    if len(widths) > 1:
        said = " and ".join(f"{width} in {member}" for width, member in widths.items())
        raise InputError(
            f"{choice.catalog.file.filename}: the clouds differ in their numbers of columns, {said}; "
            "set data.columns, or data.key to those that are alike"
        )
    if choice.kind == "table" and choice.catalog.dataset(choice.members[0]) is None:
        _note_others(choice, set(choice.members), "x, y", wanted)
    else:
        holders = {parent(member) for member in choice.members}
        _note_others(choice, holders, f"'{choice.members[0].rpartition('/')[2]}'", wanted)


def _note_others(choice: Choice, holders: set[str], what: str, wanted: CloudSettings) -> None:
    """Note how many groups beside those that hold the clouds hold none."""
    depths = {holder.count("/") for holder in holders if holder != "/"}
    peers = [group for group in choice.catalog.groups if group != "/" and {group.count("/")} == depths]
    leaf = choice.members[0].rpartition("/")[2]
    without = sum(group not in holders and leaf not in choice.catalog.within(group) for group in peers)
    if without and (len(holders) > 1 or (wanted.key or "").strip("/") != choice.members[0].strip("/")):
        message = f"{without} of {len(peers)} groups hold no dataset {what}: they are not taken as clouds"
        choice.notes.append(message)


def _note_meaning(choice: Choice) -> None:
    if holds_coordinates(choice.members[0]) is False and choice.kind != "table":
        said = choice.members[0]
        choice.notes.append(f"{said} is by its name something else; data.key says that it is coordinates")
