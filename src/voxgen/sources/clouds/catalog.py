"""The catalog of an HDF5 file: which datasets and groups it holds, links followed."""

from collections import deque
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import h5py
import numpy as np

from voxgen.sources.clouds.hdf5 import climb, decode, join, parent
from voxgen.sources.clouds.units import is_unit


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
        datasets: each dataset once, by path.
        groups: path of each group, once.
        broken: paths of links that lead nowhere.
        held: for each group what is directly in it, by name: an item, or None for what is not a dataset.
        units: the unit that each path states itself, None for none.
        bare: paths without any attribute.
    """

    file: Any
    datasets: dict[str, Item] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    held: dict[str, dict[str, Item | None]] = field(default_factory=dict)
    units: dict[str, str | None] = field(default_factory=dict)
    bare: set[str] = field(default_factory=set)

    def dataset(self, path: str) -> Item | None:
        """The dataset at a path; None for a group."""
        if path in self.datasets:
            return self.datasets[path]
        if parent(path) in self.held:
            return self.held[parent(path)].get(path.rpartition("/")[2])
        return _to_item(path, self.file[path])

    def within(self, path: str) -> dict[str, Item | None]:
        """What is directly in a group, by name, links followed: a dataset, or None for anything else."""
        if path not in self.held:
            group = self.file[path]
            found = {name: _open(group.id, name, linked=True) for name in group}
            self.held[path] = {
                name: _to_item(join(path, name), item) for name, item in found.items() if item is not None
            }
        return self.held[path]

    def children(self, path: str) -> dict[str, Item]:
        """Datasets directly in a group, by name, links followed."""
        return {name: item for name, item in sorted(self.within(path).items()) if item is not None}

    def expand(self, path: str, components: list[str]) -> list[str]:
        """Paths below `path` that match one pattern per component, sorted; links are followed."""
        if not components:
            return [path]
        if path not in self.held and not isinstance(self.file[path], h5py.Group):
            return []
        below = [join(path, name) for name in sorted(self.within(path)) if fnmatchcase(name, components[0])]
        if len(components) > 1:
            below = [child for child in below if self.dataset(child) is None]
        return [found for child in below for found in self.expand(child, components[1:])]

    def unit_of(self, path: str) -> str | None:
        """The unit that a dataset or group states, or a group above it, or the file in one plain word."""
        for place in climb(path):
            if place not in self.units:
                found = h5py.h5o.open(self.file.id, _encode(place))
                self.units[place] = _read_unit(h5py.HLObject(found).attrs)
            unit = self.units[place]
            if unit is not None:
                return unit if place != "/" or is_unit(unit) else None
        return None


def build_catalog(file: Any) -> Catalog:
    """Walk the whole file, each object once, through hard, soft and external links, sorted by path.

    Objects get the path of a hard link where they have one. `visititems` follows hard links only.
    Identifiers are several times faster than objects of h5py.
    """
    catalog, kept = Catalog(file), []
    seen: dict[tuple[int, int], Item | None] = {}
    hard, links = deque([("/", file.id, "/")]), deque[tuple[str, Any, str]]()
    while hard or links:
        linked = not hard
        path, group, name = (hard or links).popleft()
        found = _open(group, name, linked)
        if found is None:
            catalog.broken.append(path)
            continue
        info = h5py.h5o.get_info(found)
        place = (info.fileno, info.addr)
        new = place not in seen
        item = seen.setdefault(place, _to_item(path, found) if new else None)
        if path != "/":
            catalog.held[parent(path)][name] = item and replace(item, path=path)
        if not new:
            continue
        if linked:
            # A file that is closed and opened again has other numbers: a cycle would not be seen.
            kept.append(found)
        if h5py.h5a.get_num_attrs(found) == 0:
            catalog.bare.add(path)
            catalog.units[path] = None
        if item is not None:
            catalog.datasets[path] = item
        elif isinstance(found, h5py.h5g.GroupID):
            catalog.groups.append(path)
            catalog.held[path] = {}
            for child, is_hard in _list_links(found):
                (hard if is_hard else links).append((join(path, child), found, child))
    catalog.datasets = dict(sorted(catalog.datasets.items(), key=lambda pair: pair[0].split("/")))
    catalog.groups.sort(key=lambda path: path.split("/"))
    return catalog


def _open(group: Any, name: str, linked: bool) -> Any:
    """Identifier of an object in a group, None where a link leads nowhere."""
    try:
        return h5py.Group(group)[name].id if linked else h5py.h5o.open(group, _encode(name))
    except (KeyError, OSError):
        return None


def _list_links(group: Any) -> list[tuple[str, bool]]:
    """Names of the links in a group, and whether each is a hard one."""
    found: list[tuple[bytes, bool]] = []
    group.links.iterate(lambda name, link: found.append((name, link.type == h5py.h5l.TYPE_HARD)), info=True)
    return [(name.decode("utf-8", "surrogateescape"), is_hard) for name, is_hard in found]


def _to_item(path: str, found: Any) -> Item | None:
    """The entry of a dataset or its identifier, None for anything else."""
    if not isinstance(found, h5py.Dataset | h5py.h5d.DatasetID):
        return None
    return Item(path, tuple(found.shape or ()), found.dtype)


def _read_unit(attributes: Any) -> str | None:
    """What an attribute called unit or units says; else those called so with a word before, if a length."""
    names = [name for name in attributes if name.lower().endswith(("unit", "units"))]
    said = {name: decode(attributes[name]) for name in names if not isinstance(attributes[name], h5py.Empty)}
    plain = [text for name, text in said.items() if name.lower() in ("unit", "units")]
    lengths = [text for text in said.values() if is_unit(text)]
    return ", ".join(dict.fromkeys(plain or lengths)) or None


def _encode(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
