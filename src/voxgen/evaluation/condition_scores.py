"""Scores of samples that were asked to be something: whether they are it, and how good each class is.

Shapes: N volumes of a set, F features; B volumes per batch; X, Y, Z voxels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.batches.conditions import Conditions, read_conditions
from voxgen.evaluation.metric_table import SAMPLES
from voxgen.evaluation.set_tests import compare_set
from voxgen.evaluation.volume_sets import SCALARS, Description, VolumeSet
from voxgen.evaluation.volume_streams import read_batches
from voxgen.metrics.bootstrap import Bootstrap, Estimate, Statistic, proportion
from voxgen.metrics.memorisation import pooled
from voxgen.metrics.obedience import (
    agreement,
    class_guesses,
    correlation,
    number_guesses,
    root_mean_square_error,
)
from voxgen.models.codec import Autoencoder
from voxgen.models.vocabulary import Vocabulary
from voxgen.randomness import generator

Rows = Sequence[Mapping[str, str]]
Json = dict[str, Any]
SETS = ("samples", "test")
MOST = 2000  # volumes of a set: more change no score by a point
COARSE = 8  # voxels along the longest axis of the volumes among the features: what is where
FEWEST = 3  # volumes of a class, in each set, that its scores need
POINTS = 0.05  # difference of shares that counts as none
NUMBERS = tuple(entry for entry in SAMPLES if entry.key in SCALARS)


@dataclass(frozen=True)
class Described:
    """A set: its features (N, F), the numbers of each volume, and its conditions."""

    features_NF: NDArray[np.float64]
    numbers: VolumeSet
    conditions: Conditions


def score_conditions(
    sources: Mapping[str, tuple[Rows, Path]],
    vocabulary: Vocabulary,
    first: Autoencoder,
    how: Description,
    batch: int,
) -> Json:
    """What models that learnt train volumes take samples and test volumes for, and scores of each class.

    Features are those of the autoencoder, the numbers of each volume, and the volume itself, coarse. Of each
    class, numbers per volume of its samples are held against those of its test volumes.

    Raises:
        InputError: a volume has another shape.
    """
    sets = {
        name: _describe(_choose(rows, how.seed, name), folder, vocabulary.classes, first, how, batch)
        for name, (rows, folder) in sources.items()
    }
    bootstrap = Bootstrap(how.evaluation.bootstrap, how.evaluation.confidence, how.seed)
    content: Json = {
        "n": {name: len(one.features_NF) for name, one in sets.items()},
        "device": first.fabric.device.type,
        "classes": list(vocabulary.classes),
        "label": _obeyed_label(sets, vocabulary.classes, bootstrap) if _labelled(sets) else None,
        "covariates": {
            name: _obeyed_number(sets, name, bootstrap)
            for name in vocabulary.covariates
            if all(name in one.conditions.covariates for one in sets.values())
            and _varies(sets["samples"], name)
        },
        "scores": _score_classes(sets, vocabulary.classes, how, bootstrap),
    }
    parts = [*filter(None, [content["label"]]), *content["covariates"].values()]
    return {**content, "findings": [part["finding"] for part in parts]}


def _choose(rows: Rows, seed: int, name: str) -> Rows:
    order = generator(seed, f"evaluation conditions {name}").permutation(len(rows))[:MOST]
    return [rows[i] for i in sorted(order)]


def _describe(
    rows: Rows, folder: Path, classes: Sequence[str], first: Autoencoder, how: Description, batch: int
) -> Described:
    features: list[NDArray[np.float64]] = []
    numbers: list[VolumeSet] = []
    for one in read_batches([row["id"] for row in rows], folder, how.grid.shape, batch):
        x_BXYZ = how.law.to_network(one[1])
        numbers.append(how.number([one]))
        coarse = np.stack([pooled(x, COARSE).ravel() for x in x_BXYZ])
        seen = first.features(first.intensity.to_network(one[1]))
        own = np.stack([np.nan_to_num(numbers[-1][key]) for key in SCALARS], axis=1)
        features.append(np.concatenate([seen, coarse, own], axis=1).astype(np.float64))
    whole = {key: np.concatenate([one[key] for one in numbers]) for key in SCALARS}
    return Described(np.concatenate(features), whole, read_conditions(rows, classes))


def _labelled(sets: Mapping[str, Described]) -> bool:
    return all((one.conditions.label_N >= 0).any() for one in sets.values())


def _varies(described: Described, name: str) -> bool:
    """Whether a covariate is not the same for all: what is correlates with nothing."""
    return bool(np.ptp(described.conditions.covariates[name]))


def _obeyed_label(sets: Mapping[str, Described], classes: Sequence[str], bootstrap: Bootstrap) -> Json:
    """The share of volumes taken for their class, of each class that was asked for and over all of these."""
    learnt = sets["train"]
    pairs = {}
    for name in SETS:
        label = sets[name].conditions.label_N
        guessed = class_guesses(learnt.features_NF, learnt.conditions.label_N, sets[name].features_NF)
        pairs[name] = np.stack([label, guessed], 1)[label >= 0]
    pairs["test"] = pairs["test"][np.isin(pairs["test"][:, 0], pairs["samples"][:, 0])]
    content = _beside(pairs, agreement, bootstrap, "asked label")
    for name in SETS:
        label, guessed = pairs[name].T
        content[name]["classes"] = {
            one: proportion(
                (guessed[label == number] == number).astype(float), bootstrap.confidence
            ).to_json()
            for number, one in enumerate(classes)
            if (label == number).any()
        }
    return {**content, "chance": 1 / len(classes), "finding": _word(content, "the asked label", "%")}


def _obeyed_number(sets: Mapping[str, Described], name: str, bootstrap: Bootstrap) -> Json:
    """How well the asked number goes along with what regression takes volumes for."""
    learnt, pairs = sets["train"], {}
    for one in SETS:
        known = (learnt.features_NF, learnt.conditions.covariates[name].astype(np.float64))
        guessed = number_guesses(*known, sets[one].features_NF)
        pairs[one] = np.stack([sets[one].conditions.covariates[name], guessed], 1)
    content = _beside(pairs, correlation, bootstrap, f"asked {name}")
    for one in SETS:
        content[one]["error"] = root_mean_square_error(pairs[one])
    errors = ", ".join(f"{content[one]['error']:.3g}" for one in SETS)
    finding = f"{_word(content, f'correlation with the asked {name}')}; errors {errors}"
    return {**content, "finding": finding}


def _beside(
    pairs: Mapping[str, NDArray[Any]], score: Callable[[NDArray[Any]], float], bootstrap: Bootstrap, of: str
) -> Json:
    """A score of samples, of test volumes, and the difference, with intervals."""

    def alone(a: NDArray[Any], _: NDArray[Any]) -> float:
        return score(a)

    def difference(a: NDArray[Any], b: NDArray[Any]) -> float:
        return score(a) - score(b)

    def estimate(statistic: Statistic, a: NDArray[Any], b: NDArray[Any]) -> Json:
        return bootstrap.pair(statistic, a, b, of).to_json()

    samples, test = (pairs[name] for name in SETS)
    return {
        "samples": {"all": estimate(alone, samples, test)},
        "test": {"all": estimate(alone, test, samples)},
        "difference": estimate(difference, samples, test),
    }


def _word(content: Json, what: str, unit: str = "") -> str:
    samples, test = (Estimate.from_json(content[name]["all"]).text(unit) for name in SETS)
    difference = content["difference"]
    near = "within" if abs(difference["value"]) <= POINTS else "beyond"
    size = "5 points" if unit else f"{POINTS:g}"
    words = f"{what}: {samples} of samples beside {test} of test volumes"
    return f"{words}, {near} {size} of each other ({Estimate.from_json(difference).text(unit)})"


def _score_classes(
    sets: Mapping[str, Described], classes: Sequence[str], how: Description, bootstrap: Bootstrap
) -> Json:
    """Numbers per volume of each class: the relative difference of the mean, and whether chance makes it."""
    found: dict[str, Json] = {}
    for number, one in enumerate(classes):
        items = {key: _of_class(sets, key, number) for key in SCALARS}
        tests = compare_set(NUMBERS, items, "samples", how.evaluation.permutations, how.seed)
        for entry in NUMBERS:
            a, b = (items[entry.key][name] for name in SETS)
            if min(len(a), len(b)) < FEWEST:
                continue
            estimate = bootstrap.pair(entry.score.function, a, b, f"{entry.key} {one}")
            score = found.setdefault(entry.key, {**entry.metric.to_json(), "by_class": {}})
            score["by_class"][one] = {"estimate": estimate.to_json(), "test": tests.get(entry.key, {})}
    return found


def _of_class(sets: Mapping[str, Described], key: str, number: int) -> dict[str, NDArray[Any]]:
    """What is known of a number, in the volumes of a class of each set."""
    of_class = {name: sets[name].numbers[key][sets[name].conditions.label_N == number] for name in SETS}
    return {name: values[np.isfinite(values)] for name, values in of_class.items()}
