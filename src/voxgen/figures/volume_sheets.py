"""Volumes (X, Y, Z) side by side, true to scale, under one colour scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from voxgen.figures.sheet import (
    Axis,
    Quantity,
    Scale,
    Sheet,
    Volume,
    central_slice,
    colour_scale,
    save,
    scale_bar,
    show,
    telling,
    volume_scale,
)

WIDTH, GAP, LEFT, RIGHT, TOP, BOTTOM = 1.75, 0.06, 0.35, 0.85, 0.45, 0.12  # inches
THINNEST_SIDE_VIEW = 0.1  # inches
COLUMNS = 6  # of a preview


@dataclass(frozen=True)
class Reconstructed:
    """A volume, its reconstruction (both of one quantity), and the words above them."""

    title: str
    original: Volume
    reconstruction: Volume


@dataclass(frozen=True)
class Paired:
    """A sample with the words above it, and the train volume beside it with its name."""

    title: str
    sample: Volume
    name: str
    train: Volume


def save_preview(
    path: Path,
    real: Sequence[Volume],
    generated: Sequence[Volume],
    spacing: Sequence[float],
    unit: str,
    quantity: Quantity = "counts in a voxel",
    titles: Sequence[str] = (),
) -> None:
    """Write the PNG of `draw_preview`."""
    save(path, draw_preview(real, generated, spacing, unit, quantity, titles))


def draw_preview(
    real: Sequence[Volume],
    generated: Sequence[Volume],
    spacing: Sequence[float],
    unit: str,
    quantity: Quantity,
    titles: Sequence[str] = (),
) -> Figure:
    """Real volumes above generated ones, each seen along z and, if thick enough, along y.

    `spacing` is the edge of a voxel along x, y, z in `unit`. Shows at most COLUMNS of each, under
    `titles` where there are some.
    """
    real, generated = real[:COLUMNS], generated[:COLUMNS]
    shape = np.array((real or generated)[0].shape)
    size = shape * np.asarray(spacing, float)
    views: list[tuple[Axis, float]] = [("z", WIDTH * size[1] / size[0])]
    if shape[2] >= 4 and WIDTH * size[2] / size[0] >= THINNEST_SIDE_VIEW:
        views.append(("y", WIDTH * size[2] / size[0]))
    groups = [("real", real), ("generated", generated)]
    rows = [(name, group, axis, height) for name, group in groups for axis, height in views]
    gaps = [0.0] + [GAP if above[0] == below[0] else 4 * GAP for above, below in pairwise(rows)]
    sheet = _Rows(max(len(real), len(generated)), [row[3] for row in rows], gaps)
    view = telling(quantity)
    scale = volume_scale(real or generated, quantity)
    for row, (name, group, axis, _) in enumerate(rows):
        for column, volume in enumerate(group):
            axes = sheet.panel(row, column)
            show(axes, view(volume, axis), scale)
            if row == column == 0:
                scale_bar(axes, size[0], unit)
            if row == 0 and titles:
                axes.set_title(titles[column], fontsize=8, pad=2)
        sheet.label(row, name if axis == "z" else "side")
    sheet.bar(scale, quantity, 0, len(rows))
    shown = "central slices" if view is central_slice else scale.projections
    sheet.text(LEFT, 0.22, f"Real volumes above generated ones, {shown}", va="center", fontsize=10)
    return sheet.figure


def save_reconstructions(
    path: Path,
    cases: Sequence[Reconstructed],
    spacing: Sequence[float],
    unit: str,
    quantity: Quantity = "counts in a voxel",
) -> None:
    """Input above reconstruction above their difference, one column per case, seen along z."""
    size = np.asarray(cases[0].original.shape) * np.asarray(spacing, float)
    sheet = _Rows(len(cases), [WIDTH * size[1] / size[0]] * 3, [0.0, GAP, GAP])
    view = telling(quantity)
    originals = [view(case.original, "z") for case in cases]
    results = [view(case.reconstruction, "z") for case in cases]
    scale = colour_scale(originals, quantity)
    most = max(float(np.abs(r - x).max()) for x, r in zip(originals, results, strict=True)) or 1.0
    differences = Scale(Normalize(-most, most), colormaps["RdBu_r"])
    for column, (case, x, r) in enumerate(zip(cases, originals, results, strict=True)):
        top = sheet.panel(0, column)
        top.set_title(case.title, fontsize=8, pad=3)
        show(top, x, scale)
        show(sheet.panel(1, column), r, scale)
        show(sheet.panel(2, column), r - x, differences)
        if column == 0:
            scale_bar(top, size[0], unit)
    for row, name in enumerate(("input", "reconstruction", "difference")):
        sheet.label(row, name)
    sheet.bar(scale, quantity, 0, 2)
    sheet.bar(differences, "too low / high" if quantity == "intensity" else "too few / many", 2, 3)
    save(path, sheet.figure)


def save_pairs(
    path: Path,
    pairs: Sequence[Paired],
    spacing: Sequence[float],
    unit: str,
    quantity: Quantity = "counts in a voxel",
) -> None:
    """Sample above train volume, one column per pair, seen along z; true to scale in the sample's grid."""
    size = np.asarray(pairs[0].sample.shape) * np.asarray(spacing, float)
    sheet = _Rows(len(pairs), [WIDTH * size[1] / size[0]] * 2, [0.0, 3 * GAP])
    view = telling(quantity)
    scale = volume_scale((pair.train for pair in pairs), quantity)
    for column, pair in enumerate(pairs):
        for row, (title, volume) in enumerate(((pair.title, pair.sample), (pair.name, pair.train))):
            axes = sheet.panel(row, column)
            axes.set_title(title, fontsize=7, pad=2)
            show(axes, view(volume, "z"), scale)
            if row == column == 0:
                scale_bar(axes, size[0], unit)
    for row, name in enumerate(("sample", "nearest in train")):
        sheet.label(row, name)
    sheet.bar(scale, quantity, 0, 2)
    save(path, sheet.figure)


class _Rows(Sheet):
    """Panels in rows of given heights, in columns of one width."""

    def __init__(self, columns: int, heights: Sequence[float], gaps: Sequence[float]) -> None:
        width = LEFT + columns * (WIDTH + GAP) + RIGHT
        super().__init__(width, TOP + sum(heights) + sum(gaps) + BOTTOM)
        self.heights = heights
        self.tops = [TOP + sum(heights[:i]) + sum(gaps[: i + 1]) for i in range(len(heights))]

    def panel(self, row: int, column: int) -> Axes:
        return self.axes(LEFT + column * (WIDTH + GAP), self.tops[row], WIDTH, self.heights[row])

    def label(self, row: int, words: str) -> None:
        small = self.heights[row] < 0.5
        style = {"rotation": "horizontal" if small else "vertical", "fontsize": 6 if small else 9}
        self.text(
            LEFT - 0.08, self.tops[row] + self.heights[row] / 2, words, ha="right", va="center", **style
        )

    def bar(self, scale: Scale, words: str, first: int, end: int) -> None:
        bottom = self.tops[end - 1] + self.heights[end - 1]
        self.colour_bar(self.width - RIGHT + 0.04, self.tops[first], bottom - self.tops[first], scale, words)
