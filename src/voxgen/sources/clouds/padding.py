"""Which rows of a padded (N, P, C) are points: by a dataset of lengths, or by a mask beside it."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.columns import name_some
from voxgen.sources.clouds.hdf5 import join, load, parent
from voxgen.sources.clouds.meaning import split_words
from voxgen.sources.clouds.parts import Found

LENGTHS = {
    *("counts", "count", "n_points", "num_points", "npoints", "lengths", "length", "sizes", "seq_len"),
}
MASKS = {"mask", "masks", "valid", "validity", "padding", "pad"}
FEW, CHECKED = 4, 256  # clouds that are looked at
Verdict = Literal["padding", "points", "untold"]
Look = Callable[[int], NDArray[Any]]  # points (n, P, 3) of as many clouds as are asked for


@dataclass(frozen=True, slots=True)
class Padding:
    """Where it stands which rows of each cloud are points.

    Attributes:
        path: of lengths (N,), of a mask (N, P), or of the points themselves, of which a column is the mask.
        column: of the mask in (N, P, C); None where `path` is a dataset of its own.
        kept: what a mask is for points; None for lengths.
    """

    path: str
    column: int | None = None
    kept: bool | None = None

    def keep(self, file: Any, clouds: slice) -> Sequence[Any]:
        """For each of some clouds what picks its points: a slice, or a mask (P,)."""
        values = _read(file, self.path, self.column, clouds)
        if self.kept is None:
            return [slice(int(count)) for count in values.reshape(len(values))]
        return list(values.astype(bool) == self.kept)

    def count(self, file: Any, clouds: slice, most: int) -> Iterable[int]:
        """Points of each of some clouds."""
        kept = self.keep(file, clouds)
        return (min(row.stop, most) if isinstance(row, slice) else int(row.sum()) for row in kept)


def find_padding(
    file: Any, member: str, home: str, shape: tuple[int, int], look: Look, wanted: CloudSettings, found: Found
) -> Padding | None:
    """What tells the points of a padded (N, P, C) from its padding; None: all are points.

    `look` gives the points of the first clouds. Lengths and masks of any name are taken where they
    leave rows out, and all of a cloud's rows that they leave out are alike: that is what padding is.

    Raises:
        InputError: data.counts or data.mask does not fit, or what is called like one does not leave out rows
            that are alike.
    """
    if wanted.mask not in (None, "none"):
        return _noted(_asked_mask(file, member, home, shape, str(wanted.mask)), found)
    if wanted.counts == "until_repeat":
        return None
    if wanted.counts not in (None, "none"):
        return _noted(_asked_counts(file, member, home, shape, wanted.counts), found)
    sure, unsure = _sort_candidates(file, member, home, shape, look, wanted)
    if unsure and not sure:
        path, lengths = unsure[0].path, unsure[0].kept is None
        remedy = f"data.counts: {path}" if lengths else f"data.mask: {path}, or not {path},"
        raise InputError(
            f"{file.filename}: {member}: {path} may say which of its {shape[1]} rows are points, but what it "
            f"leaves out are other points; set {remedy} or data.{'counts' if lengths else 'mask'}: none"
        )
    kinds = {padding.kept is None for padding in sure}
    if len(sure) > 1 and len(kinds) == 1:
        raise InputError(
            f"{file.filename}: {member}: {name_some(padding.path for padding in sure)} could each say which "
            f"rows are points; set data.{'counts' if kinds.pop() else 'mask'} to one of them"
        )
    if not sure:
        return None
    found.notes.append(f"{sure[0].path} tells points from padding (data.counts, data.mask)")
    return _noted(sure[0], found)


def _sort_candidates(
    file: Any, member: str, home: str, shape: tuple[int, int], look: Look, wanted: CloudSettings
) -> tuple[list[Padding], list[Padding]]:
    """What leaves padding out, and what is called so but leaves out other points."""
    sure, unsure = list[Padding](), list[Padding]()
    for padding in _candidates(file, member, home, shape):
        lengths = padding.kept is None
        if (wanted.counts if lengths else wanted.mask) == "none":
            continue
        verdict, kept = _judge(file, padding, look(FEW))
        if verdict != "untold":
            verdict, kept = _judge(file, padding, look(CHECKED))
        if verdict == "padding" or (verdict == "points" and lengths and _is_called_so(padding)):
            sure.append(replace(padding, kept=kept))
        elif verdict == "untold" and _is_called_so(padding):
            unsure.append(padding)
    return sure, unsure


def _candidates(file: Any, member: str, home: str, shape: tuple[int, int]) -> Iterator[Padding]:
    """Integers (N,) from 0 to P, and zeros and ones (N, P), beside the points or in groups near them."""
    clouds, most = shape
    for path, item in list_near(file, home):
        if path == member or item.dtype.kind not in "iufb":
            continue
        if item.shape in ((clouds,), (clouds, 1), (1, clouds)) and item.dtype.kind != "b":
            values = to_whole(load(item, ()))
            if values is not None and values.min(initial=0) >= 0 and 0 < values.max(initial=0) <= most:
                yield Padding(path)
        elif item.shape in ((clouds, most), (clouds, most, 1)):
            first = load(item, slice(0, CHECKED))
            if item.dtype.kind == "b" or np.isin(first, (0, 1)).all():
                yield Padding(path, kept=True)


def to_whole(values: NDArray[Any]) -> NDArray[np.int64] | None:
    """Whole numbers of any type, as MATLAB stores integers; None for fractions."""
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.floor(values)).all()):
        return None
    return values.astype(np.int64)


def list_near(file: Any, home: str) -> Iterator[tuple[str, Any]]:
    """Datasets in the group `home`, in the one above it, and in groups directly in these."""
    for group in dict.fromkeys([home, parent(home)]):
        for name in list(file[group])[:64]:
            item, path = file[group].get(name), join(group, name)
            if _holds_values(item):
                yield path, item
            elif isinstance(item, h5py.Group) and path != home and len(item) <= 64:
                inside = ((join(path, leaf), item.get(leaf)) for leaf in item)
                yield from ((leaf, one) for leaf, one in inside if _holds_values(one))


def _holds_values(item: Any) -> bool:
    return isinstance(item, h5py.Dataset) and item.shape is not None


def _judge(file: Any, padding: Padding, points: NDArray[Any]) -> tuple[Verdict, bool | None]:
    """Whether the rows that are left out are padding, and what a mask is for points.

    points: nothing is left out; untold: what is left out are rows that differ.
    """
    values = _read(file, padding.path, padding.column, slice(0, len(points)))
    if padding.kept is None:
        rows = np.arange(points.shape[1])
        return _leaves_out(points, rows < values.reshape(-1, 1)), None
    verdicts = {kept: _leaves_out(points, values.astype(bool) == kept) for kept in (True, False)}
    for kept, other in ((True, False), (False, True)):
        if verdicts[kept] == "padding" and verdicts[other] == "untold":
            return "padding", kept
    whole = any(verdict == "points" for verdict in verdicts.values())
    return ("points" if whole else "untold"), None


def _leaves_out(points: NDArray[Any], kept: NDArray[np.bool_]) -> Verdict:
    """Whether the rows (n, P) that are not kept are padding: alike, and a single one made of one number,
    or the last point once more.
    """
    for cloud, own in zip(points, kept, strict=True):
        left, last = cloud[~own], cloud[own][-1:]
        if not len(left):
            continue
        alike = _equal(left, left[0]) and (len(left) > 1 or _equal(left, left[0, 0]))
        if not (alike or (len(last) and _equal(left, last[0]))):
            return "untold"
    return "points" if kept.all() else "padding"


def _equal(rows: NDArray[Any], value: Any) -> bool:
    return bool(((rows == value) | (np.isnan(rows) & np.isnan(value))).all())


def _is_called_so(padding: Padding) -> bool:
    leaf = padding.path.rpartition("/")[2].lower()
    return leaf in LENGTHS if padding.kept is None else bool(split_words(leaf) & MASKS)


def _noted(padding: Padding, found: Found) -> Padding:
    """Keep in `found` the settings that find the same."""
    if padding.kept is None:
        found.counts = found.counts or padding.path
    else:
        name = padding.path if padding.column is None else str(padding.column)
        found.mask = found.mask or (name if padding.kept else f"not {name}")
    return padding


def _asked_counts(file: Any, member: str, home: str, shape: tuple[int, int], name: str) -> Padding:
    path = find_named(file, member, home, name, "counts")
    clouds, most = shape
    values = load(file[path], ()).reshape(-1)
    if len(values) != clouds or values.min() < 0 or values.max() > most:
        reach = f"{len(values)} counts from {values.min(initial=most)} to {values.max(initial=0)}"
        raise InputError(
            f"{file.filename}: {path}: {reach}, expected {clouds} from 0 to {most} for {member}; "
            "correct data.counts"
        )
    return Padding(path)


def _asked_mask(file: Any, member: str, home: str, shape: tuple[int, int], asked: str) -> Padding:
    name, kept = split_mask(asked)
    if name.isdecimal() and int(name) < file[member].shape[-1]:
        return Padding(member, int(name), kept)
    path = find_named(file, member, home, name, "mask")
    if file[path].shape not in (shape, (*shape, 1)) or file[path].dtype.kind not in "biuf":
        raise InputError(
            f"{file.filename}: {path} is {file[path].shape} {file[path].dtype}, expected zeros and ones "
            f"{shape} for {member}; correct data.mask"
        )
    return Padding(path, kept=kept)


def blank_padding(file: Any, padding: Padding | None, look: Look, count: int) -> NDArray[np.float64]:
    """The first `count` clouds with NaN for their padding."""
    points = np.array(look(count), np.float64)
    kept = [] if padding is None else padding.keep(file, slice(0, len(points)))
    for cloud, rows in zip(points, kept, strict=False):
        left = np.ones(len(cloud), bool)
        left[rows] = False
        cloud[left] = np.nan
    return points


def split_mask(asked: str) -> tuple[str, bool]:
    """The name of a mask, and what it is for points: `not NAME` is false for them."""
    negated = re.fullmatch(r"not\s+(.+)", asked.strip())
    return (negated[1], False) if negated else (asked.strip(), True)


def find_named(file: Any, member: str, home: str, name: str, setting: str) -> str:
    """Path of the dataset `name`, beside the points or from the root.

    Raises:
        InputError: there is none.
    """
    beside = () if name.startswith("/") else (join(home, name),)
    paths: list[str] = [*beside, "/" + name.strip("/")]
    for path in paths:
        if isinstance(file.get(path), h5py.Dataset):
            return path
    there = [child for child in file[home] if isinstance(file[home].get(child), h5py.Dataset)]
    raise InputError(
        f"{file.filename}: {member}: no dataset '{name}' beside it, found: {name_some(there)}; "
        f"correct data.{setting}"
    )


def _read(file: Any, path: str, column: int | None, clouds: slice) -> NDArray[Any]:
    if column is not None:
        return load(file[path], (clouds, slice(None), column), clouds.start)
    row = file[path].shape[0] == 1 != file[path].size and file[path].ndim == 2  # (1, N), as MATLAB stores it
    values = load(file[path], (0, clouds) if row else clouds, clouds.start)
    return values.reshape(values.shape[:2]) if values.ndim == 3 else values
