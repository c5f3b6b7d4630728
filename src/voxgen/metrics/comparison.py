"""A number beside its references: what it is, which way is good, and what the intervals say."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from voxgen.metrics.bootstrap import Estimate

Direction = Literal["higher", "lower", "towards 0", "towards 0.5"]


@dataclass(frozen=True)
class Metric:
    """What a number is: its label, unit (`%`: a share, shown in per cent), good direction and meaning."""

    label: str
    unit: str
    direction: Direction
    meaning: str

    def shortfall(self, value: float) -> float:
        """How far a value is from good: the larger, the worse."""
        if self.direction == "higher":
            return -value
        if self.direction == "lower":
            return value
        return abs(value - float(self.direction.removeprefix("towards ")))

    def verdict(self, model: Estimate, reference: Estimate) -> str:
        """`intervals overlap`, `better` or `worse`: a difference inside the intervals counts as none.

        Of a single item no interval is known.
        """
        if min(model.n, reference.n) < 2 or model.overlaps(reference):
            return "intervals overlap"
        return "better" if self.shortfall(model.value) < self.shortfall(reference.value) else "worse"

    def reading(self, model: Estimate, references: Mapping[str, Estimate]) -> str:
        """One sentence: the value, then each reference under its name with its verdict."""
        beside = [
            f"{name} {estimate.text(self.unit)}: {self.verdict(model, estimate)}"
            for name, estimate in references.items()
        ]
        return f"{self.label} {model.text(self.unit)} beside " + "; ".join(beside)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The metric of an entry in an evaluation's JSON, which holds more than that."""
        return cls(**{field.name: content[field.name] for field in fields(cls)})
