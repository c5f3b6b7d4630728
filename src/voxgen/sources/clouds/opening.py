"""Opening files of clouds: `open_clouds` finds out how they are stored."""

import logging
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.csv_tables import plan_csv
from voxgen.sources.clouds.discovery import plan_hdf5
from voxgen.sources.clouds.hdf5 import open_hdf5
from voxgen.sources.clouds.parts import Attributes, Points
from voxgen.sources.clouds.plan import Found, Plan
from voxgen.sources.clouds.writing import Form

__all__ = ["Cloud", "Clouds", "Found", "open_clouds"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cloud:
    """One cloud.

    Attributes:
        row: its number over all files.
        file: path of its file.
        key: what it is in its file, for example /cell_3/points, /points where track = 7, or tile 3/4.
        points: coordinates (n, 3) in data.unit.
        attributes: what is known of it besides.
    """

    row: int
    file: str
    key: str
    points: Points
    attributes: Attributes


class Clouds:
    """The clouds of files that share a layout; `open_clouds` makes it.

    Attributes:
        found: what was recognised, for a report.
        form: how clouds can be written in the same way.
    """

    def __init__(self, plans: Sequence[Plan]) -> None:
        self.found: Found = plans[0].found
        self.form: Form = plans[0].form
        self._parts = [(plan, part) for plan in plans for part in plan.parts]
        self._ends = list(accumulate(len(part) for _, part in self._parts))

    def __len__(self) -> int:
        return self._ends[-1]

    def read(self, start: int, stop: int) -> Iterator[Cloud]:
        """Yield the clouds start <= row < stop in order; a batch of them is held at a time.

        Raises:
            InputError: a cloud cannot be read, or an attribute differs within one.
        """
        row, index = start, bisect_right(self._ends, start)
        while row < min(stop, len(self)):
            path = self._parts[index][0].path
            with _opened(self._parts[index][0]) as file:
                while index < len(self._parts) and self._parts[index][0].path == path and row < stop:
                    part = self._parts[index][1]
                    before = self._ends[index] - len(part)
                    last = min(stop, self._ends[index])
                    for key, points, attributes in part.pieces(file, row - before, last - before):
                        yield Cloud(row, str(path), key, points, attributes)
                        row += 1
                    index += 1

    def uniform_points(self) -> int | None:
        """Points that every cloud has, or None where the counts differ."""
        sizes: set[int] = set()
        path, index = None, 0
        while index < len(self._parts):
            path = self._parts[index][0].path
            with _opened(self._parts[index][0]) as file:
                while index < len(self._parts) and self._parts[index][0].path == path:
                    for size in self._parts[index][1].sizes(file):
                        sizes.add(int(size))
                        if len(sizes) > 1:
                            return None
                    index += 1
        return sizes.pop()


@contextmanager
def open_clouds(paths: Sequence[Path], reading: CloudSettings, carry: Sequence[str] = ()) -> Iterator[Clouds]:
    """Find the clouds in files that share a layout; rows number them over all files, in the given order.

    One file is open at a time. Of each cloud the attributes named in `carry` are read as well.

    Raises:
        InputError: a file is missing or damaged, holds no clouds or ambiguous ones, or is laid out otherwise
            than the first; a setting does not fit; a name of `carry` is not found.
    """
    if not paths:
        raise InputError("no file to read clouds from; correct data.files")
    plans: list[Plan] = []
    for path in paths:
        plan = _planned(path, _like(plans[0].found, reading) if plans else reading, carry)
        if plans and plan.found.layout != plans[0].found.layout:
            expected = f"{plans[0].found.layout} as in {plans[0].path}"
            raise InputError(
                f"{path}: found {plan.found.layout} at '{plan.found.key}', expected {expected}; "
                "set data.key, or name the file apart in data.files"
            )
        plans.append(plan)
    told: set[str] = set()
    for plan in plans:
        for note in plan.found.notes:
            if note not in told:
                log.info("%s: %s", plan.path, note)
        told |= set(plan.found.notes)
    yield Clouds(plans)


def _planned(path: Path, reading: CloudSettings, carry: Sequence[str]) -> Plan:
    if reading.source == "csv":
        return plan_csv(path, reading, carry)
    with open_hdf5(path) as file:
        return plan_hdf5(path, file, reading, carry)


def _like(found: Found, reading: CloudSettings) -> CloudSettings:
    """The settings for further files: their clouds are told apart as in the first."""
    if found.group_by is None or found.tile is not None:
        return reading
    return reading.model_copy(update={"group_by": found.group_by})


def _opened(plan: Plan) -> AbstractContextManager[Any]:
    return nullcontext(plan.path) if not plan.found.key else open_hdf5(plan.path)
