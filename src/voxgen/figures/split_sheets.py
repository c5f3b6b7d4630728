"""Figures of the splits: what their volumes look like, and their statistics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from voxgen.figures.sheet import (
    GREY,
    SPLIT_COLOURS,
    Axis,
    Quantity,
    Scale,
    Sheet,
    View,
    Volume,
    central_slice,
    colour_scale,
    mark,
    projection,
    save,
    scale_bar,
    show,
    telling,
    tidy,
)

BLOCK = 1.7  # inches: the longest edge of the views of a volume
GAP, APART = 0.04, 0.14  # inches: between the views of a volume, between volumes
LEFT, RIGHT, TOP, HEAD, BOTTOM = 0.75, 0.85, 0.45, 0.2, 0.05  # inches
THINNEST_SIDE_VIEW = 0.06  # inches
LETTER = 0.068  # inches: the mean width of a letter of an id


@dataclass(frozen=True)
class Shown:
    """A volume (X, Y, Z), the id above it and the edges of its voxels along x, y, z."""

    id: str
    volume: Volume
    spacing: Sequence[float]


def save_data_preview(
    path: Path, splits: Mapping[str, Sequence[Shown]], unit: str, quantity: Quantity = "counts in a voxel"
) -> None:
    """Each split's volumes side by side: three central slices above three projections, spacing in `unit`.

    The views of a volume are drawn to one scale and in line with each other: the one along z, the one along
    x at its right and the one along y below. A split without volumes is left out.
    """
    splits = {name: volumes for name, volumes in splits.items() if volumes}
    volumes = [shown for group in splits.values() for shown in group]
    views = _Views(volumes[0])
    seen = telling(quantity)
    scale = colour_scale([seen(one.volume, axis) for one in volumes for axis in views.axes], quantity)
    one_bar = len({tuple(shown.spacing) for shown in volumes}) == 1
    row = HEAD + 2 * (views.height + APART)
    columns = max(map(len, splits.values()))
    sheet = Sheet(LEFT + columns * (views.width + APART) + RIGHT, TOP + len(splits) * row + BOTTOM)
    for number, (name, group) in enumerate(splits.items()):
        tops = [TOP + number * row + HEAD + line * (views.height + APART) for line in range(2)]
        for column, shown in enumerate(group):
            left = LEFT + column * (views.width + APART)
            sheet.text(left, tops[0] - 0.05, _short(shown.id, int(views.width / LETTER)), fontsize=7)
            slices = views.draw(sheet, left, tops[0], shown.volume, central_slice, scale)
            views.draw(sheet, left, tops[1], shown.volume, projection, scale)
            if shown is volumes[0] or not one_bar:
                scale_bar(slices["z"], shown.volume.shape[0] * shown.spacing[0], unit)
            if shown is volumes[0] and len(slices) > 1:
                for axis, panel in slices.items():
                    mark(panel, f"along {axis}" if axis == "z" else axis)
        _label(sheet, name, [top + views.height / 2 for top in tops])
    sheet.text(LEFT, 0.2, f"Volumes of each split: central slices above {scale.projections}", fontsize=9)
    sheet.colour_bar(sheet.width - RIGHT + 0.02, TOP + HEAD, row - HEAD - APART, scale, quantity)
    save(path, sheet.figure)


def save_statistics(path: Path, statistics: Mapping[str, Any]) -> None:
    """Histograms of the voxels and of the points per cloud, and the points outside the grid, of each split.

    `statistics` is the content of statistics.json. Volumes without clouds get the first panel alone.
    """
    splits = {name: split for name, split in statistics["splits"].items() if split["volumes"]}
    clouds = statistics["points_edges"] is not None
    figure = Figure(figsize=(10.0 if clouds else 4.6, 3.0), layout="constrained")
    panels = figure.subplots(1, 3 if clouds else 1, squeeze=False)[0]
    densities = {name: split["density"]["histogram"] for name, split in splits.items()}
    _histogram(panels[0], densities, statistics["density_edges"], "voxels that are not 0 [%]")
    panels[0].set_xlabel(statistics["quantity"])
    if any(map(any, densities.values())):
        panels[0].set_yscale("log")
    if statistics["quantity"] != "intensity":
        panels[0].set_xscale("log", base=2)
        panels[0].xaxis.set_major_formatter(lambda x, _: f"{x:g}" if x >= 1 else f"1/{1 / x:g}")
    panels[0].legend(frameon=False, fontsize=8)
    if clouds:
        points = {name: split["points"]["histogram"] for name, split in splits.items()}
        _histogram(panels[1], points, statistics["points_edges"], "clouds [%]")
        panels[1].set_xlabel("points per cloud")
        panels[1].set_ylim(bottom=0)
        panels[1].xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        _outside(panels[2], {name: split["outside"] for name, split in splits.items()})
    save(path, figure)


class _Views:
    """Where the views along z, x and y of volumes of one shape and aspect lie in a block [inches]."""

    def __init__(self, example: Shown) -> None:
        x, y, z = np.asarray(example.volume.shape) * np.asarray(example.spacing, float)
        inches = (BLOCK - GAP) / max(x + z, y + z)
        flat = example.volume.shape[2] == 1 or z * inches < THINNEST_SIDE_VIEW
        if flat:
            inches = BLOCK / max(x, y)
        x, y, z = x * inches, y * inches, z * inches
        self.axes: tuple[Axis, ...] = ("z",) if flat else ("z", "x", "y")
        self.width, self.height = (x, y) if flat else (x + GAP + z, y + GAP + z)
        self.places = {"z": (0.0, 0.0, x, y), "x": (x + GAP, 0.0, z, y), "y": (0.0, y + GAP, x, z)}

    def draw(
        self, sheet: Sheet, left: float, top: float, volume: Volume, view: View, scale: Scale
    ) -> dict[Axis, Axes]:
        """Draw the views of a volume, and return their panels."""
        panels = {}
        for axis in self.axes:
            across, down, width, height = self.places[axis]
            panels[axis] = sheet.axes(left + across, top + down, width, height)
            image = view(volume, axis)
            show(panels[axis], image.T if axis == "x" else image, scale)
        return panels


def _label(sheet: Sheet, split: str, middles: Sequence[float]) -> None:
    """The name of a split, and of its two lines of views, at their left."""
    style = {"rotation": "vertical", "ha": "center", "va": "center"}
    sheet.text(0.2, sum(middles) / 2, split, fontsize=11, fontweight="bold", **style)
    for middle, words in zip(middles, ("slices", "projections"), strict=True):
        sheet.text(0.55, middle, words, fontsize=8, color=GREY, **style)


def _short(name: str, most: int) -> str:
    """A name of at most `most` letters: the beginning and the end of a long one."""
    return name if len(name) <= most else f"{name[: (most - 1) // 2]}…{name[-(most // 2) :]}"


def _histogram(axes: Axes, counts: Mapping[str, Sequence[int]], edges: Sequence[float], words: str) -> None:
    """A line of steps per split, in per cent of its sum."""
    for name, histogram in counts.items():
        shares = 100 * np.asarray(histogram) / max(1, sum(histogram))
        axes.stairs(shares, edges, color=SPLIT_COLOURS.get(name, GREY), lw=1.5, label=name)
    axes.set_ylabel(words)
    tidy(axes)


def _outside(axes: Axes, splits: Mapping[str, Mapping[str, Any]]) -> None:
    """A bar for all points of a split, and a mark for its worst cloud."""
    for number, (name, outside) in enumerate(splits.items()):
        share, worst = 100 * outside["share"], 100 * outside["worst"][0]["share"]
        axes.barh(number, share, 0.5, color=SPLIT_COLOURS.get(name, GREY))
        axes.plot(worst, number, "|", ms=14, mew=1.5, color=GREY)
        axes.text(0, number - 0.42, f"{share:.2g} %, worst cloud {worst:.2g} %", fontsize=8, va="center")
    axes.set_yticks(range(len(splits)), list(splits))
    axes.set_ylim(len(splits) - 0.5, -0.7)
    axes.set_xlim(left=0)
    axes.set_xlabel("points outside the grid [%]")
    tidy(axes)
    axes.grid(visible=False)
