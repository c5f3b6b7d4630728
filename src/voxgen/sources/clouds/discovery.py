"""The clouds of an HDF5 file: from the chosen datasets to parts that can be read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.attributes import find_places, refuse_carried
from voxgen.sources.clouds.choosing import Choice, choose
from voxgen.sources.clouds.columns import choose_named_axes, choose_numbered_axes, split_unit
from voxgen.sources.clouds.cutting import Runs, Scattered
from voxgen.sources.clouds.datasets import H5Table, Ragged, Stack
from voxgen.sources.clouds.grouping import cut, find_edges, find_padding
from voxgen.sources.clouds.hdf5 import join, parent
from voxgen.sources.clouds.parts import UNSCALED, Found, Scale
from voxgen.sources.clouds.units import (
    Units,
    find_scale,
    is_picasso,
    is_storm_analysis,
    join_units,
    read_picasso_pixel,
    read_storm_pixel,
)
from voxgen.sources.clouds.writing import Form, H5Part, find_form

LAYOUTS = {
    "matrix": "one dataset per cloud",
    "records": "one dataset of records per cloud",
    "axes": "one group with x, y, z per cloud",
}


def plan_hdf5(file: Any, wanted: CloudSettings, carry: Sequence[str]) -> tuple[Sequence[H5Part], Found, Form]:
    """Find the clouds of an open HDF5 file: their parts, what was recognised, and the form to write them in.

    Raises:
        InputError: there are none, they are ambiguous, or a setting does not fit the file.
    """
    choice = choose(file, wanted)
    planner = _Planner(file, wanted, choice)
    parts = [planner.plan(member) for member in choice.members]
    total = sum(map(len, parts))
    if not total:
        shape = file[choice.members[0]].shape
        raise InputError(
            f"{file.filename}: '{choice.key}' holds no cloud (shape {shape}), expected at least one"
        )
    first = 0
    for member, part in zip(choice.members, parts, strict=True):
        table = part.table if isinstance(part, Runs | Scattered) else None
        part.places = find_places(
            file,
            member,
            planner.home(member),
            (len(part), first, total),
            carry,
            several=table is None or (isinstance(part, Runs) and part.edges is not None),
            taken=planner.taken,
        )
        for name in part.places.columns:
            if table is None or not table.has_column(file, name):
                refuse_carried(file, member, name, total)
        first += len(part)
    planner.found.layout = planner.name_layout(parts[0])
    return parts, planner.found, find_form(file, choice, parts, planner.found, planner.units, wanted)


class _Planner:
    """Makes the parts of one file, and remembers what it decided on the way.

    Attributes:
        found: what was recognised so far.
        taken: paths of the datasets that tell clouds apart.
        units: those of the first member with points along x, y (and z).
    """

    def __init__(self, file: Any, wanted: CloudSettings, choice: Choice) -> None:
        self.file, self.wanted, self.choice, self.catalog = file, wanted, choice, choice.catalog
        self.found = Found(key=choice.key, tile=wanted.tile, notes=list(choice.notes))
        self.taken: list[str] = []
        self.units: Units = ()
        self.storm = is_storm_analysis(file)

    def home(self, member: str) -> str:
        """The group that holds the coordinates at `member`, or is them."""
        return member if self.choice.kind == "axes" else parent(member)

    def plan(self, member: str) -> H5Part:
        """The clouds of a dataset, or of a group with one dataset per axis."""
        if self.choice.kind == "stack":
            return self._plan_stack(member)
        if self.choice.kind == "ragged":
            self._refuse("columns", "z", "offsets", "counts", "group_by", "tile")
            scale = self._find_scale(member, (self.catalog.unit_of(member),) * 3)
            return Ragged(member, self.file[member].shape, scale)
        return self._cut(self._plan_table(member))

    def name_layout(self, part: H5Part) -> str:
        """The layout in words, of which `part` is the first."""
        if isinstance(part, Stack):
            return "stacked (N, P, C)" + (", padded" if self.found.counts else "")
        if isinstance(part, Ragged):
            return "variable length"
        if isinstance(part, Scattered):
            return "table by column" if self.wanted.tile is None else "table by tiles"
        if part.edges is not None:
            return f"table by {'offsets' if self.found.offsets else 'counts'}"
        return LAYOUTS[self.choice.kind]

    def _plan_stack(self, member: str) -> Stack:
        self._refuse("offsets", "group_by", "tile")
        clouds, points, width = self.file[member].shape
        axes = choose_numbered_axes(width, self.wanted, f"{self.file.filename}: {member}")
        self.found.columns = axes
        scale = self._find_scale(member, (self.catalog.unit_of(member),) * len(axes))
        counts = find_padding(self.file, member, self.home(member), (clouds, points), self.wanted)
        if counts is not None:
            self.found.counts = self.found.counts or counts
            self.taken.append(counts)
        return Stack(member, (clouds, points), axes, scale, self.wanted.z, counts)

    def _plan_table(self, member: str) -> H5Table:
        item = self.catalog.dataset(member)
        if item is not None and 0 in item.shape:  # whatever its width, and if it has one
            return H5Table(member, 0, ((member, 0),) * 3, UNSCALED, None)
        own, where = self.catalog.unit_of(member), f"{self.file.filename}: {member}"
        axes: list[tuple[str, int | str | None]]
        if item is None:
            children = self.catalog.children(member)
            lists = [name for name, child in children.items() if len(child.shape) == 1]
            self.found.columns = names = choose_named_axes(lists, self.wanted, where)
            axes = [(join(member, name), None) for name in names]
            rows = children[names[0]].shape[0]
            units = tuple(split_unit(name)[1] or self.catalog.unit_of(join(member, name)) for name in names)
        elif item.dtype.names is not None:
            self.found.columns = names = choose_named_axes(item.dtype.names, self.wanted, where)
            axes, rows = [(member, name) for name in names], item.shape[0]
            units = tuple(split_unit(name)[1] or own for name in names)
        else:
            self.found.columns = numbers = choose_numbered_axes(item.shape[1], self.wanted, where)
            axes, rows = [(member, number) for number in numbers], item.shape[0]
            units = (own,) * len(numbers)
        return H5Table(member, rows, tuple(axes), self._find_scale(member, units), self.wanted.z)

    def _find_scale(self, member: str, units: Units) -> Scale:
        """The factors to data.unit; those of the first member with points stand in the report."""
        first = not self.units
        notes, pixel = self.found.notes if first else [], None
        if all(unit is None for unit in units) and self.wanted.scale is None:
            item = self.catalog.dataset(member)
            if item is not None and is_picasso(member, item.dtype.names or ()):
                units = ("pixels", "pixels", "nm")[: len(units)]
                pixel = read_picasso_pixel(Path(self.file.filename), notes)
            elif item is None and self.storm:
                units, pixel = ("pixels", "pixels", "um")[: len(units)], read_storm_pixel(self.file, notes)
        scale = find_scale(units, self.wanted, f"{self.file.filename}: {member}", notes, pixel)
        if first:
            self.units, self.found.unit_found, self.found.scale = units, join_units(units), scale
        return scale

    def _cut(self, table: H5Table) -> Runs | Scattered:
        wanted, where = self.wanted, f"{self.file.filename}: {table.key}"
        alone = len(self.choice.members) == 1
        asked = wanted.offsets or wanted.counts
        if asked and (wanted.tile or wanted.group_by not in (None, "none")):
            other = "tile" if wanted.tile else "group_by"
            raise InputError(f"{where}: data.{other} and data.counts both tell clouds apart; give one")
        unasked = wanted.tile is None and wanted.group_by is None
        if asked or (unasked and alone):
            home = self.home(table.key)
            edges, path = find_edges(self.file, table.key, home, table.rows, wanted, self.found)
            if edges is not None:
                self.taken.append(path)
                return Runs(table, edges)
        if not table.rows or (unasked and not alone):
            return Runs(table)
        return cut(table, self.file, where, wanted, self.found)

    def _refuse(self, *names: str) -> None:
        """Refuse settings that mean nothing for the layout."""
        for name in names:
            if getattr(self.wanted, name) not in (None, "none"):
                shape = self.file[self.choice.members[0]].shape
                raise InputError(
                    f"{self.file.filename}: data.{name} is given, but {self.choice.key} {shape} holds one "
                    f"cloud per row; set data.{name} to null, or correct data.key"
                )
