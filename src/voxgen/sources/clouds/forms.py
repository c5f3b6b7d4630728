"""The form in which clouds are written so that the settings that read a file read them, too."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

import h5py
import numpy as np

from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.choosing import Choice
from voxgen.sources.clouds.cutting import Runs, Scattered, Whole
from voxgen.sources.clouds.hdf5 import parent
from voxgen.sources.clouds.names import split_unit
from voxgen.sources.clouds.parts import Scale
from voxgen.sources.clouds.plan import Found
from voxgen.sources.clouds.stacks import Ragged, Stack
from voxgen.sources.clouds.tables import H5Table
from voxgen.sources.clouds.units import is_pixels
from voxgen.sources.clouds.writing import Form, Layout

H5Part = Stack | Ragged | Whole | Runs | Scattered
Units = tuple[str | None, ...]


def form_of(
    file: Any, choice: Choice, parts: Sequence[H5Part], found: Found, units: Units, reading: CloudSettings
) -> Form:
    """The form of an HDF5 file; of tiles a table `points` beside `cloud` in data.unit.

    `units` are those that the file states along x, y (and z); there are none where no member has points.
    """
    if reading.tile is not None or not units:
        return Form("table", "points", reading.unit, np.dtype(np.float32))
    part = next(filter(_is_filled, parts), parts[0])
    member = part.key if isinstance(part, Stack | Ragged) else part.table.key
    item = file[member]
    axes = found.columns or (0, 1, 2)
    kind: Literal["matrix", "records", "axes"] = "matrix"
    if choice.kind == "axes" or (choice.kind == "ragged" and item.ndim == 2):
        kind = "axes"
    elif choice.kind == "records":
        kind = "records"
    layout = _layout(part, found)
    key = _numbered(choice.key, member) if layout == "groups" else member.strip("/")
    unit, scale = _stated(axes, units, found.scale, reading)
    return Form(layout, key, unit, _floating(item, axes), scale, _ids(file, part, found), kind, axes)


def _is_filled(part: H5Part) -> bool:
    return not (isinstance(part, Whole) and isinstance(part.table, H5Table) and not part.table.rows)


def _layout(part: H5Part, found: Found) -> Layout:
    if isinstance(part, Stack):
        return "padded" if found.counts else "stacked"
    if isinstance(part, Ragged):
        return "ragged"
    if isinstance(part, Runs):
        return "offsets" if found.offsets else "counts"
    return "table" if isinstance(part, Scattered) else "groups"


def _numbered(key: str, member: str) -> str:
    """The path of a member with `*` for a number, such that the pattern `key` finds it.

    A key without any `*` is a name, which is found in any group; of one with `?` or [] alone the last name
    is kept.
    """
    patterns, names = key.strip("/").split("/"), member.strip("/").split("/")
    for i in reversed(range(len(patterns))):
        stars = [
            found.start() for found in re.finditer(r"\[!?\]?[^\]]*\]|\*", patterns[i]) if found[0] == "*"
        ]
        if stars:
            head, tail = patterns[i][: stars[-1]], patterns[i][stars[-1] + 1 :]
            names[i] = _starred(head, tail, names[i]) if head or tail else "cloud_*"
            return "/".join(names)
    name = key.strip("/") if member.endswith(key.strip("/")) else names[-1]
    return f"cloud_*/{name}".rstrip("/")


def _starred(head: str, tail: str, name: str) -> str:
    """A name that matches head*tail with `*` for what the star stands for."""
    spans = [(i, j) for i in range(len(name) + 1) for j in range(i, len(name) + 1)]
    return next(
        f"{name[:i]}*{name[j:]}"
        for i, j in spans
        if fnmatchcase(name[:i], head) and fnmatchcase(name[j:], tail)
    )


def _stated(
    axes: tuple[int | str, ...], units: Units, scale: Scale, reading: CloudSettings
) -> tuple[str, Scale]:
    """The unit to state, and factors from the written numbers to data.unit.

    Names of axes that state a unit keep it. The rest is in data.unit where it has no unit, several ones, or
    pixels whose size stands elsewhere.
    """
    named = [isinstance(axis, str) and split_unit(axis)[1] is not None for axis in axes]
    rest = {unit for unit, own in zip(units, named, strict=True) if not own}
    unit = rest.pop() if len(rest) == 1 else None
    if reading.scale is not None or all(named):
        return unit or "", scale
    if unit is not None and (reading.unit == "unitless" or not is_pixels(unit)):
        return unit, scale
    factors = [factor if own else 1.0 for factor, own in zip(scale, [*named, False], strict=False)]
    return reading.unit, (factors[0], factors[1], factors[2])


def _floating(item: Any, axes: tuple[int | str, ...]) -> np.dtype[Any]:
    """The floating type that holds x, y and z of the file; float32 for integers."""
    if isinstance(item, h5py.Group):
        types = [item[name].dtype for name in axes]
    elif item.dtype.names is not None:
        types = [item.dtype[name] for name in axes]
    else:
        types = [np.dtype(h5py.check_vlen_dtype(item.dtype) or item.dtype)]
    floats = [dtype for dtype in types if dtype.kind == "f"]
    return np.result_type(*floats) if len(set(floats)) > 1 else floats[0] if floats else np.dtype(np.float32)


def _ids(file: Any, part: H5Part, found: Found) -> str:
    """What stands beside the points, from their group on where it lies below it."""
    path = found.offsets or found.counts
    if isinstance(part, Scattered) and isinstance(part.table, H5Table):
        located = part.table.locate(file, str(found.group_by))
        path = (located[1] or located[0]) if located is not None else None
    if path is None:
        return "cloud"
    key = part.key if isinstance(part, Stack | Ragged) else part.table.key
    home = key if isinstance(file[key], h5py.Group) else parent(key)
    return path.removeprefix(f"{home.rstrip('/')}/")
