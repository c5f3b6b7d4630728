"""Train the denoiser on cached latents."""

from pathlib import Path

import torch

from voxgen.batches.latent_batches import LatentBatches, Latents
from voxgen.io.files import digest, read_json
from voxgen.models.folder import refuse_mismatch
from voxgen.models.prior.denoiser import DenoiserObjective, build_denoiser
from voxgen.models.prior.processes import build_process
from voxgen.models.whitening import LatentScale
from voxgen.settings.machine import Machine
from voxgen.settings.models import DiffusionSettings
from voxgen.training.artefact import write_model
from voxgen.training.identity import state_folder
from voxgen.training.loop import fit
from voxgen.training.monitor.pictures import samples


def train_diffusion(
    train: Path,
    val: Path,
    scale: Path,
    autoencoder: Path,
    out: Path,
    state: Path,
    settings: DiffusionSettings,
    seed: int,
    machine: Machine,
) -> None:
    """Write model.safetensors (averaged weights), config.json and history.csv into `out`.

    `train` and `val` are latent folders, `state` holds resumable states; the `autoencoder` that made the
    latents only decodes the pictures of samples.

    Raises:
        InputError: the latents and the scale do not belong together, or the training cannot go on.
    """
    latents, recorded = read_json(train / "config.json"), read_json(scale)
    refuse_mismatch(val, read_json(val / "config.json"), latents, ("grid", "intensity", "shape"))
    refuse_mismatch(scale, recorded, {"autoencoder": latents["made_from"]["autoencoder"]}, ("autoencoder",))
    whitening = LatentScale.from_json(recorded)
    network = settings.network.model_dump(mode="json")
    torch.manual_seed(seed)
    denoiser = build_denoiser(network, latents["shape"][0])
    objective = DenoiserObjective(denoiser, build_process(settings.process))
    inputs = {"autoencoder": latents["made_from"]["autoencoder"], "scale": digest(scale)}
    inputs |= {name: digest(*sorted(folder.iterdir())) for name, folder in (("train", train), ("val", val))}
    folder = state_folder(
        state,
        __name__,
        settings=settings.model_dump(mode="json"),
        seed=seed,
        inputs=inputs,
    )
    trained = fit(
        objective,
        LatentBatches(Latents(train, whitening), seed, "train"),
        LatentBatches(Latents(val, whitening), seed, "validation"),
        folder,
        settings.training,
        seed,
        machine,
        samples(autoencoder, whitening, tuple(latents["shape"]), seed, machine, latents["grid"]),
    )
    write_model(
        out,
        trained,
        {
            "kind": "diffusion",
            "process": settings.process,
            "network": network,
            "latent_shape": latents["shape"],
            "scale": recorded,
            "grid": latents["grid"],
            "intensity": latents["intensity"],
            "training": settings.training.model_dump(mode="json"),
            "seed": seed,
            "made_from": inputs,
        },
    )
