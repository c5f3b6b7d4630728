"""The clouds of an HDF5 file: from the chosen datasets to parts that can be read."""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.attributes import find_places, refuse_carried
from voxgen.sources.clouds.candidates import Choice, axes_of_lists, is_turned
from voxgen.sources.clouds.choosing import choose
from voxgen.sources.clouds.columns import choose_named_axes, choose_numbered_axes, name_some, split_unit
from voxgen.sources.clouds.cutting import Runs, Scattered
from voxgen.sources.clouds.datasets import H5Table, Ragged, Stack, read_points, read_stack
from voxgen.sources.clouds.grouping import cut, find_edges
from voxgen.sources.clouds.hdf5 import parent, states_missing
from voxgen.sources.clouds.meaning import split_words
from voxgen.sources.clouds.normalised import find_restore
from voxgen.sources.clouds.padding import MASKS, blank_padding, find_padding, split_mask
from voxgen.sources.clouds.parts import UNSCALED, Found
from voxgen.sources.clouds.scaling import Scales
from voxgen.sources.clouds.tables import Column, count_rows, list_columns, name_columns, read_columns
from voxgen.sources.clouds.units import Units
from voxgen.sources.clouds.writing import Form, H5Part, find_form

LOOKED_AT = 4096  # rows of a table by which columns without names are judged


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
    return parts, planner.found, find_form(file, choice, parts, planner.found, planner.scales.units, wanted)


