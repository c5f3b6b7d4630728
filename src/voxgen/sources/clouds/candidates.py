"""What in an HDF5 file could be the clouds: datasets, groups and cell arrays, by shapes, types and names."""

import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import h5py
import numpy as np

from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.catalog import Catalog, Item
from voxgen.sources.clouds.columns import find_axes, match_name, name_some
from voxgen.sources.clouds.hdf5 import decode, parent
from voxgen.sources.clouds.meaning import holds_coordinates, split_words
from voxgen.sources.clouds.tables import Column, count_rows, list_columns
from voxgen.sources.clouds.units import may_be_length

MOST_COLUMNS = 16
KINDS = {"type", "channel", "species", "color", "colour"}  # what a number counts that is no cloud
CELLS = "/#refs#/"  # where MATLAB keeps what its cell arrays refer to

Kind = Literal["stack", "ragged", "matrix", "table"]


@dataclass(frozen=True, slots=True)
class Choice:
    """Where the clouds are: datasets, or groups, of one kind.

    Attributes:
        kind: stack (N, P, C), ragged (variable length), matrix (M, C), or table with columns by name.
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


def find_datasets(catalog: Catalog, wanted: CloudSettings, doubts: list[str]) -> list[Choice]:
    """Datasets whose paths differ in digits alone, in which there are points."""
    classes: dict[str, list[Item]] = {}
    for item in catalog.datasets.values():
        if not item.path.startswith(CELLS):
            classes.setdefault(_star(item.path), []).append(item)
    stacks = {item.shape[0] for item in catalog.datasets.values() if item.numeric and len(item.shape) == 3}
    found = []
    for items in classes.values():
        first = next((item for item in items if kind_of(catalog, item, wanted, strict=True)), None)
        kind = None if first is None else kind_of(catalog, first, wanted, strict=True)
        if first is None or kind is None:
            continue
        if _in_frame(catalog, first.path):
            doubts.append(f"{first}, a block of a data frame of pandas")
            continue
        said = str(first) + _count_more(items)
        known = holds_coordinates(first.path)
        if len(items) == 1 and kind == "matrix" and first.shape[0] in stacks and not known:
            doubts.append(f"{said}, a row of each cloud")
        elif known is False and kind != "table":
            doubts.append(f"{said}, by its name something else")
        elif decode(catalog.file[first.path].attrs.get("CLASS", "")) == "IMAGE":
            doubts.append(f"{said}, an image")
        elif first.dtype == np.uint8 and not known and kind in ("stack", "matrix"):
            doubts.append(f"{said}, bytes as of a picture")
        elif not may_be_length(unit := catalog.unit_of(first.path)):
            doubts.append(f"{said}, in {unit}")
        else:
            axes = _axes_of(list_columns(catalog, first.path), wanted) if kind == "table" else "xyz"
            rank = (len(axes) == 3 or wanted.z is not None, bool(known), first.dtype.kind not in "iu")
            members = tuple(item.path for item in items)
            found.append(Choice(kind, to_pattern(members), members, catalog, said, rank))
    return found


def find_groups(catalog: Catalog, wanted: CloudSettings, doubts: list[str]) -> list[Choice]:
    """Groups whose paths differ in digits alone that are tables with one dataset per axis, or data frames."""
    classes: dict[str, list[str]] = {}
    for group in catalog.groups:
        if axes_of_lists(catalog, list_columns(catalog, group), wanted):
            classes.setdefault(_star(group), []).append(group)
    found = []
    for groups in classes.values():
        columns = list_columns(catalog, groups[0])
        axes = axes_of_lists(catalog, columns, wanted)
        units = [catalog.unit_of(columns[name].path) for name in axes]
        rows = catalog.dataset(columns[axes[0]].path)
        said = f"{groups[0].lstrip('/')}/{{{','.join(axes)}}} {rows and rows.shape}{_count_more(groups)}"
        if holds_coordinates(groups[0]) is False:
            doubts.append(f"{said}, by its name something else")
        elif not all(map(may_be_length, units)):
            doubts.append(f"{said}, in {name_some(dict.fromkeys(filter(None, units)))}")
        elif field_of := say_field(catalog, groups[0], columns, axes):
            doubts.append(f"{said}, {field_of}")
        else:
            rank = (len(axes) == 3 or wanted.z is not None, True, True)
            found.append(Choice("table", to_pattern(groups), tuple(groups), catalog, said, rank))
    return found


def find_cells(catalog: Catalog, wanted: CloudSettings) -> list[Choice]:
    """Cell arrays of MATLAB: datasets of references, in the order of the cells, to matrices of points."""
    found = [open_cells(catalog, item) for item in catalog.datasets.values()]
    return [
        choice
        for choice in found
        if choice is not None
        and all(
            (item := catalog.dataset(member)) and kind_of(catalog, item, wanted) == "matrix"
            for member in choice.members
        )
    ]


def open_cells(catalog: Catalog, item: Item) -> Choice | None:
    """The datasets that a dataset of references refers to; None for another one, or one that is empty."""
    if h5py.check_ref_dtype(item.dtype) is not h5py.Reference or not item.shape:
        return None
    references = catalog.file[item.path][()].reshape(-1)
    members = tuple(catalog.file[reference].name for reference in references if reference)
    said, rank = f"the cells of {item}", (True, bool(holds_coordinates(item.path)), True)
    return Choice("matrix", item.path.strip("/"), members, catalog, said, rank) if members else None


def say_field(catalog: Catalog, group: str, columns: Mapping[str, Column], axes: Sequence[str]) -> str:
    """What speaks for lists x, y, z that are the axes of a grid of values, not points; empty for nothing."""
    lists = [catalog.dataset(columns[name].path) for name in axes]
    if any(item is None or columns[name].number is not None for item, name in zip(lists, axes, strict=True)):
        return ""
    sizes = sorted(int(np.prod(item.shape)) for item in lists if item is not None)
    for item in catalog.datasets.values() or catalog.children(group).values():
        many = len(item.shape) >= len(sizes) > 1 and sizes[0] > 1
        ends = (item.shape[: len(sizes)], item.shape[-len(sizes) :])
        if many and item.numeric and any(sorted(end) == sizes for end in ends):
            return f"the axes of the grid {item}, not points"
    scales = [path for name in axes if _is_scale(catalog, path := columns[name].path)]
    return f"the dimensions {name_some(scales)} of a grid, not points" if len(scales) > 1 else ""


def _is_scale(catalog: Catalog, path: str) -> bool:
    return path not in catalog.bare and decode(catalog.file[path].attrs.get("CLASS", "")) == "DIMENSION_SCALE"


def _in_frame(catalog: Catalog, path: str) -> bool:
    """Whether a dataset is a block of a data frame of pandas, which is read as a whole."""
    block = re.search(r"/block\d+_values$", path) is not None
    return block and any(name.startswith("axis0") for name in catalog.within(parent(path)))


def kind_of(catalog: Catalog, item: Item, wanted: CloudSettings, strict: bool = False) -> Kind | None:
    """What a dataset could be; `strict` leaves out what only a user can mean."""
    if (base := h5py.check_vlen_dtype(item.dtype)) is not None:
        numeric = isinstance(base, np.dtype) and base.kind in "iuf"
        along = any(find_axes([item.leaf]).values())  # lists along one axis alone
        return (
            "ragged" if numeric and not along and (len(item.shape) == 1 or item.shape[1:] == (3,)) else None
        )
    if item.dtype.names is not None:
        fits = len(item.shape) == 1 and _axes_of(list_columns(catalog, item.path), wanted)
        return "table" if fits else None
    least = 2 if wanted.z is not None else 3
    if not item.numeric or len(item.shape) not in (2, 3):
        return None
    if is_turned(item) and (not strict or holds_coordinates(item.path)):
        return "stack" if len(item.shape) == 3 else "matrix"
    if item.shape[-1] < least:
        return None
    if len(item.shape) == 2 and item.shape[-1] <= 4 * MOST_COLUMNS:
        columns = list_columns(catalog, item.path)
        if columns and _axes_of(columns, wanted):
            return "table"
        if columns and strict:
            return None
    named = wanted.columns is not None and not wanted.columns_are_numbers
    if strict and (named or item.shape[-1] > MOST_COLUMNS):
        return None
    return "stack" if len(item.shape) == 3 else "matrix"


def is_turned(item: Item) -> bool:
    """Whether an array has its three coordinates along the last axis but one: (3, M), (N, 3, P)."""
    return len(item.shape) in (2, 3) and item.shape[-2] == 3 and item.shape[-1] > MOST_COLUMNS


def axes_of_lists(catalog: Catalog, columns: Mapping[str, Column], wanted: CloudSettings) -> list[str]:
    """Names of x, y (and z) among the columns of a group that hold numbers; empty unless of one length."""
    items = {name: catalog.dataset(column.path) for name, column in columns.items()}
    numbers = {name: columns[name] for name, item in items.items() if item is not None and item.numeric}
    axes = _axes_of(numbers, wanted)
    sizes = {count_rows(catalog, columns[name]) for name in axes}
    return axes if len(sizes) == 1 else []


def _axes_of(columns: Mapping[str, Column], wanted: CloudSettings) -> list[str]:
    """Names of x, y (and z) among columns; empty without x and y."""
    if wanted.columns is not None:
        asked = [match_name(str(column), tuple(columns)) for column in wanted.columns]
        return [found[0] for found in asked] if all(asked) else []
    axes = find_axes(columns)
    return [found[0] for found in axes.values() if found] if axes["x"] and axes["y"] else []


def _star(path: str) -> str:
    """A path without what only counts: digits, or a single letter that stands for a number."""
    *groups, leaf = path.split("/")
    counting = re.compile(r"\d+|^[A-Za-z]$")
    counted = [group if split_words(group) & KINDS else counting.sub("*", group) for group in groups]
    return "/".join([*counted, re.sub(r"\d+", "*", leaf)])


def to_pattern(members: Sequence[str]) -> str:
    """The path of a single member, or a pattern per component."""
    if len(members) == 1:
        return members[0].strip("/") or "/"
    components = []
    for names in map(set, zip(*(member.strip("/").split("/") for member in members), strict=True)):
        escaped = {glob.escape(name) for name in names}
        alike = escaped if len(escaped) == 1 else {re.sub(r"\d+", "*", name) for name in escaped}
        components.append(alike.pop() if len(alike) == 1 else "*")
    return "/".join(components)


def _count_more(members: Sequence[Any]) -> str:
    return f" and {len(members) - 1} more" if len(members) > 1 else ""
