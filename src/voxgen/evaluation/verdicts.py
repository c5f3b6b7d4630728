"""Verdicts: what is measured, held against the gates of the settings. No torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from voxgen.evaluation.complaints import rank_differences
from voxgen.evaluation.metric import TESTED, Entry, Gate, Metric
from voxgen.evaluation.metric_table import (
    LATENT_GATE,
    LATENT_STD,
    MEMORISED,
    MEMORISED_GATE,
    RECONSTRUCTION,
    SAMPLES,
)
from voxgen.metrics.bootstrap import Estimate
from voxgen.metrics.permutation import word_p
from voxgen.settings.gates import Gates

Verdict = Literal["pass", "look", "fail"]
Content = Mapping[str, Any]
Limits = tuple[float, float]

ORDER: tuple[Verdict, ...] = ("pass", "look", "fail")
FEWEST = 5  # volumes behind an interval: fewer have none to speak of
SIZES = {"clouds": "n_clouds"}  # where a group's scores rest on other numbers than "n"
MEASURED = 64  # volumes per set from which on it was measured which damages the tests find


def judge(reconstruction: Content, samples: Content, memorisation: Content, gates: Gates) -> dict[str, Any]:
    """The verdict of each section and of all: the worst of what it is made of.

    `differences` names the gated scores in which samples, or train volumes, differ from test volumes; `worst`
    says the largest of those of the samples in words.
    """
    sections = {
        "reconstruction": [
            _judge(entry.metric, gate, Estimate.from_json(found["model"]), gates)
            for entry, gate, found in _gated(RECONSTRUCTION, reconstruction["metrics"])
        ],
        "samples": [
            *(
                _judge_sample_score(gate, found, gates, int(samples[SIZES.get(entry.metric.group, "n")]))
                for entry, gate, found in _gated(SAMPLES, samples["metrics"])
            ),
            _judge_latents(samples["latent"], gates),
        ],
        "memorisation": [_judge_space(space, gates) for space in memorisation["spaces"].values()],
    }
    judged = {name: {"verdict": _worst(found), "gates": found} for name, found in sections.items()}
    differences = {
        name: _list_differences(samples["metrics"], name, gates.level_of_samples) for name in TESTED
    }
    return {
        "verdict": _worst(list(judged.values())),
        "sections": judged,
        "differences": differences,
        "worst": rank_differences(samples["metrics"], gates),
    }


def _list_differences(metrics: Content, name: str, level: float) -> list[str]:
    """The labels of the gated scores in which a set differs from the test split."""
    return [
        metric["label"]
        for metric in metrics.values()
        if metric.get("tests", {}).get(name, {}).get("corrected", 1.0) < level
    ]


def _gated(entries: Sequence[Entry], metrics: Content) -> Iterator[tuple[Entry, Gate, Content]]:
    """The entries that have a gate and were measured, with what was found."""
    for entry in entries:
        if entry.gate and (found := metrics.get(entry.key)):
            yield entry, entry.gate, found


def _judge_sample_score(gate: Gate, found: Content, gates: Gates, n: int) -> dict[str, Any]:
    """A score of `n` samples; some of its numbers may be missing."""
    metric, estimate = Metric.from_json(found), replace(Estimate.from_json(found["samples"]), n=n)
    test = found["tests"].get("samples", {"corrected": 1.0, "effect": estimate.text(metric.unit)})
    limit = float(getattr(gates, gate.limits))
    return _judge_tested(metric, gate, estimate, test, (gates.level_of_samples, limit))


def _judge_space(space: Content, gates: Gates) -> dict[str, Any]:
    metric = replace(MEMORISED, label=f"{MEMORISED.label}, {space['label']}")
    share, against = Estimate.from_json(space["share"]), (gates.level_of_copies, gates.memorised)
    return _judge_tested(metric, MEMORISED_GATE, share, space["test"], against)


def _judge_tested(
    metric: Metric, gate: Gate, estimate: Estimate, test: Content, against: Limits
) -> dict[str, Any]:
    """A score that is tested `against` a level and a limit.

    `pass` where no difference is found, `fail` where one is beyond the limit.
    """
    level, limit = against
    differs = test["corrected"] < level
    beyond = metric.shortfall(estimate.value) > limit
    verdict: Verdict = ("fail" if beyond else "look") if differs else "pass"
    asked = gate.words.format((100 if metric.unit == "%" else 1) * limit)
    if estimate.n < MEASURED and verdict == "pass":
        verdict = "look"
        asked += f"; n = {estimate.n}: the tests' power was measured from n = {MEASURED} on"
    chance = f"{'difference' if differs else 'no difference'} found, {word_p(test['corrected'])}"
    text = f"{test['effect']}: {chance}"
    return _judged(metric, text, asked, verdict)


def _judge_latents(latent: Content, gates: Gates) -> dict[str, Any]:
    std = float(latent["std"])
    without_interval = Estimate(std, std, std, int(latent["n"]))
    return _judge(LATENT_STD, LATENT_GATE, without_interval, gates, text=f"{std:.3f}")


def _judge(metric: Metric, gate: Gate, estimate: Estimate, gates: Gates, text: str = "") -> dict[str, Any]:
    """A metric under its gate; `text` is its value in words."""
    limits: Limits = getattr(gates, gate.limits)
    asked = gate.words.format(*((100 if metric.unit == "%" else 1) * limit for limit in limits))
    if estimate.n < FEWEST:
        asked += f"; n = {estimate.n} is too few"
    return _judged(metric, text or estimate.text(metric.unit), asked, _verdict(metric, estimate, limits))


def _judged(metric: Metric, text: str, asked: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "metric": metric.label,
        "value": text,
        "gate": asked,
        "verdict": verdict,
        "finding": f"{metric.label} {text}; {asked}: {verdict}",
    }


def _verdict(metric: Metric, estimate: Estimate, limits: Limits) -> Verdict:
    """`pass` within the first limit, `fail` if the whole interval is beyond the second, else `look`."""
    if estimate.n < FEWEST:
        return "look"
    passes, fails = (-limit if metric.direction == "higher" else limit for limit in limits)
    if metric.shortfall(estimate.value) <= passes:
        return "pass"
    return "fail" if metric.least_shortfall(estimate) > fails else "look"


def _worst(judged: Sequence[Mapping[str, Any]]) -> Verdict:
    return max((one["verdict"] for one in judged), key=ORDER.index)
