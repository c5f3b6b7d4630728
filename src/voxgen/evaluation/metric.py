"""What a metric is, how it is computed, and what judges it: the parts of an entry of `metric_table`."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from voxgen.metrics.bootstrap import Estimate
from voxgen.metrics.permutation import Statistic, word_p

Direction = Literal["higher", "lower", "towards 0", "towards 0.5", "towards 1"]

TESTED = ("samples", "train")  # against the test split; train volumes are real: what differs is the split


@dataclass(frozen=True)
class Metric:
    """What a number is: its label, unit (`%`: a share, shown in per cent), good direction, meaning, group."""

    label: str
    unit: str
    direction: Direction
    meaning: str
    group: str = ""

    @property
    def target(self) -> float | None:
        """The value that is right, where there is one."""
        _, towards, target = self.direction.partition("towards ")
        return float(target) if towards else None

    @property
    def good(self) -> str:
        """Which values are good, in words."""
        if self.target is None:
            return self.direction
        return (
            f"near {100 * self.target:g} %" if self.unit == "%" and self.target else f"near {self.target:g}"
        )

    def shortfall(self, value: float) -> float:
        """How far a value is from good: the larger, the worse."""
        if self.target is not None:
            return abs(value - self.target)
        return -value if self.direction == "higher" else value

    def least_shortfall(self, estimate: Estimate) -> float:
        """The shortfall of the value in an interval that is nearest to good."""
        if self.target is not None and estimate.low <= self.target <= estimate.high:
            return 0.0
        return min(self.shortfall(estimate.low), self.shortfall(estimate.high))

    def compare(self, model: Estimate, reference: Estimate) -> str:
        """`intervals overlap`, `better` or `worse`: a difference inside the intervals counts as none.

        The interval of a single item is unknown.
        """
        if min(model.n, reference.n) < 2 or model.overlaps(reference):
            return "intervals overlap"
        return "better" if self.shortfall(model.value) < self.shortfall(reference.value) else "worse"

    def finding(self, model: Estimate, references: Mapping[str, Estimate]) -> str:
        """One sentence: the value, then each reference by its name with the comparison."""
        beside = [
            f"{name} {estimate.text(self.unit)}: {self.compare(model, estimate)}"
            for name, estimate in references.items()
        ]
        return f"{self.label} {model.text(self.unit)} beside " + "; ".join(beside)

    def word_tests(self, found: Mapping[str, Estimate], tested: Mapping[str, Mapping[str, float]]) -> str:
        """One sentence: the value of the samples, that of train volumes, and the p-value of each."""
        words = {name: found[name].text(self.unit) + _chance(tested.get(name)) for name in TESTED}
        return f"{self.label} {words['samples']} beside a floor of {words['train']}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The metric of an entry in an evaluation's JSON, which holds more than that."""
        return cls(**{field.name: content[field.name] for field in fields(cls)})


@dataclass(frozen=True)
class Gate:
    """What judges a metric.

    Attributes:
        limits: name in the settings' gates, of the limits (pass, fail) or of a tested score's one limit.
        words: what is asked for; {0} and {1} are the limits, in per cent where the metric is.
    """

    limits: str
    words: str


@dataclass(frozen=True)
class Complaint:
    """What people call a difference of the samples, and what may help.

    Attributes:
        less, more: where the value is below good, and above it; {0} is by how much.
        advice: what to try.
    """

    less: str
    more: str
    advice: str


@dataclass(frozen=True)
class Score:
    """How a metric is computed, and tested.

    Attributes:
        function: of what is named by `takes`, separated by blanks; a point before a part of `Pairs`.
        interval: "mean" of one number per item, or how a statistic of two sets is resampled; "across": such
            a mean of the values of pairs across the sets.
        purpose: what addresses the resampling; the metric's key where it is empty.
        together: of the same, for a mean: which items depend on each other; None: none do.
        test: of what the first name in `takes` says of a set and of the test split, pooled: the statistic
            whose permutations say whether the two differ; None: no test.
    """

    function: Callable[..., Any]
    takes: str
    interval: Literal["mean", "across", "pair", "jackknife", "counted"] = "mean"
    purpose: str = ""
    test: Callable[[NDArray[Any]], Statistic] | None = None
    together: Callable[..., NDArray[np.int64]] | None = None


@dataclass(frozen=True)
class Entry:
    """A line of the table; {names} in its texts stand for values of the data and the settings."""

    key: str
    metric: Metric
    score: Score
    gate: Gate | None = None
    complaint: Complaint | None = None  # of tested scores with a gate

    def fill(self, values: Mapping[str, Any]) -> Metric:
        """The metric with `values` in its texts."""
        return Metric(**{name: text.format(**values) for name, text in asdict(self.metric).items()})


def _chance(test: Mapping[str, float] | None) -> str:
    return f" ({word_p(test.get('corrected', test['p']))})" if test else ""
