"""What a prior is told of samples that are asked for in Python."""

from typing import Any

import numpy as np
import pytest

from voxgen.errors import InputError
from voxgen.generation.told import given_of
from voxgen.models.vocabulary import Vocabulary

KNOWN = Vocabulary(("mass", "normal"), {"age": (50.0, 10.0)}, dropped=0.1)


def test_one_condition_is_that_of_all_samples_and_a_list_has_one_for_each() -> None:
    given = given_of({"label": "normal", "age": 30}, KNOWN, 3)
    np.testing.assert_array_equal(given["label"], [1, 1, 1])
    np.testing.assert_array_equal(given["covariate age"], [30, 30, 30])
    given = given_of([{"label": "mass", "age": 1}, {"label": "normal", "age": 2}], KNOWN, 2)
    np.testing.assert_array_equal(given["label"], [0, 1])
    np.testing.assert_array_equal(given["covariate age"], [1, 2])


def test_nothing_is_told_where_nothing_is_asked() -> None:
    assert given_of(None, None, 2) == {} == given_of(None, KNOWN, 2)


@pytest.mark.parametrize(
    ("condition", "vocabulary", "message"),
    [
        ({"label": "mass"}, None, "is told nothing of its items"),
        ({"label": "Mass"}, KNOWN, r"label Mass; the classes of the train split are mass, normal"),
        ("mass", KNOWN, "condition: 'mass', expected names and values"),
        ({"sex": "f"}, KNOWN, r"sex; the prior is told of label, age"),
        ({"age": "old"}, KNOWN, r"age is 'old', expected a number"),
        ([{"age": 3}], KNOWN, "1 of them, expected one for each of 2 samples"),
        ([{"label": "mass", "age": 3}, {}], KNOWN, "without label, age; the prior was told all or nothing"),
        ({"age": 3}, KNOWN, "without label; the prior was told all or nothing of label, age: give the rest"),
        (None, Vocabulary(KNOWN.classes, {}, 0.0), "without label; the prior was told all of label"),
    ],
)
def test_what_cannot_be_asked_is_refused(condition: Any, vocabulary: Vocabulary | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        given_of(condition, vocabulary, 2)
