"""The prior of kind transformer: codes are drawn one after the other, each by those before it.

Codes are in raster order: z runs fastest, then y. A token that stands for none of them comes first, and
before it what the prior is told of an item.

Shapes: B batch, C channels, x y z latent axes, N codes of a latent, K codes that there are.
"""

import math
from collections.abc import Mapping, Sequence
from copy import copy, deepcopy
from typing import Any, Self, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from voxgen.errors import InputError
from voxgen.least_steps import refuse_sampler
from voxgen.models.first_stage.codebook import nearest, vectors_of
from voxgen.models.interfaces import Prior
from voxgen.models.objective import Address, Batch, Draws, Objective
from voxgen.models.prior.causal_network import CausalNetwork
from voxgen.models.prior.conditioning import dropped, told
from voxgen.models.vocabulary import Vocabulary
from voxgen.models.whitening import Whitening
from voxgen.randomness import generator


@final
class Transformer(Prior):
    """An autoregressive prior of the codes of a VQ (van den Oord et al., arXiv 1711.00937, section 3.3).

    It has a network once it knows the codes: from a first stage (`over`), or from its weights, whose
    `code_vectors` are the whitened vectors that it returns.
    """

    whitening: Whitening
    vectors_KC: Tensor

    def __init__(
        self,
        settings: Mapping[str, Any],
        latent_shape: tuple[int, ...],
        vocabulary: Vocabulary | None = None,
    ) -> None:
        self.latent_shape, self.vocabulary = latent_shape, vocabulary
        self._layers = settings["network"]

    def over(self, whitening: Whitening, vectors_KC: Tensor | None) -> Self:
        """With new weights.

        Raises:
            InputError: the first stage has no codes.
        """
        if vectors_KC is None:
            raise InputError(
                "prior.kind: transformer draws codes, but the autoencoder has none; give one of kind vq, or "
                "set prior.kind: diffusion"
            )
        other = copy(self)
        other.whitening, other.vectors_KC = whitening, vectors_KC
        other.network = self._built(whitening.whiten(vectors_KC[:, :, None, None, None])[..., 0, 0, 0])
        return other

    def take_weights(self, weights: Mapping[str, Tensor], device: torch.device) -> None:
        self.network = self._built(weights["code_vectors"])
        super().take_weights(weights, device)

    def objective(self) -> Objective:
        return CodeObjective(self)

    def refuse(self, sampling: Mapping[str, Any]) -> None:
        refuse_sampler(sampling)

    @torch.no_grad()
    def sample(
        self,
        indices: Sequence[int],
        seed: int,
        sampling: Mapping[str, Any],
        given: Mapping[str, Tensor] | None = None,
        purpose: str = "sample",
    ) -> Tensor:
        """Whitened vectors of codes. A code has a uniform number, which its index and position decide.

        Guidance is by logits, free + scale (conditional - free), at each code: there are no times.

        Logits are computed in float64: in float32 they differ with the batch, and about one sample in a
        hundred would take another code somewhere, and be another from there on.
        """
        network = deepcopy(self.network).double()
        count = math.prod(self.latent_shape[1:])
        uniform_BN = np.stack([generator(seed, purpose, index).random(count) for index in indices])
        begun_BN = begun(self.network, len(indices))
        known, nothing = (told(self.vocabulary, one, begun_BN) for one in (given or {}, {}))
        guidance = sampling.get("guidance")
        scale = 1.0 if guidance is None else guidance["scale"]
        codes_BN = draw_codes(
            network,
            begun_BN,
            [(scale, known), *([(1 - scale, nothing)] if scale != 1 else [])],
            torch.from_numpy(uniform_BN).to(begun_BN.device),
            sampling["temperature"],
            sampling.get("top_k"),
        )
        return vectors_of(codes_BN.view(-1, *self.latent_shape[1:]), self.network.code_vectors)

    def _built(self, whitened_KC: Tensor) -> CausalNetwork:
        network = CausalNetwork(
            len(whitened_KC) + 1,
            math.prod(self.latent_shape[1:]),
            **self._layers,
            classes=len(self.vocabulary.classes) if self.vocabulary else 0,
            covariates=len(self.vocabulary.covariates) if self.vocabulary else 0,
        )
        network.register_buffer("code_vectors", whitened_KC.clone())
        return network


