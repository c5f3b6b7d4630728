"""The table of metrics: complete, without ambiguity, and what its entries say of numbers."""

import string
from dataclasses import asdict

import pytest

from voxgen.evaluation.metric import Metric
from voxgen.evaluation.metric_table import (
    GROUPS,
    LATENT_GATE,
    LATENT_STD,
    MEMORISED,
    MEMORISED_GATE,
    RECONSTRUCTION,
    SAMPLES,
)
from voxgen.metrics.bootstrap import Estimate
from voxgen.settings.gates import Gates

GATES = [entry.gate for entry in (*RECONSTRUCTION, *SAMPLES) if entry.gate] + [LATENT_GATE, MEMORISED_GATE]


@pytest.mark.parametrize("entries", [RECONSTRUCTION, SAMPLES])
def test_keys_and_labels_are_unique(entries: tuple) -> None:
    assert len({entry.key for entry in entries}) == len(entries)
    assert len({entry.metric.label for entry in entries}) == len(entries)
    assert {entry.metric.group for entry in entries} <= GROUPS.keys()


def test_every_gate_of_the_settings_judges_one_metric() -> None:
    assert sorted(gate.limits for gate in GATES) == sorted(
        set(Gates.model_fields) - {"stop_on_fail", "level"}
    )


def test_gates_of_samples_have_a_test_and_one_limit_and_the_others_two() -> None:
    assert all(entry.score.test for entry in SAMPLES if entry.gate)
    tested = {entry.gate.limits for entry in SAMPLES if entry.gate} | {MEMORISED_GATE.limits}
    for name, field in Gates.model_fields.items():
        if name not in {"stop_on_fail", "level"}:
            assert (field.annotation is float) == (name in tested), name


def test_sentences_say_what_chance_would_make() -> None:
    metric = Metric("a", "%", "towards 0", "")
    found = {"samples": Estimate(0.3, 0.2, 0.4, 9), "train": Estimate(0.01, -0.1, 0.1, 9)}
    assert metric.word_tests(found, {}) == "a 30 % [20, 40] beside a floor of 1 % [-10, 10]"
    tested = {"samples": {"p": 0.01, "corrected": 0.0005}, "train": {"p": 0.5}}
    said = metric.word_tests(found, tested)
    assert said == "a 30 % [20, 40] (p < 0.001) beside a floor of 1 % [-10, 10] (p = 0.5)"


def test_texts_are_filled_and_come_back_from_json() -> None:
    for entry in (*RECONSTRUCTION, *SAMPLES):
        texts = "".join(asdict(entry.metric).values())
        names = {name for _, name, *_ in string.Formatter().parse(texts) if name}
        metric = entry.fill(dict.fromkeys(names, 7))
        assert "{" not in metric.meaning
        assert Metric.from_json(metric.to_json() | {"n": 3}) == metric


@pytest.mark.parametrize(
    ("direction", "unit", "good", "shortfall", "least"),
    [
        ("higher", "", "higher", -0.4, -0.6),
        ("lower", "", "lower", 0.4, 0.2),
        ("towards 0", "%", "near 0", 0.4, 0.2),
        ("towards 0.5", "%", "near 50 %", 0.1, 0.0),
        ("towards 1", "", "near 1", 0.6, 0.4),
    ],
)
def test_directions(direction: str, unit: str, good: str, shortfall: float, least: float) -> None:
    metric = Metric("a", unit, direction, "")  # type: ignore[arg-type]
    estimate = Estimate(0.4, 0.2, 0.6, 9)
    assert metric.good == good
    assert metric.shortfall(estimate.value) == pytest.approx(shortfall)
    assert metric.least_shortfall(estimate) == pytest.approx(least)


def test_a_difference_inside_the_intervals_or_of_one_item_counts_as_none() -> None:
    good, bad = Estimate(0.9, 0.8, 1.0, 9), Estimate(0.3, 0.2, 0.4, 9)
    metric = Metric("a", "", "higher", "")
    assert metric.compare(good, bad) == "better"
    assert metric.compare(bad, good) == "worse"
    assert metric.compare(good, Estimate(0.7, 0.6, 0.85, 9)) == "intervals overlap"
    assert metric.compare(good, Estimate(0.3, 0.2, 0.4, 1)) == "intervals overlap"
    found = metric.finding(good, {"a floor of": bad})
    assert found == "a 0.90 [0.80, 1.00] beside a floor of 0.30 [0.20, 0.40]: better"


def test_without_an_interval() -> None:
    assert LATENT_STD.good == "near 1"
    assert MEMORISED.unit == "%"
