"""What a metric is, how it is computed, and what judges it: the parts of an entry of `metric_table`."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from voxgen.metrics.bootstrap import Estimate

Direction = Literal["higher", "lower", "towards 0", "towards 0.5", "towards 1"]


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
        limits: name of the limits (pass, fail) in the settings' gates.
        words: what is asked for; {0} and {1} are the limits, in per cent where the metric is.
        beyond: name of the reference in the JSON that the shortfall is counted from ("": from good).
    """

    limits: str
    words: str
    beyond: str = ""


@dataclass(frozen=True)
class Score:
    """How a metric is computed.

    Attributes:
        function: of what is named by `takes`, separated by blanks.
        interval: "mean" of one number per item, or how a statistic of two sets is resampled.
        purpose: what addresses the resampling; the metric's key where it is empty.
        given: a value that the statistic takes by keyword.
    """

    function: Callable[..., Any]
    takes: str
    interval: Literal["mean", "pair", "jackknife", "counted"] = "mean"
    purpose: str = ""
    given: str = ""


@dataclass(frozen=True)
class Entry:
    """A line of the table; {names} in its texts stand for values of the data and the settings."""

    key: str
    metric: Metric
    score: Score
    gate: Gate | None = None

    def fill(self, values: Mapping[str, Any]) -> Metric:
        """The metric with `values` in its texts."""
        return Metric(**{name: text.format(**values) for name, text in asdict(self.metric).items()})
