"""Whether generated items are what they were asked to be: what a model that learnt real items takes them for.

The classification accuracy score of Ravuri and Vinyals (arXiv 1905.10887) the other way round: learnt from
real items, asked of generated ones, beside real ones that it has not seen either.

Shapes: N learnt items, M others, F features; K classes.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Classes = NDArray[np.int64]

PENALTIES = np.logspace(0, 5, 11)  # of the ridge; each feature has unit variance


def class_guesses(learnt_NF: Array, class_N: Classes, others_MF: Array) -> Classes:
    """The class that ridge regression on the classes of learnt items takes each of the others for.

    Classes count alike, however many items they have; the penalty is the best one for items left out.
    """
    from sklearn.linear_model import RidgeClassifierCV  # takes a second to import

    learnt, others = standardised(learnt_NF, others_MF)
    model = RidgeClassifierCV(PENALTIES, class_weight="balanced").fit(learnt, class_N)
    return np.asarray(model.predict(others), np.int64)


def number_guesses(learnt_NF: Array, value_N: Array, others_MF: Array) -> Array:
    """The number that ridge regression on those of learnt items gives each of the others."""
    from sklearn.linear_model import RidgeCV

    learnt, others = standardised(learnt_NF, others_MF)
    return np.asarray(RidgeCV(PENALTIES).fit(learnt, value_N).predict(others), np.float64)


def agreement(asked_guessed_M2: NDArray[np.integer]) -> float:
    """The share of items that are taken for what they were asked to be, averaged over classes.

    Guessing one class for all gives 1 / K, whatever their sizes.
    """
    asked, guessed = asked_guessed_M2.T
    return float(np.mean([(guessed[asked == one] == one).mean() for one in np.unique(asked)]))


def correlation(asked_guessed_M2: Array) -> float:
    """Pearson's correlation of asked and guessed numbers; 0 where one of them does not vary."""
    asked, guessed = asked_guessed_M2.T
    spread = float(asked.std() * guessed.std())
    return float(((asked - asked.mean()) * (guessed - guessed.mean())).mean() / spread) if spread else 0.0


def root_mean_square_error(asked_guessed_M2: Array) -> float:
    """Of guessed numbers, in their unit."""
    asked, guessed = asked_guessed_M2.T
    return float(np.sqrt(((asked - guessed) ** 2).mean()))


def standardised(learnt_NF: Array, others_MF: Array) -> tuple[Array, Array]:
    """Features in the learnt items' standard deviations from their mean, without those that do not vary."""
    mean, std = learnt_NF.mean(0), learnt_NF.std(0)
    varied = std > 1e-6 * max(float(std.max()), 1e-30)
    learnt, others = ((x[:, varied] - mean[varied]) / std[varied] for x in (learnt_NF, others_MF))
    return learnt, others
