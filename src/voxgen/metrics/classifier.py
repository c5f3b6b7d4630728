"""The classifier two-sample test: whether a classifier can tell the items of two sets apart.

Lopez-Paz & Oquab 2017 (arXiv 1610.06545): its accuracy on items that it was not trained on is 1/2 where both
sets come from one distribution. Here it is ridge regression on the labels 1 and -1, in 10 folds that are
drawn once and know nothing of the labels: all labellings of a permutation test share one solution per fold.

Shapes: N and M items of the sets a and b, L = N + M pooled, F features; P labellings.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxgen.metrics.permutation import Labels, Statistic
from voxgen.randomness import generator

Array = NDArray[np.float64]

FOLDS = 10
PENALTY = 0.1  # per feature, which have unit variance; of 0.1, 1 and 10 it found the most


class Told(NamedTuple):
    """The features of the two sets that are to be told apart."""

    a_NF: Array
    b_MF: Array

    @property
    def pooled(self) -> Array:
        """The features (L, F) of both sets, those of a first."""
        return np.concatenate([self.a_NF, self.b_MF])


def told_apart(a_NF: Array, b_MF: Array) -> Array:
    """1 for each of the N + M items that is taken for one of its own set, 0 if not, 0.5 where undecided.

    The mean is the accuracy. There is no intercept: the boundary goes through the mean of all items, so that
    the sets should be of one size.

    Raises:
        ValueError: a set has no item, or features differ in number or are not finite.
    """
    features = Told(np.asarray(a_NF, dtype=np.float64), np.asarray(b_MF, dtype=np.float64)).pooled
    labels = np.arange(len(features))[None] < len(a_NF)
    return np.asarray(_correct(features, labels)[0])


def classifier_test(pooled_LF: Array) -> Statistic:
    """Whether two sets are told apart more often than chance does it."""
    features = np.asarray(pooled_LF, dtype=np.float64)

    def statistic(labels: Labels) -> Array:
        shares: Array = _correct(features, labels).mean(axis=1)
        return shares

    return statistic


def _correct(features_LF: Array, labels: Labels) -> Array:
    """Whether each item was classified rightly (P, L), by a classifier that had not seen it."""
    from sklearn.linear_model import Ridge  # takes a second to import, and reports read this module's table

    if not np.isfinite(features_LF).all():
        raise ValueError("features that are not finite")
    features_LF = features_LF - features_LF.mean(axis=0)
    signs_LP = np.where(labels, 1.0, -1.0).T
    scores_LP = np.empty_like(signs_LP)
    for fold in _folds(len(features_LF)):
        rest = np.setdiff1d(np.arange(len(features_LF)), fold)
        model = Ridge(alpha=PENALTY * features_LF.shape[1], fit_intercept=False).fit(
            features_LF[rest], signs_LP[rest]
        )
        scores_LP[fold] = model.predict(features_LF[fold]).reshape(len(fold), -1)
    correct_LP: Array = (np.sign(scores_LP * signs_LP) + 1) / 2
    return correct_LP.T


def _folds(items: int) -> list[NDArray[np.intp]]:
    order = generator(0, "classifier folds", items).permutation(items)
    return np.array_split(order, min(FOLDS, items))
