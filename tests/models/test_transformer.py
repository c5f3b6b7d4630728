"""The transformer against MONAI's, its memory against none, its draws against probabilities."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.networks.nets import DecoderOnlyTransformer
from monai.utils import Ordering
from safetensors.torch import save_file
from torch import Tensor

from voxgen.errors import InputError
from voxgen.models.first_stage.codebook import nearest, read_vectors, vectors_of
from voxgen.models.folder import WEIGHTS
from voxgen.models.kinds import build_first_stage, build_prior
from voxgen.models.objective import Address, Objective
from voxgen.models.prior.causal_network import CausalNetwork
from voxgen.models.prior.transformer import Transformer, draw_code
from voxgen.models.vocabulary import Vocabulary
from voxgen.models.whitening import Whitening
from voxgen.randomness import generator
from voxgen.settings.sections import Settings

LATENT = (2, 4, 3, 2)
N, CODES = 24, 16
SAMPLING = {"temperature": 1.0, "top_k": None}
WHITENING = Whitening((0.5, -1.0), (4.0, 0.25), "mean")  # so that the nearest of whitened vectors is another
NETWORK = {"channels": 16, "layers": 3, "head_channels": 8}


def network(tokens: int = CODES + 1, positions: int = N) -> CausalNetwork:
    torch.manual_seed(0)
    return CausalNetwork(tokens, positions, **NETWORK)


def monais() -> DecoderOnlyTransformer:
    torch.manual_seed(0)
    sizes = NETWORK["channels"], NETWORK["layers"], NETWORK["channels"] // NETWORK["head_channels"]
    return DecoderOnlyTransformer(CODES + 1, N, *sizes)


def tokens(batch: int, count: int = N) -> Tensor:
    return torch.randint(CODES + 1, (batch, count), generator=torch.Generator().manual_seed(1))


def vectors() -> Tensor:
    return torch.randn(CODES, LATENT[0], generator=torch.Generator().manual_seed(2))


def built(settings: Settings, vocabulary: Vocabulary | None = None) -> Transformer:
    """A prior of kind transformer that has seen nothing."""
    section = settings.prior.model_copy(update={"kind": "transformer"}).model_dump(mode="json")
    made = build_prior(section, LATENT, vocabulary)
    assert isinstance(made, Transformer)
    return made


def prior(settings: Settings, vocabulary: Vocabulary | None = None) -> Transformer:
    torch.manual_seed(0)
    return built(settings, vocabulary).over(WHITENING, vectors())


def rows(codes_Bxyz: Tensor, whitening: Whitening = WHITENING) -> Tensor:
    """Whitened latents of codes."""
    return whitening.whiten(vectors_of(codes_Bxyz, vectors()))


def codes_of(z_BCxyz: Tensor) -> Tensor:
    """The codes (B, N) of whitened latents."""
    return nearest(WHITENING.unwhiten(z_BCxyz), vectors()).flatten(1)


def test_weights_have_the_names_the_order_and_the_first_values_of_monais() -> None:
    unused = ("norm_cross_attn", "causal_mask")
    theirs = {
        name: value for name, value in monais().state_dict().items() if not any(one in name for one in unused)
    }
    ours = network().state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 7, N])
def test_logits_are_those_of_monais(count: int) -> None:
    given = tokens(3, count)
    torch.testing.assert_close(network()(given), monais()(given), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_position_sees_itself_and_those_before() -> None:
    given = tokens(2)
    changed = given.clone()
    changed[:, 10] = (given[:, 10] + 1) % CODES
    before, after = (network().double()(one) for one in (given, changed))
    torch.testing.assert_close(after[:, :10], before[:, :10], rtol=0, atol=0)
    assert ((after - before)[:, 10:].abs().amax(2) > 1e-6).all()


@torch.no_grad()
@pytest.mark.parametrize("first", [1, 5])
def test_what_is_remembered_changes_no_logit(first: int) -> None:
    made, given = network().double(), tokens(3)
    past = made.past(3)
    parts = [given[:, :first], *given[:, first:].split(1, 1)]
    remembered = torch.stack([made.following(part, past) for part in parts], 1)
    torch.testing.assert_close(remembered, made(given)[:, first - 1 :], rtol=0, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("sampling", [SAMPLING, {"temperature": 0.7, "top_k": 5}])
def test_samples_are_those_that_are_drawn_without_memory(
    settings: Settings, sampling: dict[str, float]
) -> None:
    made, indices, seed = prior(settings), [3, 8, 11], 7
    whole = made.network.double()
    begun = torch.full((3, 1), CODES)
    for position in range(N):
        uniform = torch.tensor([generator(seed, "sample", index).random(N)[position] for index in indices])
        code = draw_code(whole(begun)[:, -1, :-1], uniform, sampling["temperature"], sampling["top_k"])
        begun = torch.cat([begun, code[:, None]], 1)
    drawn = prior(settings).sample(indices, seed, sampling)
    assert torch.equal(codes_of(drawn), begun[:, 1:])
    assert len(codes_of(drawn).unique()) > 4


def test_a_sample_is_the_same_in_whichever_batch(settings: Settings) -> None:
    made = prior(settings)
    together = made.sample(range(9), 3, SAMPLING)
    assert torch.equal(torch.cat([made.sample([index], 3, SAMPLING) for index in range(9)]), together)
    assert torch.equal(made.sample([8, 2], 3, SAMPLING), together[[8, 2]])
    assert not torch.equal(made.sample(range(9), 4, SAMPLING), together)


def test_what_is_drawn_is_decoded_as_the_codes_that_were_drawn(settings: Settings, tmp_path: Path) -> None:
    section = settings.autoencoder.model_copy(update={"kind": "vq"}).model_dump(mode="json")
    torch.manual_seed(0)
    stage = build_first_stage(section, (8, 6, 16))
    stage.network.codebook.embedding.weight.copy_(vectors())
    save_file(stage.network.state_dict(), tmp_path / WEIGHTS)
    torch.manual_seed(0)
    made = built(settings).over(WHITENING, read_vectors(tmp_path))
    with torch.no_grad():
        drawn = made.sample(range(2), 0, SAMPLING)
        exact = stage.network.decoder(vectors_of(codes_of(drawn).view(2, *LATENT[1:]), vectors()))
        assert torch.equal(stage.decode(WHITENING.unwhiten(drawn)), exact)


def test_the_loss_is_the_cross_entropy_of_codes_in_raster_order(settings: Settings) -> None:
    """Codes are the nearest by the first stage's measure, and each is told by those before it alone."""
    made = prior(settings)
    z = torch.randn(2, *LATENT, generator=torch.Generator().manual_seed(3))
    codes, whitened = (
        torch.cdist(one.flatten(2).mT, other).argmin(2)
        for one, other in ((WHITENING.unwhiten(z), vectors()), (z, made.network.code_vectors))
    )
    assert not torch.equal(codes, whitened)
    sequence = codes[:, Ordering("raster_scan", 3, (1, *LATENT[1:])).get_sequence_ordering()]
    before = torch.cat([torch.full((2, 1), CODES), sequence[:, :-1]], 1)
    chances = made.network(before).log_softmax(2)
    expected = -np.mean([chances[i, n, sequence[i, n]].item() for i in range(2) for n in range(N)])
    objective = made.objective()
    assert objective({"latent": z})["loss"].item() == pytest.approx(expected, rel=1e-5)
    assert objective.draws(LATENT, Address(0, "train", 0, 0)) == {}