class _Planner:
    """Makes the parts of one file, and remembers what it decided on the way.

    Attributes:
        found: what was recognised so far.
        taken: paths of the datasets that tell clouds apart.
        scales: units and factors of the members so far.
    """

    def __init__(self, file: Any, wanted: CloudSettings, choice: Choice) -> None:
        self.file, self.wanted, self.choice, self.catalog = file, wanted, choice, choice.catalog
        self.found = Found(key=choice.key, tile=wanted.tile, notes=list(choice.notes))
        self.taken: list[str] = []
        self.scales = Scales(file, wanted, self.found)
        self.restores = False

    def home(self, member: str) -> str:
        """The group that holds the coordinates at `member`, or is them."""
        return member if self.catalog.dataset(member) is None else parent(member)

    def plan(self, member: str) -> H5Part:
        """The clouds of a dataset, or of a group with one dataset per axis."""
        if self.choice.kind == "stack":
            return self._plan_stack(member)
        if self.choice.kind == "ragged":
            self._refuse("columns", "z", "offsets", "counts", "group_by", "tile", "mask")
            scale = self.scales.find(member, (self.catalog.unit_of(member),) * 3)
            return Ragged(member, self.file[member].shape, scale)
        return self._cut(self._plan_table(member))

    def name_layout(self, part: H5Part) -> str:
        """The layout in words, of which `part` is the first."""
        if isinstance(part, Stack):
            return "stacked (N, P, C)" + (", padded" if part.padding else "")
        if isinstance(part, Ragged):
            return "variable length"
        if isinstance(part, Scattered):
            return "table by column" if self.wanted.tile is None else "table by tiles"
        if part.edges is not None:
            return f"table by {'offsets' if self.found.offsets else 'counts'}"
        if self.choice.kind == "matrix":
            return "one dataset per cloud"
        held = self.catalog.dataset(self.choice.members[0]) is None
        return "one group with x, y, z per cloud" if held else "one dataset of records per cloud"

    def _plan_stack(self, member: str) -> Stack:
        self._refuse("offsets", "group_by", "tile")
        item = self.catalog.dataset(member)
        assert item is not None
        where, turned = f"{self.file.filename}: {member}", is_turned(item)
        clouds, width = item.shape[0], item.shape[1 if turned else 2]
        names = () if turned else name_columns(self.catalog, item)
        if names and not self.wanted.columns_are_numbers:
            axes = tuple(names.index(name) for name in choose_named_axes(names, self.wanted, where))
            units: Units = tuple(split_unit(names[i])[1] or self.catalog.unit_of(member) for i in axes)
        else:
            axes = choose_numbered_axes(width, self.wanted, where)
            units = (self.catalog.unit_of(member),) * len(axes)
        self.found.columns = axes
        self._note_turned(member, turned)
        read = partial(read_stack, self.file[member], axes=axes, turned=turned)
        if self.wanted.columns is None and not names and clouds:
            _refuse_frames(read(slice(0, 1))[0], where)
        shape, home = (clouds, item.shape[2 if turned else 1]), self.home(member)
        wanted = self._number_mask(names, where)
        look = cache(lambda count: read(slice(0, count)))
        padding = find_padding(self.file, member, home, shape, look, wanted, self.found)
        self.taken += [padding.path] if padding else []
        restore = None
        if self.wanted.normalised is None:
            look_at_points = partial(blank_padding, self.file, padding, look)
            restore = find_restore(self.file, member, home, clouds, look_at_points, self.found)
        self._note_absent([member])
        scale = self.scales.find(member, units, names)
        return Stack(member, shape, axes, scale, self.wanted.z, turned, padding, restore)

    def _plan_table(self, member: str) -> H5Table:
        item = self.catalog.dataset(member)
        if item is not None and 0 in item.shape:  # whatever its width, and if it has one
            return H5Table(member, 0, (Column(member, number=0),) * 3, UNSCALED, None)
        where = f"{self.file.filename}: {member}"
        columns: Mapping[str, Column] = {}
        turned = item is not None and self.choice.kind == "matrix" and is_turned(item)
        if self.choice.kind == "table":
            columns = list_columns(self.catalog, member)
            if item is None:
                columns = self._of_one_length(columns)
            names = choose_named_axes(tuple(columns), self.wanted, where)
            axes = tuple(columns[name] for name in names)
            self.found.columns = names
            units: Units = tuple(
                split_unit(name)[1] or self.catalog.unit_of(columns[name].path) for name in names
            )
            unused = [name for name in columns if name not in names]
            self._note_once(f"columns beside these: {name_some(unused)}" if unused else "")
        else:
            assert item is not None
            numbers = choose_numbered_axes(item.shape[0 if turned else 1], self.wanted, where)
            axes = tuple(Column(member, number=number, turned=turned) for number in numbers)
            self.found.columns = numbers
            units = (self.catalog.unit_of(member),) * len(numbers)
            self._note_turned(member, turned)
        rows = count_rows(self.catalog, axes[0])
        paths = [column.path for column in axes]
        self._note_absent(paths)
        look = partial(read_points, self.file, axes, slice(0, min(rows, LOOKED_AT)))
        if not columns and self.wanted.columns is None and not self.scales.units:
            _refuse_frames(look(), where)
        restore = None
        if self.wanted.normalised is None and (self.restores or not self.scales.units):
            home = self.home(member)
            restore = find_restore(self.file, member, home, 1, lambda _: look()[None], self.found)
            self.restores = restore is not None
        scale = self.scales.find(member, units, tuple(columns), paths)
        return H5Table(member, rows, axes, scale, self.wanted.z, self._find_mask(columns, where), restore)

    def _number_mask(self, names: Sequence[str], where: str) -> CloudSettings:
        """The settings with the number of the column that data.mask names, among named columns of a stack."""
        asked = self.wanted.mask
        masks = [name for name in names if split_words(name) & MASKS]
        if asked is None:
            _refuse_masks(masks, where)
        name, kept = split_mask(str(asked))
        if asked is None or name not in names:
            return self.wanted
        number = names.index(name)
        return self.wanted.model_copy(update={"mask": str(number) if kept else f"not {number}"})

    def _of_one_length(self, columns: Mapping[str, Column]) -> dict[str, Column]:
        """The columns as long as the axes; others beside are not of the table."""
        axes = axes_of_lists(self.catalog, columns, self.wanted)
        rows = count_rows(self.catalog, columns[axes[0]]) if axes else None
        return {name: column for name, column in columns.items() if count_rows(self.catalog, column) == rows}

    def _find_mask(self, columns: Mapping[str, Column], where: str) -> tuple[Column, bool] | None:
        """The column of a table that data.mask names."""
        asked = self.wanted.mask
        masks = [name for name in columns if split_words(name) & MASKS]
        if asked is None:
            varying = [name for name in masks if len(np.unique(self._read_all(columns[name]))) > 1]
            _refuse_masks(varying, where)
        if asked in (None, "none"):
            return None
        name, kept = split_mask(str(asked))
        if name not in columns:
            raise InputError(f"{where}: no column '{name}', found: {name_some(columns)}; correct data.mask")
        self.found.absent = True
        return columns[name], kept

    def _read_all(self, column: Column) -> NDArray[Any]:
        return read_columns(self.file, [column], slice(0, count_rows(self.catalog, column)))[0]

    def _cut(self, table: H5Table) -> Runs | Scattered:
        wanted, where = self.wanted, f"{self.file.filename}: {table.key}"
        alone = len(self.choice.members) == 1
        asked = wanted.named("offsets") or wanted.named("counts")
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

    def _note_turned(self, member: str, turned: bool) -> None:
        said = f"{member} is stored transposed, as MATLAB and Julia do: its rows are x, y, z"
        self._note_once(said if turned else "")

    def _note_absent(self, paths: Sequence[str]) -> None:
        """Keep in mind whether rows may be missing by what the file says; the first member counts."""
        if not self.scales.units:
            self.found.absent = self.found.absent or any(states_missing(self.file[path]) for path in paths)

    def _note_once(self, note: str) -> None:
        if note and not self.scales.units:
            self.found.notes.append(note)

    def _refuse(self, *names: str) -> None:
        """Refuse settings that mean nothing for the layout."""
        for name in names:
            if getattr(self.wanted, name) not in (None, "none"):
                shape = self.file[self.choice.members[0]].shape
                raise InputError(
                    f"{self.file.filename}: data.{name} is given, but {self.choice.key} {shape} holds one "
                    f"cloud per row; set data.{name} to null, or correct data.key"
                )


def _refuse_masks(masks: Sequence[str], where: str) -> None:
    if not masks:
        return
    raise InputError(
        f"{where}: the column {name_some(masks)} may say which rows are points; set data.mask to its name, "
        "to not and its name, or to none"
    )


def _refuse_frames(points: NDArray[Any], where: str) -> None:
    """Refuse three columns without names of which the first counts, as frames and ids do, and no other.

    Raises:
        InputError: that is how they are.
    """
    first, *others = np.asarray(points, np.float64).T
    whole = len(first) > 2 and np.isfinite(first).all() and (first == np.floor(first)).all()
    rising = whole and (np.diff(first) >= 0).all() and first[-1] > first[0]
    if rising and all((other != np.floor(other)).any() for other in others):
        raise InputError(
            f"{where}: its first column rises in whole numbers from {first[0]:g}, as frames and ids do, the "
            "others hold fractions; set data.columns to x, y, z ([0, 1, 2] if these are they)"
        )
