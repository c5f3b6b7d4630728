"""The networks whose weights are known: the one place that names them all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from voxgen.errors import InputError
from voxgen.models.foreign.answers import Answers
from voxgen.models.foreign.checkpoint_file import Weights
from voxgen.models.foreign.foreign_autoencoder import import_autoencoder
from voxgen.models.foreign.foreign_codes import CODES, import_codes
from voxgen.models.foreign.foreign_denoiser import import_denoiser
from voxgen.models.foreign.imported_model import ImportedModel

Import = Callable[[Mapping[str, Tensor], Answers], ImportedModel]


@dataclass(frozen=True)
class KnownNetwork:
    """A network of MONAI or of monai-generative.

    Attributes:
        sign: a parameter that it alone has.
        import_weights: what makes a model folder of its weights.
    """

    sign: str
    import_weights: Import


KNOWN = {
    "AutoencoderKL": KnownNetwork("quant_conv_mu.conv.weight", import_autoencoder),
    "DiffusionModelUNet": KnownNetwork("time_embed.0.weight", import_denoiser),
    "VQVAE": KnownNetwork(CODES, import_codes),
}


def recognised(weights: Mapping[str, Tensor]) -> str | None:
    """The name in KNOWN of the network that weights are of."""
    return next((name for name, network in KNOWN.items() if network.sign in weights), None)


def choose_part(parts: Mapping[str, Weights], wanted: str | None) -> tuple[str, str]:
    """The part of a checkpoint to import, the `wanted` one or the only one that is known; and its network.

    Raises:
        InputError: there is none, or more than one.
    """
    known = {part: name for part, weights in parts.items() if (name := recognised(weights))}
    held = ", ".join(f"{part or 'the file itself'} ({name})" for part, name in known.items())
    if wanted is not None and wanted not in known:
        raise InputError(f"part={wanted}: no network that is known; the file holds {held or 'none'}")
    if not known:
        tensors = ", ".join(
            f"{part or 'the file itself'} ({len(parts[part])} tensors)" for part in [*parts][:5]
        )
        raise InputError(
            f"no network that is known ({', '.join(KNOWN)}); found {tensors or 'no weights'}. They may lie "
            "bare or under a key, as autoencoder_state_dict"
        )
    if wanted is None and len(known) > 1:
        raise InputError(f"several networks: {held}; name one, as part={next(iter(known))}")
    part = next(iter(known)) if wanted is None else wanted
    return part, known[part]


def import_network(name: str, weights: Mapping[str, Tensor], answers: Answers) -> ImportedModel:
    """The model folder that weights of a known network, in voxgen's names, become.

    Raises:
        InputError: the weights are not whole, or answers are missing.
    """
    try:
        return KNOWN[name].import_weights(weights, answers)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
