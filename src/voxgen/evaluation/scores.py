"""Scores of samples and of their references, each held against the test split."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from numpy.typing import NDArray

from voxgen.evaluation.sets import VolumeSet
from voxgen.metrics.bootstrap import Bootstrap, Estimate, Statistic
from voxgen.metrics.comparison import Metric

Group = Literal["volumes", "diversity", "features", "clouds"]
Sets = Mapping[str, VolumeSet]

REFERENCES = {
    "train": "floor: train volumes",
    "rebuilt_test": "ceiling: test volumes, rebuilt",
    "rebuilt_train": "train volumes, rebuilt",
}
COMPARED = ("samples", *REFERENCES)


@dataclass(frozen=True)
class Scored:
    """A metric with its value against the test split for each of `COMPARED`."""

    metric: Metric
    group: Group
    estimates: Mapping[str, Estimate]

    def to_json(self) -> dict[str, Any]:
        model, floor = self.estimates["samples"], self.estimates["train"]
        return {
            **self.metric.to_json(),
            "group": self.group,
            "n": model.n,
            **{name: estimate.to_json() for name, estimate in self.estimates.items()},
            "reading": self.metric.reading(model, {"a floor of": floor}),
        }


def scored(metric: Metric, group: Group, estimate: Callable[[str], Estimate]) -> Scored:
    """A metric whose value is estimated for one set after the other."""
    return Scored(metric, group, {name: estimate(name) for name in COMPARED})


def resampled(
    metric: Metric,
    group: Group,
    statistic: Statistic,
    values: Mapping[str, NDArray[Any]],
    bootstrap: Bootstrap,
) -> Scored:
    """A statistic of the items of each set and of the test split, with bootstrap intervals."""
    return scored(
        metric, group, lambda name: bootstrap.pair(statistic, values[name], values["test"], metric.label)
    )


def jackknifed(
    metric: Metric,
    group: Group,
    statistic: Statistic,
    values: Mapping[str, NDArray[Any]],
    bootstrap: Bootstrap,
) -> Scored:
    """The same for a distance, which is never below 0 and which repeated items would raise."""

    def estimate(name: str) -> Estimate:
        found = bootstrap.jackknife(statistic, values[name], values["test"], metric.label)
        return replace(found, low=max(found.low, 0.0))

    return scored(metric, group, estimate)
