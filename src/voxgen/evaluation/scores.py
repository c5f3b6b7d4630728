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
Interval = Callable[[Statistic, NDArray[Any], NDArray[Any], str], Estimate]

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


def compared(
    metric: Metric, group: Group, statistic: Statistic, values: Mapping[str, NDArray[Any]], interval: Interval
) -> Scored:
    """A statistic of the items of each set and of the test split, with intervals by `interval`."""
    return scored(metric, group, lambda name: interval(statistic, values[name], values["test"], metric.label))


def jackknifed(bootstrap: Bootstrap) -> Interval:
    """The interval of a distance, which is never below 0 and which repeated items would raise."""

    def interval(statistic: Statistic, a_N: NDArray[Any], b_M: NDArray[Any], purpose: str) -> Estimate:
        found = bootstrap.jackknife(statistic, a_N, b_M, purpose)
        return replace(found, low=max(found.low, 0.0))

    return interval
