"""Measure the scale of the train latents."""

from pathlib import Path

from voxgen.io.files import read_json, write_json
from voxgen.io.latent_shards import read_latents
from voxgen.models.whitening import fit_whitening


def scale_factor(latents: Path, out: Path, posterior: str) -> None:
    """Write scale.json: mean and standard deviation per channel over all train latents.

    Raises:
        InputError: a latent is not finite, or the latents carry no signal.
    """
    made_from = read_json(latents / "config.json")["made_from"]
    whitening = fit_whitening(read_latents(latents), posterior)
    write_json(out, {**whitening.to_json(), "autoencoder": made_from["autoencoder"]})
