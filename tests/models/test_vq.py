"""The first stage of codes: MONAI's weights and outputs, its loss, its codes, and what restarts them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from monai.networks.nets import VQVAE as MonaiVQVAE  # noqa: N811
from torch import Tensor, nn

from voxgen.models.first_stage.vq import VQAutoencoder, VQObjective
from voxgen.models.layers import lay_out
from voxgen.models.objective import Address
from voxgen.settings.machine import Machine
from voxgen.settings.sections import Settings
from voxgen.training.engine import Engine, Share

CODEBOOK = {"decay": 0.9, "restart": 0.05}
LOSSES = {"l1": {"weight": 1.0, "foreground": 3.0}, "commitment": {"weight": 0.5}}
NETWORKS = {
    "one level": {"channels": [6], "res_blocks": 1, "res_channels": [4]},
    "three levels": {"channels": [4, 8, 6], "res_blocks": 2, "res_channels": [6, 4, 8]},
}
EACH = pytest.mark.parametrize("name", NETWORKS)


def section(
    name: str = "one level", stem: Sequence[int] = (1, 1, 1), codes: int = 12, **changes: Any
) -> dict[str, Any]:
    network = {**NETWORKS[name], "stem": list(stem), "codes": codes, "latent_channels": 3}
    return {"network": network, "codebook": CODEBOOK, "losses": LOSSES, **changes}


def stage(*arguments: Any, shape: Sequence[int] = (8, 8, 8), **keywords: Any) -> VQAutoencoder:
    torch.manual_seed(0)
    return VQAutoencoder(section(*arguments, **keywords), shape)


def monais(name: str) -> nn.Module:
    network = section(name)["network"]
    torch.manual_seed(0)
    built: nn.Module = MonaiVQVAE(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        channels=network["channels"],
        num_res_layers=network["res_blocks"],
        num_res_channels=network["res_channels"],
        downsample_parameters=[(2, 4, 1, 1)] * len(network["channels"]),
        upsample_parameters=[(2, 4, 1, 1, 0)] * len(network["channels"]),
        num_embeddings=network["codes"],
        embedding_dim=network["latent_channels"],
    )
    return built


def batch_of(objective: VQObjective, volumes: Tensor, first: int = 0) -> dict[str, Tensor]:
    """Volumes with what the objective draws for items from `first` on."""
    drawn = [
        objective.draws(tuple(volumes.shape[2:]), Address(0, "train", 0, first + item))
        for item in range(len(volumes))
    ]
    stacked = {name: torch.from_numpy(np.stack([each[name] for each in drawn])) for name in drawn[0]}
    return {"volume": volumes, **stacked}


@EACH
def test_weights_are_monais_and_start_as_they_do(name: str) -> None:
    found, expected = stage(name).network.state_dict(), monais(name).state_dict()
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert found[key].shape == value.shape, key
        if not key.endswith("ema_w"):  # whose size is 0, in both
            assert torch.equal(found[key], value), key


@EACH
def test_weights_load_both_ways_and_give_monais_outputs(name: str) -> None:
    ours, theirs = stage(name), monais(name).eval()
    for source, target in ((theirs, ours.network), (ours.network, theirs)):
        with torch.no_grad():
            for parameter in source.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
        target.load_state_dict(source.state_dict(), strict=True)
    lay_out(ours.network, "cpu")
    x = torch.rand(2, 1, 16, 8, 24)
    with torch.no_grad():
        z, spread = ours.encode(x)
        assert spread is None
        torch.testing.assert_close(z, theirs.encode(x), rtol=1e-5, atol=1e-5)
        assert torch.equal(ours.codes(x), theirs.index_quantize(x))
        assert len(ours.codes(x).unique()) > 1
        reconstruction, _ = theirs(x)
        torch.testing.assert_close(ours.decode(z), reconstruction, rtol=1e-5, atol=1e-5)
        assert reconstruction.std() > 1e-3


@EACH
def test_gradients_are_monais(name: str) -> None:
    """Of a squared error and a commitment, whose weight is MONAI's."""
    losses = {"mse": {"weight": 1.0, "foreground": 1.0}, "commitment": {"weight": 0.25}}
    ours, theirs = stage(name, losses=losses), monais(name)
    ours.network.load_state_dict(theirs.state_dict())
    objective, x = VQObjective(ours), torch.rand(2, 1, 16, 8, 8)
    figures = objective(batch_of(objective, x))
    figures["loss"].backward()
    reconstruction, commitment = theirs(x)
    loss = (reconstruction - x).square().mean() + commitment
    loss.backward()
    torch.testing.assert_close(figures["loss"], loss)
    expected = dict(theirs.named_parameters())
    for key, parameter in ours.network.named_parameters():
        given = expected[key].grad
        assert given is not None, key
        torch.testing.assert_close(parameter.grad, given, rtol=1e-4, atol=1e-6, msg=key)
    rest = expected.keys() - dict(ours.network.named_parameters())
    assert rest == {"quantizer.quantizer.embedding.weight"}  # which has no gradient there


