"""What a prior's training draws: times over the items of a batch, and whose noise goes with which latents."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kstest, norm
from torch import Tensor

from voxgen.batches.latent_batches import LatentBatches, Latents
from voxgen.io.files import write_table
from voxgen.io.latent_shards import COLUMNS, write_latents
from voxgen.models.kinds import build_prior
from voxgen.models.objective import Address, Purpose
from voxgen.models.prior.coupling import optimal_transport
from voxgen.models.prior.times import TIMES
from voxgen.models.whitening import Whitening
from voxgen.randomness import order
from voxgen.settings.sections import Settings

ITEMS, SHAPE, SEED = 22, (2, 4, 4, 1), 5
Batch = dict[str, Tensor]


@pytest.fixture(scope="module")
def latents(tmp_path_factory: pytest.TempPathFactory) -> Latents:
    """Of several items in two views."""
    folder = tmp_path_factory.mktemp("latents")
    drawn = np.random.default_rng(0).normal(size=(2, 2 * ITEMS, *SHAPE)).astype(np.float32)
    write_latents(folder / "0.safetensors", drawn[0], 0.1 + np.abs(drawn[1]))
    rows = [
        {"shard": "0.safetensors", "position": row, "view": row % 2, "id": f"{row // 2:03d}"}
        for row in range(2 * ITEMS)
    ]
    write_table(folder / "index.csv", rows, COLUMNS)
    return Latents(folder, Whitening((0.0, 0.0), (1.0, 1.0), "draw"))


def batches(latents: Latents, settings: Settings, purpose: Purpose = "train", **keys: Any) -> LatentBatches:
    diffusion = settings.prior.diffusion.model_copy(update=keys)
    section = settings.prior.model_copy(update={"diffusion": diffusion}).model_dump(mode="json")
    return LatentBatches(latents, build_prior(section, SHAPE).objective(), SEED, purpose)


def row_of(batch: Batch, place: int) -> list[NDArray[Any]]:
    return [batch[name][place].numpy() for name in ("latent", "noise", "time")]


@pytest.mark.parametrize("keys", [{}, {"times": "stratified"}, {"coupling": 5}], ids=str)
@pytest.mark.parametrize("purpose", ["train", "validation"])
def test_an_item_is_the_same_in_whichever_batch(
    latents: Latents, settings: Settings, keys: dict[str, Any], purpose: Purpose
) -> None:
    """In parts of a batch, in another process, and where a training goes on amid an epoch."""
    ordered = order(ITEMS, SEED, 3)
    whole = batches(latents, settings, purpose, **keys).batch(ordered, 3)
    parted, later = (batches(latents, settings, purpose, **keys) for _ in range(2))
    parted.batch(ordered[:2], 2)
    found = later.batch(ordered[[15]], 3)
    for place, item in enumerate(ordered):
        for one, other in zip(row_of(whole, place), row_of(parted.batch([item], 3), 0), strict=True):  # type: ignore[arg-type]
            np.testing.assert_array_equal(one, other)
    for one, other in zip(row_of(whole, 15), row_of(found, 0), strict=True):
        np.testing.assert_array_equal(one, other)
    other_epoch = parted.batch(ordered, 4)
    assert not np.isclose(whole["noise"], other_epoch["noise"]).any(axis=(1, 2, 3, 4)).all()


def test_noise_is_given_to_the_latents_of_a_step_at_the_least_distance(
    latents: Latents, settings: Settings
) -> None:
    """Where as many are coupled as a step has, these are the step's; among themselves, none of others."""
    alone, coupled = (batches(latents, settings, coupling=number) for number in (None, 6))
    for items in np.array_split(order(ITEMS, SEED, 1), -(-ITEMS // 6)):
        before, after = (each.batch(items, 1) for each in (alone, coupled))
        np.testing.assert_array_equal(before["latent"], after["latent"])
        z, n, given = (
            x.numpy().reshape(len(items), -1) for x in (before["latent"], before["noise"], after["noise"])
        )
        distance = np.square(z[:, None] - n[None]).sum(2)
        least = min(
            permutations(range(len(items))), key=lambda places: distance[range(len(items)), places].sum()
        )
        np.testing.assert_array_equal(given, n[list(least)])
        assert np.square(z - given).sum() < np.square(z - n).sum()
        np.testing.assert_array_equal(after["time"], before["time"])


def test_optimal_transport_finds_what_was_shuffled() -> None:
    latents = np.random.default_rng(1).normal(size=(9, *SHAPE)).astype(np.float32)
    places = np.random.default_rng(2).permutation(9)
    np.testing.assert_array_equal(places[optimal_transport(latents, latents[places] + 0.01)], np.arange(9))


def drawn_times(law: str, items: int, epoch: int = 0, seed: int = SEED) -> NDArray[np.float64]:
    """By place."""
    addresses = [
        Address(seed, "train", epoch, item, place) for place, item in enumerate(order(items, seed, epoch))
    ]
    return np.array([TIMES[law](address.generator("latent"), address) for address in addresses])


def test_stratified_times_are_spread_over_every_run_of_the_order() -> None:
    """The largest gap between 16 times, around the clock: 1/16 at best, about 0.2 where they are uniform."""

    def gaps(law: str) -> list[float]:
        times = drawn_times(law, 256)
        runs = [np.sort(times[start : start + 16]) for start in range(240)]
        return [float(np.diff([*run, run[0] + 1]).max()) for run in runs]

    assert max(gaps("stratified")) < 1.8 / 16
    assert np.mean(gaps("uniform")) > 3 / 16


def test_the_times_of_an_item_follow_their_law() -> None:
    """Over epochs, of which each is a draw."""
    normal = lambda times: norm.cdf(np.log(times / (1 - times)))  # noqa: E731
    for law, to_uniform in {"uniform": np.array, "stratified": np.array, "logit_normal": normal}.items():
        times = []
        for epoch in range(400):
            place = int(np.argsort(order(ITEMS, SEED, epoch))[7])
            address = Address(SEED, "train", epoch, 7, place)
            times.append(TIMES[law](address.generator("latent"), address))
        assert kstest(to_uniform(np.array(times)), "uniform").pvalue > 0.01, law
    assert np.mean(np.array(drawn_times("logit_normal", 4000)) < 0.25) == pytest.approx(
        norm.cdf(-np.log(3)), abs=0.02
    )
