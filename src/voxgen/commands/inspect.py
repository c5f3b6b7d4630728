"""`voxgen inspect`: what a raw file holds, how voxgen reads it, and settings to paste."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import ValidationError

from voxgen.clouds.catalog import Item, catalogue, unit_of
from voxgen.clouds.hdf5 import open_hdf5
from voxgen.clouds.opening import Clouds, open_clouds
from voxgen.clouds.units import factor, is_pixels, is_unit
from voxgen.commands.inspect_scans import inspect_scans
from voxgen.errors import InputError
from voxgen.settings.data import Reading
from voxgen.settings.files import NIFTI

LISTED = 30
HDF5 = (".h5", ".hdf5", ".hdf", ".he5", ".mat", ".loom")


def inspect(arguments: Sequence[str]) -> Iterator[str]:
    """Lines on the files named in `arguments`; those of the form KEY=VALUE are settings of the section data.

    Raises:
        InputError: the files hold nothing that voxgen can read, or more than one thing: name it by KEY=VALUE.
    """
    files = [argument for argument in arguments if "=" not in argument or Path(argument).exists()]
    given = dict(argument.split("=", 1) for argument in arguments if argument not in files)
    if not files:
        raise InputError("no file to inspect; give voxgen inspect FILE")
    paths = [Path(file) for file in files]
    if paths[0].is_dir() or paths[0].name.endswith(NIFTI):
        yield from inspect_scans(paths)
        return
    overrides = {key: _value(value) for key, value in given.items()}
    source = "h5" if h5py.is_hdf5(paths[0]) or paths[0].suffix.lower() in HDF5 else "csv"
    yield from _contents(paths[0]) if source == "h5" else [str(paths[0])]
    defaults = {"source": source, "unit": "unitless", "min_points": 1}
    if "unit" not in overrides:
        with open_clouds(paths[:1], _reading(defaults | {"unit": "nm"} | overrides)) as clouds:
            overrides["unit"] = _unit(clouds.found.unit_found)
    with open_clouds(paths, _reading(defaults | overrides)) as clouds:
        measured = _Measured.of(clouds)
        yield from _described(clouds, measured, overrides["unit"])
        yield from ("", "To read it so, in a file of settings:", "")
        yield from _to_paste(paths, source, clouds, overrides)


def _reading(values: Mapping[str, Any]) -> Reading:
    try:
        return Reading.model_validate_json(json.dumps(dict.fromkeys(Reading.model_fields) | dict(values)))
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise InputError(f"{found}; known: {', '.join(Reading.model_fields)}") from None


def _value(text: str) -> Any:
    """A setting as YAML reads it; what YAML cannot read, such as the key */*, is text."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _unit(stated: str | None) -> str:
    """The unit of the settings nearest to what a file states; camera pixels become nm."""
    if stated is None:
        return "unitless"
    if not is_unit(stated):
        return "nm" if "," in stated else "unitless"
    in_nm = 1.0 if is_pixels(stated) else factor(stated, "nm")
    return "nm" if in_nm < 1e3 else "um" if in_nm < 1e6 else "mm"


def _contents(path: Path) -> Iterator[str]:
    """The file's datasets; those that differ in digits alone share a line."""
    with open_hdf5(path) as file:
        catalog = catalogue(file)
        alike: dict[tuple[str, str], list[Item]] = {}
        for item in catalog.datasets.values():
            name = re.sub(r"\d+", "*", item.path.lstrip("/"))
            fields = item.dtype.names
            kind = f"records of {', '.join(fields)}" if fields else str(item).rpartition(") ")[2]
            alike.setdefault((name, kind), []).append(item)
        yield f"{path}: HDF5, {path.stat().st_size / 1e6:.3g} MB, {len(catalog.datasets)} datasets"
        for (name, kind), items in list(alike.items())[:LISTED]:
            stated = unit_of(file, items[0].path)
            unit = f"  [{stated}]" if stated else ""
            shown = name if len(items) > 1 else items[0].path.lstrip("/")
            yield f"  {shown}  {_shapes(items)}  {kind}{unit}"
        if len(alike) > LISTED:
            yield f"  and {len(alike) - LISTED} more"
        for broken in catalog.broken[:LISTED]:
            yield f"  {broken.lstrip('/')}: a link that leads nowhere"


def _shapes(items: Sequence[Item]) -> str:
    """The common shape; where sizes differ from the smallest to the largest: 500 x (263..1201, 3)."""
    if len({len(item.shape) for item in items}) > 1:
        return f"{len(items)} x (several ranks)"
    axes = [(min(sizes), max(sizes)) for sizes in zip(*(item.shape for item in items), strict=True)]
    shape = ", ".join(str(low) if low == high else f"{low}..{high}" for low, high in axes)
    return f"({shape}{',' if len(axes) == 1 else ''})" if len(items) == 1 else f"{len(items)} x ({shape})"


@dataclass(frozen=True)
class _Measured:
    """Points of each cloud, extent (2, 3) of all, rows that are not finite, and what clouds are told by."""

    points: NDArray[np.int64]
    extent: NDArray[np.float64]
    bad: int
    attributes: Mapping[str, Any]

    @classmethod
    def of(cls, clouds: Clouds) -> "_Measured":
        low, high = np.full(3, np.inf), np.full(3, -np.inf)
        points, bad = [], 0
        attributes: Mapping[str, Any] = {}
        for cloud in clouds.read(0, len(clouds)):
            finite = cloud.points[np.isfinite(cloud.points).all(axis=1)]
            points.append(len(cloud.points))
            bad += len(cloud.points) - len(finite)
            attributes = attributes or cloud.attributes
            if len(finite):
                low, high = np.minimum(low, finite.min(axis=0)), np.maximum(high, finite.max(axis=0))
        return cls(np.array(points), np.array([low, high]), bad, attributes)


def _described(clouds: Clouds, measured: _Measured, unit: str) -> Iterator[str]:
    found, points = clouds.found, measured.points
    columns = f", columns {', '.join(map(str, found.columns))}" if found.columns else ""
    yield ""
    yield f"layout      {found.layout}"
    yield f"key         {found.key or '-'}{columns}"
    yield f"clouds      {len(clouds)}"
    sizes = f"{points.min()} to {points.max()} a cloud, median {np.median(points):g}"
    yield f"points      {sizes}, {points.sum()} in all"
    for axis, low, high in zip("xyz", *measured.extent, strict=True):
        yield f"{axis}           {low:g} to {high:g} {'' if unit == 'unitless' else unit}".rstrip()
    if measured.bad:
        yield f"bad         {measured.bad} points with NaN or infinite coordinates"
    if measured.attributes:
        yield "attributes  " + ", ".join(f"{name} ({value!r})" for name, value in measured.attributes.items())
    yield from (f"note        {note}" for note in found.notes)


def _to_paste(
    paths: Sequence[Path], source: str, clouds: Clouds, overrides: Mapping[str, Any]
) -> Iterator[str]:
    """A section `data` whose explicit values read the files in the same way."""
    found = clouds.found
    keys = ("key", "columns", "group_by", "offsets", "counts", "tile")
    said = {name: getattr(found, name) for name in keys}
    given = {
        "source": source,
        "files": {re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem): str(path) for path in paths},
        **{name: list(value) if isinstance(value, tuple) else value for name, value in said.items() if value},
        **overrides,
        "grid": {"bounds": "train"},
    }
    text = yaml.safe_dump({"data": given}, sort_keys=False, default_flow_style=None, width=100)
    yield from text.splitlines()
