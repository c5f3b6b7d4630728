"""Stage `train_diffusion`: latents of the train split -> a prior of any kind."""

from pathlib import Path

import torch

from voxgen.batches.conditions import fit_vocabulary
from voxgen.batches.latent_batches import LatentBatches, Latents
from voxgen.io.files import digest, read_json
from voxgen.models.first_stage.codebook import read_vectors
from voxgen.models.folder import refuse_mismatch, weights_digest
from voxgen.models.kinds import build_prior
from voxgen.models.whitening import Whitening
from voxgen.settings.machine import Machine
from voxgen.settings.prior import PriorSettings
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
    settings: PriorSettings,
    seed: int,
    machine: Machine,
) -> None:
    """Write model.safetensors (averaged weights), config.json and history.csv into `out`.

    `train` and `val` are latent folders, `state` holds resumable states; the `autoencoder` that made the
    latents decodes the pictures of samples, and says what codes there are, where it has some.

    Raises:
        InputError: latents, scale and autoencoder do not belong together, the autoencoder has no codes, but
            the prior draws them, the latents' index does not say what the prior is to be told, or the
            training cannot go on.
    """
    latents, recorded = read_json(train / "config.json"), read_json(scale)
    refuse_mismatch(val, read_json(val / "config.json"), latents, ("grid", "intensity", "shape"))
    refuse_mismatch(scale, recorded, {"autoencoder": latents["made_from"]["autoencoder"]}, ("autoencoder",))
    whitening = Whitening.from_json(recorded)
    chosen = settings.model_dump(mode="json", exclude={"source"})
    refuse_mismatch(
        autoencoder, {"autoencoder": weights_digest(autoencoder)}, latents["made_from"], ("autoencoder",)
    )
    learnt = Latents(train, whitening)
    watched = Latents(val, whitening, learnt.conditions.classes)
    vocabulary = fit_vocabulary(learnt.conditions, settings.condition) if settings.condition else None
    torch.manual_seed(seed)
    prior = build_prior(chosen, tuple(latents["shape"]), vocabulary)
    prior = prior.over(whitening, read_vectors(autoencoder))
    objective = prior.objective()
    given = watched.conditions.columns
    inputs = {"autoencoder": latents["made_from"]["autoencoder"], "scale": digest(scale)}
    inputs |= {name: digest(*sorted(folder.iterdir())) for name, folder in (("train", train), ("val", val))}
    trained = fit(
        objective,
        LatentBatches(learnt, objective, seed, "train"),
        LatentBatches(watched, objective, seed, "validation"),
        state_folder(state, __name__, settings=chosen, inputs=inputs, seed=seed),
        settings.chosen.training,
        seed,
        machine,
        samples(prior, autoencoder, whitening, seed, machine, latents["grid"], given),
    )
    config = {
        "kind": "prior",
        "settings": chosen,
        "latent_shape": latents["shape"],
        "conditions": vocabulary and vocabulary.to_json(),
        "scale": recorded,
        "grid": latents["grid"],
        "intensity": latents["intensity"],
        "seed": seed,
        "made_from": inputs,
    }
    write_model(out, trained, config)
