"""Measure the scale of the train latents, or take that of a trained prior."""

import logging
from pathlib import Path

import numpy as np

from voxgen.io.files import read_json, write_json
from voxgen.io.latent_shards import read_latents
from voxgen.models.folder import read_model_config, refuse_mismatch
from voxgen.models.whitening import Whitening, fit_whitening

USUAL = 0.8, 1.25  # standard deviation of latents, over all channels, in the scale of a prior that fits them

log = logging.getLogger(__name__)


def scale_factor(latents: Path, out: Path, posterior: str, prior: Path | None = None) -> None:
    """Write scale.json: mean and standard deviation per channel over all train latents.

    Where a trained `prior` is given they are its own, since it draws latents in that scale.

    Raises:
        InputError: a latent is not finite, the latents carry no signal, or the prior is of other latents.
    """
    config = read_json(latents / "config.json")
    autoencoder = {"autoencoder": config["made_from"]["autoencoder"]}
    measured = fit_whitening(read_latents(latents), posterior)
    if prior is None:
        write_json(out, {**measured.to_json(), **autoencoder})
        return
    trained = read_model_config(prior, "prior")
    refuse_mismatch(prior, trained["made_from"], autoencoder, ("autoencoder",))
    refuse_mismatch(prior, trained, {"latent_shape": config["shape"]}, ("latent_shape",))
    _tell(measured, Whitening.from_json(trained["scale"]), prior)
    write_json(out, trained["scale"])


def _tell(measured: Whitening, taken: Whitening, prior: Path) -> None:
    """Log how wide the latents are in the scale of the prior."""
    channels = np.array(measured.std) / np.array(taken.std)
    width = float(np.sqrt(np.square(channels).mean()))
    told = f"{prior}: in its scale the train latents have a standard deviation of {width:.3g}"
    if USUAL[0] <= width <= USUAL[1]:
        log.info("%s", told)
    else:
        log.warning("%s, expected about 1: its scale factor may be wrong, or its volumes were others", told)
