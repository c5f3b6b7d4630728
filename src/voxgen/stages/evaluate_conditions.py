"""Stage evaluate_conditions: whether samples are what they were asked to be, and how good each class is."""

from pathlib import Path

from voxgen.batches.conditions import fit_vocabulary, read_conditions
from voxgen.evaluation.condition_scores import score_conditions
from voxgen.evaluation.volume_sets import Description
from voxgen.io.files import read_json, read_table, write_json
from voxgen.models.codec import load_autoencoder
from voxgen.models.folder import refuse_mismatch
from voxgen.settings.conditions import ConditionSettings
from voxgen.settings.evaluation import EvaluationSettings
from voxgen.settings.machine import Machine
from voxgen.volumes.grid import Grid
from voxgen.volumes.intensity import Intensity
from voxgen.volumes.manifest import Split


def evaluate_conditions(
    samples: Split,
    train: Split,
    test: Split,
    grid: Path,
    intensity: Path,
    autoencoder: Path,
    scores: Path,
    condition: ConditionSettings,
    evaluation: EvaluationSettings,
    seed: int,
    machine: Machine,
) -> None:
    """Write `scores` (JSON) of samples.csv, whose columns label and attributes say what was asked.

    Models that learn from the train split what `condition` names guess it of samples and of test volumes.
    Of each class, numbers per volume are held against those of its test volumes.

    Raises:
        InputError: the autoencoder was trained on another law, or a volume has another shape.
    """
    frame, law = Grid.from_json(read_json(grid)), Intensity.from_json(read_json(intensity))
    first = load_autoencoder(autoencoder, machine)
    refuse_mismatch(autoencoder, first.config["intensity"], law.to_json(), ("law",))
    sets = {"samples": samples, "test": test, "train": train}
    sources = {name: (read_table(table), folder) for name, (table, folder) in sets.items()}
    vocabulary = fit_vocabulary(read_conditions(sources["train"][0]), condition)
    how = Description(frame, law, {}, evaluation, seed)
    write_json(scores, score_conditions(sources, vocabulary, first, how, machine.batch))
