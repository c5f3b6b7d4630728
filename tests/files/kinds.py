"""Kinds of files that users bring: small ones are built, and what is read of each is judged.

A builder writes one file and returns what is right. `KINDS` holds all of them once the modules `kinds_*` are
imported (see `kinds_table`). All numbers are generated; names, shapes, types and attributes are those of the
program that a builder's docstring names.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Clouds = Sequence[Points]
Build = Callable[[Any], Clouds | tuple[Clouds, ...] | None]

HDF5 = (".h5", ".hdf5", ".mat", ".nc", ".h5ad", ".loom", ".h5m", ".vtkhdf", ".nxs", ".h5r", ".jld2")
SCANS = (".nii", ".nii.gz", ".img", ".mgz")


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: of the builder.
        field: of those who use it.
        imitates: whose files these are.
        file: name of the file.
        given: what a user writes in the section `data` beside source and files.
        refused: what a refusal must contain, `a|b` means a or b; empty: it must be read.
        build: writes the file (an opened HDF5 file, else its path) and returns what is right: clouds in
            given["unit"], a tuple of several such readings, or None where it has to be refused.
        carried: attributes with the value of each cloud.
        never: what no cloud may have as an attribute.
    """

    name: str
    field: str
    imitates: str
    file: str
    given: Mapping[str, Any]
    refused: tuple[str, ...]
    build: Build
    carried: Mapping[str, Sequence[Any]]
    never: tuple[str, ...]

    @property
    def source(self) -> str:
        if self.file.endswith(SCANS):
            return "nifti"
        return "h5" if self.file.endswith(HDF5) else "csv"

    def write(self, folder: Path) -> tuple[Path, tuple[Clouds, ...]]:
        """The file, and the readings of it that are right; none where it has to be refused."""
        path = folder / self.file
        if self.source != "h5":
            right = self.build(path)
        else:
            matlab = path.suffix == ".mat"
            with h5py.File(path, "w", userblock_size=512 if matlab else 0) as file:
                right = self.build(file)
            if matlab:
                with path.open("r+b") as raw:
                    raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(124))
                    raw.write(b"\x00\x02IM")
        return path, right if isinstance(right, tuple) else () if right is None else (right,)


KINDS: dict[str, Kind] = {}


def kind(
    file: str,
    *refused: str,
    carried: Mapping[str, Sequence[Any]] | None = None,
    never: Sequence[str] = (),
    unit: str = "nm",
    **given: Any,
) -> Callable[[Build], Build]:
    """Enter a builder in `KINDS`; see `Kind`."""

    def enter(build: Build) -> Build:
        name = build.__name__
        assert name not in KINDS, name
        field = build.__module__.rpartition("kinds_")[2]
        imitates = " ".join((build.__doc__ or "").split())
        settings = {"unit": unit, **given}
        KINDS[name] = Kind(name, field, imitates, file, settings, refused, build, carried or {}, tuple(never))
        return build

    return enter


def spots(n: int = 200, seed: int = 0) -> Points:
    """Points (n, 3) of a field of view in nm, x, y and z in ranges of their own; exact as float32."""
    low, high = np.array([1000, 2000, -400]), np.array([9000, 6000, 400])
    points = np.random.default_rng(seed).uniform(low, high, (n, 3))
    return points.astype(np.float32).astype(np.float64)


def fields(b: int = 6, n: int = 64, seed: int = 0) -> Points:
    """Stacked `spots` (b, n, 3)."""
    return np.stack([spots(n, 100 * seed + i) for i in range(b)])


def shapes(b: int = 6, n: int = 64, seed: int = 0) -> Points:
    """Clouds (b, n, 3) inside the unit ball, as object data sets have them."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(b, n, 3))
    points *= (rng.random((b, n, 1)) ** 0.5) / np.linalg.norm(points, axis=-1, keepdims=True)
    return points.astype(np.float32).astype(np.float64)


def sizes(b: int = 6, n: int = 64, seed: int = 0) -> NDArray[np.int64]:
    """Points of each of b clouds of n at most, none of them n."""
    return np.random.default_rng(seed).integers(n // 3, n - 2, b)


def f4(values: Any) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


def edges(counts: Any) -> NDArray[np.int64]:
    """First row of each cloud, and the end."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def put(place: Any, arrays: Mapping[str, Any], **attributes: Any) -> None:
    """Datasets by path, and attributes of the group."""
    for path, values in arrays.items():
        place[path] = values
    place.attrs.update(attributes)


def records(columns: Mapping[str, Any]) -> NDArray[Any]:
    """A structured array (n,) of columns (n,) or (n, k)."""
    columns = {name: np.asarray(values) for name, values in columns.items()}
    made = np.zeros(
        len(next(iter(columns.values()))), [(name, v.dtype, v.shape[1:]) for name, v in columns.items()]
    )
    for name, values in columns.items():
        made[name] = values
    return made


def xyz(points: Points, names: Sequence[str] = "xyz", dtype: Any = np.float64) -> dict[str, Any]:
    """The axes by name."""
    return {name: points[:, i].astype(dtype) for i, name in enumerate(names)}


def matlab(place: Any, name: str, values: Any, kind: str = "double") -> Any:
    """A MATLAB variable as `save -v7.3` writes it: axes reversed, so that n x 3 is (3, n), (n,) is (1, n)."""
    values = np.asarray(values)
    place[name] = (values[:, None] if values.ndim == 1 else values).transpose()
    place[name].attrs["MATLAB_class"] = np.bytes_(kind)
    return place[name]


def table_of(path: Path, columns: Mapping[str, Any], separator: str = ",", before: str = "") -> None:
    """A text table with a header, below what stands `before` it."""
    lines = [separator.join(columns)]
    lines += [
        separator.join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row)
        for row in zip(*(np.asarray(values).tolist() for values in columns.values()), strict=True)
    ]
    path.write_text(before + "\n".join(lines) + "\n")
