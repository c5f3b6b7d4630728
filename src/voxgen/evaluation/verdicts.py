"""Verdicts: what is measured, held against the gates of the settings. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from voxgen.metrics.bootstrap import Estimate
from voxgen.metrics.comparison import Metric
from voxgen.settings.gates import Gates

Verdict = Literal["pass", "look", "fail"]
Content = Mapping[str, Any]
Limits = tuple[float, float]

ORDER: tuple[Verdict, ...] = ("pass", "look", "fail")
FEWEST = 5  # volumes behind a verdict: fewer have no interval to speak of


@dataclass(frozen=True)
class Measured:
    """A value under a gate.

    Attributes:
        label, text: what it is, and its value with the interval in words.
        value: how far it is from good; the larger, the worse.
        least: the end of its interval that is nearest to good.
        n: the number of volumes that it rests on.
    """

    label: str
    text: str
    value: float
    least: float
    n: int

    def beyond(self, known: float) -> "Measured":
        """The same, held against something that is `known` from good itself."""
        return replace(self, value=self.value - known, least=self.least - known)

    def verdict(self, limits: Limits) -> Verdict:
        """`pass` within the first limit, `fail` if the whole interval is beyond the second, else `look`."""
        if self.n < FEWEST:
            return "look"
        if self.value <= limits[0]:
            return "pass"
        return "fail" if self.least > limits[1] else "look"


def summary(reconstruction: Content, samples: Content, memorisation: Content, gates: Gates) -> dict[str, Any]:
    """The verdict of each section and of all: the worst of what it is made of.

    `worse_than_floor` names the scores of samples, gated or not, that are worse than those of train volumes
    beyond the intervals.
    """
    sections = {
        "reconstruction": _reconstruction(reconstruction["metrics"], gates),
        "samples": _samples(samples, gates),
        "memorisation": _memorisation(memorisation["spaces"], gates),
    }
    judged = {name: {"verdict": _worst(found), "gates": found} for name, found in sections.items()}
    worse = [metric["label"] for metric in samples["metrics"].values() if _is_worse(metric)]
    return {"verdict": _worst(list(judged.values())), "sections": judged, "worse_than_floor": worse}


def _reconstruction(metrics: Content, gates: Gates) -> list[dict[str, Any]]:
    ssim = Estimate.from_json(metrics["ssim"]["model"])
    lost = Measured("SSIM", ssim.text(), -ssim.value, -ssim.high, ssim.n)
    words = "at least {:g}, fails below {:g}".format(*gates.ssim)
    found = [_gate(lost, (-gates.ssim[0], -gates.ssim[1]), words)]
    if "count_error" in metrics:
        error = _away(0, "count error", Estimate.from_json(metrics["count_error"]["model"]))
        words = _percent("at most {:.3g} %, fails above {:.3g} %", gates.count_error)
        found.append(_gate(error, gates.count_error, words))
    return found


def _samples(samples: Content, gates: Gates) -> list[dict[str, Any]]:
    metrics, found = samples["metrics"], []
    for name, limits in (("occupancy", gates.occupancy), ("sharpness", gates.sharpness)):
        if name in metrics:
            measured = _away(0, metrics[name]["label"], Estimate.from_json(metrics[name]["samples"]))
            words = _percent("within {:.3g} % of test volumes, fails beyond {:.3g} %", limits)
            found.append(_gate(measured, limits, words))
    if "1-nna chamfer" in metrics:
        metric, limits = metrics["1-nna chamfer"], gates.nearest_neighbour
        told_apart = _away(0.5, metric["label"], Estimate.from_json(metric["samples"]))
        floor = abs(metric["train"]["value"] - 0.5)
        words = _percent("at most {:.3g} points farther from 50 % than the floor, fails above {:.3g}", limits)
        found.append(_gate(told_apart.beyond(floor), limits, words))
    std, n = float(samples["latent"]["std"]), int(samples["latent"]["n"])
    away = Measured("standard deviation of latents", f"{std:.3f}", abs(std - 1), abs(std - 1), n)
    words = "within {:.3g} of 1, fails beyond {:.3g}".format(*gates.latent_std)
    return [*found, _gate(away, gates.latent_std, words)]


def _memorisation(spaces: Content, gates: Gates) -> list[dict[str, Any]]:
    found = []
    for space in spaces.values():
        share, chance = Estimate.from_json(space["share"]), float(space["expected"])
        measured = _away(0, f"share of memorised samples, {space['label']}", share)
        measured = replace(measured.beyond(chance), n=min(share.n, int(space["n_test"])))
        words = "at most {:.3g} points above the expected " + f"{100 * chance:.2g} %, " + "fails above {:.3g}"
        found.append(_gate(measured, gates.memorised, _percent(words, gates.memorised)))
    return found


def _is_worse(metric: Content) -> bool:
    samples, floor = (Estimate.from_json(metric[name]) for name in ("samples", "train"))
    return Metric.from_json(metric).verdict(samples, floor) == "worse"


def _away(target: float, label: str, estimate: Estimate) -> Measured:
    """How far a share is from its target, either way."""
    ends = abs(estimate.low - target), abs(estimate.high - target)
    least = 0.0 if estimate.low <= target <= estimate.high else min(ends)
    return Measured(label, estimate.text("%"), abs(estimate.value - target), least, estimate.n)


def _percent(words: str, limits: Limits) -> str:
    return words.format(*(100 * limit for limit in limits))


def _gate(measured: Measured, limits: Limits, words: str) -> dict[str, Any]:
    found = measured.verdict(limits)
    gate = f"{words}; n = {measured.n} tells too little" if measured.n < FEWEST else words
    return {
        "metric": measured.label,
        "value": measured.text,
        "gate": gate,
        "verdict": found,
        "reading": f"{measured.label} {measured.text}; {gate}: {found}",
    }


def _worst(judged: list[Any]) -> Verdict:
    return max((one["verdict"] for one in judged), key=ORDER.index)
