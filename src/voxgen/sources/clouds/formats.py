"""Formats that keep the size of a pixel elsewhere: Picasso and storm-analysis."""

from pathlib import Path
from typing import Any

import yaml

from voxgen.errors import InputError
from voxgen.sources.clouds.catalog import Item


def is_picasso(item: Item) -> bool:
    """Whether these are records of localisations as Picasso writes them, x and y in camera pixels."""
    names = set(item.dtype.names or ())
    return item.path == "/locs" and {"frame", "x", "y"} <= names and bool(names & {"photons", "lpx"})


def is_storm_analysis(file: Any) -> bool:
    """Whether storm-analysis wrote the file: x and y in camera pixels, z in um."""
    return "sa_type" in file.attrs and "pixel_size" in file.attrs


def picasso_pixel(path: Path, notes: list[str]) -> float | None:
    """Size of a camera pixel [nm] from the YAML file of the same stem; None without one.

    Raises:
        InputError: its documents state several sizes, or it is no YAML.
    """
    sidecar = path.with_suffix(".yaml")
    if not sidecar.is_file():
        notes.append(f"no {sidecar.name} beside the file, which would state the size of a pixel")
        return None
    try:
        documents = [part for part in yaml.safe_load_all(sidecar.read_text()) if isinstance(part, dict)]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            f"{sidecar}: cannot be read as YAML ({error}); set data.scale, and mend it"
        ) from None
    sizes = sorted({float(part["Pixelsize"]) for part in documents if _is_size(part.get("Pixelsize"))})
    cameras = {
        float(part["Camera.Pixelsize"]) for part in documents if _is_size(part.get("Camera.Pixelsize"))
    }
    if len(sizes) > 1:
        listed = " and ".join(f"{size:g}" for size in sizes)
        raise InputError(f"{sidecar}: Pixelsize is {listed} nm, expected one size; set data.scale")
    if not sizes:
        notes.append(f"{sidecar.name} states no Pixelsize")
        return None
    notes.append(f"pixel size {sizes[0]:g} nm from {sidecar.name}")
    if cameras - set(sizes):
        listed = ", ".join(f"{size:g}" for size in sorted(cameras))
        notes.append(f"{sidecar.name} also states Camera.Pixelsize {listed} nm, which is not used")
    return sizes[0]


def storm_pixel(file: Any, notes: list[str]) -> float:
    """Size of a camera pixel [nm] that storm-analysis states."""
    size = float(file.attrs["pixel_size"])
    notes.append(f"storm-analysis: x, y in pixels of {size:g} nm, z in um")
    return size


def _is_size(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