def test_a_network_that_knows_nothing_loses_the_logarithm_of_the_tokens(settings: Settings) -> None:
    objective = prior(settings).objective()
    for weight in objective.model.parameters():
        torch.nn.init.zeros_(weight)
    figures = objective({"latent": torch.randn(2, *LATENT)})
    assert figures["loss"].item() == pytest.approx(math.log(CODES + 1))
    more, warnings = objective.health({"loss": figures["loss"].item()})
    assert more == {"perplexity": pytest.approx(CODES + 1)}
    assert not warnings


def test_it_learns_a_law_of_codes_and_draws_by_it(settings: Settings) -> None:
    """Each code is the one before it plus 1: only the first of them cannot be told."""
    made = prior(settings)
    objective = made.objective()
    optimizer = torch.optim.AdamW(objective.parameters(), 1e-2)
    starts = torch.arange(CODES)[:, None]
    z = rows(((starts + torch.arange(N)) % CODES).view(-1, *LATENT[1:]))
    for _ in range(60):
        optimizer.zero_grad()
        loss = objective({"latent": z})["loss"]
        loss.backward()
        optimizer.step()
    assert math.log(CODES) / N < loss.item() < 1.2 * math.log(CODES) / N
    codes = codes_of(made.sample(range(20), 0, SAMPLING))
    obeyed = (codes[:, 1:] == (codes[:, :-1] + 1) % CODES).float().mean().item()
    assert obeyed > 0.97
    assert len(codes[:, 0].unique()) > 8


