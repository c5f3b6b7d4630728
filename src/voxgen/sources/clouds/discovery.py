"""The clouds of an HDF5 file: from what was chosen to parts that can be read."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.attributes import beside_of
from voxgen.sources.clouds.choosing import Choice, choose
from voxgen.sources.clouds.cutting import Runs, Scattered, Whole
from voxgen.sources.clouds.formats import is_picasso, is_storm_analysis, picasso_pixel, storm_pixel
from voxgen.sources.clouds.forms import H5Part, Units, form_of
from voxgen.sources.clouds.grouping import Columns, cut
from voxgen.sources.clouds.hdf5 import parent
from voxgen.sources.clouds.names import named_axes, numbered_axes, split_unit, tells_clouds_apart
from voxgen.sources.clouds.parts import UNSCALED, Scale
from voxgen.sources.clouds.plan import Found, Plan
from voxgen.sources.clouds.runs import find_edges, find_padding
from voxgen.sources.clouds.stacks import Ragged, Stack
from voxgen.sources.clouds.tables import H5Table, Table
from voxgen.sources.clouds.units import joined, scale_of

SAID = {"matrix": "dataset", "records": "dataset of records", "axes": "group with x, y, z"}


def plan_hdf5(path: Path, file: Any, reading: CloudSettings, carry: Sequence[str]) -> Plan:
    """Find the clouds of an open HDF5 file.

    Raises:
        InputError: there are none, they are ambiguous, or a setting does not fit the file.
    """
    choice = choose(str(path), file, reading)
    notes = list(choice.notes)
    planner = _Planner(path, file, reading, choice, notes)
    parts = [planner.part(member) for member in choice.members]
    total = sum(map(len, parts))
    if not total:
        shape = file[choice.members[0]].shape
        raise InputError(f"{path}: '{choice.key}' holds no cloud (shape {shape}), expected at least one")
    first = 0
    for member, part in zip(choice.members, parts, strict=True):
        table = None if isinstance(part, Stack | Ragged) else part.table
        part.beside = beside_of(
            file,
            (member, parent(member) if choice.catalog.dataset(member) is not None else member),
            (len(part), first, total),
            carry,
            partial(_has_column, table, file),
            several=isinstance(part, Stack | Ragged | Runs),
            taken=planner.taken,
        )
        first += len(part)
    found = planner.found(parts)
    return Plan(path, parts, found, form_of(file, choice, parts, found, planner.units, reading))


def _has_column(table: Table | None, file: Any, name: str) -> bool:
    return isinstance(table, H5Table) and table.locate(file, name) is not None


class _Planner:
    """Makes the parts of one file, and remembers what it decided on the way."""

    def __init__(
        self, path: Path, file: Any, reading: CloudSettings, choice: Choice, notes: list[str]
    ) -> None:
        self.path, self.file, self.reading, self.choice = path, file, reading, choice
        self.catalog, self.storm = choice.catalog, is_storm_analysis(file)
        self.notes, self.taken = notes, list[str]()
        self.columns: tuple[int | str, ...] = ()
        self.by: str | None = None
        self.offsets: str | None = None
        self.counts: str | None = None
        self.units: Units = ()
        self.scale: Scale = UNSCALED

    def part(self, member: str) -> H5Part:
        """The clouds of a dataset, or of a group with a dataset an axis."""
        if self.choice.kind == "stack":
            return self._stack(member)
        if self.choice.kind == "ragged":
            self._only("columns", "z", "offsets", "counts", "group_by", "tile")
            dataset = self.file[member]
            scale = self._scaled(member, (self.catalog.unit_of(member),) * 3)
            return Ragged(member, dataset.shape, scale)
        return self._cut(self._table(member))

    def _stack(self, member: str) -> Stack:
        self._only("offsets", "group_by", "tile")
        clouds, points, width = self.file[member].shape
        axes = numbered_axes(width, self.reading, f"{self.path}: {member}")
        self.columns = axes
        scale = self._scaled(member, (self.catalog.unit_of(member),) * len(axes))
        counts = find_padding(self.file, member, (clouds, points), self.reading)
        if counts is not None:
            self.counts = self.counts or counts
            self.taken.append(counts)
        return Stack(member, (clouds, points), axes, scale, self.reading.z, counts)

    def _table(self, member: str) -> H5Table:
        item = self.catalog.dataset(member)
        if item is not None and 0 in item.shape:  # whatever its width, and if it has one
            return H5Table(member, 0, ((member, 0),) * 3, UNSCALED, None)
        own = self.catalog.unit_of(member)
        where = f"{self.path}: {member}"
        axes: tuple[tuple[str, int | str | None], ...]
        units: Units
        if item is None:
            children = self.catalog.children(member)
            lists = [name for name, child in children.items() if len(child.shape) == 1]
            self.columns = names = named_axes(lists, self.reading, where)
            paths = [f"{member.rstrip('/')}/{name}" for name in names]
            axes = tuple((path, None) for path in paths)
            rows = children[names[0]].shape[0]
            stated = [self.catalog.unit_of(path) for path in paths]
            units = tuple(split_unit(name)[1] or unit for name, unit in zip(names, stated, strict=True))
        elif item.dtype.names is not None:
            self.columns = names = named_axes(item.dtype.names, self.reading, where)
            axes = tuple((member, name) for name in names)
            units = tuple(split_unit(name)[1] or own for name in names)
        else:
            self.columns = numbers = numbered_axes(item.shape[1], self.reading, where)
            axes, units = tuple((member, number) for number in numbers), (own,) * len(numbers)
        scale = self._scaled(member, units)
        return H5Table(member, rows if item is None else item.shape[0], axes, scale, self.reading.z)

    def _scaled(self, member: str, units: Units) -> Scale:
        """The factors to data.unit; those of the first member with points stand in the report."""
        first = not self.units
        notes, pixel = self.notes if first else [], None
        if all(unit is None for unit in units) and self.reading.scale is None:
            item = self.catalog.dataset(member)
            if item is not None and is_picasso(item):
                units, pixel = ("pixels", "pixels", "nm")[: len(units)], picasso_pixel(self.path, notes)
            elif item is None and self.storm:
                units, pixel = ("pixels", "pixels", "um")[: len(units)], storm_pixel(self.file, notes)
        scale = scale_of(units, self.reading, f"{self.path}: {member}", notes, pixel)
        if first:
            self.units, self.scale = units, scale
        return scale

    def _cut(self, table: H5Table) -> Whole | Runs | Scattered:
        reading, where = self.reading, f"{self.path}: {table.key}"
        alone = len(self.choice.members) == 1
        asked = reading.offsets or reading.counts
        if asked and (reading.tile or reading.group_by not in (None, "none")):
            other = "tile" if reading.tile else "group_by"
            raise InputError(f"{where}: data.{other} and data.counts both tell clouds apart; give one")
        found_out = reading.tile is None and reading.group_by is None
        if asked or (found_out and alone):
            edges, path, by = find_edges(self.file, table.key, table.rows, reading, where, self.notes)
            if edges is not None:
                if by == "offsets":
                    self.offsets = self.offsets or path
                else:
                    self.counts = self.counts or path
                self.taken += [path]
                return Runs(table, edges)
        if not table.rows or (found_out and not alone):
            return Whole(table)
        part, self.by = cut(table, self.file, where, reading, self._columns(table), self.notes)
        return part

    def _columns(self, table: H5Table) -> Columns:
        """Columns that may tell clouds apart by name and type, and all there are."""
        own = self.file[table.axes[0][0]]
        if own.dtype.names is not None:
            types = {name: own.dtype[name] for name in own.dtype.names}
        else:
            group = self.file[table.key if self.choice.kind == "axes" else parent(table.key)]
            beside = {name: item for name in group if isinstance(item := group.get(name), h5py.Dataset)}
            fits = {(table.rows,), (table.rows, 1)}
            types = {name: item.dtype for name, item in beside.items() if item.shape in fits}
        likely = [name for name, dtype in types.items() if dtype.kind in "iuSO" and tells_clouds_apart(name)]
        stated = own.attrs.get("group_by")
        return Columns(
            tuple(likely),
            tuple(types),
            lambda name: table.locate(self.file, name) is not None,
            stated if isinstance(stated, str) and stated in types else None,
        )

    def _only(self, *names: str) -> None:
        """Refuse settings that mean nothing for the layout."""
        for name in names:
            if getattr(self.reading, name) not in (None, "none"):
                shape = self.file[self.choice.members[0]].shape
                raise InputError(
                    f"{self.path}: data.{name} is given, but {self.choice.key} {shape} holds a cloud a row; "
                    f"set data.{name} to null, or correct data.key"
                )

    def found(self, parts: Sequence[H5Part]) -> Found:
        """The report of what was recognised."""
        return Found(
            layout=self._layout(parts[0]),
            key=self.choice.key,
            columns=self.columns,
            group_by=None if self.by == "tile" else self.by,
            offsets=self.offsets,
            counts=self.counts,
            tile=self.reading.tile,
            unit_found=joined(self.units),
            scale=self.scale,
            notes=self.notes,
        )

    def _layout(self, part: H5Part) -> str:
        kind = self.choice.kind
        if isinstance(part, Stack):
            return "stacked (N, P, C)" + (", padded" if self.counts else "")
        if isinstance(part, Ragged):
            return "variable length"
        if isinstance(part, Runs):
            return f"table by {'offsets' if self.offsets else 'counts'}"
        if isinstance(part, Scattered):
            return "table by tiles" if self.by == "tile" else "table by column"
        return f"one {SAID[kind]} a cloud"
