"""What a prior can be told of an item: the classes and covariates that its train split had."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Vocabulary:
    """Of a prior that was trained with conditions.

    Attributes:
        classes: labels of the train split, sorted; empty: labels are not told.
        covariates: name: (mean, standard deviation) over the train split.
        dropped: share of items that were shown without their condition; where it is 0 the prior knows nothing
            of items without one.
    """

    classes: tuple[str, ...]
    covariates: Mapping[str, tuple[float, float]]
    dropped: float

    @property
    def names(self) -> tuple[str, ...]:
        """What is told of an item, under the names that columns of a table have."""
        return (*(("label",) if self.classes else ()), *self.covariates)

    def to_json(self) -> dict[str, Any]:
        covariates = {name: list(moments) for name, moments in self.covariates.items()}
        return {"classes": list(self.classes), "covariates": covariates, "dropped": self.dropped}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        covariates = {name: (mean, std) for name, (mean, std) in content["covariates"].items()}
        return cls(tuple(content["classes"]), covariates, content["dropped"])
