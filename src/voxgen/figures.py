"""Figures of volumes and of trainings, drawn off screen.

Volumes (X, Y, Z) are shown as maximum projections, true to scale, under one colour scale, with a scale
bar in the data's unit. Colour maps are perceptually uniform and safe for colour-blind readers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from numpy.typing import NDArray

from voxgen.io.files import replacing

Image = NDArray[np.floating]
Volume = NDArray[np.floating]
Axis = Literal["x", "y", "z"]

COUNTS_MAP = "inferno"
DIFFERENCE_MAP = "RdBu_r"
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"  # of Okabe and Ito's colour-blind-safe set
DPI = 150
WIDTH, GAP, LEFT, RIGHT, TOP, BOTTOM = 1.75, 0.06, 0.35, 0.85, 0.45, 0.12  # inches
THINNEST_SIDE_VIEW = 0.1  # inches


@dataclass(frozen=True)
class Reconstructed:
    """A volume, its reconstruction (both in counts), and the words above them."""

    title: str
    original: Volume
    reconstruction: Volume


def max_projection(volume_XYZ: Volume, axis: Axis) -> Image:
    """Maximum along an axis, as an image: rows, columns are y, x along z; z, x along y; z, y along x."""
    return np.asarray(volume_XYZ.max("xyz".index(axis)).T)


def save_preview(
    path: Path,
    real: Sequence[Volume],
    generated: Sequence[Volume],
    spacing: Sequence[float],
    unit: str,
    columns: int = 6,
) -> None:
    """Real volumes above generated ones (counts), each seen along z and, if thick enough, along y.

    `spacing` is the edge of a voxel along x, y, z in `unit`. Shows at most `columns` of each.
    """
    real, generated = real[:columns], generated[:columns]
    shape = np.array((real or generated)[0].shape)
    size = shape * np.asarray(spacing, float)
    views: list[tuple[Axis, float]] = [("z", WIDTH * size[1] / size[0])]
    if shape[2] >= 4 and WIDTH * size[2] / size[0] >= THINNEST_SIDE_VIEW:
        views.append(("y", WIDTH * size[2] / size[0]))
    groups = [("real", real), ("generated", generated)]
    rows = [(name, group, axis, height) for name, group in groups for axis, height in views]
    gaps = [0.0] + [GAP if above[0] == below[0] else 4 * GAP for above, below in pairwise(rows)]
    sheet = _Sheet(max(len(real), len(generated)), [row[3] for row in rows], gaps)
    scale = _counts_scale([max_projection(v, "z") for v in (real or generated)])
    for row, (name, group, axis, _) in enumerate(rows):
        for column, volume in enumerate(group):
            axes = sheet.panel(row, column)
            _show(axes, max_projection(volume, axis), scale, COUNTS_MAP)
            if row == column == 0:
                _scale_bar(axes, size[0], unit, volume.shape[0])
        sheet.label(row, name if axis == "z" else "side")
    sheet.colour_bar(scale, COUNTS_MAP, "counts in a voxel", 0, len(rows))
    sheet.title("Real volumes above generated ones, maximum projections")
    _save(path, sheet.figure)


def save_reconstructions(
    path: Path, cases: Sequence[Reconstructed], spacing: Sequence[float], unit: str
) -> None:
    """Input above reconstruction above their difference, one column a case, seen along z (counts)."""
    shape = cases[0].original.shape
    size = np.asarray(shape) * np.asarray(spacing, float)
    sheet = _Sheet(len(cases), [WIDTH * size[1] / size[0]] * 3, [0.0, GAP, GAP])
    originals = [max_projection(case.original, "z") for case in cases]
    results = [max_projection(case.reconstruction, "z") for case in cases]
    scale = _counts_scale(originals)
    most = max(float(np.abs(r - x).max()) for x, r in zip(originals, results, strict=True)) or 1.0
    differences = Normalize(-most, most)
    for column, (case, x, r) in enumerate(zip(cases, originals, results, strict=True)):
        top = sheet.panel(0, column)
        top.set_title(case.title, fontsize=8, pad=3)
        _show(top, x, scale, COUNTS_MAP)
        _show(sheet.panel(1, column), r, scale, COUNTS_MAP)
        _show(sheet.panel(2, column), r - x, differences, DIFFERENCE_MAP)
        if column == 0:
            _scale_bar(top, size[0], unit, shape[0])
    for row, name in enumerate(("input", "reconstruction", "difference")):
        sheet.label(row, name)
    sheet.colour_bar(scale, COUNTS_MAP, "counts in a voxel", 0, 2)
    sheet.colour_bar(differences, DIFFERENCE_MAP, "too few / many", 2, 3)
    _save(path, sheet.figure)


def save_history(path: Path, rows: Sequence[Mapping[str, str]], title: str) -> None:
    """Training and validation loss over the epochs, above the learning rate (rows of history.csv)."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    losses, rates = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    positive = True
    for column, name, colour in (("train_loss", "training", BLUE), ("val_loss", "validation", ORANGE)):
        points = [(float(row["epoch"]), float(row[column])) for row in rows if row.get(column)]
        if points:
            epochs, values = zip(*points, strict=True)
            positive = positive and min(values) > 0
            losses.plot(
                epochs, values, color=colour, marker="o" if len(points) < 30 else "", ms=3, label=name
            )
    if positive and rows:
        losses.set_yscale("log")
        for formatted in (losses.yaxis.set_major_formatter, losses.yaxis.set_minor_formatter):
            formatted(_PlainLog(labelOnlyBase=False, minor_thresholds=(2, 0.5)))
    if losses.lines:
        losses.legend(frameon=False)
    losses.set_ylabel("loss")
    losses.set_title(title, loc="left", fontsize=10)
    steps = [(float(row["epoch"]), float(row["learning_rate"])) for row in rows if row.get("learning_rate")]
    rates.plot([epoch for epoch, _ in steps], [rate for _, rate in steps], color=GREY)
    rates.set_ylim(bottom=0)
    rates.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    rates.set_ylabel("rate")
    rates.set_xlabel("epoch")
    rates.xaxis.get_major_locator().set_params(integer=True)
    for axes in (losses, rates):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    _save(path, figure)


