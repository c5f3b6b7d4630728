"""Bootstrap intervals against the normal theory, and how estimates read."""

import numpy as np
import pytest

from voxgen.metrics.bootstrap import Bootstrap, Estimate


def test_interval_of_a_mean_is_that_of_the_normal_theory() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    estimate = Bootstrap(2000, 0.95, seed=0).mean(values, "mean")
    half = 1.96 * values.std() / 20
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.03)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.03)
    assert estimate.n == 400


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    bootstrap = Bootstrap(200, 0.8, seed=1)
    rng = np.random.default_rng(1)
    hits = 0
    for i in range(200):
        estimate = bootstrap.mean(rng.normal(0, 1, 60), f"try {i}")
        hits += estimate.low <= 0 <= estimate.high
    assert 0.7 < hits / 200 < 0.9


def test_pair_of_sets_of_arrays_and_repeatability() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(3, 1, (50, 4)), rng.normal(1, 1, (80, 4))

    def gap(a_N: np.ndarray, b_M: np.ndarray) -> float:
        return float(a_N.mean() - b_M.mean())

    bootstrap = Bootstrap(300, 0.95, seed=0)
    first, again = bootstrap.pair(gap, a, b, "gap"), bootstrap.pair(gap, a, b, "gap")
    assert first == again
    assert first.value == pytest.approx(a.mean() - b.mean())
    assert first.low < 2.2
    assert first.high > 1.8
    assert first.n == 50
    assert first != Bootstrap(300, 0.95, seed=1).pair(gap, a, b, "gap")


def test_one_item_has_an_interval_without_width() -> None:
    assert Bootstrap(10, 0.95, 0).mean(np.array([2.0]), "one") == Estimate(2.0, 2.0, 2.0, 1)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_refusals(values: list[float]) -> None:
    with pytest.raises(ValueError, match="ssim"):
        Bootstrap(10, 0.95, 0).mean(np.array(values), "ssim")


def test_words_overlap_and_json() -> None:
    model, floor = Estimate(0.63, 0.55, 0.70, 64), Estimate(0.52, 0.45, 0.60, 64)
    assert model.text("%") == "63 % [55, 70]"
    assert Estimate(0.97123, 0.9652, 0.9761, 9).text() == "0.971 [0.965, 0.976]"
    assert Estimate(0.0, 0.0, 0.0, 9).text("dB") == "0.00 dB [0.00, 0.00]"
    assert Estimate(-1e-4, -0.05, 0.05, 9).text("%") == "0 % [-5, 5]"
    assert Estimate(5e-9, 4e-9, 6e-9, 9).text("%") == "0.00 % [0.00, 0.00]"
    assert Estimate(2e-6, 1e-6, 3e-6, 9).text("mm²") == "2.00e-06 mm² [1.00e-06, 3.00e-06]"
    assert model.overlaps(floor)
    assert not model.overlaps(Estimate(0.9, 0.8, 1.0, 64))
    assert Estimate.from_json(model.to_json()) == model
