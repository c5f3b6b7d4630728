"""A denoiser that is told of items: what it is told, what is dropped, and guidance."""

from typing import Any

import numpy as np
import pytest
import torch
from monai.networks.nets import DiffusionModelUNet
from torch import Tensor

from voxgen.models.kinds import build_prior
from voxgen.models.objective import Address
from voxgen.models.prior.conditioning import guided, told
from voxgen.models.prior.diffusion import Diffusion
from voxgen.models.prior.processes import Process, build_process
from voxgen.models.vocabulary import Vocabulary
from voxgen.randomness import normal
from voxgen.settings.sections import Settings

LATENT = (2, 4, 4, 4)
KNOWN = Vocabulary(("left", "right"), {"age": (50.0, 10.0), "dose": (0.0, 2.0)}, 0.5)
GIVEN = {
    "label": torch.tensor([1, 0, -1]),
    "covariate age": torch.tensor([60.0, 50.0, 40.0]),
    "covariate dose": torch.tensor([1.0, 0.0, float("nan")]),
}


def prior(settings: Settings, vocabulary: Vocabulary | None) -> Diffusion:
    """With the same first values, but for layers that begin at 0: those would hide what comes before them."""
    torch.manual_seed(0)
    made = build_prior(settings.prior.model_dump(mode="json"), LATENT, vocabulary)
    assert isinstance(made, Diffusion)
    for weight in made.network.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.1)
    return made


def test_what_is_told_is_standardised_and_what_is_not_known_says_so() -> None:
    known = told(KNOWN, GIVEN, torch.zeros(3, *LATENT))
    assert known["class_labels"].tolist() == [1, 0, -1]
    np.testing.assert_allclose(known["covariates"], [[1, 0.5], [0, 0], [-1, np.nan]])
    nothing = told(
        KNOWN, {"label": GIVEN["label"], "dropped": torch.tensor([True, False, False])}, torch.zeros(3)
    )
    assert nothing["class_labels"].tolist() == [-1, 0, -1]
    assert nothing["covariates"].isnan().all()
    assert told(None, GIVEN, torch.zeros(3)) == {}


def test_a_vocabulary_survives_its_json() -> None:
    assert Vocabulary.from_json(KNOWN.to_json()) == KNOWN
    assert KNOWN.names == ("label", "age", "dose")


def test_nothing_known_is_as_told_nothing_and_each_condition_matters(settings: Settings) -> None:
    network = prior(settings, KNOWN).network
    x, step = torch.randn(1, *LATENT), torch.tensor([500.0])
    told_nothing = network(x, step)

    def difference(**given: Tensor) -> float:
        return float((network(x, step, **given) - told_nothing).detach().abs().max())

    unknown = {"class_labels": torch.tensor([-1]), "covariates": torch.tensor([[0.0, float("nan")]])}
    assert difference(**unknown) == 0
    both = [network(x, step, class_labels=torch.tensor([number])) for number in (0, 1)]
    assert not torch.allclose(both[0], both[1], atol=1e-4)
    assert difference(class_labels=torch.tensor([0])) > 1e-4
    assert difference(covariates=torch.tensor([[1.0, 0.0]])) > 1e-4


def test_without_conditions_the_network_has_no_further_parameter(settings: Settings) -> None:
    plain, conditioned = (prior(settings, vocabulary).network.state_dict() for vocabulary in (None, KNOWN))
    more = {name.split(".")[0] for name in conditioned.keys() - plain.keys()}
    assert more == {"class_embedding", "covariate_embedding"}
    assert not any("embedding" in name for name in plain)


def test_a_class_is_told_as_monais_network_is_told_it(settings: Settings) -> None:
    ours = prior(settings, Vocabulary(("a", "b", "c"), {}, 0.1)).network
    section = settings.prior.diffusion.network
    monais = DiffusionModelUNet(
        spatial_dims=3,
        in_channels=LATENT[0],
        out_channels=LATENT[0],
        num_res_blocks=section.res_blocks,
        channels=section.channels,
        attention_levels=section.attention_levels,
        num_head_channels=section.head_channels,
        norm_num_groups=section.norm_groups,
        num_class_embeds=3,
    )
    monais.load_state_dict(ours.state_dict())
    x, step, label = torch.randn(2, *LATENT), torch.tensor([10, 900]), torch.tensor([2, 0])
    torch.testing.assert_close(
        ours(x, step, class_labels=label), monais(x, step, class_labels=label), rtol=1e-4, atol=1e-5
    )


def test_conditions_are_dropped_in_training_alone_by_the_address_of_an_item(settings: Settings) -> None:
    objective = prior(settings, KNOWN).objective()

    def dropped(epoch: int, item: int) -> bool:
        return bool(objective.draws(LATENT, Address(0, "train", epoch, item))["dropped"])

    drawn = np.array([[dropped(epoch, item) for item in range(50)] for epoch in range(8)])
    assert 0.4 < drawn.mean() < 0.6  # 400 draws of 0.5: within 4 standard errors
    assert (drawn[0] != drawn[1]).any()
    assert dropped(3, 7) == drawn[3, 7]
    assert objective.draws(LATENT, Address(0, "validation", 0, 0)).keys() == {"noise", "time"}
    plain = prior(settings, None).objective().draws(LATENT, Address(0, "train", 3, 7))
    both = objective.draws(LATENT, Address(0, "train", 3, 7))
    assert plain.keys() == {"noise", "time"}
    assert all(np.array_equal(plain[name], both[name]) for name in plain)


