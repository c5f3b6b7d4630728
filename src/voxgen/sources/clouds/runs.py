"""Offsets and counts: datasets that say which points belong to which cloud."""

from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.hdf5 import load, parent
from voxgen.sources.clouds.names import COUNTS, OFFSETS, listing

Edges = NDArray[np.int64]


def find_padding(file: Any, member: str, shape: tuple[int, int], reading: CloudSettings) -> str | None:
    """Path of the dataset with the points of each cloud of a padded (N, P, C); None: all are points.

    Raises:
        InputError: data.counts does not fit.
    """
    clouds, most = shape
    if reading.counts is not None:
        path, values = _asked(file, member, reading.counts, "data.counts")
        if len(values) != clouds or values.min(initial=0) < 0 or values.max(initial=0) > most:
            raise InputError(
                f"{file.filename}: {path}: {len(values)} counts up to {values.max(initial=0)}, "
                f"expected {clouds} from 0 to {most} for {member}; correct data.counts"
            )
        return path
    for path, values in _beside(file, member, COUNTS):
        if len(values) == clouds and values.min(initial=0) >= 0 and values.max(initial=0) <= most:
            return path
    return None


def find_edges(
    file: Any, member: str, rows: int, reading: CloudSettings, where: str, notes: list[str]
) -> tuple[Edges | None, str, Literal["offsets", "counts"]]:
    """Edges (N + 1,) of the clouds of a table of `rows`, and the dataset behind them; None without one.

    Raises:
        InputError: data.offsets or data.counts does not fit.
    """
    if reading.offsets is not None:
        path, values = _asked(file, member, reading.offsets, "data.offsets")
        if (edges := _from_offsets(values, rows)) is None:
            raise InputError(
                f"{where}: {path} is no list of offsets ({_said(values)}), expected numbers that start "
                f"at 0, never fall and end at {rows} at most; correct data.offsets"
            )
        return edges, path, "offsets"
    if reading.counts is not None:
        path, values = _asked(file, member, reading.counts, "data.counts")
        if (edges := _from_counts(values, rows)) is None:
            raise InputError(
                f"{where}: {path} sums to {values.sum()} ({_said(values)}), expected the {rows} points; "
                "correct data.counts"
            )
        return edges, path, "counts"
    for path, values in _beside(file, member, OFFSETS):
        if (edges := _from_offsets(values, rows)) is not None:
            notes.append(f"{len(edges) - 1} clouds by {path} (data.offsets)")
            return edges, path, "offsets"
        notes.append(f"{path} does not fit as offsets ({_said(values)}, {rows} points): not taken")
    for path, values in _beside(file, member, COUNTS):
        if (edges := _from_counts(values, rows)) is not None:
            notes.append(f"{len(edges) - 1} clouds by {path} (data.counts)")
            return edges, path, "counts"
        notes.append(f"{path} does not fit as counts (sum {values.sum()}, {rows} points): not taken")
    return None, "", "offsets"


def _from_offsets(values: Edges, rows: int) -> Edges | None:
    if not len(values) or values[0] != 0 or (np.diff(values) < 0).any() or values[-1] > rows:
        return None
    return values if values[-1] == rows and len(values) > 1 else np.append(values, rows)


def _from_counts(values: Edges, rows: int) -> Edges | None:
    if not len(values) or values.min() < 0 or values.sum() != rows:
        return None
    return np.concatenate([[0], np.cumsum(values)])


def _asked(file: Any, member: str, name: str, setting: str) -> tuple[str, Edges]:
    home = _home(file, member)
    beside = () if name.startswith("/") else (f"{home.rstrip('/')}/{name}",)
    for path in (*beside, "/" + name.strip("/")):
        found = file.get(path)
        if isinstance(found, h5py.Dataset):
            if found.dtype.kind not in "iu" or found.shape not in ((found.size,), (found.size, 1)):
                raise InputError(
                    f"{file.filename}: {path} is {found.shape} {found.dtype}, expected integers (N,); "
                    f"correct {setting}"
                )
            return path, load(found, ()).reshape(-1).astype(np.int64)
    there = [child for child in file[home] if isinstance(file[home].get(child), h5py.Dataset)]
    raise InputError(
        f"{file.filename}: {member}: no dataset '{name}' beside it, found: {listing(there)}; "
        f"correct {setting}"
    )


def _beside(file: Any, member: str, names: set[str]) -> list[tuple[str, Edges]]:
    """Integer datasets (N,) beside the coordinates that have one of the names."""
    home = _home(file, member)
    found = []
    for name in file[home]:
        item = file[home].get(name)
        if (
            name.lower() in names
            and isinstance(item, h5py.Dataset)
            and item.dtype.kind in "iu"
            and item.ndim == 1
        ):
            found.append((f"{home.rstrip('/')}/{name}", load(item, ()).astype(np.int64)))
    return found


def _home(file: Any, member: str) -> str:
    return member if isinstance(file[member], h5py.Group) else parent(member)


def _said(values: Edges) -> str:
    return f"{len(values)} numbers from {values.min(initial=0)} to {values.max(initial=0)}"
