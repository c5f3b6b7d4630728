"""What an HDF5 file holds, links followed."""

from collections import deque
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import h5py
import numpy as np

from voxgen.sources.clouds.hdf5 import parent, text
from voxgen.sources.clouds.units import is_unit

UNITS = ("units", "unit", "Units", "Unit")


@dataclass(frozen=True, slots=True)
class Item:
    """A dataset: its path from the root (with a leading slash), shape and type."""

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

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
    """What a file holds; what the walk did not meet is looked up when it is asked for.

    Attributes:
        datasets: each once, by path; `groups` and links that lead nowhere (`broken`) by path, too.
        held: for each group what is directly in it, by name: an item, or None for what is no dataset.
        units: unit that each path states itself, None for none.
    """

    file: Any
    datasets: dict[str, Item] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    held: dict[str, dict[str, Item | None]] = field(default_factory=dict)
    units: dict[str, str | None] = field(default_factory=dict)

    def by_group(self) -> dict[str, dict[str, Item]]:
        """For each group the datasets directly in it, by name."""
        found: dict[str, dict[str, Item]] = {}
        for path, item in self.datasets.items():
            found.setdefault(parent(path), {})[item.leaf] = item
        return found

    def dataset(self, path: str) -> Item | None:
        """The dataset at a path; None for a group."""
        if path in self.datasets:
            return self.datasets[path]
        if parent(path) in self.held:
            return self.held[parent(path)].get(path.rpartition("/")[2])
        return _item(path, self.file[path])

    def within(self, path: str) -> dict[str, Item | None]:
        """What is directly in a group, by name, links followed: a dataset, or None for anything else."""
        if path not in self.held:
            group = self.file[path]
            found = {name: item for name in group if (item := _get(group, name)) is not None}
            self.held[path] = {name: _item(_below(path, name), item) for name, item in found.items()}
        return self.held[path]

    def children(self, path: str) -> dict[str, Item]:
        """Datasets directly in a group, by name, links followed."""
        return {name: item for name, item in sorted(self.within(path).items()) if item is not None}

    def expanded(self, path: str, components: list[str]) -> list[str]:
        """Paths below `path` that match a pattern a component, sorted; links are followed."""
        if not components:
            return [path]
        if path not in self.held and not isinstance(self.file[path], h5py.Group):
            return []
        below = [_below(path, name) for name in sorted(self.within(path)) if fnmatchcase(name, components[0])]
        if len(components) > 1:
            below = [child for child in below if self.dataset(child) is None]
        return [found for child in below for found in self.expanded(child, components[1:])]

    def unit_of(self, path: str) -> str | None:
        """The unit that a dataset or group states, or a group above it, or the file in one plain word."""
        while True:
            if path not in self.units:
                found = h5py.h5o.open(self.file.id, path.encode("utf-8", "surrogateescape"))
                self.units[path] = _stated_unit(h5py.HLObject(found).attrs)
            unit = self.units[path]
            if unit is not None:
                return unit if path != "/" or is_unit(unit) else None
            if path == "/":
                return None
            path = parent(path)


def catalogue(file: Any) -> Catalog:
    """Walk the whole file, each object once, through hard, soft and external links, sorted by path.

    Objects get the path of a hard link where they have one. `visititems` follows hard links only.
    Identifiers are several times faster than objects of h5py.
    """
    catalog, kept = Catalog(file), []
    seen: dict[tuple[int, int], Item | None] = {}
    hard, links = deque([("/", file.id, b"/")]), deque[tuple[str, Any, bytes]]()
    while hard or links:
        linked = not hard
        path, group, name = (hard or links).popleft()
        found = _opened(group, name, linked)
        if found is None:
            catalog.broken.append(path)
            continue
        info = h5py.h5o.get_info(found)
        place = (info.fileno, info.addr)
        new = place not in seen
        item = seen.setdefault(place, _item(path, found) if new else None)
        if path != "/":
            own = item and replace(item, path=path)
            catalog.held[parent(path)][path.rpartition("/")[2]] = own
        if not new:
            continue
        if linked:
            # A file that is closed and opened again has other numbers: a cycle would not be seen.
            kept.append(found)
        if not any(h5py.h5a.exists(found, unit.encode()) for unit in UNITS):
            catalog.units[path] = None
        if item is not None:
            catalog.datasets[path] = item
        elif isinstance(found, h5py.h5g.GroupID):
            catalog.groups.append(path)
            catalog.held[path] = {}
            for child, is_hard in _links(found):
                (hard if is_hard else links).append((_below(path, _decoded(child)), found, child))
    catalog.datasets = dict(sorted(catalog.datasets.items(), key=lambda pair: pair[0].split("/")))
    catalog.groups.sort(key=lambda path: path.split("/"))
    return catalog


def unit_of(file: Any, path: str) -> str | None:
    """The unit of a dataset or group, as `Catalog.unit_of` finds it."""
    return Catalog(file).unit_of(path)


def _opened(group: Any, name: bytes, linked: bool) -> Any:
    """Identifier of an object in a group, None where a link leads nowhere."""
    try:
        return h5py.Group(group)[_decoded(name)].id if linked else h5py.h5o.open(group, name)
    except (KeyError, OSError):
        return None


def _links(group: Any) -> list[tuple[bytes, bool]]:
    """Names of the links in a group, and whether each is a hard one."""
    found: list[tuple[bytes, bool]] = []
    group.links.iterate(lambda name, link: found.append((name, link.type == h5py.h5l.TYPE_HARD)), info=True)
    return found


def _item(path: str, found: Any) -> Item | None:
    """The entry of a dataset or its identifier, None for anything else."""
    if not isinstance(found, h5py.Dataset | h5py.h5d.DatasetID):
        return None
    return Item(path, tuple(found.shape or ()), found.dtype)


def _stated_unit(attributes: Any) -> str | None:
    for name in UNITS:
        found = attributes.get(name)
        if found is not None and not isinstance(found, h5py.Empty):
            return text(found)
    return None


def _below(path: str, name: str) -> str:
    return f"{path.rstrip('/')}/{name}"


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _get(group: Any, name: str) -> Any:
    try:
        return group[name]
    except (KeyError, OSError):
        return None
