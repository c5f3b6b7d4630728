"""What a prior is told of samples that are asked for in Python or on the command line."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.batches.asked import Wanted, checked
from voxgen.errors import InputError
from voxgen.models.vocabulary import Vocabulary
from voxgen.settings.conditions import LABEL

Condition = Wanted | Sequence[Wanted] | None


def given_of(condition: Condition, vocabulary: Vocabulary | None, samples: int) -> dict[str, NDArray[Any]]:
    """What a batch of all samples holds: "label" (N,) and "covariate NAME" (N,), of what is asked for.

    Raises:
        InputError: the prior is told nothing, or not this; it does not know the class; some is left out,
            which no training showed; or there are not as many conditions as samples.
    """
    if vocabulary is None:
        if condition is None:
            return {}
        raise InputError("condition: the prior is told nothing of its items; leave it out")
    if isinstance(condition, str):
        raise InputError(f'condition: {condition!r}, expected names and values, such as {{"label": "..."}}')
    rows = [condition or {}] * samples if isinstance(condition, Mapping | None) else list(condition)
    if len(rows) != samples:
        raise InputError(f"condition: {len(rows)} of them, expected one for each of {samples} samples")
    named = [checked(row, vocabulary, "condition") for row in rows]
    if vocabulary.dropped and not any(named):
        return {}
    for row in named:
        if left := [name for name in vocabulary.names if name not in row]:
            either = "all or nothing" if vocabulary.dropped else "all"
            raise InputError(
                f"condition: without {', '.join(left)}; the prior was told {either} of "
                f"{', '.join(vocabulary.names)}: give the rest"
            )
    given: dict[str, NDArray[Any]] = {
        f"covariate {name}": np.array([row[name] for row in named], np.float32)
        for name in vocabulary.covariates
    }
    if vocabulary.classes:
        given[LABEL] = np.array([vocabulary.classes.index(row[LABEL]) for row in named], np.int64)
    return given
