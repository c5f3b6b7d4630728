"""What is most wrong with the samples, in words. No torch."""

from collections.abc import Mapping
from typing import Any

from voxgen.evaluation.metric import Complaint, Entry
from voxgen.evaluation.metric_table import SAMPLES
from voxgen.metrics.bootstrap import Estimate
from voxgen.metrics.permutation import word_p
from voxgen.settings.gates import Gates

MOST = 3  # differences that are named
Content = Mapping[str, Any]


def rank_differences(metrics: Content, gates: Gates) -> list[dict[str, str]]:
    """The largest differences that were found, by how much of its limit each takes: `key`, words, advice."""
    found = []
    for entry in SAMPLES:
        test = metrics.get(entry.key, {}).get("tests", {}).get("samples", {})
        if entry.gate and entry.complaint and test.get("corrected", 1.0) < gates.level_of_samples:
            estimate = Estimate.from_json(metrics[entry.key]["samples"])
            limit = float(getattr(gates, entry.gate.limits))
            share = entry.metric.shortfall(estimate.value) / max(limit, 1e-9)
            found.append((share, _complain(entry, entry.complaint, estimate, test, share > 1)))
    found.sort(key=lambda one: -one[0])
    return [complaint for _, complaint in found[:MOST]]


def _complain(
    entry: Entry, complaint: Complaint, estimate: Estimate, test: Content, beyond: bool
) -> dict[str, str]:
    words = _word(entry, complaint, estimate)
    return {
        "key": entry.key,
        "label": entry.metric.label,
        "words": words[:1].upper() + words[1:],
        "effect": f"{entry.metric.label}: {test['effect']}, {word_p(test['corrected'])}",
        "advice": complaint.advice,
        "verdict": "fail" if beyond else "look",
    }


def _word(entry: Entry, complaint: Complaint, estimate: Estimate) -> str:
    """The complaint with its size; where a mean agrees, it is the distribution around it that does not."""
    metric, good = entry.metric, entry.metric.target or 0.0
    if entry.score.interval == "pair" and estimate.low <= good <= estimate.high:
        return f"{metric.label}: the mean agrees, but volumes spread differently around it"
    size = abs(estimate.value - good)
    share = f"{100 * size:.0f} {'points' if good else '%'}"
    return (complaint.less if estimate.value < good else complaint.more).format(
        share if metric.unit == "%" else f"{size:.2g}"
    )
