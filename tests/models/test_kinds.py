"""Kinds side by side: the chosen one alone is stored, and each keeps to what its interface says."""

import json
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pytest
import torch

from conftest import trained_for
from voxgen.models.interfaces import FirstStage, Prior
from voxgen.models.kinds import FIRST_STAGES, PRIORS, build_first_stage, build_prior
from voxgen.models.objective import Address
from voxgen.models.whitening import Whitening
from voxgen.settings.autoencoder import AutoencoderSettings
from voxgen.settings.base import WHOLE, Kinds, Section
from voxgen.settings.prior import PriorSettings
from voxgen.settings.sections import Settings
from voxgen.training.identity import state_folder

VOLUME, LATENT = (8, 16, 8), (2, 4, 8, 4)
SAMPLING = {"steps": 2, "temperature": 1.0, "top_k": None}
STAGE = "voxgen.stages.train_autoencoder"

every_first_stage = pytest.mark.parametrize("kind", FIRST_STAGES)
every_prior = pytest.mark.parametrize("kind", PRIORS)


class Round(Section):
    """One kind."""

    width: int


class Square(Section):
    """Another kind."""

    edge: int


class Shapes(Kinds):
    """Two kinds side by side."""

    kind: Literal["round", "square"]
    shared: int
    round: Round
    square: Square


class Drawn(Section):
    """A section in which kinds lie deeper."""

    shapes: Shapes


def shapes(kind: str, *, width: int = 1, edge: int = 2) -> Drawn:
    given = {"kind": kind, "shared": 3, "round": {"width": width}, "square": {"edge": edge}}
    return Drawn(shapes=given)


def first_stage(settings: Settings, kind: str) -> FirstStage:
    torch.manual_seed(0)
    return build_first_stage(of_kind(settings, kind).model_dump(mode="json"), VOLUME)


def of_kind(settings: Settings, kind: str) -> AutoencoderSettings:
    return settings.autoencoder.model_copy(update={"kind": kind})


def prior(settings: Settings, kind: str) -> Prior:
    torch.manual_seed(0)
    section = settings.prior.model_copy(update={"kind": kind}).model_dump(mode="json")
    whitening = Whitening((0.5, -1.0), (2.0, 0.5), "mean")
    made = build_prior(section, LATENT).over(whitening, torch.randn(16, LATENT[0]))
    for weight in made.network.parameters():
        if not weight.any():  # layers that begin at 0 would hide what comes before them
            torch.nn.init.normal_(weight, std=0.05)
    return made


@pytest.mark.parametrize(("kind", "held"), [("round", {"width": 1}), ("square", {"edge": 2})])
@pytest.mark.parametrize("mode", ["json", "python"])
def test_what_is_stored_holds_the_chosen_kind_alone(kind: str, held: dict[str, int], mode: str) -> None:
    expected = {"shapes": {"kind": kind, "shared": 3, kind: held}}
    assert shapes(kind).model_dump(mode=mode) == expected


def test_a_whole_dump_can_be_read_again(settings: Settings) -> None:
    drawn, autoencoder = shapes("square"), settings.autoencoder
    for section in (drawn, autoencoder):
        whole = section.model_dump(mode="json", context=WHOLE)
        assert type(section).model_validate_json(json.dumps(whole)) == section
    assert "dice" not in autoencoder.model_dump(mode="json")["kl"]["losses"]


def test_the_chosen_kind_alone_names_a_training(tmp_path: Path) -> None:
    def folder(drawn: Drawn) -> Path:
        return state_folder(tmp_path, STAGE, settings=drawn.model_dump(mode="json"), inputs={})

    before = folder(shapes("round"))
    assert folder(shapes("round", edge=9)) == before
    assert len({before, folder(shapes("round", width=9)), folder(shapes("square"))}) == 3


@pytest.mark.parametrize(
    ("section", "factories"), [(AutoencoderSettings, FIRST_STAGES), (PriorSettings, PRIORS)]
)
def test_every_kind_has_a_section_and_a_factory(section: type[Kinds], factories: dict[str, Any]) -> None:
    kinds = get_args(section.model_fields["kind"].annotation)
    assert set(kinds) == set(factories)
    assert set(kinds) <= set(section.model_fields)


def test_the_chosen_section_is_the_one_of_the_kind(settings: Settings) -> None:
    assert settings.autoencoder.chosen is settings.autoencoder.kl
    assert settings.prior.chosen is settings.prior.diffusion
    assert trained_for(settings.prior, epochs=7).diffusion.training.epochs == 7


@every_first_stage
def test_a_first_stage_shrinks_by_its_factors_and_back(settings: Settings, kind: str) -> None:
    stage, x = first_stage(settings, kind), torch.rand(2, 1, *VOLUME)
    assert stage.factors == of_kind(settings, kind).factors(VOLUME)
    mean, spread = stage.encode(x)
    latent = tuple(size // factor for size, factor in zip(VOLUME, stage.factors, strict=True))
    assert mean.shape == (2, stage.latent_channels, *latent)
    assert spread is None or spread.shape == mean.shape
    assert stage.decode(mean).shape == x.shape
    assert stage.features(x).ndim == 2
    assert len(stage.features(x)) == 2


@every_first_stage
def test_the_objective_of_a_first_stage_takes_volumes_with_its_draws(settings: Settings, kind: str) -> None:
    stage = first_stage(settings, kind)
    objective = stage.objective()
    draws = objective.draws(VOLUME, Address(0, "train", 0, 0))
    batch = {name: torch.from_numpy(np.stack([drawn])) for name, drawn in draws.items()}
    assert objective({"volume": torch.rand(1, 1, *VOLUME), **batch})["loss"].isfinite()
    assert objective.model is stage.network


@every_prior
def test_a_prior_draws_an_index_the_same_however_many_with_it(settings: Settings, kind: str) -> None:
    made = prior(settings, kind)
    with torch.no_grad():
        together = made.sample(range(4), 3, SAMPLING)
        alone = torch.cat([made.sample([index], 3, SAMPLING) for index in range(4)])
        others = (
            made.sample(range(4), 4, SAMPLING),
            made.sample(range(4), 3, SAMPLING, purpose="picture"),
        )
    assert together.shape == (4, *made.latent_shape) == (4, *LATENT)
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-4)
    assert not any(torch.allclose(together, other, atol=0.1) for other in others)


@every_prior
def test_the_objective_of_a_prior_takes_latents_with_its_draws(settings: Settings, kind: str) -> None:
    made = prior(settings, kind)
    objective = made.objective()
    draws = objective.draws(LATENT, Address(0, "train", 0, 0))
    batch = {name: torch.from_numpy(np.stack([drawn])) for name, drawn in draws.items()}
    assert objective({"latent": torch.randn(1, *LATENT), **batch})["loss"].isfinite()
    assert objective.model is made.network


@every_prior
def test_another_network_takes_the_place_of_the_first(settings: Settings, kind: str) -> None:
    made, other = prior(settings, kind), prior(settings, kind)
    for weight in other.network.parameters():
        torch.nn.init.zeros_(weight)
    with torch.no_grad():
        before = made.sample([0], 3, SAMPLING)
        swapped = made.with_network(other.network)
        torch.testing.assert_close(swapped.sample([0], 3, SAMPLING), other.sample([0], 3, SAMPLING))
        assert not torch.allclose(swapped.sample([0], 3, SAMPLING), before)
        torch.testing.assert_close(made.sample([0], 3, SAMPLING), before)
    assert swapped.objective().model is other.network
