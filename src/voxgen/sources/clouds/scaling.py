"""Units and factors of the clouds of one HDF5 file, member by member."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.parts import Found, Scale
from voxgen.sources.clouds.programs import Stated, recognise, refuse_unread_scales
from voxgen.sources.clouds.units import Units, find_scale, join_units


class Scales:
    """Finds the factors to data.unit, and remembers the first member's, which stand in the report.

    Attributes:
        units: of the first member with points along x, y (and z); empty before it.
    """

    def __init__(self, file: Any, wanted: CloudSettings, found: Found) -> None:
        self.units: Units = ()
        self._file, self._wanted, self._found = file, wanted, found
        self._programs: dict[tuple[str, ...], Stated | None] = {}

    def find(self, member: str, units: Units, names: Sequence[str] = (), paths: Sequence[str] = ()) -> Scale:
        """The factors of a member that states `units`, whose columns have `names` and lie in the `paths`.

        Raises:
            InputError: the unit is not known, or is stated for some members alone; or an attribute may scale
                the numbers and is not understood.
        """
        first, where = not self.units, f"{self._file.filename}: {member}"
        notes, pixel = self._found.notes if first else [], None
        if all(unit is None for unit in units) and self._wanted.scale is None:
            program = self._recognise(member, tuple(names), len(units), notes)
            if program is not None:
                units, pixel = program.units, program.pixel
        if first and self._wanted.scale is None:
            stated = any(unit is not None for unit in units)
            refuse_unread_scales(self._file, member, paths or [member], stated)
        if self.units and (None in units) != (None in self.units) and self._wanted.scale is None:
            raise InputError(
                f"{where}: its unit is {join_units(units) or 'not stated'}, that of clouds before it "
                f"{join_units(self.units) or 'not stated'}; set data.scale, or state it"
            )
        scale = find_scale(units, self._wanted, where, notes, pixel)
        if first:
            self.units, self._found.unit_found, self._found.scale = units, join_units(units), scale
        return scale

    def _recognise(self, member: str, names: tuple[str, ...], axes: int, notes: list[str]) -> Stated | None:
        """What a known program says of tables with these columns; each kind is looked at once."""
        if names not in self._programs:
            path = Path(self._file.filename)
            self._programs[names] = recognise(self._file, path, member, names, axes, notes)
        return self._programs[names]
