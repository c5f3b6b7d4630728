"""Columns of a table, and datasets, by what their names mean: axes, units, clouds, coordinates."""

import difflib
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.units import is_pixels, is_unit

_PLACE = r"(?:pos|positions?|coords?|coordinates?|xyz|locs?|locations?|points?)"
_AXIS = re.compile(rf"(?:{_PLACE}[\s_.-]*)?([xyz])(?:[\s_.-]*{_PLACE})?", re.IGNORECASE)
_GLUED = re.compile(r"([xyz])(nm|nano|um|µm|μm|mm|px|pix|pixels?)", re.IGNORECASE)
_NO_UNITS = {"m", "a", "å", "cm", "ang"}  # x_m, x_cm, x_ang may be a mean, a centre of mass, an angle
_VARIANT = re.compile(
    r"c|w|wc|corr|corrected|raw|orig|original|drift|undrifted|drift[\s_.-]?corrected|aligned|registered|shifted"
    r"|filtered|smoothed",
    re.IGNORECASE,
)


@lru_cache(maxsize=1024)
def split_unit(name: str) -> tuple[str, str | None]:
    """Name and unit of a column: x [nm], x (nm), x_nm, x/nm, x nm and xnm are x in nm."""
    name = name.strip().strip('"').strip()
    bracketed = re.fullmatch(r"(.*?)[\s_]*[\[(]\s*([^\[\]()]*?)\s*[\])]+", name)
    if bracketed:
        return bracketed[1], bracketed[2]
    if glued := _GLUED.fullmatch(name):
        return glued[1], "nm" if glued[2].lower() == "nano" else glued[2]
    parted = re.fullmatch(r"(.*?[^\s_/-])[\s_]*([\s_/-])[\s_]*(\S+)", name)
    if parted and is_unit(parted[3]) and (parted[2] == "/" or parted[3].lower() not in _NO_UNITS):
        return parted[1], parted[3]
    return name, None


def match_name(asked: str, names: Sequence[str]) -> list[str]:
    """Those of `names` that are `asked`: exactly, else without their unit and whatever their case."""
    if asked in names:
        return [asked]
    return [name for name in names if asked.lower() in (name.strip().lower(), split_unit(name)[0].lower())]


def find_axes(names: Iterable[str]) -> dict[str, list[str]]:
    """For each of x, y, z the names that mean it and nothing else: x, x_nm, Position X [nm], pos_x."""
    found: dict[str, list[str]] = {axis: [] for axis in "xyz"}
    for name in names:
        if (axis := _AXIS.fullmatch(split_unit(name)[0])) is not None:
            found[axis[1].lower()].append(name)
    return found


def choose_named_axes(names: Sequence[str], wanted: CloudSettings, where: str) -> tuple[str, ...]:
    """Names of x, y (and z, where data.z does not declare it) among the columns `names`.

    Where axes are there in a length and in pixels, the length is taken.

    Raises:
        InputError: an axis has no column, or more than one; or z is both there and declared.
    """
    if wanted.columns is not None:
        _check_z(len(wanted.columns), wanted, where)
        return tuple(_choose_named(str(column), names, where) for column in wanted.columns)
    axes = find_axes(names)
    if not (axes["x"] and axes["y"]):
        raise InputError(
            f"{where}: no columns x, y, z, found: {name_some(names)}; name x, y, z in data.columns"
        )
    alike = {axis: [*found, *_find_variants(axis, names)] for axis, found in axes.items() if found}
    lengths = {axis: [name for name in found if _is_length(name)] for axis, found in alike.items()}
    if all(len(found) == 1 for found in lengths.values()) and all(
        _is_length(name) or _is_in_pixels(name) for found in alike.values() for name in found
    ):
        alike = lengths
    for axis, found in alike.items():
        if len(found) > 1:
            raise InputError(
                f"{where}: {' and '.join(found)} could all be {axis}; name x, y, z in data.columns"
            )
    chosen = tuple(found[0] for found in alike.values())
    _check_z(len(chosen), wanted, where, f", found: {name_some(names)}")
    return chosen


def choose_numbered_axes(width: int, wanted: CloudSettings, where: str) -> tuple[int, ...]:
    """Numbers of x, y (and z, where data.z does not declare it) among `width` columns.

    Raises:
        InputError: more than three are there and none are chosen, columns are missing or named instead of
            numbered, or z is both there and declared.
    """
    if wanted.columns is None and width > 3:
        raise InputError(
            f"{where}: {width} columns without names along its last axis, expected x, y, z; set data.columns "
            "to their numbers, from 0, or store it transposed if they lie along another axis"
        )
    chosen = tuple(range(width)) if wanted.columns is None else wanted.columns
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


def _find_variants(axis: str, names: Iterable[str]) -> list[str]:
    """Names of the same axis in another treatment, such as Xc and X raw beside X."""
    found = []
    for name in names:
        base = re.sub(
            rf"(?:^|(?<=[\s_.-])){_PLACE}[\s_.-]*|[\s_.-]*{_PLACE}$", "", split_unit(name)[0], flags=re.I
        )
        if base[:1].lower() == axis and _VARIANT.fullmatch(base[1:].strip(" _.-()")):
            found.append(name)
    return found


def _is_in_pixels(name: str) -> bool:
    unit = split_unit(name)[1]
    return unit is not None and is_pixels(unit)


def _is_length(name: str) -> bool:
    unit = split_unit(name)[1]
    return unit is not None and is_unit(unit) and not is_pixels(unit)


def _check_z(axes: int, wanted: CloudSettings, where: str, said: str = "") -> None:
    """Refuse x and y without any z (`said`: what there is), and a z of the file together with data.z."""
    if axes == 2 and wanted.z is None:
        raise InputError(f"{where}: it has x and y but no z{said}; data.z: 0.0 declares the z of every point")
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
