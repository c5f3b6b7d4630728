"""How runs went: their losses and their times, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from voxgen.figures.sheet import BLUE, GREEN, GREY, ORANGE, png, tidy
from voxgen.io.files import read_table
from voxgen.pages.comparing.runs import Run
from voxgen.pages.provenance import environment_rows, time_rows
from voxgen.pages.rendering import picture

NONE = "–"
TRAININGS = {"autoencoder": "Autoencoder", "diffusion": "Denoiser"}
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", GREY)  # Okabe and Ito's, but the grey
Rows = list[list[str]]


@dataclass(frozen=True)
class Curve:
    """Validation loss by epoch, of one training of one run."""

    run: str
    epochs: list[float]
    losses: list[float]


def curves(runs: Sequence[Run], training: str) -> list[Curve]:
    """The curves of the runs that have a history of this training with a validation loss in it."""
    found = []
    for run in runs:
        path = run.results / training / "history.csv"
        rows = read_table(path) if path.is_file() else []
        points = [(float(row["epoch"]), float(row["val_loss"])) for row in rows if row.get("val_loss")]
        if points:
            epochs, losses = zip(*points, strict=True)
            found.append(Curve(run.name, list(epochs), list(losses)))
    return found


def loss_rows(runs: Sequence[Run]) -> Rows:
    """For each training that some run has: epochs, last and lowest validation loss; a column each run."""
    rows = []
    for training, title in TRAININGS.items():
        found = {curve.run: curve for curve in curves(runs, training)}
        if not found:
            continue
        words = {name: _ends(curve) for name, curve in found.items()}
        for place, label in enumerate(("epochs", "last validation loss", "lowest validation loss")):
            values = [words[run.name][place] if run.name in words else NONE for run in runs]
            rows.append([f"{title}: {label}", *values])
    return rows


def other_latents(runs: Sequence[Run]) -> bool:
    """Whether the runs' denoisers learned the latents of different autoencoders."""
    made = [run.parts.get("diffusion", {}).get("made_from", {}).get("autoencoder") for run in runs]
    return len({one for one in made if one}) > 1


def times(runs: Sequence[Run]) -> Rows:
    """The machine of each run's last start, and the wall time of each rule; a column each run."""
    machines = [dict(environment_rows(run.results / "logs" / "environment.json")[0]) for run in runs]
    rows = [[name, *(one.get(name, NONE) for one in machines)] for name in ("cpu", "gpus")]
    found = [{row[0]: row[2] for row in time_rows(run.results / "benchmarks")} for run in runs]
    rules = dict.fromkeys(rule for one in found for rule in one)
    rows += [[rule, *(one.get(rule, NONE) for one in found)] for rule in rules]
    return [row for row in rows if set(row[1:]) != {NONE}]


def loss_picture(drawn: Sequence[Curve], title: str) -> str:
    """Validation losses of several runs in one figure, as the address of an image (PNG)."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    styles = [(colour, line) for line in ("-", "--", ":") for colour in COLOURS]
    for place, (curve, (colour, line)) in enumerate(zip(drawn, cycle(styles), strict=False)):
        marker = "o" if len(curve.epochs) < 30 else ""
        width = max(1.2, 3.6 - 0.8 * place)  # so that equal curves are seen below one another
        axes.plot(curve.epochs, curve.losses, line, c=colour, lw=width, marker=marker, ms=3, label=curve.run)
    if min(min(curve.losses) for curve in drawn) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation loss")
    axes.set_title(title, loc="left", fontsize=10)
    axes.legend(frameon=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    tidy(axes)
    return picture(png(figure))


def _ends(curve: Curve) -> tuple[str, str, str]:
    lowest = min(range(len(curve.losses)), key=curve.losses.__getitem__)
    epochs = f"{curve.epochs[-1]:g}"
    return epochs, f"{curve.losses[-1]:.4g}", f"{curve.losses[lowest]:.4g} (epoch {curve.epochs[lowest]:g})"
