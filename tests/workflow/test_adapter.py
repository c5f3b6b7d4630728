"""The adapter: values by name and annotation, and clear errors where rule and stage disagree."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from adapter import arguments
from voxgen.io.shards import Shard
from voxgen.settings.loading import canonical, load_settings
from voxgen.settings.machine import Machine
from voxgen.settings.split import SplitSettings
from voxgen.volumes.manifest import Split

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "config" / "config.yaml").read_text())
SETTINGS = load_settings(CONFIG)
GIVEN = {"settings": "data.split", "seed": "seed"}


def stage(
    train: Split,
    model: Path,
    scale: Path,
    weights: Path | None,
    parts: Sequence[Path],
    out: Path,
    name: str,
    shard: Shard,
    settings: SplitSettings,
    seed: int,
    machine: Machine,
) -> None:
    """What a stage may ask for."""


def job(**changes: Any) -> SimpleNamespace:
    given = {
        "rule": "some",
        "input": {
            "train": ["train.csv", "train"],
            "model": ["m/model.safetensors", "m/config.json"],
            "scale": "scale.json",
            "weights": [],
            "parts": ["one.csv"],
        },
        "output": Listed({"folder": "made", "manifest": "made/manifest.csv"}),
        "wildcards": {"name": "cells", "shard": "1of3", "more": "x"},
        "params": SimpleNamespace(science=canonical(SETTINGS, GIVEN)),
        "config": CONFIG,
        "threads": 1,
    }
    return SimpleNamespace(**{**given, **changes})


class Listed(list):  # type: ignore[type-arg]
    """A list of files with names, as Snakemake has it."""

    def __init__(self, named: dict[str, str]) -> None:
        super().__init__(named.values())
        self.items = named.items


def test_a_stage_gets_values_of_its_own_types() -> None:
    assert arguments(stage, job()) == {
        "train": (Path("train.csv"), Path("train")),
        "model": Path("m"),
        "scale": Path("scale.json"),
        "weights": None,
        "parts": [Path("one.csv")],
        "out": Path("made"),
        "name": "cells",
        "shard": Shard(1, 3),
        "settings": SETTINGS.data.split,
        "seed": SETTINGS.seed,
        "machine": SETTINGS.machine.model_copy(update={"threads": 1}),
    }


def test_a_single_output_is_itself() -> None:
    assert arguments(stage, job(output=Listed({"table": "made.csv"})))["out"] == Path("made.csv")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wildcards": {"name": "cells"}}, "parameter shard: the stage asks for it, but nothing gives it"),
        ({"input": {**job().input, "grid": "grid.json"}}, "parameter grid: the stage does not ask for it"),
        ({"input": {**job().input, "seed": "seed.txt"}}, "parameter seed: it is given more than once"),
        ({"input": {**job().input, "train": ["train.csv"]}}, "parameter train: .*Field required"),
        ({"input": {**job().input, "scale": []}}, "parameter scale: .*not a valid path.*found None"),
        (
            {"params": SimpleNamespace(science=canonical(SETTINGS, {**GIVEN, "settings": "data.grid"}))},
            "parameter settings: .*SplitSettings",
        ),
        (
            {"params": SimpleNamespace(science=canonical(SETTINGS, {"settings": "data.split"}))},
            "parameter seed: the stage asks for it",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_rule_and_parameter(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=f"rule some, {message}"):
        arguments(stage, job(**changes))


def test_shards_share_all_items_in_their_order() -> None:
    items = list(range(7))
    assert [items[Shard(k, 3).part(7)] for k in range(3)] == [[0, 1], [2, 3], [4, 5, 6]]
    assert Shard.named("2of5") == Shard(2, 5)
    assert str(Shard(2, 5)) == "2of5"