@pytest.mark.parametrize(
    ("shape", "stem", "latent"),
    [
        ((8, 16, 4), (2, 2, 4), (2, 4, 1)),
        ((8, 8, 1), (1, 1, 1), (4, 4, 1)),
        ((3, 8, 8), (3, 1, 2), (1, 4, 2)),
    ],
)
def test_every_voxel_is_read_and_written(
    shape: tuple[int, ...], stem: tuple[int, ...], latent: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxgen.models.first_stage.vq_network.F.relu", nn.functional.elu)  # lets all pass
    made = stage(stem=stem, shape=shape)
    lay_out(made.network, "cpu")
    x = torch.rand(1, 1, *shape, requires_grad=True)
    z, _ = made.encode(x)
    assert z.shape == (1, 3, *latent)
    (gradient,) = torch.autograd.grad((z * torch.randn_like(z)).sum(), x)
    assert gradient.abs().min() > 0
    with torch.no_grad():
        one, other = (made.network.decoder(torch.randn(1, 3, *latent)) for _ in range(2))
    assert one.shape == x.shape
    assert (one - other).abs().min() > 0


def test_decoding_rounds_and_codes_are_what_it_rounds_to() -> None:
    made, x = stage(), torch.rand(2, 1, 8, 8, 8)
    with torch.no_grad():
        z, _ = made.encode(x)
        codes = made.codes(x)
        assert codes.shape == (2, 4, 4, 4)
        rounded = made.network.codebook.vectors(codes)
        assert not torch.allclose(rounded, z)
        assert torch.equal(made.decode(z), made.decode(rounded))
        assert torch.equal(made.decode(z), made.network.decoder(rounded))


class Fixed(nn.Module):
    """Encodes to given latents."""

    def __init__(self, z: Tensor) -> None:
        super().__init__()
        self.z = nn.Parameter(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.z


class Double(nn.Module):
    """Decodes to twice the latent."""

    def forward(self, z: Tensor) -> Tensor:
        return 2 * z


@pytest.fixture
def by_hand() -> tuple[VQObjective, Tensor]:
    """Latents 0.2, 0.9, 2.4 of codes at 0, 1, 2, and volumes to compare with."""
    losses = {**LOSSES, "mse": {"weight": 2.0, "foreground": 1.0}}
    section_of_one = section(codes=3, losses=losses)
    section_of_one["network"]["latent_channels"] = 1
    made = VQAutoencoder(section_of_one, (6, 2, 2))
    made.network.encoder = Fixed(torch.tensor([0.2, 0.9, 2.4]).view(1, 1, 3, 1, 1))
    made.network.decoder = Double()
    made.network.codebook.embedding.weight.copy_(torch.tensor([[0.0], [1.0], [2.0]]))
    return VQObjective(made), torch.tensor([0.5, 1.0, -1.0]).view(1, 1, 3, 1, 1)


def test_loss_by_hand(by_hand: tuple[VQObjective, Tensor]) -> None:
    objective, x = by_hand
    figures = objective.eval()({"volume": x})
    # decoded: 0, 2, 4; from x: 0.5, 1, 5; weights of the absolute error 1 + 2 clip(x, 0, 1): 2, 3, 1
    l1, mse = (2 * 0.5 + 3 * 1 + 5) / 3, (0.25 + 1 + 25) / 3
    commitment = (0.04 + 0.01 + 0.16) / 3
    assert figures["l1"].item() == pytest.approx(l1)
    assert figures["mse"].item() == pytest.approx(mse)
    assert figures["commitment"].item() == pytest.approx(commitment, rel=1e-5)
    assert figures["loss"].item() == pytest.approx(l1 + 2 * mse + 0.5 * commitment)
    assert figures["use"].tolist() == [1, 1, 1]


def test_gradients_pass_the_rounding(by_hand: tuple[VQObjective, Tensor]) -> None:
    objective, x = by_hand
    objective.eval()({"volume": x})["loss"].backward()
    # of the reconstruction at the codes: 2 weight sign / 3 and 2 * 2 * 2 residual / 3; of the commitment
    # 0.5 * 2 (latent - code) / 3
    expected = [
        (2 * 2 * -1 + 8 * -0.5 + 0.2) / 3,
        (2 * 3 * 1 + 8 * 1 - 0.1) / 3,
        (2 * 1 * 1 + 8 * 5 + 0.4) / 3,
    ]
    assert objective.model.encoder.z.grad.flatten().tolist() == pytest.approx(expected, rel=1e-5)


def test_health_is_that_of_the_whole_split() -> None:
    objective = VQObjective(stage(codes=4))
    told, warnings = objective.health({"use": np.array([2.0, 0.0, 2.0, 0.0])})
    assert told == {"perplexity": pytest.approx(2.0), "used": 0.5}
    assert warnings == []
    _, warnings = objective.health({"use": np.array([4.0, 0.0, 0.0, 0.0])})
    assert warnings == ["25% of the codes are used; if it stays so, lower autoencoder.vq.network.codes"]


@pytest.fixture
def machine(settings: Settings) -> Machine:
    return settings.machine.model_copy(update={"device": "cpu", "precision": "fp32"})


def engine_of(settings: Settings, machine: Machine, codes: int = 12) -> Engine:
    training = settings.autoencoder.chosen.training.model_copy(update={"ema": 0.5})
    return Engine(VQObjective(stage(codes=codes)), training, machine)


def stepped(engine: Engine, x: Tensor, cuts: Sequence[int], learning_rate: float = 1e-3) -> dict[str, float]:
    """A step on volumes, cut into parts of these sizes; one of size 0 is a first item of no weight."""
    starts = np.cumsum([0, *cuts[:-1]])
    shares = [
        Share(batch_of(engine.objective, x[start : start + size], start), size / len(x))
        if size
        else Share(batch_of(engine.objective, x[:1]), 0.0)
        for start, size in zip(starts, cuts, strict=True)
    ]
    return engine.train_step(shares, {"model": learning_rate}).figures


@pytest.mark.parametrize("cuts", [[1, 3], [1, 1, 1, 1], [2, 2, 0]])
def test_the_codes_are_the_same_in_whichever_parts_a_batch_is_computed(
    settings: Settings, machine: Machine, cuts: list[int]
) -> None:
    whole, parts = (engine_of(settings, machine) for _ in range(2))
    for step in range(3):
        x = torch.rand(4, 1, 8, 8, 8, generator=torch.manual_seed(step))
        expected, found = stepped(whole, x, [4]), stepped(parts, x, cuts)
        assert found == pytest.approx(expected, rel=1e-4)
    assert expected["perplexity"] > 1
    for name, value in whole.objective.model.state_dict().items():
        torch.testing.assert_close(parts.objective.model.state_dict()[name], value, rtol=1e-4, atol=1e-5)


def test_a_code_starts_again_close_to_one_latent_that_seed_and_item_decide(
    settings: Settings, machine: Machine
) -> None:
    """Where there are 300 codes for 4 x 64 latents, most codes do, and at many different ones."""
    x = torch.rand(4, 1, 8, 8, 8, generator=torch.manual_seed(0))
    engine, again = (engine_of(settings, machine, codes=300) for _ in range(2))
    with torch.no_grad():
        rows = engine.objective.model.encoder(x).flatten(2).mT.reshape(-1, 3)
    figures = stepped(engine, x, [4])
    assert figures["restarts"] > 200
    assert figures["used"] * 300 == pytest.approx(300 - figures["restarts"])
    book = engine.objective.model.codebook.embedding.weight
    distances = torch.cdist(book, rows).min(1)
    spread = (rows - rows.mean(0)).norm(dim=1).mean()
    assert distances.values.median() < 0.05 * spread
    assert len(distances.indices.unique()) > 100
    stepped(again, x, [4])
    assert torch.equal(again.objective.model.codebook.embedding.weight, book)


def test_a_bad_step_moves_no_code(settings: Settings, machine: Machine) -> None:
    engine, x = engine_of(settings, machine), torch.rand(2, 1, 8, 8, 8)
    stepped(engine, x, [2])
    before = {name: value.clone() for name, value in engine.objective.model.state_dict().items()}
    assert "restarts" not in stepped(engine, x * float("nan"), [2])
    assert all(
        torch.equal(value, before[name]) for name, value in engine.objective.model.state_dict().items()
    )


def test_the_averaged_model_has_the_last_codes(settings: Settings, machine: Machine) -> None:
    """They are averages already: those of other weights would be averaged twice, and lag behind these."""
    engine, x = engine_of(settings, machine), torch.rand(4, 1, 8, 8, 8)
    weights = []
    for _ in range(2):
        stepped(engine, x, [4], learning_rate=0.05)
        weights.append({name: value.clone() for name, value in engine.objective.model.state_dict().items()})
    averaged, share = engine.averaged_weights(), 1 - (1 + 1) / (10 + 1)
    for name, value in averaged.items():
        first, last = (each[name] for each in weights)
        assert not torch.equal(first, last), name
        expected = last if name.startswith("quantizer") else torch.lerp(first, last, share)
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6, msg=name)
    book = engine.averaged.model.codebook
    torch.testing.assert_close(book.embedding.weight * book.ema_cluster_size[:, None], book.ema_w)
