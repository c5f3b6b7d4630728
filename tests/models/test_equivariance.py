"""Latents that shrink with their volume."""

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool3d

from voxgen.models.first_stage.equivariance import shrinking_draws, shrunk
from voxgen.models.kinds import build_first_stage
from voxgen.models.objective import Address

SHAPE, LATENT = (8, 8, 2), (4, 4, 1)
SETTINGS = {"share": 0.5, "smallest": 0.5}


def drawn(item: int, settings: dict | None = SETTINGS, purpose: str = "train") -> dict:
    return shrinking_draws(settings, LATENT, Address(0, purpose, 0, item))


def batch_of(x: torch.Tensor, draws: list[dict]) -> dict[str, torch.Tensor]:
    stacked = {name: torch.from_numpy(np.stack([each[name] for each in draws])) for name in draws[0]}
    return {"volume": x, **stacked}


def test_nothing_is_drawn_in_validation_or_without_settings() -> None:
    assert drawn(0, purpose="validation") == {} == drawn(0, None)
    x, z = torch.rand(2, 1, *SHAPE), torch.rand(2, 3, *LATENT)
    ((z_same, x_same),) = shrunk(z, {"volume": x})
    assert z_same is z
    assert x_same is x


def test_a_share_of_the_items_shrinks_to_sizes_within_the_bounds() -> None:
    sizes = np.array([drawn(item)["latent_size"] for item in range(400)])
    assert set(map(tuple, sizes)) == {(2, 2, 1), (3, 3, 1), (4, 4, 1)}
    # of uniform scales above a half a fourth rounds to all four voxels, a half to three
    assert (sizes[:, 0] == 3).mean() == pytest.approx(0.5 / 2, abs=0.06)
    assert (sizes[:, 0] == 2).mean() == pytest.approx(0.5 / 4, abs=0.05)


@pytest.mark.parametrize("size", [(4, 4, 1), (2, 2, 1)])
def test_a_mean_over_blocks_follows_its_volume(size: tuple[int, ...]) -> None:
    """Means over blocks of 2 shrink as the volume does: what comes out must be its blocks' means."""
    x = torch.rand(3, 1, *SHAPE)
    ((z_small, x_small),) = shrunk(avg_pool3d(x, 2), batch_of(x, [{"latent_size": np.array(size)}] * 3))
    assert tuple(z_small.shape[2:]) == size
    torch.testing.assert_close(z_small, avg_pool3d(x_small, 2))
    torch.testing.assert_close(x_small, x if size == LATENT else avg_pool3d(x, (2, 2, 1)))


def test_items_keep_their_volumes() -> None:
    x = torch.rand(5, 1, *SHAPE)
    sizes = [(2, 2, 1), (4, 4, 1), (2, 2, 1), (3, 3, 1), (4, 4, 1)]
    pairs = list(shrunk(avg_pool3d(x, 2), batch_of(x, [{"latent_size": np.array(size)} for size in sizes])))
    assert [len(z) for z, _ in pairs] == [2, 2, 1]
    for (z_small, x_small), items in zip(pairs, [[0, 2], [1, 4], [3]], strict=True):
        means = [part.mean((1, 2, 3, 4)) for part in (z_small, x_small, x[items])]
        torch.testing.assert_close(means[0], means[2], atol=0.05 if items == [3] else 1e-6, rtol=0)
        torch.testing.assert_close(means[1], means[2], atol=0.05 if items == [3] else 1e-6, rtol=0)


def test_items_in_parts_give_the_gradient_of_the_whole_batch() -> None:
    torch.manual_seed(0)
    network = {"stem": [2, 2, 2], "factors": None, "channels": [4], "latent_channels": 2, "res_blocks": 1}
    section = {
        "network": network | {"attention_levels": [False], "norm_groups": 2},
        "losses": {"l1": {"weight": 1.0, "foreground": 4.0}, "kl": {"weight": 1e-2}},
        "equivariance": SETTINGS,
    }
    stage = build_first_stage({"kind": "kl", "patch": None, "kl": section}, SHAPE)
    objective = stage.objective().double().train()
    draws = [objective.draws(SHAPE, Address(0, "train", 0, item)) for item in range(6)]
    batch = batch_of(torch.rand(6, 1, *SHAPE), draws)
    batch = {name: part.double() if part.is_floating_point() else part for name, part in batch.items()}
    assert len(batch["latent_size"].unique(dim=0)) > 1

    def gradient(parts: list[slice]) -> list[torch.Tensor]:
        objective.zero_grad()
        for part in parts:
            some = {name: values[part] for name, values in batch.items()}
            (objective(some)["loss"] * len(some["volume"]) / 6).backward()
        return [weight.grad.clone() for weight in objective.parameters()]

    whole, parted = gradient([slice(0, 6)]), gradient([slice(0, 1), slice(1, 4), slice(4, 6)])
    for one, other in zip(whole, parted, strict=True):
        torch.testing.assert_close(one, other)
