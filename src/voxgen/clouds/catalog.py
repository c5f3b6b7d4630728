"""What an HDF5 file holds, links followed."""

from collections import deque
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Self

import h5py
import numpy as np

from voxgen.clouds.hdf5 import parent, text
from voxgen.clouds.units import is_unit


@dataclass(frozen=True, slots=True)
class Item:
    """A dataset: its path from the root (with a leading slash), shape and type."""

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, path: str, dataset: Any) -> Self:
        """The entry of a dataset."""
        return cls(path, tuple(dataset.shape or ()), dataset.dtype)

    def __str__(self) -> str:
        kind = "records" if self.dtype.names else "text" if self.dtype.kind in "SO" else str(self.dtype)
        if (base := h5py.check_vlen_dtype(self.dtype)) is not None:
            kind = f"variable length of {base}"
        return f"{self.path.lstrip('/')} {self.shape} {kind}"

    @property
    def leaf(self) -> str:
        """Name within its group."""
        return self.path.rpartition("/")[2]

    @property
    def numeric(self) -> bool:
        """Whether it holds real numbers."""
        return self.dtype.kind in "iuf"


@dataclass(slots=True)
class Catalog:
    """Datasets by path, paths of groups, and paths of links that lead nowhere."""

    datasets: dict[str, Item] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def by_group(self) -> dict[str, dict[str, Item]]:
        """For each group the datasets directly in it, by name."""
        found: dict[str, dict[str, Item]] = {}
        for path, item in self.datasets.items():
            found.setdefault(parent(path), {})[item.leaf] = item
        return found


def catalogue(file: Any) -> Catalog:
    """Walk the whole file, each object once, through hard, soft and external links, sorted by path.

    Objects get the path of a hard link where they have one. `visititems` follows hard links only.
    """
    catalog, seen, kept = Catalog(), set(), []
    hard, links = deque([("/", file, "/")]), deque[tuple[str, Any, str]]()
    while hard or links:
        linked = not hard
        path, group, name = (hard or links).popleft()
        item = _get(group, name)
        if item is None:
            catalog.broken.append(path)
            continue
        info = h5py.h5o.get_info(item.id)
        if (info.fileno, info.addr) in seen:
            continue
        seen.add((info.fileno, info.addr))
        if linked:
            kept.append(
                item
            )  # a file that is closed and opened again has other numbers: a cycle would not be seen
        if isinstance(item, h5py.Dataset):
            catalog.datasets[path] = Item.of(path, item)
        elif isinstance(item, h5py.Group):
            catalog.groups.append(path)
            for child in item:
                is_hard = isinstance(item.get(child, getlink=True), h5py.HardLink)
                (hard if is_hard else links).append((f"{path.rstrip('/')}/{child}", item, child))
    catalog.datasets = dict(sorted(catalog.datasets.items(), key=lambda pair: pair[0].split("/")))
    catalog.groups.sort(key=lambda path: path.split("/"))
    return catalog


def expanded(file: Any, path: str, components: list[str]) -> list[str]:
    """Paths below `path` that match a pattern a component, sorted; links are followed."""
    if not components:
        return [path]
    group = file[path]
    if not isinstance(group, h5py.Group):
        return []
    names = sorted(
        name for name in group if fnmatchcase(name, components[0]) and _get(group, name) is not None
    )
    below = [f"{path.rstrip('/')}/{name}" for name in names]
    return [found for child in below for found in expanded(file, child, components[1:])]


def item_at(file: Any, path: str) -> Item | None:
    """The dataset at a path; None for a group."""
    found = file[path]
    return Item.of(path, found) if isinstance(found, h5py.Dataset) else None


def children(file: Any, path: str) -> dict[str, Item]:
    """Datasets directly in a group, by name, links followed."""
    found = {name: _get(file[path], name) for name in file[path]}
    return {
        name: Item.of(f"{path}/{name}", item)
        for name, item in found.items()
        if isinstance(item, h5py.Dataset)
    }


def unit_of(file: Any, path: str) -> str | None:
    """The unit that a dataset or group states itself, or a group above it, or the file in one plain word."""
    while True:
        attributes = file[path].attrs
        for name in ("units", "unit", "Units", "Unit"):
            if name in attributes and not isinstance(attributes[name], h5py.Empty):
                found = text(attributes[name])
                return found if path != "/" or is_unit(found) else None
        if path == "/":
            return None
        path = parent(path)


def _get(group: Any, name: str) -> Any:
    try:
        return group[name]
    except (KeyError, OSError):
        return None
