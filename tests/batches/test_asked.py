"""What samples are asked to be: drawn, given for all, or by a table; and what is refused."""

import json
import logging

import numpy as np
import pytest

from voxgen.batches.asked import asked_rows
from voxgen.batches.conditions import coded, fit_vocabulary, read_conditions
from voxgen.errors import InputError
from voxgen.models.vocabulary import Vocabulary
from voxgen.settings.conditions import ConditionSettings

TRAIN = [
    {"label": label, "attributes": json.dumps({"age": age, "dose": dose, "site": "A", "same": 1})}
    for label, age, dose in (("left", 30, "0.5"), ("right", 40, "1.5"), ("left", 50, "0.5"))
]
BOTH = ConditionSettings(label=True, covariates=("age", "dose"), dropped=0.1)


def vocabulary(wanted: ConditionSettings = BOTH) -> Vocabulary:
    return fit_vocabulary(read_conditions(TRAIN), wanted)


def asked(
    *wanted: dict[str, str | int | float], samples: int = 60, seed: int = 0
) -> list[tuple[str, float, float]]:
    rows = asked_rows(wanted, TRAIN, vocabulary(), samples, seed, "mine.csv")
    return [(row["label"], *json.loads(row["attributes"]).values()) for row in rows]


def test_a_vocabulary_has_the_train_splits_classes_mean_and_deviation() -> None:
    found = vocabulary()
    assert found.classes == ("left", "right")
    assert found.covariates["age"] == pytest.approx((40, np.std([30, 40, 50])))
    assert found.covariates["dose"] == pytest.approx((5 / 6, np.std([0.5, 1.5, 0.5])))
    assert vocabulary(ConditionSettings(label=False, covariates=("age",), dropped=0.2)).names == ("age",)


@pytest.mark.parametrize(
    ("label", "covariates", "rows", "words"),
    [
        (False, ("site",), TRAIN, "site is no number that every item.*these are: age, dose, same"),
        (False, ("size",), TRAIN, "size is no number"),
        (False, ("same",), TRAIN, "same is 1 for every item"),
        (True, (), [{"label": ""}, {"label": "a"}], "items without a label"),
        (True, (), TRAIN[::2], "one class, left"),
    ],
)
def test_what_the_train_split_cannot_teach_is_refused(
    label: bool, covariates: tuple[str, ...], rows: list[dict[str, str]], words: str
) -> None:
    wanted = ConditionSettings(label=label, covariates=covariates, dropped=0.1)
    with pytest.raises(InputError, match=words):
        fit_vocabulary(read_conditions(rows), wanted)


def test_nothing_asked_is_drawn_from_train_items_whole_by_seed_and_index() -> None:
    items = {("left", 30, 0.5), ("right", 40, 1.5), ("left", 50, 0.5)}
    drawn = asked()
    assert set(drawn) == items
    assert drawn == asked()
    assert drawn[:7] == asked(samples=7)
    assert drawn != asked(seed=1)


def test_values_for_all_leave_the_rest_to_train_items_of_that_class() -> None:
    assert set(asked({"label": "left"})) == {("left", 30, 0.5), ("left", 50, 0.5)}
    assert set(asked({"age": 44.5, "label": "right"})) == {("right", 44.5, 1.5)}
    assert {age for _, age, _ in asked({"age": 35})} == {35}


def test_rows_of_a_table_begin_anew_and_empty_cells_ask_for_nothing() -> None:
    rows = asked({"label": "right", "age": "41"}, {"label": "left", "age": ""}, samples=5)
    assert [label for label, _, _ in rows] == ["right", "left", "right", "left", "right"]
    assert [rows[i][1] for i in (0, 2, 4)] == [41, 41, 41]
    assert {rows[i][1] for i in (1, 3)} <= {30, 50}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"label": "top"}, "mine.csv: label top; the classes of the train split are left, right"),
        ({"size": "3"}, "mine.csv: size; the prior is told of label, age, dose"),
        ({"age": "old"}, "mine.csv: age is 'old', expected a number"),
    ],
)
def test_unknown_classes_and_columns_are_refused_by_name(row: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        asked(row)


def test_a_number_far_from_all_train_items_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        asked({"age": 60})
        assert not caplog.records
        asked({"age": 400})
    assert "age 400 is more than 3 standard deviations" in caplog.text


def test_rows_become_what_a_batch_holds_and_a_stranger_is_refused() -> None:
    found = coded(TRAIN[1:], vocabulary(), "asked.csv")
    assert {name: values.tolist() for name, values in found.items()} == {
        "label": [1, 0],
        "covariate age": [40, 50],
        "covariate dose": [1.5, 0.5],
    }
    with pytest.raises(InputError, match=r"asked.csv: label top; the prior knows left, right"):
        coded([{**TRAIN[0], "label": "top"}], vocabulary(), "asked.csv")
    with pytest.raises(
        InputError, match=r"asked.csv: without age, dose, but the prior is told of label, age, dose"
    ):
        coded([{"label": "left"}], vocabulary(), "asked.csv")
