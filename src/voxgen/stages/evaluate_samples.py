"""Stage evaluate_samples: how far generated volumes are from the test split, beside what real ones are."""

from pathlib import Path

import numpy as np

from voxgen.errors import InputError
from voxgen.evaluation.sample_scores import Rows, score_samples
from voxgen.evaluation.volume_sets import Description, Features
from voxgen.io.files import read_json, read_table, write_json
from voxgen.metrics.medicalnet import load_medicalnet
from voxgen.models.codec import Autoencoder, load_autoencoder
from voxgen.models.folder import refuse_mismatch
from voxgen.settings.evaluation import EvaluationSettings
from voxgen.settings.machine import Machine
from voxgen.volumes.grid import Grid
from voxgen.volumes.intensity import Intensity
from voxgen.volumes.manifest import Split


def evaluate_samples(
    samples: Split,
    train: Split,
    test: Split,
    grid: Path,
    intensity: Path,
    autoencoder: Path,
    medicalnet: Path | None,
    scores: Path,
    evaluation: EvaluationSettings,
    seed: int,
    machine: Machine,
) -> None:
    """Compare generated volumes with the test split, and real and rebuilt ones as their references.

    All sets are cut to the size of the smallest by a
    seeded choice. `autoencoder` rebuilds train and test volumes and gives the features, as MedicalNet's
    weights do where there are some. Volumes of counts are also compared as point clouds, drawn from all
    volumes alike, in grid.json's frame. Writes `scores` (JSON).

    Raises:
        InputError: a set has no volumes, or one with counts that are not finite, or the autoencoder was
            trained on another grid.
    """
    law = Intensity.from_json(read_json(intensity))
    first = load_autoencoder(autoencoder, machine)
    refuse_mismatch(autoencoder, first.config["intensity"], law.to_json(), ("law",))
    sources = {"samples": samples, "test": test, "train": train}
    tables = {name: _read(name, table, folder) for name, (table, folder) in sources.items()}
    features = {"autoencoder": _encoder(first)}
    if medicalnet:
        features["MedicalNet"] = _medicalnet(medicalnet, law, first)
    how = Description(Grid.from_json(read_json(grid)), law, features, evaluation, seed)
    write_json(scores, score_samples(tables, first, how, machine))


def _read(name: str, table: Path, folder: Path) -> tuple[Rows, Path]:
    rows = read_table(table)
    if not rows:
        raise InputError(f"{table}: no volumes to evaluate; give more {name} volumes")
    for row in rows:
        if not np.isfinite(float(row["max"])):
            raise InputError(f"{name}: {row['id']} has a count of {row['max']}; train for longer")
    return rows, folder


def _encoder(first: Autoencoder) -> Features:
    """What the encoder sees, under the law that it was trained with: its constant may be another run's."""
    return lambda stored_BXYZ, _: first.features(first.intensity.to_network(stored_BXYZ))


def _medicalnet(weights: Path, law: Intensity, first: Autoencoder) -> Features:
    network = load_medicalnet(weights, str(first.fabric.device))
    return lambda stored_BXYZ, inside_BXYZ: network.features(law.to_network(stored_BXYZ), inside_BXYZ)
