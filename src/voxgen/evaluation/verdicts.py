"""Verdicts: what is measured, held against the gates of the settings. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from voxgen.metrics.bootstrap import Estimate
from voxgen.settings.evaluation import Gates, Limits

Verdict = Literal["pass", "look", "fail"]
Content = Mapping[str, Any]

ORDER: tuple[Verdict, ...] = ("pass", "look", "fail")


@dataclass(frozen=True)
class Measured:
    """A value under a gate: how far it is from good (the larger, the worse), and what it is said to be.

    `least` is the end of its interval that is nearest to good.
    """

    label: str
    value: float
    least: float
    text: str
    wanted: str  # the gate in words, with {} for each of its limits


def summary(reconstruction: Content, samples: Content, memorisation: Content, gates: Gates) -> dict[str, Any]:
    """The verdict of each section and of all: the worst of what it is made of."""
    sections = {
        "reconstruction": _reconstruction(reconstruction["metrics"], gates),
        "samples": _samples(samples, gates),
        "memorisation": _memorisation(memorisation["spaces"], gates),
    }
    judged = {name: {"verdict": _worst(found), "gates": found} for name, found in sections.items()}
    return {"verdict": _worst(list(judged.values())), "sections": judged}


def verdict(measured: Measured, limits: Limits) -> Verdict:
    """`pass` within the first limit, `fail` if the whole interval is beyond the second, else `look`."""
    if measured.value <= limits[0]:
        return "pass"
    return "fail" if measured.least > limits[1] else "look"


def _reconstruction(metrics: Content, gates: Gates) -> list[dict[str, Any]]:
    ssim = Estimate.from_json(metrics["ssim"]["model"])
    lost = Measured("SSIM", -ssim.value, -ssim.high, ssim.text(), "at least {:g}, fails below {:g}")
    found = [_gate(lost, (-gates.ssim[0], -gates.ssim[1]), gates.ssim)]
    if "count_error" in metrics:
        error = Estimate.from_json(metrics["count_error"]["model"])
        measured = Measured(
            "count error", error.value, error.low, error.text("%"), "at most {:.3g} %, fails above {:.3g} %"
        )
        found.append(_gate(measured, gates.count_error, _percent(gates.count_error)))
    return found


def _samples(samples: Content, gates: Gates) -> list[dict[str, Any]]:
    metrics, found = samples["metrics"], []
    for name, limits in (("occupancy", gates.occupancy), ("sharpness", gates.sharpness)):
        if name in metrics:
            estimate = Estimate.from_json(metrics[name]["samples"])
            measured = _away_from(
                0, metrics[name]["label"], estimate, "within {:.3g} % of test volumes, fails beyond {:.3g} %"
            )
            found.append(_gate(measured, limits, _percent(limits)))
    if "1-nna chamfer" in metrics:
        label, words = (
            metrics["1-nna chamfer"]["label"],
            "at most {:.3g} points farther from 50 % than the floor, fails above {:.3g}",
        )
        model, floor = (Estimate.from_json(metrics["1-nna chamfer"][name]) for name in ("samples", "train"))
        known = abs(floor.value - 0.5)
        measured = _away_from(0.5, label, model, words)
        beyond = Measured(label, measured.value - known, measured.least - known, measured.text, words)
        found.append(_gate(beyond, gates.nearest_neighbour, _percent(gates.nearest_neighbour)))
    std = float(samples["latent"]["std"])
    away = Measured(
        "standard deviation of latents",
        abs(std - 1),
        abs(std - 1),
        f"{std:.3f}",
        "within {:.3g} of 1, fails beyond {:.3g}",
    )
    return [*found, _gate(away, gates.latent_std, gates.latent_std)]


def _memorisation(spaces: Content, gates: Gates) -> list[dict[str, Any]]:
    found = []
    for space in spaces.values():
        share = Estimate.from_json(space["share"])
        label = f"share of memorised samples, {space['label']}"
        measured = Measured(
            label, share.value, share.low, share.text("%"), "at most {:.3g} %, fails above {:.3g} %"
        )
        found.append(_gate(measured, gates.memorised, _percent(gates.memorised)))
    return found


def _away_from(target: float, label: str, estimate: Estimate, wanted: str) -> Measured:
    """How far a share is from its target, either way."""
    ends = abs(estimate.low - target), abs(estimate.high - target)
    least = 0.0 if estimate.low <= target <= estimate.high else min(ends)
    return Measured(label, abs(estimate.value - target), least, estimate.text("%"), wanted)


def _gate(measured: Measured, limits: Limits, shown: Limits) -> dict[str, Any]:
    gate, found = measured.wanted.format(*shown), verdict(measured, limits)
    return {
        "metric": measured.label,
        "value": measured.text,
        "gate": gate,
        "verdict": found,
        "reading": f"{measured.label} {measured.text}; {gate}: {found}",
    }


def _percent(limits: Limits) -> Limits:
    return 100 * limits[0], 100 * limits[1]


def _worst(judged: list[Any]) -> Verdict:
    return max((one["verdict"] for one in judged), key=ORDER.index)
