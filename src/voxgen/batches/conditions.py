"""What is known of each item besides its volume, as numbers in a batch: its label and numeric attributes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Row = Mapping[str, str]


@dataclass(frozen=True)
class Conditions:
    """Of N items, in their order.

    Attributes:
        classes: the labels that occur in the train split, sorted; empty where some item has none.
        label_N: the place of each item's label among them; -1 for one that the train split lacks.
        covariates: attributes that are numbers for every item, (N,) each.
    """

    classes: tuple[str, ...]
    label_N: NDArray[np.int64]
    covariates: dict[str, NDArray[np.float32]]

    def of(self, item: int) -> dict[str, np.generic]:
        """What a batch holds of one item: "label", and "covariate NAME" for each of them."""
        found: dict[str, np.generic] = {"label": self.label_N[item]} if self.classes else {}
        return found | {f"covariate {name}": values[item] for name, values in self.covariates.items()}


def read_conditions(rows: Sequence[Row], classes: Sequence[str] | None = None) -> Conditions:
    """The conditions in rows of an index; its columns `label` and `attributes` (JSON) may be missing.

    `classes` are those of the train split, where the rows are of another.
    """
    labels = [row.get("label", "") for row in rows]
    known = tuple(sorted(set(labels)) if classes is None else classes) if all(labels) else ()
    attributes = [json.loads(row.get("attributes") or "{}") for row in rows]
    shared = [
        name for name in (attributes[0] if rows else {}) if all(_is_number(each, name) for each in attributes)
    ]
    return Conditions(
        known,
        np.array([known.index(label) if label in known else -1 for label in labels], np.int64),
        {name: np.array([each[name] for each in attributes], np.float32) for name in shared},
    )


def _is_number(attributes: Mapping[str, object], name: str) -> bool:
    value = attributes.get(name)
    return isinstance(value, int | float) and not isinstance(value, bool)
