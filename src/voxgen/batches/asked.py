"""What each sample is asked to be: rows like those of an index, with a label and attributes. No torch."""

import json
import logging
from collections.abc import Mapping, Sequence

from voxgen.batches.conditions import Row, as_number
from voxgen.errors import InputError
from voxgen.models.vocabulary import Vocabulary
from voxgen.randomness import generator
from voxgen.settings.conditions import LABEL

log = logging.getLogger(__name__)

FAR = 3  # standard deviations: hardly any train item is there

Wanted = Mapping[str, str | int | float]


def asked_rows(
    wanted: Sequence[Wanted],
    train: Sequence[Row],
    vocabulary: Vocabulary,
    samples: int,
    seed: int,
    where: str,
) -> list[dict[str, str]]:
    """Label and attributes (JSON) of each sample.

    Sample i is asked for row i of `wanted`, which begins anew where it ends; nothing of it asks for nothing.
    What a row does not name is that of an item of the train split, drawn by `seed` and i: of the wanted
    class, where that is named.

    Raises:
        InputError: a row names what the prior is not told of, a class that it does not know, or no number;
            `where` they come from is named.
    """
    rows = [
        checked(row, vocabulary, where if len(wanted) == 1 else f"{where}, row {number}")
        for number, row in enumerate(wanted)
    ] or [{}]
    _warn_of_strangers(rows, vocabulary, where)
    of_class = {name: [row for row in train if row.get(LABEL) == name] for name in vocabulary.classes}
    asked = []
    for index in range(samples):
        row = rows[index % len(rows)]
        items = of_class[row[LABEL]] if LABEL in row else train
        item = items[int(generator(seed, "condition", index).integers(len(items)))]
        known = json.loads(item.get("attributes") or "{}")
        numbers = {name: row.get(name, known.get(name)) for name in vocabulary.covariates}
        attributes = {name: as_number(value) for name, value in numbers.items()}
        label = row.get(LABEL, item.get(LABEL, "")) if vocabulary.classes else ""
        asked.append({LABEL: label, "attributes": json.dumps(attributes, ensure_ascii=False)})
    return asked


def checked(row: Wanted, vocabulary: Vocabulary, where: str) -> dict[str, str]:
    """What a row asks for as text, without what is empty.

    Raises:
        InputError: the prior is not told of it, does not know the class, or it is no number.
    """
    texts = {name: str(value).strip() for name, value in row.items()}
    if unknown := [name for name in texts if name not in vocabulary.names]:
        raise InputError(
            f"{where}: {', '.join(unknown)}; the prior is told of {', '.join(vocabulary.names)}: leave out "
            "the rest"
        )
    named = {name: text for name, text in texts.items() if text}
    if LABEL in named and named[LABEL] not in vocabulary.classes:
        raise InputError(
            f"{where}: label {named[LABEL]}; the classes of the train split are "
            f"{', '.join(vocabulary.classes)}: give one of these"
        )
    for name in vocabulary.covariates:
        if name in named and as_number(named[name]) is None:
            raise InputError(f"{where}: {name} is {named[name]!r}, expected a number")
    return named


def _warn_of_strangers(rows: Sequence[Row], vocabulary: Vocabulary, where: str) -> None:
    for name, (mean, std) in vocabulary.covariates.items():
        wanted = [float(row[name]) for row in rows if name in row]
        far = [value for value in wanted if abs(value - mean) > FAR * std]
        if far:
            log.warning(
                "%s: %s %g is more than %d standard deviations (%.3g) from the train split's mean, %.3g",
                *(where, name, far[0], FAR, std, mean),
            )
