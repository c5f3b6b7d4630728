"""Verdicts: what is measured, held against the gates of the settings. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from voxgen.evaluation.metric import Entry, Gate, Metric
from voxgen.evaluation.metric_table import (
    LATENT_GATE,
    LATENT_STD,
    MEMORISED,
    MEMORISED_GATE,
    RECONSTRUCTION,
    SAMPLES,
)
from voxgen.metrics.bootstrap import Estimate
from voxgen.settings.gates import Gates

Verdict = Literal["pass", "look", "fail"]
Content = Mapping[str, Any]
Limits = tuple[float, float]

ORDER: tuple[Verdict, ...] = ("pass", "look", "fail")
FEWEST = 5  # volumes behind a verdict: fewer have no interval to speak of


def judge(reconstruction: Content, samples: Content, memorisation: Content, gates: Gates) -> dict[str, Any]:
    """The verdict of each section and of all: the worst of what it is made of.

    `worse_than_floor` names the scores of samples, gated or not, that are worse than those of train volumes
    beyond the intervals.
    """
    sections = {
        "reconstruction": _judge_metrics(RECONSTRUCTION, reconstruction["metrics"], "model", gates),
        "samples": [
            *_judge_metrics(SAMPLES, samples["metrics"], "samples", gates),
            _judge_latents(samples["latent"], gates),
        ],
        "memorisation": [_judge_space(space, gates) for space in memorisation["spaces"].values()],
    }
    judged = {name: {"verdict": _worst(found), "gates": found} for name, found in sections.items()}
    worse = [metric["label"] for metric in samples["metrics"].values() if _is_worse(metric)]
    return {"verdict": _worst(list(judged.values())), "sections": judged, "worse_than_floor": worse}


def _judge_metrics(
    entries: Sequence[Entry], metrics: Content, model: str, gates: Gates
) -> list[dict[str, Any]]:
    return [
        _judge(entry.metric, entry.gate, Estimate.from_json(found[model]), found, gates)
        for entry in entries
        if entry.gate and (found := metrics.get(entry.key))
    ]


def _judge_latents(latent: Content, gates: Gates) -> dict[str, Any]:
    std = float(latent["std"])
    without_interval = Estimate(std, std, std, int(latent["n"]))
    return _judge(LATENT_STD, LATENT_GATE, without_interval, {}, gates, text=f"{std:.3f}")


def _judge_space(space: Content, gates: Gates) -> dict[str, Any]:
    """The share of copies, which rests on the samples and on the test volumes."""
    share = Estimate.from_json(space["share"])
    metric = replace(MEMORISED, label=f"{MEMORISED.label}, {space['label']}")
    return _judge(metric, MEMORISED_GATE, replace(share, n=min(share.n, int(space["n_test"]))), space, gates)


def _judge(
    metric: Metric, gate: Gate, estimate: Estimate, beside: Content, gates: Gates, text: str = ""
) -> dict[str, Any]:
    """A metric under its gate, with the references that stand `beside` it; `text` is its value in words."""
    limits: Limits = getattr(gates, gate.limits)
    reference, text = beside.get(gate.beyond), text or estimate.text(metric.unit)
    known = reference["value"] if isinstance(reference, Mapping) else reference
    found = _verdict(metric, estimate, 0.0 if known is None else metric.shortfall(known), limits)
    scale, expected = (100 if metric.unit == "%" else 1), f"{100 * (known or 0):.2g} %"
    asked = gate.words.format(*(scale * limit for limit in limits), expected=expected)
    if estimate.n < FEWEST:
        asked += f"; n = {estimate.n} is too few"
    return {
        "metric": metric.label,
        "value": text,
        "gate": asked,
        "verdict": found,
        "finding": f"{metric.label} {text}; {asked}: {found}",
    }


def _verdict(metric: Metric, estimate: Estimate, offset: float, limits: Limits) -> Verdict:
    """`pass` within the first limit, `fail` if the whole interval is beyond the second, else `look`."""
    if estimate.n < FEWEST:
        return "look"
    passes, fails = (-limit if metric.direction == "higher" else limit for limit in limits)
    if metric.shortfall(estimate.value) - offset <= passes:
        return "pass"
    return "fail" if metric.least_shortfall(estimate) - offset > fails else "look"


def _is_worse(content: Content) -> bool:
    samples, floor = (Estimate.from_json(content[name]) for name in ("samples", "train"))
    return Metric.from_json(content).compare(samples, floor) == "worse"


def _worst(judged: Sequence[Mapping[str, Any]]) -> Verdict:
    return max((one["verdict"] for one in judged), key=ORDER.index)