class _PlainLog(LogFormatter):
    """Labels a logarithmic axis where LogFormatter does, with plain numbers."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


class _Sheet:
    """A figure of panels of known size in inches: rows of given heights, columns of one width."""

    def __init__(self, columns: int, heights: Sequence[float], gaps: Sequence[float]) -> None:
        self.width = LEFT + columns * (WIDTH + GAP) + RIGHT
        self.height = TOP + sum(heights) + sum(gaps) + BOTTOM
        self.figure = Figure(figsize=(self.width, self.height))
        self.heights = heights
        self.tops = [TOP + sum(heights[:i]) + sum(gaps[: i + 1]) for i in range(len(heights))]

    def panel(self, row: int, column: int) -> Axes:
        return self._axes(LEFT + column * (WIDTH + GAP), self.tops[row], WIDTH, self.heights[row])

    def label(self, row: int, text: str) -> None:
        middle = self.tops[row] + self.heights[row] / 2
        small = self.heights[row] < 0.5
        position = ((LEFT - 0.08) / self.width, 1 - middle / self.height)
        rotation = "horizontal" if small else "vertical"
        self.figure.text(
            *position, text, rotation=rotation, ha="right", va="center", fontsize=6 if small else 9
        )

    def title(self, text: str) -> None:
        self.figure.text(LEFT / self.width, 1 - 0.22 / self.height, text, ha="left", va="center", fontsize=10)

    def colour_bar(self, scale: Normalize, colours: str, text: str, first: int, end: int) -> None:
        top, bottom = self.tops[first], self.tops[end - 1] + self.heights[end - 1]
        axes = self._axes(self.width - RIGHT + 0.04, top, 0.1, bottom - top)
        values = np.linspace(float(scale.vmin or 0), float(scale.vmax or 1), 256)
        axes.pcolormesh(
            [0, 1], values, values[:-1, None] + np.diff(values)[:, None] / 2, norm=scale, cmap=colours
        )
        axes.set_xticks([])
        axes.yaxis.tick_right()
        axes.yaxis.set_label_position("right")
        axes.tick_params(labelsize=7, length=2)
        axes.set_ylabel(text, fontsize=8)

    def _axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = 1 - (top + height) / self.height
        return self.figure.add_axes((left / self.width, bottom, width / self.width, height / self.height))


def _show(axes: Axes, image: Image, scale: Normalize, colours: str | Colormap) -> None:
    axes.imshow(image, origin="lower", aspect="auto", norm=scale, cmap=colours, interpolation="nearest")
    axes.set_axis_off()


def _counts_scale(images: Sequence[Image]) -> Normalize:
    """Square-root scale from 0 to the 99.8 % quantile of the images: weak structure stays visible."""
    top = float(np.quantile(np.stack(images), 0.998))
    return PowerNorm(0.5, 0, top if top > 0 else 1.0, clip=True)


def _scale_bar(axes: Axes, extent: float, unit: str, voxels: int) -> None:
    """A bar of a round length of about a quarter of the image's width, in its lower left corner."""
    length = round_length(extent / 4)
    end = 0.05 + length / extent
    axes.plot([0.05, end], [0.05, 0.05], color="white", lw=2, transform=axes.transAxes, solid_capstyle="butt")
    words = in_words(length, unit)
    axes.text(0.05, 0.08, words, color="white", fontsize=7, transform=axes.transAxes, va="bottom")


def round_length(length: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `length`."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(power * max(step for step in (1, 2, 5) if step * power <= length * (1 + 1e-9)))


def in_words(length: float, unit: str) -> str:
    """A length with its unit; thousands of nm become µm."""
    if unit == "nm" and length >= 1000:
        length, unit = length / 1000, "um"
    return f"{length:g} {'' if unit == 'unitless' else unit.replace('um', 'µm')}".strip()


def _save(path: Path, figure: Figure) -> None:
    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})
