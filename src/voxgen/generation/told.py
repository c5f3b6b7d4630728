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
        InputError: the prior is told nothing, or not this; it does not know the class; it always was told
            all, but some is left out; or there are not as many conditions as samples.
    """
    if condition is None and vocabulary is None:
        return {}
    if vocabulary is None:
        raise InputError("condition: the prior is told nothing of its items; leave it out")
    rows = [condition or {}] * samples if isinstance(condition, Mapping | None) else list(condition)
    if len(rows) != samples:
        raise InputError(f"condition: {len(rows)} of them, expected one for each of {samples} samples")
    named = [checked(row, vocabulary, "condition") for row in rows]
    names = {name for row in named for name in row}
    if uneven := sorted(name for name in names if any(name not in row for row in named)):
        raise InputError(f"condition: {uneven[0]} for some samples alone; give it for each, or for none")
    if not vocabulary.dropped and (left := [name for name in vocabulary.names if name not in names]):
        raise InputError(f"condition: without {', '.join(left)}, which the prior always was told; give it")
    given: dict[str, NDArray[Any]] = {
        f"covariate {name}": np.array([row[name] for row in named], np.float32) for name in names - {LABEL}
    }
    if LABEL in names:
        given[LABEL] = np.array([vocabulary.classes.index(row[LABEL]) for row in named], np.int64)
    return given