class CodeObjective(Objective):
    """Cross entropy of each code given those before it, in nats per code."""

    vectors_KC: Tensor

    def __init__(self, prior: Transformer) -> None:
        super().__init__()
        self.model = prior.network
        self.whitening, self.vocabulary = prior.whitening, prior.vocabulary
        of_classes = ("class_embedding",) if prior.vocabulary and prior.vocabulary.classes else ()
        names = ("token_embeddings", "position_embeddings", "to_logits", *of_classes)
        self.tables = tuple(f"model.{name}" for name in names)
        self.register_buffer("vectors_KC", prior.vectors_KC)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Codes are those that the first stage would decode the latents as."""
        z_BCxyz = self.whitening.unwhiten(batch["latent"])
        codes_BN = nearest(z_BCxyz, self.vectors_KC).flatten(1)
        tokens_BN = torch.cat([begun(self.model, len(codes_BN)), codes_BN[:, :-1]], 1)
        logits_BNK = self.model(tokens_BN, **told(self.vocabulary, batch, codes_BN)).float()
        return {"loss": F.cross_entropy(logits_BNK.mT, codes_BN)}

    def draws(self, shape: tuple[int, ...], address: Address) -> Draws:
        """With conditions, whether the item's is dropped in training."""
        return dropped(self.vocabulary, address)

    def health(self, figures: Mapping[str, Any]) -> tuple[dict[str, float], list[str]]:
        """Perplexity: how many codes, equally likely, would be as hard to tell."""
        return {"perplexity": math.exp(figures["loss"])}, []


def begun(network: Any, batch: int) -> Tensor:
    """The tokens (B, 1) before the first code: one that stands for no code."""
    vectors_KC: Tensor = network.code_vectors
    return torch.full((batch, 1), len(vectors_KC), device=vectors_KC.device)


def draw_codes(
    network: CausalNetwork,
    begun_BN: Tensor,
    told_by_weight: Sequence[tuple[float, Mapping[str, Tensor]]],
    uniform_BN: Tensor,
    temperature: float,
    top_k: int | None,
) -> Tensor:
    """Codes (B, N), one per uniform number, that follow tokens; the last token is no code.

    Logits are sums over weights, each times those of a network that is told so.
    """
    ways = [(weight, known, network.past(len(begun_BN))) for weight, known in told_by_weight]
    tokens_BN, drawn = begun_BN, list[Tensor]()
    for uniform_B in uniform_BN.unbind(1):
        logits = [weight * network.following(tokens_BN, past, **known) for weight, known, past in ways]
        drawn.append(draw_code(torch.stack(logits).sum(0)[:, :-1], uniform_B, temperature, top_k))
        tokens_BN = drawn[-1][:, None]
    return torch.stack(drawn, 1)


def draw_code(logits_BK: Tensor, uniform_B: Tensor, temperature: float, top_k: int | None) -> Tensor:
    """Codes (B,) of the probabilities softmax(logits / temperature), of the `top_k` likeliest alone.

    A code is the first one up to which probabilities sum to 1 - u or more, for u in [0, 1).
    """
    if top_k is not None:
        least_B1 = logits_BK.topk(min(top_k, logits_BK.shape[1])).values[:, -1:]
        logits_BK = logits_BK.masked_fill(logits_BK < least_B1, -math.inf)
    summed_BK = (logits_BK / temperature).softmax(1).cumsum(1)
    return torch.searchsorted(summed_BK, (1 - uniform_B)[:, None] * summed_BK[:, -1:]).squeeze(1)
