"""Columns of a table, and datasets, by what their names mean: axes, units, clouds, coordinates."""

import difflib
import re
from collections.abc import Iterable, Sequence

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.units import is_unit

COORDINATES = {
    *("points", "point", "pointcloud", "pointclouds", "clouds", "coordinates", "coords", "xyz"),
    *("positions", "locs", "localizations", "localisations", "vertices"),
}
_THING = re.compile(
    r"(.*_)?(group|cloud|cluster|track|molecule|label|filament|particle)s?(_?(id|index|number))?"
)


def is_coordinates(leaf: str) -> bool:
    """Whether a dataset of this name is known to hold coordinates."""
    return re.sub(r"[\d_*\W]", "", leaf.lower()) in COORDINATES


def tells_clouds_apart(name: str) -> bool:
    """Whether a column of this name is taken, unasked, to tell clouds apart."""
    word = name.lower()
    if word in ("id", "ids") or "type" in word or "frame" in word:
        return False
    return word.endswith(("_id", "_ids")) or _THING.fullmatch(word) is not None


def split_unit(name: str) -> tuple[str, str | None]:
    """Name and unit of a column: x [nm], x (nm) and x_nm are x in nm."""
    bracketed = re.fullmatch(r"\s*(.*?)\s*[\[(]\s*(.*?)\s*[\])]\s*", name)
    if bracketed:
        return bracketed[1], bracketed[2]
    base, _, unit = name.strip().rpartition("_")
    return (base, unit) if base and len(unit) > 1 and is_unit(unit) else (name.strip(), None)


def match_name(asked: str, names: Sequence[str]) -> list[str]:
    """Those of `names` that are `asked`: exactly, else without their unit and whatever their case."""
    if asked in names:
        return [asked]
    return [name for name in names if asked.lower() in (name.strip().lower(), split_unit(name)[0].lower())]


def find_axes(names: Iterable[str]) -> dict[str, list[str]]:
    """For each of x, y, z the names that mean it: x, x_nm, x [nm], pos_x."""
    found: dict[str, list[str]] = {axis: [] for axis in "xyz"}
    for name in names:
        axis = split_unit(name)[0].lower().removeprefix("pos_")
        if axis in found:
            found[axis].append(name)
    return found


def choose_named_axes(names: Sequence[str], wanted: CloudSettings, where: str) -> tuple[str, ...]:
    """Names of x, y (and z, where data.z does not declare it) among the columns `names`.

    Raises:
        InputError: an axis has no column, or more than one; or z is both there and declared.
    """
    if wanted.columns is not None:
        _check_z(len(wanted.columns), wanted, where)
        return tuple(_choose_named(str(column), names, where) for column in wanted.columns)
    axes = find_axes(names)
    for axis, found in axes.items():
        if len(found) > 1:
            raise InputError(
                f"{where}: {' and '.join(found)} could all be {axis}; name x, y, z in data.columns"
            )
    if not (axes["x"] and axes["y"]):
        raise InputError(
            f"{where}: no columns x, y, z, found: {name_some(names)}; name x, y, z in data.columns"
        )
    chosen = tuple(found[0] for found in axes.values() if found)
    _check_z(len(chosen), wanted, where)
    return chosen


def choose_numbered_axes(width: int, wanted: CloudSettings, where: str) -> tuple[int, ...]:
    """Numbers of x, y (and z, where data.z does not declare it) among `width` columns.

    Raises:
        InputError: columns are missing, named instead of numbered, or z is both there and declared.
    """
    chosen = tuple(range(min(width, 3))) if wanted.columns is None else wanted.columns
    numbers = tuple(column for column in chosen if isinstance(column, int) and 0 <= column < width)
    if len(numbers) < len(chosen):
        raise InputError(
            f"{where}: no columns {', '.join(map(str, chosen))}, it has {width} columns without names; "
            f"give numbers from 0 to {width - 1} in data.columns"
        )
    _check_z(len(numbers), wanted, where)
    return numbers


def name_some(names: Iterable[str], most: int = 12) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "nothing") + more


def suggest(name: str, names: Iterable[str]) -> str:
    """The name that is spelled most like `name`, to end a message; empty where there is none."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.0)
    return f", nearest: {close[0]}" if close else ""


def _check_z(axes: int, wanted: CloudSettings, where: str) -> None:
    """Refuse x and y without any z, and a z of the file together with data.z."""
    if axes == 2 and wanted.z is None:
        raise InputError(f"{where}: it has x and y but no z; data.z: 0.0 declares the z of every point")
    if axes == 3 and wanted.z is not None:
        raise InputError(
            f"{where}: it has x, y and z, but data.z is {wanted.z:g}; "
            "set data.z to null, or name x and y alone in data.columns"
        )


def _choose_named(asked: str, names: Sequence[str], where: str) -> str:
    found = match_name(asked, names)
    if len(found) != 1:
        what = f"{' and '.join(found)} all match" if found else "there is no"
        raise InputError(
            f"{where}: {what} column '{asked}', found: {name_some(names)}; "
            f"correct data.columns{suggest(asked, names)}"
        )
    return found[0]
