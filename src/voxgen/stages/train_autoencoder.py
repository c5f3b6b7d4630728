"""Stage `train_autoencoder`: volumes of the train split -> a first stage."""

from pathlib import Path

import numpy as np
import torch

from voxgen.batches.views import views
from voxgen.batches.volume_batches import VolumeBatches, Volumes
from voxgen.io.files import digest, read_json
from voxgen.models.kinds import build_first_stage
from voxgen.settings.autoencoder import AutoencoderSettings
from voxgen.settings.machine import Machine
from voxgen.training.artefact import write_model
from voxgen.training.identity import state_folder
from voxgen.training.loop import fit
from voxgen.training.monitor.pictures import SHOWN, reconstructions
from voxgen.volumes.intensity import Intensity
from voxgen.volumes.manifest import Split


def train_autoencoder(
    train: Split,
    val: Split,
    grid: Path,
    intensity: Path,
    out: Path,
    state: Path,
    settings: AutoencoderSettings,
    flips: tuple[str, ...],
    rotations: tuple[str, ...],
    seed: int,
    machine: Machine,
    perceptual: Path | None = None,
) -> None:
    """Write model.safetensors, config.json and history.csv into `out`.

    `state` holds resumable states. `perceptual` is the file of the perceptual loss's weights, where there is
    such a loss: another file makes another training.
    """
    law, frame = Intensity.from_json(read_json(intensity)), read_json(grid)
    chosen = settings.model_dump(mode="json", exclude={"source"})
    torch.manual_seed(seed)
    stage = build_first_stage(chosen, frame["shape"]).under(law)
    objective = stage.objective()
    files = {"train": train[0], "val": val[0], "grid": grid, "law": intensity}
    files |= {"perceptual": perceptual} if perceptual else {}
    inputs = {name: digest(file) for name, file in files.items()}
    folder = state_folder(
        state, __name__, settings=chosen, inputs=inputs, flips=flips, rotations=rotations, seed=seed
    )
    volumes, watched = (Volumes(*split, law, machine.cache_gb / 2, machine.readers) for split in (train, val))
    val_batches = VolumeBatches(watched, objective, (), settings.patch, seed, "validation")
    pictured = val_batches.batch(np.arange(min(SHOWN, len(watched))), 0)["volume"]
    trained = fit(
        objective,
        VolumeBatches(volumes, objective, views(flips, rotations), settings.patch, seed, "train"),
        val_batches,
        folder,
        settings.chosen.training,
        seed,
        machine,
        reconstructions(stage, pictured, frame),
    )
    config = {
        "kind": "autoencoder",
        "settings": chosen,
        "grid": frame,
        "intensity": law.to_json(),
        "seed": seed,
        "made_from": inputs,
    }
    write_model(out, trained, config)
