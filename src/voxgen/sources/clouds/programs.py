"""What programs state of the units of their HDF5 files, and attributes that are not understood."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from voxgen.errors import InputError
from voxgen.sources.clouds.hdf5 import PACKED, climb, decode, join, parent
from voxgen.sources.clouds.meaning import split_words
from voxgen.sources.clouds.units import Units, is_pixels, is_unit

SIDECARS = (".yaml", ".yml")
SCALES = {
    *(
        "scale",
        "scales",
        "offset",
        "offsets",
        "pixel_size",
        "pixelsize",
        "px_size",
        "voxel_size",
        "voxelsize",
    ),
    *("resolution", "unitsi"),
}


@dataclass(frozen=True, slots=True)
class Stated:
    """The units along x, y (and z) that a program's files have, and the size of a pixel [nm], if known."""

    units: Units
    pixel: float | None = None


def recognise(
    file: Any, path: Path, member: str, columns: Iterable[str], axes: int, notes: list[str]
) -> Stated | None:
    """What a program that is recognised by its columns or attributes says; None for no known one.

    Picasso names `lpx` and `lpy`, or stores x, y and photons in `locs`, and describes them in a YAML file of
    the same stem; storm-analysis has `sa_type` and `pixel_size`; DECODE a group `meta` with `xy_unit` and
    `px_size`.

    Raises:
        InputError: a sidecar cannot be read, or states several sizes.
    """
    if is_picasso(member, set(columns)):
        return Stated(("pixels", "pixels", "nm")[:axes], read_picasso_pixel(path, notes))
    if {"sa_type", "pixel_size"} <= set(file.attrs):
        size = float(file.attrs["pixel_size"])
        notes.append(f"storm-analysis: x, y in pixels of {size:g} nm, z in um")
        return Stated(("pixels", "pixels", "um")[:axes], size)
    if "meta" in file and "xy_unit" in file["meta"].attrs:
        return _read_decode(file["meta"].attrs, axes, notes)
    return None


def find_sidecars(path: Path) -> list[Path]:
    """The YAML files beside a file that may describe it."""
    return [beside for suffix in SIDECARS if (beside := path.with_suffix(suffix)).is_file()]


def refuse_unread_scales(file: Any, member: str, paths: Iterable[str], stated: bool) -> None:
    """Refuse attributes that may say how the coordinates at `member` are scaled, and are not understood.

    `paths` are the datasets that hold them. Where a unit is `stated`, only packing counts.


    Raises:
        InputError: there is one, of the coordinates, of a group above them, or of a group `meta`.
    """
    places = list(dict.fromkeys([*paths, *climb(member)]))
    beside = ((place, name) for place in climb(parent(member)) for name in ("meta", "metadata"))
    places += [join(place, name) for place, name in beside if _has(file, place, name)]
    for place in places:
        for name in file[place].attrs:
            packed = name in PACKED and not _is_numeric(file[place])
            if packed or (not stated and (name.lower() in SCALES or _scales_an_axis(name))):
                raise InputError(
                    f"{file.filename}: {member}: the attribute {name} = {decode(file[place].attrs[name])} of "
                    f"{place} may say how its numbers are scaled; set data.scale (1.0: they are as they are)"
                )


def _scales_an_axis(name: str) -> bool:
    words = split_words(name)
    return bool(words & {"scale", "scales"}) and bool(words & {"x", "y", "z", "xyz"})


def _is_numeric(item: Any) -> bool:
    return hasattr(item, "dtype") and item.dtype.names is None


def _has(file: Any, place: str, name: str) -> bool:
    return place in file and not hasattr(file[place], "shape") and name in file[place]


def is_picasso(member: str, columns: set[str]) -> bool:
    """Whether a table with these columns, at `member` of its file, is one of Picasso's localisations."""
    named = "locs" in member.lower().split("/") and {"frame", "photons"} <= columns
    return {"x", "y"} <= columns and (named or {"lpx", "lpy"} <= columns)


def _read_decode(attributes: Any, axes: int, notes: list[str]) -> Stated:
    """Units of an EmitterSet: x, y in `xy_unit`, z in nm; `px_size` [nm] along x and y."""
    unit = decode(attributes["xy_unit"])
    sizes = np.ravel(attributes.get("px_size", ()))
    pixel = float(sizes[0]) if len(set(sizes.tolist())) == 1 and is_pixels(unit) else None
    if pixel is not None:
        notes.append(f"DECODE: x, y in pixels of {pixel:g} nm, z in nm")
    units = (unit, unit, "nm")[:axes] if is_unit(unit) else (None,) * axes
    return Stated(units, pixel)


def read_picasso_pixel(path: Path, notes: list[str]) -> float | None:
    """Size of a camera pixel [nm] from the YAML files beside; None without one.

    Raises:
        InputError: their documents state several sizes, or they are not YAML.
    """
    sidecars = find_sidecars(path)
    if not sidecars:
        names = " or ".join(path.with_suffix(suffix).name for suffix in SIDECARS)
        notes.append(f"no {names} beside the file, which would state the size of a pixel")
        return None
    documents = [part for sidecar in sidecars for part in _read_documents(sidecar)]
    said = " and ".join(sidecar.name for sidecar in sidecars)
    sizes, cameras = (_list_sizes(documents, name) for name in ("Pixelsize", "Camera.Pixelsize"))
    if len(sizes) > 1:
        listed = " and ".join(f"{size:g}" for size in sizes)
        raise InputError(f"{path.parent / said}: Pixelsize is {listed} nm, expected one size; set data.scale")
    if not sizes:
        notes.append(f"{said} states no Pixelsize")
        return None
    notes.append(f"pixel size {sizes[0]:g} nm from {said}")
    if set(cameras) - set(sizes):
        listed = ", ".join(f"{size:g}" for size in cameras)
        notes.append(f"{said} also states Camera.Pixelsize {listed} nm, which is not used")
    return sizes[0]


def _read_documents(sidecar: Path) -> list[dict[str, Any]]:
    try:
        return [part for part in yaml.safe_load_all(sidecar.read_text()) if isinstance(part, dict)]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            f"{sidecar}: cannot be read as YAML ({error}); set data.scale, or mend the file"
        ) from None


def _list_sizes(documents: Sequence[dict[str, Any]], name: str) -> list[float]:
    stated = [part.get(name) for part in documents]
    numbers = [size for size in stated if isinstance(size, int | float) and not isinstance(size, bool)]
    return sorted({float(size) for size in numbers if size > 0})
