"""Latents whose index says a label and a number of each volume."""

import json
import shutil
from pathlib import Path

from voxgen.io.files import read_table, write_table
from voxgen.io.latent_shards import COLUMNS
from voxgen.settings.conditions import ConditionSettings
from voxgen.settings.sections import Settings

CONDITION = ConditionSettings(label=True, covariates=("age",), dropped=0.25)


def told_latents(latents: Path, folder: Path) -> Path:
    """A copy of the folder of all latents: volumes are left and right by turns, and each is older."""
    shutil.copytree(latents, folder)
    for index in folder.glob("*/index.csv"):
        rows = read_table(index)
        ages = {name: age for age, name in enumerate(sorted({row["id"] for row in rows}), 30)}
        for row in rows:
            age = ages[row["id"]]
            row |= {"label": ("left", "right")[age % 2], "attributes": json.dumps({"age": age, "site": "A"})}
        write_table(index, rows, COLUMNS)
    return folder


def conditioned(settings: Settings) -> Settings:
    """The same with a prior that is told of both."""
    return settings.model_copy(update={"prior": settings.prior.model_copy(update={"condition": CONDITION})})
