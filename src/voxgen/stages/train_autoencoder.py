"""Train the autoencoder on the train split."""

from pathlib import Path

import numpy as np
import torch

from voxgen.batches.views import views
from voxgen.batches.volume_batches import VolumeBatches, Volumes
from voxgen.io.files import digest, read_json
from voxgen.models.first_stage.kl import AutoencoderObjective, build_autoencoder
from voxgen.settings.machine import Machine
from voxgen.settings.models import AutoencoderSettings
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
) -> None:
    """Write model.safetensors, config.json and history.csv into `out`.

    `state` holds resumable states.
    """
    law = Intensity.from_json(read_json(intensity))
    network = settings.network.model_dump(mode="json")
    torch.manual_seed(seed)
    objective = AutoencoderObjective(
        build_autoencoder(network), settings.foreground_weight, settings.kl_weight
    )
    volumes, watched = (Volumes(*split, law, machine.cache_gb / 2, machine.readers) for split in (train, val))
    files = {"train": train[0], "val": val[0], "grid": grid, "law": intensity}
    inputs = {name: digest(file) for name, file in files.items()}
    folder = state_folder(
        state,
        __name__,
        settings=settings.model_dump(mode="json", exclude={"source"}),
        flips=flips,
        rotations=rotations,
        seed=seed,
        inputs=inputs,
    )
    val_batches = VolumeBatches(watched, settings, (), seed, "validation")
    pictured, _ = val_batches.batch(np.arange(min(SHOWN, len(watched))), 0)
    trained = fit(
        objective,
        VolumeBatches(volumes, settings, views(flips, rotations), seed, "train"),
        val_batches,
        folder,
        settings.training,
        seed,
        machine,
        reconstructions(pictured, read_json(grid)),
    )
    write_model(
        out,
        trained,
        {
            "kind": "autoencoder",
            "network": network,
            "grid": read_json(grid),
            "intensity": law.to_json(),
            "training": settings.training.model_dump(mode="json"),
            "seed": seed,
            "made_from": inputs,
        },
    )
