"""Clouds of samples: how many points they have, where those lie, and how they are written."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from voxgen.randomness import generator
from voxgen.settings.clouds import CloudSettings
from voxgen.settings.conditions import LABEL
from voxgen.sources.clouds.attributes import parse_number
from voxgen.sources.clouds.columns import split_unit
from voxgen.sources.clouds.opening import open_clouds
from voxgen.sources.clouds.parts import UNSCALED
from voxgen.sources.clouds.writing import Form, write_clouds
from voxgen.volumes.grid import Grid, draw_points, place_points
from voxgen.volumes.nifti import read_volume

Row = dict[str, Any]


@dataclass(frozen=True)
class SampledClouds:
    """What clouds of samples are like.

    Attributes:
        form: how they are written.
        points: of each cloud; None: as many as its volume counts.
        counted: whether volumes were drawn as counts, so that each count is a point.
        label: the name of what samples were asked to be, as a class.
    """

    form: Form
    points: int | None
    counted: bool
    label: str

    def number(self, total: float) -> int:
        """How many points the cloud of a volume with the sum `total` has; 0 where it holds no counts."""
        whole = round(total)
        return (self.points or whole) if whole > 0 else 0

    def place(
        self, counts: NDArray[np.float32], grid: Grid, n: int, seed: int, index: int
    ) -> NDArray[np.float64]:
        """The `n` points (n, 3) [grid.unit] of sample `index`, whose volume is `counts` (X, Y, Z).

        Raises:
            InputError: the volume holds no counts, or some that are not finite.
        """
        placed = place_points if self.counted else draw_points
        return placed(counts, grid, n, generator(seed, "sample-points", index))

    def to_json(self) -> dict[str, Any]:
        """The fields, for `from_json`."""
        form = {**asdict(self.form), "dtype": str(self.form.dtype)}
        return {"points": self.points, "counted": self.counted, "label": self.label, "form": form}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Rebuild from what `to_json` gave."""
        form = content["form"]
        tuples = {name: tuple(form[name]) for name in ("scale", "axes")}
        told = Form(**{**form, **tuples, "dtype": np.dtype(form["dtype"])})
        return cls(told, content["points"], content["counted"], content["label"])


def like_clouds(
    raw: Sequence[Path], settings: CloudSettings, grid: Grid, label: str, *, counted: bool
) -> SampledClouds:
    """Clouds of samples that are like those of the files `raw`.

    They have the layout, unit and floating type of the files, and as many points as their clouds do: the same
    number for each where they have one, else the volume's count; stacks of several sizes become a padded one.
    Where clouds were each scaled to the grid, samples have the grid's unit, and names of axes state none.
    """
    with open_clouds(raw, settings) as clouds:
        form, uniform = clouds.form, clouds.uniform_points()
    if form.layout == "stacked" and uniform is None:
        form = replace(form, layout="padded", ids="n_points")
    if grid.placement == "cloud":
        axes = tuple(split_unit(axis)[0] if isinstance(axis, str) else axis for axis in form.axes)
        form = replace(form, unit=grid.unit, scale=UNSCALED, axes=axes)
    return SampledClouds(form, uniform, counted, label)


def write_sampled_clouds(folder: Path, rows: Sequence[Row], clouds: SampledClouds, grid: Grid) -> None:
    """Write samples.h5 beside the volumes of `rows`, and the number of points of each into its row.

    A volume without counts has no cloud. What rows say that samples were asked to be (label, and attributes
    as JSON) lies beside the clouds.

    Raises:
        InputError: all volumes are empty.
    """
    for row in rows:
        row["points"] = clouds.number(float(row["sum"]))
    with_points = [row for row in rows if row["points"]]
    beside = {"id": ([row["id"] for row in with_points], None), **_asked(with_points, clouds.label)}
    write_clouds(folder / "samples.h5", _placed(folder, with_points, clouds, grid), clouds.form, beside)


def _asked(rows: Sequence[Row], label: str) -> dict[str, tuple[list[Any], None]]:
    """What samples were asked to be, by the names in the raw files: numbers, where all are."""
    asked: dict[str, list[Any]] = {}
    if all(row.get(LABEL) for row in rows):
        asked[label] = [row[LABEL] for row in rows]
    attributes = [json.loads(row.get("attributes") or "{}") for row in rows]
    asked |= {name: [each[name] for each in attributes] for name in (attributes or [{}])[0]}
    return {name: (_as_numbers(values), None) for name, values in asked.items()}


def _as_numbers(values: list[Any]) -> list[Any]:
    numbers = [parse_number(str(value)) for value in values]
    return values if any(isinstance(number, str) for number in numbers) else numbers


def _placed(
    folder: Path, rows: Sequence[Row], clouds: SampledClouds, grid: Grid
) -> Iterator[NDArray[np.float64]]:
    for row in rows:
        counts = read_volume(folder / f"{row['id']}.nii.gz")
        yield clouds.place(counts, grid, row["points"], int(row["seed"]), int(row["index"]))
