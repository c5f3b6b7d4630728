"""Opening files of clouds: `open_clouds` finds out how they are stored."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.csv_table import plan_csv
from voxgen.sources.clouds.discovery import plan_hdf5
from voxgen.sources.clouds.hdf5 import open_hdf5
from voxgen.sources.clouds.judging import judge, keep_points
from voxgen.sources.clouds.parts import Attributes, Found, Part, Points, Scale
from voxgen.sources.clouds.writing import Form

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cloud:
    """One cloud.

    Attributes:
        row: its number over all files.
        file: path of its file.
        key: what it is in its file, for example /cell_3/points, /points where track = 7, or tile 3/4.
        points: coordinates (n, 3) in data.unit.
        attributes: what else is known of it.
        scale: factors from the file's numbers to data.unit.
    """

    row: int
    file: str
    key: str
    points: Points
    attributes: Attributes
    scale: Scale

    @cached_property
    def extent(self) -> Points:
        """Least and greatest coordinates (2, 3); NaN along an axis with one. There must be a point."""
        return np.stack([self.points.min(axis=0), self.points.max(axis=0)])


@dataclass(frozen=True)
class _Plan:
    """How the clouds of one file are read; the file need not stay open for it."""

    path: Path
    parts: Sequence[Part]
    found: Found
    form: Form

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def open(self) -> AbstractContextManager[Any]:
        """What the parts read from: the opened HDF5 file, or the path of a CSV file."""
        return open_hdf5(self.path) if self.found.key else nullcontext(self.path)


class Clouds:
    """The clouds of files that share a layout; `open_clouds` makes it.

    Attributes:
        found: what was recognised, for a report.
        form: how clouds can be written alike.
    """

    def __init__(self, plans: Sequence[_Plan], wanted: CloudSettings) -> None:
        self.found, self.form = plans[0].found, plans[0].form
        self._plans, self._wanted = plans, wanted

    def __len__(self) -> int:
        return sum(map(len, self._plans))

    def read(self, start: int, stop: int) -> Iterator[Cloud]:
        """Yield the clouds start <= row < stop in order; a batch of them is held at a time.

        Rows that the file or data.missing says are no points are left out.

        Raises:
            InputError: a cloud cannot be read, or an attribute differs within one.
        """
        row = start
        for i, low, high in _find_overlaps(map(len, self._plans), start, stop):
            plan = self._plans[i]
            with plan.open() as file:
                for j, first, last in _find_overlaps(map(len, plan.parts), low, high):
                    part = plan.parts[j]
                    for key, raw, attributes in part.pieces(file, first, last):
                        points = keep_points(raw, part.scale, self._wanted, plan.found.absent)
                        yield Cloud(row, str(plan.path), key, points, attributes, part.scale)
                        row += 1

    def judge(self, cloud: Cloud) -> str:
        """Why a cloud cannot be used, and the setting that decides; empty if it can."""
        if not len(cloud.points):
            return "empty"
        return judge(cloud.points, cloud.extent, cloud.scale, self._wanted)

    def uniform_points(self) -> int | None:
        """Number of points that every cloud has; None where they differ, or rows may be left out."""
        if self.found.absent or self._wanted.missing is not None or self._wanted.counts == "until_repeat":
            return None
        sizes: set[int] = set()
        for plan in self._plans:
            with plan.open() as file:
                for size in (size for part in plan.parts for size in part.sizes(file)):
                    sizes.add(int(size))
                    if len(sizes) > 1:
                        return None
        return sizes.pop()


@contextmanager
def open_clouds(paths: Sequence[Path], wanted: CloudSettings, carry: Sequence[str] = ()) -> Iterator[Clouds]:
    """Find the clouds in files that share a layout; rows number them over all files, in the given order.

    One file is open at a time. Of each cloud the attributes named in `carry` are read as well.

    Raises:
        InputError: a file is missing or damaged, holds no clouds or ambiguous ones, or is laid out otherwise
            than the first; a setting does not fit; a name of `carry` is not found.
    """
    if not paths:
        raise InputError("no file to read clouds from; correct data.files")
    plans: list[_Plan] = []
    for path in paths:
        plan = _make_plan(path, _like_the_first(plans[0].found, wanted) if plans else wanted, carry)
        if plans and plan.found.layout != plans[0].found.layout:
            expected = f"{plans[0].found.layout} as in {plans[0].path}"
            raise InputError(
                f"{path}: found {plan.found.layout} at '{plan.found.key}', expected {expected}; "
                "set data.key, or give the file another name in data.files"
            )
        plans.append(plan)
    logged: set[str] = set()
    for plan in plans:
        for note in plan.found.notes:
            if note not in logged:
                log.info("%s: %s", plan.path, note)
        logged |= set(plan.found.notes)
    yield Clouds(plans, wanted)


def _make_plan(path: Path, wanted: CloudSettings, carry: Sequence[str]) -> _Plan:
    if wanted.source == "csv":
        return _Plan(path, *plan_csv(path, wanted, carry))
    with open_hdf5(path) as file:
        return _Plan(path, *plan_hdf5(file, wanted, carry))


def _like_the_first(found: Found, wanted: CloudSettings) -> CloudSettings:
    """The settings for further files: their clouds are told apart as in the first."""
    if found.group_by is None or found.tile is not None:
        return wanted
    return wanted.model_copy(update={"group_by": found.group_by})


def _find_overlaps(lengths: Iterable[int], start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Of lists one after another, (number, low, high) of each with items low <= i < high in start to stop."""
    before = 0
    for number, length in enumerate(lengths):
        low, high = max(start - before, 0), min(stop - before, length)
        if low < high:
            yield number, low, high
        before += length
