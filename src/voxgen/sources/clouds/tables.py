"""Named columns of HDF5 tables, whatever holds them: records, groups of lists, data frames, matrices."""

import io
import json
import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from voxgen.sources.clouds.catalog import Catalog, Item
from voxgen.sources.clouds.hdf5 import decode, load, parent
from voxgen.sources.clouds.meaning import holds_coordinates

NAMES = {
    *("columns", "column_names", "columnnames", "colnames", "names", "header", "headers", "fields"),
    *("field_names", "feature_names", "axes", "axis_labels", "axis_names", "labels", "dims", "items"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """Where the values (M,) of a column lie.

    Attributes:
        path: of the dataset.
        field: the field of its records, and within nested records the ones below; empty for none.
        number: which of the columns of a matrix or of a field's arrays; None for all of it.
        turned: the matrix is stored (C, M).
    """

    path: str
    field: tuple[str, ...] = ()
    number: int | None = None
    turned: bool = False


def list_columns(catalog: Catalog, path: str) -> dict[str, Column]:
    """The columns by name of the table at `path`: a dataset, or a group; empty where they have no names."""
    item = catalog.dataset(path)
    if item is None:
        return _list_frame(catalog, path) or _list_group(catalog, path)
    if item.dtype.names is not None:
        return _list_records(catalog, item)
    names = name_columns(catalog, item) if len(item.shape) == 2 else ()
    return {name: Column(path, number=i) for i, name in enumerate(names)}


def name_columns(catalog: Catalog, item: Item) -> tuple[str, ...]:
    """Names of the columns (last axis) of an array: an attribute, or a dataset of texts beside it.

    A single attribute or dataset counts, whose name says that it names columns, with a text per column.
    """
    width = item.shape[-1]
    found = []
    if item.path not in catalog.bare:
        attributes = catalog.file[item.path].attrs
        found = [attributes[name] for name in attributes if _names_columns(name, item)]
        scales = catalog.file[item.path].dims[len(item.shape) - 1].values()
        found += [load(scale, ()) for scale in scales if scale.shape == (width,) and scale.dtype.kind in "SO"]
    for name, beside in catalog.children(parent(item.path)).items():
        texts = beside.dtype.kind in "SO" and beside.shape in ((width,), (1, width), (width, 1))
        if texts and _names_columns(name, item):
            found.append(load(catalog.file[beside.path], ()))
    lists = {names for one in found if len(names := _to_names(one, width)) == len(set(names)) == width}
    return lists.pop() if len(lists) == 1 else ()


def read_columns(file: Any, columns: Sequence[Column], rows: slice) -> list[NDArray[Any]]:
    """The values (rows,) of each column; each dataset is read once."""
    found: dict[Column, NDArray[Any]] = {}
    for path in dict.fromkeys(column.path for column in columns):
        own = [column for column in columns if column.path == path]
        found |= dict(zip(own, _read_dataset(file[path], own, rows), strict=True))
    return [found[column] for column in columns]


def _read_dataset(dataset: Any, columns: Sequence[Column], rows: slice) -> Iterator[NDArray[Any]]:
    first = columns[0]
    if first.field:
        records = load(dataset, rows, rows.start, fields=tuple({column.field[0] for column in columns}))
        for column in columns:
            values = records
            for name in column.field:
                values = values[name]
            yield values if column.number is None else values[:, column.number]
    elif first.number is None:
        along = (*(0 for _ in dataset.shape[1:]), rows) if dataset.shape[0] == 1 else rows
        yield load(dataset, along, rows.start).reshape(-1)
    else:
        numbers = [column.number or 0 for column in columns]
        span = slice(min(numbers), max(numbers) + 1)
        block = load(dataset, (span, rows) if first.turned else (rows, span), rows.start)
        block = block.T if first.turned else block
        yield from (block[:, number - span.start] for number in numbers)


def _list_group(catalog: Catalog, path: str) -> dict[str, Column]:
    """The lists directly in a group: (M,), (M, 1), or (1, M) as MATLAB stores them."""
    lists = {name: item for name, item in catalog.children(path).items() if length(item) is not None}
    return {name: Column(item.path) for name, item in lists.items()}


def length(item: Item) -> int | None:
    """Number of values of a list (M,), (M, 1) or (1, M); None for anything else."""
    if not item.shape or max(item.shape) != int(np.prod(item.shape)) or item.dtype.names is not None:
        return None
    return max(item.shape) if len(item.shape) in (1, 2) else None


def count_rows(catalog: Catalog, column: Column) -> int:
    """Number of values of a column."""
    item = catalog.dataset(column.path)
    assert item is not None
    if column.number is None and not column.field:
        return length(item) or 0
    return item.shape[1 if column.turned else 0]


def _list_frame(catalog: Catalog, path: str) -> dict[str, Column]:
    """The columns of a data frame that pandas stored in the format fixed: names and values in blocks."""
    inside = catalog.children(path)
    found: dict[str, Column] = {}
    for name, items in inside.items():
        values = inside.get(name.replace("_items", "_values"))
        if re.fullmatch(r"block\d+_items", name) and values is not None and len(values.shape) == 2:
            names = _to_names(load(catalog.file[items.path], ()), values.shape[1])
            found |= {column: Column(values.path, number=i) for i, column in enumerate(names)}
    return found


def _list_records(catalog: Catalog, item: Item) -> dict[str, Column]:
    attributes = {} if item.path in catalog.bare else catalog.file[item.path].attrs
    return dict(_list_fields(item.path, item.dtype, (), attributes))


def _list_fields(
    path: str, dtype: np.dtype[Any], above: tuple[str, ...], attributes: Mapping[str, Any]
) -> Iterator[tuple[str, Column]]:
    """Fields, those of nested records as a.b, and of fields of arrays each number.

    pandas names the numbers in attributes; those of three coordinates are called a.x, a.y, a.z.
    """
    for name in dtype.names or ():
        kind, field = dtype[name], (*above, name)
        said = ".".join(field)
        if kind.names is not None:
            yield from _list_fields(path, kind, field, attributes)
        elif kind.shape == ():
            yield said, Column(path, field)
        elif len(kind.shape) == 1:
            width = kind.shape[0]
            labels = _to_names(attributes.get(f"{name}_kind"), width)
            if not labels:
                axes = width == 3 and holds_coordinates(name)
                labels = tuple(f"{said}.{'xyz'[i]}" if axes else f"{said}[{i}]" for i in range(width))
            yield from ((label, Column(path, field, i)) for i, label in enumerate(labels))


def _names_columns(name: str, item: Item) -> bool:
    return name.lower().removeprefix(f"{item.leaf.lower()}_") in NAMES


def _to_names(value: Any, width: int) -> tuple[str, ...]:
    """Texts, one per column: a list of texts, or a text that holds one; empty if that is not what it is."""
    if value is None or isinstance(value, h5py.Empty):
        return ()
    array = np.asarray(value)
    if array.dtype.kind not in "SUO":
        return ()
    texts = [decode(part) for part in array.reshape(-1)]
    if len(texts) == 1 != width:
        texts = _split_text(array.reshape(-1)[0], width)
    return tuple(text.strip() for text in texts) if len(texts) == width else ()


def _split_text(value: Any, width: int) -> list[str]:
    raw = value if isinstance(value, bytes) else str(value).encode()
    text = raw.decode(errors="replace").strip()
    if raw.startswith((b"(lp", b"\x80")):
        return _unpickle_names(raw)
    if text.startswith("["):
        try:
            parsed = json.loads(text.replace("'", '"'))
        except json.JSONDecodeError:
            return []
        return [str(part) for part in parsed]
    parts = [part for part in re.split(r"[,;\s]+", text) if part]
    return parts if len(parts) == width else list(text) if len(text) == width else []


class _Plain(pickle.Unpickler):
    """Reads lists of texts alone: no class or function is ever looked up."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is no text")


def _unpickle_names(raw: bytes) -> list[str]:
    """The names that PyTables keeps in an attribute as a pickled list."""
    try:
        names = _Plain(io.BytesIO(raw), encoding="utf-8").load()
    except Exception:  # whatever else stands there is no list of names
        return []
    return [str(name) for name in names] if isinstance(names, list) else []
