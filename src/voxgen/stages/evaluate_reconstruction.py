"""Stage evaluate_reconstruction: how well the autoencoder reconstructs the test volumes.

Shapes: X, Y, Z voxels.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.evaluation.reconstruction_scores import score_reconstructions
from voxgen.evaluation.volume_streams import read_batches, rebuild
from voxgen.io.files import read_table, write_json
from voxgen.models.codec import load_autoencoder
from voxgen.settings.evaluation import EvaluationSettings
from voxgen.settings.machine import Machine
from voxgen.volumes.manifest import Split, grid_of
from voxgen.volumes.nifti import write_volume

Volume = NDArray[np.float32]


def evaluate_reconstruction(
    test: Split,
    autoencoder: Path,
    scores: Path,
    reconstructions: Path,
    evaluation: EvaluationSettings,
    seed: int,
    machine: Machine,
) -> None:
    """Reconstruct every test volume, score it beside baselines, and write both.

    Writes `scores` (JSON: estimates and baselines per metric, the scores of each volume, the ids of the
    worst) and, into `reconstructions`, one {id}.nii.gz per volume.

    Raises:
        InputError: the split is empty, a volume has not the autoencoder's grid, or a reconstruction is
            not finite.
    """
    manifest, folder = test
    rows = {row["id"]: row for row in read_table(manifest)}
    if not rows:
        raise InputError(f"{manifest}: no volumes to reconstruct; give data.split.test a larger share")
    first = load_autoencoder(autoencoder, machine)
    reconstructions.mkdir(parents=True, exist_ok=True)

    def pairs() -> Iterator[tuple[str, Volume, Volume]]:
        for batch in read_batches(list(rows), folder, first.grid.shape, machine.batch):
            ((ids, r_BXYZ),) = rebuild(first, [batch])
            for one, x_XYZ, r_XYZ in zip(ids, batch[1], r_BXYZ, strict=True):
                own, path = grid_of(rows[one], first.grid), reconstructions / f"{one}.nii.gz"
                write_volume(path, r_XYZ, own.origin, own.spacing, own.unit, compression=machine.compression)
                yield one, x_XYZ, r_XYZ

    found = score_reconstructions(pairs(), first.grid, first.intensity, evaluation, seed)
    write_json(scores, {"device": first.fabric.device.type, **found})
