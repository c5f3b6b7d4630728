"""The figure of a training."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from voxgen.figures.sheet import BLUE, GREY, ORANGE, save, tidy


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
    tidy(losses)
    tidy(rates)
    save(path, figure)


class _PlainLog(LogFormatter):
    """Labels a logarithmic axis where LogFormatter does, with plain numbers."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""