def test_a_uniform_number_goes_through_the_inverse_distribution() -> None:
    chances = torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2], dtype=torch.float64)
    uniform = torch.tensor([0.0, 0.19, 0.21, 0.49, 0.51, 1 - 2**-53], dtype=torch.float64)
    logits = chances.log().expand(len(uniform), -1)
    assert draw_code(logits, uniform, 1.0, None).tolist() == [4, 4, 3, 3, 1, 1]
    assert draw_code(logits, uniform, 1.0, 2).tolist() == [3, 3, 3, 1, 1, 1]  # of .625 and .375
    assert draw_code(logits, uniform, 1.0, 1).tolist() == [1] * 6
    assert draw_code(logits, uniform, 1.0, 99).tolist() == [4, 4, 3, 3, 1, 1]


@pytest.mark.parametrize(("temperature", "power"), [(1.0, 1.0), (0.5, 2.0), (2.0, 0.5)])
def test_a_temperature_takes_probabilities_to_a_power(temperature: float, power: float) -> None:
    chances = np.array([0.5, 0.3, 0.2])
    uniform = torch.from_numpy((np.arange(10000) + 0.5) / 10000)
    logits = torch.from_numpy(np.log(chances)).expand(len(uniform), -1)
    found = torch.bincount(draw_code(logits, uniform, temperature, None)).numpy() / len(uniform)
    np.testing.assert_allclose(found, chances**power / (chances**power).sum(), atol=2e-4)


def test_its_weights_bring_the_codes_along(settings: Settings) -> None:
    made, other = prior(settings), built(settings)
    other.take_weights(made.network.state_dict(), torch.device("cpu"))
    torch.testing.assert_close(
        other.network.code_vectors, rows(torch.arange(CODES).view(-1, 1, 1, 1))[..., 0, 0, 0]
    )
    assert torch.equal(other.sample([5], 2, SAMPLING), made.sample([5], 2, SAMPLING))


def test_embeddings_and_the_last_layer_are_tables(settings: Settings) -> None:
    objective: Objective = prior(settings).objective()
    tables = {
        name for part in objective.tables for name, _ in objective.get_submodule(part).named_parameters(part)
    }
    others = {name for name, weight in objective.named_parameters() if weight.ndim == 2} - tables
    assert {name for name in tables if name.endswith("weight")} == {
        "model.token_embeddings.weight",
        "model.position_embeddings.embedding.weight",
        "model.to_logits.weight",
    }
    assert all(".blocks." in name for name in others)
    assert len(others) == 6 * settings.prior.transformer.network.layers


def test_a_first_stage_without_codes_is_refused(settings: Settings, results: Path) -> None:
    assert read_vectors(results / "autoencoder") is None
    with pytest.raises(
        InputError, match=r"prior\.kind: transformer draws codes, but the autoencoder has none"
    ):
        built(settings).over(WHITENING, None)


