"""`voxgen inspect`: what a raw file holds, how voxgen reads it, and settings to paste."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from voxgen.cli.cloud_files import found_clouds, is_hdf5, told_apart
from voxgen.cli.inspect_folder import inspect_folder
from voxgen.cli.inspect_scans import inspect_scans
from voxgen.cli.scan_files import holds_scans
from voxgen.errors import InputError
from voxgen.sources.clouds.catalog import Item, build_catalog
from voxgen.sources.clouds.hdf5 import open_hdf5
from voxgen.sources.clouds.opening import Clouds

LISTED = 30
SHOWN = 5  # bad clouds


def inspect(arguments: Sequence[str]) -> Iterator[str]:
    """Lines about the files in `arguments`; those of the form KEY=VALUE are settings in the section data.

    Raises:
        InputError: the files hold nothing that voxgen can read, or more than one thing: name it by KEY=VALUE.
    """
    paths, given = told_apart(arguments)
    if not paths:
        raise InputError("no file to inspect; give voxgen inspect FILE")
    if holds_scans(paths[0]):
        yield from inspect_scans(paths, given)
        return
    if paths[0].is_dir() and len(paths) == 1:
        yield from inspect_folder(paths[0], given)
        return
    source = "h5" if is_hdf5(paths[0]) else "csv"
    yield from _contents(paths[0]) if source == "h5" else [str(paths[0])]
    skipped = given.pop("on_bad_cloud", "error") == "skip"
    label = given.pop("label", None)
    with found_clouds(paths, given, [] if label is None else [str(label)]) as (clouds, unit):
        measured = _Measured.of(clouds)
        yield from _described(clouds, measured, unit)
        if measured.reasons and not skipped:
            where, reason = next(iter(measured.reasons.items()))
            raise InputError(
                f"{where}: {reason}; {len(measured.reasons)} of {len(clouds)} clouds cannot be used: mend "
                "the file, or leave such clouds out with data.on_bad_cloud: skip"
            )
        given |= {"label": label} if label is not None else {}
        given |= {"on_bad_cloud": "skip"} if skipped else {}
        yield from ("", "To read it like this, in a file of settings:", "")
        yield from _to_paste(paths, source, clouds, given | {"unit": unit})


def _contents(path: Path) -> Iterator[str]:
    """The file's datasets; those that differ in digits alone share a line."""
    with open_hdf5(path) as file:
        catalog = build_catalog(file)
        alike: dict[tuple[str, str], list[Item]] = {}
        for item in catalog.datasets.values():
            name = re.sub(r"\d+", "*", item.path.lstrip("/"))
            fields = item.dtype.names
            kind = f"records of {', '.join(fields)}" if fields else str(item).rpartition(") ")[2]
            alike.setdefault((name, kind), []).append(item)
        yield f"{path}: HDF5, {path.stat().st_size / 1e6:.3g} MB, {len(catalog.datasets)} datasets"
        for (name, kind), items in list(alike.items())[:LISTED]:
            stated = catalog.unit_of(items[0].path)
            unit = f"  [{stated}]" if stated else ""
            shown = name if len(items) > 1 else items[0].path.lstrip("/")
            yield f"  {shown}  {_shapes(items)}  {kind}{unit}"
        if len(alike) > LISTED:
            yield f"  and {len(alike) - LISTED} more"
        for broken in catalog.broken[:LISTED]:
            yield f"  {broken.lstrip('/')}: a link that leads nowhere"


def _shapes(items: Sequence[Item]) -> str:
    """The common shape; where sizes differ, from the smallest to the largest: 500 x (263..1201, 3)."""
    if len({len(item.shape) for item in items}) > 1:
        return f"{len(items)} x (several ranks)"
    axes = [(min(sizes), max(sizes)) for sizes in zip(*(item.shape for item in items), strict=True)]
    shape = ", ".join(str(low) if low == high else f"{low}..{high}" for low, high in axes)
    return f"({shape}{',' if len(axes) == 1 else ''})" if len(items) == 1 else f"{len(items)} x ({shape})"


@dataclass(frozen=True)
class _Measured:
    """Points of each cloud, extent (2, 3) of all, the first attributes, and what is wrong with which."""

    points: NDArray[np.int64]
    extent: NDArray[np.float64]
    attributes: Mapping[str, Any]
    reasons: Mapping[str, str]

    @classmethod
    def of(cls, clouds: Clouds) -> "_Measured":
        low, high = np.full(3, np.inf), np.full(3, -np.inf)
        points, reasons = [], {}
        attributes: Mapping[str, Any] = {}
        for cloud in clouds.read(0, len(clouds)):
            finite = cloud.points[np.isfinite(cloud.points).all(axis=1)]
            points.append(len(cloud.points))
            if reason := clouds.judge(cloud):
                reasons[f"{cloud.file}: {cloud.key}, row {cloud.row}"] = reason
            attributes = attributes or cloud.attributes
            if len(finite):
                low, high = np.minimum(low, finite.min(axis=0)), np.maximum(high, finite.max(axis=0))
        return cls(np.array(points), np.array([low, high]), attributes, reasons)


def _described(clouds: Clouds, measured: _Measured, unit: str) -> Iterator[str]:
    found, points = clouds.found, measured.points
    columns = f", columns {', '.join(map(str, found.columns))}" if found.columns else ""
    yield ""
    yield f"layout      {found.layout}"
    yield f"key         {found.key or '-'}{columns}"
    yield f"clouds      {len(clouds)}"
    sizes = f"{points.min()} to {points.max()} per cloud, median {np.median(points):g}"
    yield f"points      {sizes}, {points.sum()} in all"
    for axis, low, high in zip("xyz", *measured.extent, strict=True):
        yield f"{axis}           {low:g} to {high:g} {'' if unit == 'unitless' else unit}".rstrip()
    for where, reason in list(measured.reasons.items())[:SHOWN]:
        yield f"bad         {where}: {reason}"
    if measured.attributes:
        yield "attributes  " + ", ".join(f"{name} ({value!r})" for name, value in measured.attributes.items())
    yield from (f"note        {note}" for note in found.notes)


def _to_paste(
    paths: Sequence[Path], source: str, clouds: Clouds, overrides: Mapping[str, Any]
) -> Iterator[str]:
    """A section `data` whose explicit values read the files in the same way."""
    found = clouds.found
    keys = ("key", "columns", "group_by", "offsets", "counts", "mask", "tile")
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
