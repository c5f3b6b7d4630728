"""Train the autoencoder on the train split."""

from pathlib import Path

import torch

from voxgen.autoencoder.network import AutoencoderObjective, build_autoencoder
from voxgen.data.volumes import VolumeBatches, Volumes
from voxgen.intensity import Intensity
from voxgen.io.files import digest, read_json
from voxgen.settings.code import code_digest
from voxgen.settings.sections import AutoencoderSettings, Machine
from voxgen.training.artefact import write_model
from voxgen.training.loop import fit
from voxgen.training.state import fingerprint


def train_autoencoder(
    train: tuple[Path, Path],
    val: tuple[Path, Path],
    grid: Path,
    intensity: Path,
    out: Path,
    state: Path,
    settings: AutoencoderSettings,
    flips: tuple[str, ...],
    seed: int,
    machine: Machine,
) -> None:
    """Write model.safetensors, config.json and history.csv into `out`.

    `train` and `val` are each a manifest and the folder of its volumes; `state` holds resumable states.
    """
    law = Intensity.from_json(read_json(intensity))
    described = read_json(grid)
    network = settings.network.model_dump(mode="json")
    latent_shape = (
        settings.network.latent_channels,
        *(size // settings.network.factor for size in described["shape"]),
    )
    torch.manual_seed(seed)
    objective = AutoencoderObjective(
        build_autoencoder(network), settings.foreground_weight, settings.kl_weight
    )
    volumes, watched = (Volumes(*split, law, machine.cache_gb / 2) for split in (train, val))
    inputs = {
        "train": digest(train[0]),
        "val": digest(val[0]),
        "grid": digest(grid),
        "law": digest(intensity),
    }
    identity = fingerprint(
        settings=settings.model_dump(mode="json", exclude={"source": True, "training": {"epochs"}}),
        flips=flips,
        seed=seed,
        inputs=inputs,
        code=code_digest(__name__),
    )
    trained = fit(
        objective,
        VolumeBatches(volumes, latent_shape, flips, seed, "train"),
        VolumeBatches(watched, latent_shape, (), seed, "validation"),
        state / identity,
        settings.training,
        seed,
        machine,
    )
    write_model(
        out,
        trained,
        {
            "kind": "autoencoder",
            "network": network,
            "grid": described,
            "intensity": law.to_json(),
            "training": settings.training.model_dump(mode="json"),
            "seed": seed,
            "made_from": inputs,
        },
    )
