"""The figure of the loader's benchmark."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from voxgen.figures.sheet import BLUE, ORANGE, save, tidy


def save_loader(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Volumes per second, and the share of a training step spent on waiting (rows of loader.csv)."""
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    speeds, waits = figure.subplots(1, 2)
    for cache, colour in (("empty", ORANGE), ("full", BLUE)):
        chosen = [row for row in rows if row["cache"] == cache]
        look: dict[str, Any] = {"color": colour, "marker": "o", "ms": 4, "label": f"{cache} cache"}
        speeds.plot([row["volumes_per_s"] for row in chosen], **look)
        waits.plot([100 * row["waiting_share"] for row in chosen], **look)
    speeds.set_yscale("log")
    speeds.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    speeds.yaxis.set_major_formatter("{x:g}")
    speeds.yaxis.set_minor_formatter(NullFormatter())
    speeds.set_ylabel("volumes per second")
    speeds.legend(frameon=False)
    waits.set_ylim(0, max(5.0, waits.get_ylim()[1]))  # so that next to nothing looks like it
    waits.set_ylabel("waiting for data [% of a step]")
    for axes, title in ((speeds, "Reading alone"), (waits, "Training the autoencoder")):
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xticks(range(len(chosen)), [str(row["readers"]) for row in chosen])
        axes.set_xlabel("readers (0: the thread that trains)")
        tidy(axes)
    save(path, figure)