@torch.no_grad()
@pytest.mark.parametrize("covariates", [{}, {"age": (50.0, 10.0), "dose": (0.0, 2.0)}])
def test_a_condition_is_a_prefix_that_is_remembered(
    settings: Settings, covariates: dict[str, tuple[float, float]]
) -> None:
    made = prior(settings, Vocabulary(("left", "right"), covariates, 0.5)).network.double()
    given = tokens(3)
    known = {"class_labels": torch.tensor([0, 1, -1])}
    if covariates:
        known["covariates"] = torch.tensor([[1.0, 0.0], [0.5, -1.0], [0.0, math.nan]])
    past = made.past(3)
    remembered = torch.stack([made.following(part, past, **known) for part in given.split(1, 1)], 1)
    whole = made(given, **known)
    torch.testing.assert_close(remembered, whole, rtol=0, atol=1e-12)
    others = made(given, **{**known, "class_labels": torch.tensor([1, 0, -1])})
    assert ((others - whole).abs().amax((1, 2)) > 1e-6).tolist() == [True, True, False]
    plain = prior(settings).network.double()
    assert set(made.state_dict()) - set(plain.state_dict()) == {
        name for name in made.state_dict() if name.startswith(("class_embedding", "covariate_embedding"))
    }


def test_it_learns_what_it_is_told_and_draws_it(settings: Settings) -> None:
    """Latents of class 0 hold code 3 alone, of class 1 code 9; what is dropped leaves both open."""
    made = prior(settings, Vocabulary(("left", "right"), {}, 0.25))
    objective = made.objective()
    optimizer = torch.optim.AdamW(objective.parameters(), 1e-2)
    label = torch.tensor([0, 1] * 8)
    z = rows(torch.tensor([3, 9])[label].view(-1, 1, 1, 1).expand(-1, *LATENT[1:]))
    for epoch in range(40):
        draws = [objective.draws(LATENT, Address(0, "train", epoch, item)) for item in range(len(label))]
        dropped = torch.tensor([bool(each["dropped"]) for each in draws])
        optimizer.zero_grad()
        objective({"latent": z, "label": label, "dropped": dropped})["loss"].backward()
        optimizer.step()
    assert objective.draws(LATENT, Address(0, "validation", 0, 0)) == {}
    asked = torch.tensor([1, 0] * 10)
    told_apart = codes_of(made.sample(range(20), 0, SAMPLING, {"label": asked}))
    assert (told_apart == torch.tensor([3, 9])[asked][:, None]).float().mean() > 0.97
    open_to_both = codes_of(made.sample(range(20), 0, SAMPLING))[:, 0]
    assert {3, 9} <= set(open_to_both.tolist())


@torch.no_grad()
def test_guidance_goes_further_along_what_a_condition_changes(settings: Settings) -> None:
    made, label = prior(settings, Vocabulary(("left", "right"), {}, 0.25)), torch.tensor([1, 0, 1, 1])

    def drawn(scale: float | None) -> Tensor:
        guidance = None if scale is None else {"scale": scale, "interval": [0.0, 1.0]}
        return made.sample(range(4), 0, {**SAMPLING, "guidance": guidance}, {"label": label})

    assert torch.equal(drawn(1.0), drawn(None))
    assert torch.equal(drawn(0.0), made.sample(range(4), 0, SAMPLING))
    begun, network = torch.full((4, 1), CODES), made.network.double()
    free = network(begun, class_labels=torch.full((4,), -1))[:, -1, :-1]
    logits = free + 3 * (network(begun, class_labels=label)[:, -1, :-1] - free)
    uniform = torch.tensor([generator(0, "sample", index).random(N)[0] for index in range(4)])
    made = prior(settings, Vocabulary(("left", "right"), {}, 0.25))
    assert torch.equal(codes_of(drawn(3.0))[:, 0], draw_code(logits, uniform, 1.0, None))