def test_a_dropped_item_counts_as_one_without_a_condition(settings: Settings) -> None:
    objective = prior(settings, KNOWN).objective()
    batch = {"latent": torch.randn(3, *LATENT), "noise": torch.randn(3, *LATENT), "time": torch.rand(3)}

    def loss(**more: Tensor) -> float:
        return float(objective({**batch, **more})["loss"].detach())

    all_dropped = {"dropped": torch.ones(3, dtype=torch.bool)}
    assert loss(**GIVEN, **all_dropped) == loss()
    assert loss(**GIVEN) != loss()


@pytest.mark.parametrize("process", [build_process({"process": name}) for name in ("flow", "ddpm")])
def test_guidance_goes_further_inside_its_interval_alone(process: Process) -> None:
    def constant(value: float) -> Any:
        return lambda x, step: torch.full_like(x, value)

    denoise = guided(constant(3.0), constant(1.0), {"scale": 2.5, "interval": [0.2, 0.7]}, process)
    x = torch.zeros(2, *LATENT)
    times = {0.1: 3.0, 0.19: 3.0, 0.2: 6.0, 0.5: 6.0, 0.7: 6.0, 0.71: 3.0, 1.0: 3.0}
    for time, expected in times.items():
        assert denoise(x, torch.full((2,), process.told(time))).unique().tolist() == [expected], time
    for scale, expected in ((0.0, 1.0), (1.0, 3.0)):
        whole = guided(constant(3.0), constant(1.0), {"scale": scale, "interval": [0.0, 1.0]}, process)
        assert whole(x, torch.full((2,), process.told(0.5))).unique().tolist() == [expected]


def test_a_prior_learns_to_obey(settings: Settings) -> None:
    """Latents of one class lie around 1, of the other around -1, in the direction that the age says."""
    vocabulary = Vocabulary(("low", "high"), {"age": (0.0, 1.0)}, 0.2)
    made = prior(settings, vocabulary)
    objective, optimizer = made.objective(), torch.optim.Adam(made.network.parameters(), 5e-3)
    numbers = torch.Generator().manual_seed(1)

    def batch(items: int) -> dict[str, Tensor]:
        label = torch.randint(2, (items,), generator=numbers)
        age = torch.randn(items, generator=numbers)
        z = 0.1 * torch.randn((items, *LATENT), generator=numbers)
        z[:, 0] += (2.0 * label - 1).view(-1, 1, 1, 1)
        z[:, 1] += age.view(-1, 1, 1, 1)
        return {"latent": z, "label": label, "covariate age": age}

    for _ in range(200):
        drawn = {
            "noise": torch.randn((16, *LATENT), generator=numbers),
            "time": torch.rand(16, generator=numbers),
            "dropped": torch.rand(16, generator=numbers) < vocabulary.dropped,
        }
        optimizer.zero_grad()
        objective({**batch(16), **drawn})["loss"].backward()
        optimizer.step()
    asked = {"label": torch.tensor([0, 1] * 8), "covariate age": torch.linspace(-2, 2, 16)}
    with torch.no_grad():
        z = made.sample(range(16), 0, {"steps": 5}, asked).mean((2, 3, 4))
    assert (z[:, 0].sign() == 2 * asked["label"] - 1).all()
    assert np.corrcoef(z[:, 1], asked["covariate age"])[0, 1] > 0.7  # by chance in 1 of 1000


def test_samples_follow_what_is_given_from_the_same_noise(settings: Settings) -> None:
    made = prior(settings, KNOWN)
    with torch.no_grad():
        drawn = {
            name: made.sample([0, 1, 2], 5, {"steps": 2, "guidance": guidance}, given)
            for name, given, guidance in (
                ("given", GIVEN, None),
                ("nothing", None, None),
                ("free", GIVEN, {"scale": 0.0, "interval": [0.0, 1.0]}),
                ("guided", GIVEN, {"scale": 3.0, "interval": [0.0, 1.0]}),
            )
        }
        alone = made.sample([1], 5, {"steps": 2}, {name: value[1:2] for name, value in GIVEN.items()})
    torch.testing.assert_close(alone, drawn["given"][1:2], rtol=0, atol=1e-4)
    torch.testing.assert_close(drawn["free"], drawn["nothing"], rtol=0, atol=1e-5)
    for one, other in (("given", "nothing"), ("guided", "given")):
        assert not torch.allclose(drawn[one][:2], drawn[other][:2], atol=1e-3)
        torch.testing.assert_close(drawn[one][2], drawn[other][2], rtol=0, atol=1e-4)  # nothing known of it
    assert not np.allclose(drawn["nothing"], np.stack([normal(LATENT, 5, "sample", i) for i in range(3)]))
