"""Bootstrap and jackknife intervals against the normal theory, and how estimates read."""

import numpy as np
import pytest
from scipy.special import stdtrit

from voxgen.metrics.bootstrap import Bootstrap, Estimate, proportion


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


def test_multiplicities_resample_as_items_do() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(3, 1, 30), rng.normal(1, 1, 20)
    bootstrap = Bootstrap(200, 0.95, seed=0)

    def gap(c_N: np.ndarray, d_M: np.ndarray) -> float:
        assert (c_N.sum(), d_M.sum()) == (30, 20)
        return float(c_N @ a / 30 - d_M @ b / 20)

    counted = bootstrap.counted(gap, 30, 20, "gap")
    pair = bootstrap.pair(lambda x, y: float(x.mean() - y.mean()), a, b, "gap")
    assert counted.n == 20
    np.testing.assert_allclose(list(counted.to_json().values()), list(pair.to_json().values()))


def test_multiplicities_hold_two_different_items() -> None:
    seen = []
    Bootstrap(50, 0.9, 0).counted(lambda c, d: float(seen.append((*c, *d)) or 0), 2, 3, "few")
    assert {counts[:2] for counts in seen} == {(1, 1)}
    assert all(max(counts[2:]) < 3 for counts in seen)
    with pytest.raises(ValueError, match="few: 1 and 3 items"):
        Bootstrap(50, 0.9, 0).counted(lambda c, d: 0.0, 1, 3, "few")


@pytest.mark.parametrize(("n", "m"), [(7, 12), (50, 203)])
def test_jackknife_of_a_difference_of_means_is_the_normal_theory(n: int, m: int) -> None:
    """Groups of one item give exactly the variances over n and m; larger groups estimate them."""
    rng = np.random.default_rng(4)
    a, b = rng.normal(3, 1, n), rng.normal(1, 2, m)
    jackknife = Bootstrap(1, 0.9, 0)
    estimate = jackknife.jackknife(lambda x, y: float(x.mean() - y.mean()), a, b, "gap")
    error = np.sqrt(a.var(ddof=1) / n + b.var(ddof=1) / m)
    half = stdtrit(min(n, 20) + min(m, 20) - 2, 0.95) * error
    assert estimate.value == pytest.approx(a.mean() - b.mean())
    assert (estimate.low + estimate.high) / 2 == pytest.approx(estimate.value)
    tolerance = 1e-9 if m <= 20 else 0.35
    assert (estimate.high - estimate.low) / 2 == pytest.approx(half, rel=tolerance)
    assert estimate.n == n


def test_jackknife_covers_what_more_draws_would_give() -> None:
    jackknife = Bootstrap(1, 0.8, 1)
    rng = np.random.default_rng(5)

    def ratio(a: np.ndarray, b: np.ndarray) -> float:
        return float(a.var() / b.var())

    sets = [(rng.normal(size=90), rng.normal(size=50)) for _ in range(300)]
    expected = np.mean([ratio(*pair) for pair in sets])
    estimates = [jackknife.jackknife(ratio, *pair, f"{i}") for i, pair in enumerate(sets)]
    assert 0.7 < np.mean([e.low <= expected <= e.high for e in estimates]) < 0.9


def test_jackknife_refuses_what_it_cannot_leave_out() -> None:
    with pytest.raises(ValueError, match="gap: 2 and 9 items"):
        Bootstrap(1, 0.9, 0).jackknife(lambda a, b: 0.0, np.ones(2), np.ones(9), "gap")
    with pytest.raises(ValueError, match="not finite"):
        Bootstrap(1, 0.9, 0).jackknife(lambda a, b: 0.0, np.full(5, np.inf), np.ones(9), "gap")


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


def test_shares_have_exact_intervals() -> None:
    none, half = proportion(np.zeros(64), 0.95), proportion(np.array([0, 1] * 50), 0.95)
    assert (none.value, none.low) == (0, 0)
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 64))  # as likely to see none of 64 at that share
    assert (half.low, half.high) == pytest.approx((0.3983, 0.6017), abs=1e-4)  # Clopper & Pearson's table
    for bad in ([], [0.5], [np.nan]):
        with pytest.raises(ValueError, match="share"):
            proportion(np.array(bad), 0.95)


def test_items_that_are_drawn_together_count_once() -> None:
    values = np.random.default_rng(6).normal(size=60)
    twice, together = np.repeat(values, 2), np.repeat(np.arange(60), 2)
    bootstrap = Bootstrap(300, 0.9, 0)
    once, pairs = bootstrap.mean(values, "mean"), bootstrap.mean(twice, "mean", together)
    assert (pairs.low, pairs.high) == pytest.approx((once.low, once.high))
    alone = bootstrap.mean(twice, "mean")
    assert alone.high - alone.low < 0.8 * (pairs.high - pairs.low)


def test_the_mean_across_two_sets_is_jackknifed_by_rows_and_columns() -> None:
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=9), rng.normal(size=7)
    gaps = np.subtract.outer(a, b)
    found = Bootstrap(1, 0.9, 0).across(lambda gaps_NM: gaps_NM.mean(0), gaps, "gap")
    expected = Bootstrap(1, 0.9, 0).jackknife(lambda x, y: float(x.mean() - y.mean()), a, b, "gap")
    np.testing.assert_allclose(list(found.to_json().values()), list(expected.to_json().values()))
