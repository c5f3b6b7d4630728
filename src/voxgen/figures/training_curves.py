"""Figures of trainings: losses over the epochs, of one training or of several runs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator

from voxgen.figures.sheet import BLUE, GREEN, GREY, ORANGE, save, tidy

COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", GREY)  # Okabe and Ito's, but the grey
PARTS = ("train_", "val_")  # of columns
ACROSS = 3  # small figures beside each other
FEW = 30  # epochs that are marked one by one
Row = Mapping[str, str]


@dataclass(frozen=True)
class Curve:
    """A loss by epoch."""

    label: str
    epochs: Sequence[float]
    losses: Sequence[float]


def read_curves(rows: Iterable[Row], labels: Mapping[str, str]) -> list[Curve]:
    """The curves of a history.csv; `labels` by column. Epochs without a value are left out."""
    rows = list(rows)
    found = []
    for column, label in labels.items():
        points = [(float(row["epoch"]), float(row[column])) for row in rows if row.get(column)]
        if points:
            epochs, losses = zip(*points, strict=True)
            found.append(Curve(label, epochs, losses))
    return found


def save_history(path: Path, rows: Sequence[Row], title: str) -> None:
    """The loss over the epochs, the figures beside it, and the learning rate, from rows of history.csv."""
    figures = _figures(rows)
    height = -(-len(figures) // ACROSS)
    figure = Figure(figsize=(6.4, 4.0 + 1.5 * height), layout="constrained")
    grid = figure.add_gridspec(2 + height, ACROSS, height_ratios=[3.0, *[1.5] * height, 0.8])
    losses = figure.add_subplot(grid[0, :])
    curves = read_curves(rows, {"train_loss": "training", "val_loss": "validation"})
    _draw_losses(losses, curves, "loss", title)
    losses.tick_params(labelbottom=False)
    for number, name in enumerate(figures):
        row, column = divmod(number, ACROSS)
        _draw_figure(figure.add_subplot(grid[1 + row, column], sharex=losses), rows, name)
    rates = figure.add_subplot(grid[-1, :], sharex=losses)
    for curve in read_curves(rows, {"learning_rate": ""}):
        rates.plot(curve.epochs, curve.losses, color=GREY)
    rates.set_ylim(bottom=0)
    rates.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    rates.set_ylabel("rate")
    _label_epochs(rates)
    save(path, figure)


def draw_validation(curves: Sequence[Curve], title: str) -> Figure:
    """Validation losses of several runs."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    _draw_losses(axes, curves, "validation loss", title)
    _label_epochs(axes)
    return figure


def _figures(rows: Sequence[Row]) -> list[str]:
    """What is measured beside the loss, but for norms of gradients and what numbered channels do."""
    columns = dict.fromkeys(name for row in rows for name in row if row[name])
    found = dict.fromkeys(
        name.removeprefix(part) for part in PARTS for name in columns if name.startswith(part)
    )
    return [name for name in found if not re.search(r"^loss$|gradient_norm$|_\d+$", name)]


def _draw_figure(axes: Axes, rows: Sequence[Row], name: str) -> None:
    """One figure in the colours of training and validation."""
    for colour, part in zip(COLOURS, PARTS, strict=False):
        for curve in read_curves(rows, {part + name: ""}):
            marker = "o" if len(curve.epochs) < FEW else ""
            axes.plot(curve.epochs, curve.losses, c=colour, lw=1.2, marker=marker, ms=2)
    axes.set_title(name.replace("_", " "), loc="left", fontsize=8)
    axes.tick_params(labelsize=7, labelbottom=False)
    tidy(axes)


def _draw_losses(axes: Axes, curves: Sequence[Curve], words: str, title: str) -> None:
    styles = cycle((colour, line) for line in ("-", "--", ":") for colour in COLOURS)
    for place, (curve, (colour, line)) in enumerate(zip(curves, styles, strict=False)):
        marker = "o" if len(curve.epochs) < FEW else ""
        width = 1.2 + 0.8 * (len(curves) - 1 - place)  # so that equal curves are seen below one another
        axes.plot(
            curve.epochs, curve.losses, line, c=colour, lw=width, marker=marker, ms=3, label=curve.label
        )
    if curves and min(min(curve.losses) for curve in curves) > 0:
        axes.set_yscale("log")
        for formatted in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            formatted(_PlainLog(labelOnlyBase=False, minor_thresholds=(2, 0.5)))
    if curves:
        axes.legend(frameon=False)
    axes.set_ylabel(words)
    axes.set_title(title, loc="left", fontsize=10)
    tidy(axes)


def _label_epochs(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True, min_n_ticks=1))
    tidy(axes)


class _PlainLog(LogFormatter):
    """Labels a logarithmic axis where LogFormatter does, with plain numbers."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""
