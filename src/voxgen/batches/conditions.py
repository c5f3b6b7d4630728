"""What is known of each item besides its volume, as numbers in a batch: its label and numeric attributes."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError
from voxgen.models.vocabulary import Vocabulary
from voxgen.settings.conditions import LABEL, ConditionSettings

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

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """What a batch of all items holds: "label" (N,), and "covariate NAME" (N,) for each of them."""
        found: dict[str, NDArray[Any]] = {LABEL: self.label_N} if self.classes else {}
        return found | {f"covariate {name}": values for name, values in self.covariates.items()}

    def of(self, item: int) -> dict[str, np.generic]:
        """What a batch holds of one item."""
        return {name: values[item] for name, values in self.columns.items()}


def read_conditions(rows: Sequence[Row], classes: Sequence[str] | None = None) -> Conditions:
    """The conditions in rows of an index; its columns `label` and `attributes` (JSON) may be missing.

    `classes` are those of the train split, where the rows are of another. Texts of numbers count as numbers.
    """
    labels = [row.get(LABEL, "") for row in rows]
    known = tuple(sorted(set(labels)) if classes is None else classes) if all(labels) else ()
    attributes = [json.loads(row.get("attributes") or "{}") for row in rows]
    numbers = {
        name: [as_number(each.get(name)) for each in attributes] for name in (attributes[0] if rows else {})
    }
    return Conditions(
        known,
        np.array([known.index(label) if label in known else -1 for label in labels], np.int64),
        {name: np.array(values, np.float32) for name, values in numbers.items() if None not in values},
    )


def as_number(value: object) -> float | None:
    """The finite number that a value, or the text of one, is; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def fit_vocabulary(train: Conditions, wanted: ConditionSettings) -> Vocabulary:
    """What a prior can be told of items, by those of the train split.

    Raises:
        InputError: items have no label or no such number, or all have the same.
    """
    for name in wanted.covariates:
        if name not in train.covariates:
            raise InputError(
                f"prior.condition.covariates: {name} is no number that every item of the train split has; "
                f"these are: {', '.join(train.covariates) or 'none'}; name it in data.covariates, or give "
                "one of these"
            )
        if not np.ptp(train.covariates[name]):
            raise InputError(
                f"prior.condition.covariates: {name} is {train.covariates[name][0]:g} for every item of the "
                "train split; leave it out"
            )
    if wanted.label and len(train.classes) < 2:
        found = f"one class, {train.classes[0]}" if train.classes else "items without a label"
        raise InputError(
            f"prior.condition.label: true, but the train split has {found}; correct data.label, or set it to "
            "false"
        )
    moments = {name: train.covariates[name].astype(np.float64) for name in wanted.covariates}
    covariates = {name: (float(values.mean()), float(values.std())) for name, values in moments.items()}
    return Vocabulary(train.classes if wanted.label else (), covariates, wanted.dropped)


def coded(rows: Sequence[Row], vocabulary: Vocabulary, where: str) -> dict[str, NDArray[Any]]:
    """What a batch holds of rows of an index, of what a prior is told; `where` they are, for the refusal.

    Raises:
        InputError: a row lacks some of it, or has a class that the prior does not know.
    """
    found = read_conditions(rows, vocabulary.classes)
    if missing := [name for name in vocabulary.covariates if name not in found.covariates]:
        raise InputError(
            f"{where}: without {', '.join(missing)}, but the prior is told of {', '.join(vocabulary.names)}; "
            "set prior.condition as it was trained"
        )
    if vocabulary.classes and (unknown := sorted({row[LABEL] for row in rows} - {*vocabulary.classes})):
        raise InputError(
            f"{where}: label {', '.join(unknown)}; the prior knows {', '.join(vocabulary.classes)}"
        )
    names = {f"covariate {name}" for name in vocabulary.covariates}
    names |= {LABEL} if vocabulary.classes else set()
    return {name: values for name, values in found.columns.items() if name in names}
