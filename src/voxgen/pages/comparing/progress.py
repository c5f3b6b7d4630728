"""How runs went: their losses and their times, side by side."""

from collections.abc import Sequence

from voxgen.figures.training_curves import Curve, read_curves
from voxgen.io.files import read_table
from voxgen.pages.comparing.finished_runs import FinishedRun
from voxgen.pages.provenance import Rows, environment_rows, time_rows
from voxgen.pages.score_tables import NONE

TRAININGS = {"autoencoder": "Autoencoder", "prior": "Prior"}


def validation_curves(runs: Sequence[FinishedRun], training: str) -> list[Curve]:
    """The curves of the runs that have a history of this training with a validation loss in it."""
    files = {run.name: run.results / training / "history.csv" for run in runs}
    tables = {name: read_table(file) for name, file in files.items() if file.is_file()}
    return [curve for name, rows in tables.items() for curve in read_curves(rows, {"val_loss": name})]


def loss_rows(runs: Sequence[FinishedRun]) -> Rows:
    """For each training that some run has: epochs, last and lowest validation loss; a column per run."""
    rows = []
    for training, title in TRAININGS.items():
        ends = {curve.label: _describe_end(curve) for curve in validation_curves(runs, training)}
        for place, label in enumerate(("epochs", "last validation loss", "lowest validation loss")):
            values = [ends[run.name][place] if run.name in ends else NONE for run in runs]
            rows += [[f"{title}: {label}", *values]] if ends else []
    return rows


def differ_in_latents(runs: Sequence[FinishedRun]) -> bool:
    """Whether the runs' denoisers learned the latents of different autoencoders."""
    made = [run.parts.get("prior", {}).get("made_from", {}).get("autoencoder") for run in runs]
    return len({one for one in made if one}) > 1


def compare_times(runs: Sequence[FinishedRun]) -> Rows:
    """The machine of each run's last start, and the wall time of each rule; a column per run."""
    machines = [dict(environment_rows(run.results / "logs" / "environment.json")[0]) for run in runs]
    rows = [[name, *(one.get(name, NONE) for one in machines)] for name in ("cpu", "gpus")]
    found = [{row[0]: row[2] for row in time_rows(run.results / "benchmarks")} for run in runs]
    rules = dict.fromkeys(rule for one in found for rule in one)
    rows += [[rule, *(one.get(rule, NONE) for one in found)] for rule in rules]
    return [row for row in rows if set(row[1:]) != {NONE}]


def _describe_end(curve: Curve) -> tuple[str, str, str]:
    lowest = min(range(len(curve.losses)), key=curve.losses.__getitem__)
    epochs = f"{curve.epochs[-1]:g}"
    return epochs, f"{curve.losses[-1]:.4g}", f"{curve.losses[lowest]:.4g} (epoch {curve.epochs[lowest]:g})"
