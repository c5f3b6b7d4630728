"""Measure the scale of the train latents."""

from pathlib import Path

from voxgen.io.files import read_json, write_json
from voxgen.io.latent_shards import read_latents
from voxgen.models.whitening import fit_scale


def scale_factor(latents: Path, out: Path, posterior: str) -> None:
    """Write scale.json: mean and standard deviation a channel over all train latents.

    Raises:
        InputError: a latent is not finite, or the latents carry no signal.
    """
    made_from = read_json(latents / "config.json")["made_from"]
    scale = fit_scale(read_latents(latents), posterior)
    write_json(out, {**scale.to_json(), "autoencoder": made_from["autoencoder"]})
