"""Scores of volumes that were asked to be something: those that are it, and those that are not."""

import json
from pathlib import Path

import numpy as np
import pytest

from voxgen.batches.conditions import fit_vocabulary, read_conditions
from voxgen.evaluation.condition_scores import score_conditions
from voxgen.evaluation.volume_sets import Description
from voxgen.io.files import read_json, write_json
from voxgen.models.codec import load_autoencoder
from voxgen.pages.condition_tables import tabulate_conditions
from voxgen.settings.conditions import ConditionSettings
from voxgen.settings.sections import Settings
from voxgen.volumes.grid import Grid
from voxgen.volumes.intensity import Intensity
from voxgen.volumes.nifti import write_volume

CONDITION = ConditionSettings(label=True, covariates=("size",), dropped=0.1)
Rows = list[dict[str, str]]


def volumes(folder: Path, n: int, seed: int) -> tuple[Rows, Path]:
    """Boxes on the left or on the right side, as long as `size` says, in noise; the right ones are denser."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        side, size = number % 2, int(rng.integers(2, 8))
        volume = rng.poisson(0.05, (8, 8, 8)).astype(np.float32)
        volume[4 * side + 1 : 4 * side + 3, :size, 3:5] += 2 + 6 * side
        name = f"volume-{seed}-{number:03d}"
        write_volume(folder / f"{name}.nii.gz", volume, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "nm")
        rows.append({"id": name, "label": ("left", "right")[side], "attributes": json.dumps({"size": size})})
    return rows, folder


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, results: Path, settings: Settings, grid: Grid) -> dict:
    """Scores of samples that are what was asked, and of the same ones with what was asked of others."""
    folder = tmp_path_factory.mktemp("volumes")
    train, test, samples = (volumes(folder, n, seed) for seed, n in enumerate((80, 40, 40)))
    swapped = [
        {**row, "label": other["label"], "attributes": other["attributes"]}
        for row, other in zip(samples[0], reversed(samples[0]), strict=True)
    ]
    first = load_autoencoder(results / "autoencoder", settings.machine)
    law = Intensity.from_json(read_json(results / "autoencoder/config.json")["intensity"])
    how = Description(grid, law, {}, settings.evaluation, 0)
    vocabulary = fit_vocabulary(read_conditions(train[0]), CONDITION)
    found = {
        name: score_conditions(
            {"samples": (rows, folder), "test": test, "train": train}, vocabulary, first, how, 16
        )
        for name, rows in (("obeyed", samples[0]), ("swapped", swapped))
    }
    write_json(folder / "conditions.json", found["obeyed"])
    return {**found, "file": folder / "conditions.json"}


def test_volumes_that_are_what_was_asked_agree_as_often_as_real_ones(scored: dict) -> None:
    obeyed = scored["obeyed"]
    for content in (obeyed["label"], obeyed["covariates"]["size"]):
        assert content["test"]["all"]["value"] > 0.9
        assert abs(content["difference"]["value"]) < 0.05
        assert content["difference"]["low"] <= 0 <= content["difference"]["high"]
        assert "within" in content["finding"]
    assert obeyed["label"]["chance"] == 0.5
    assert obeyed["label"]["samples"]["classes"].keys() == {"left", "right"}


def test_volumes_that_are_not_what_was_asked_do_not(scored: dict) -> None:
    label, size = scored["swapped"]["label"], scored["swapped"]["covariates"]["size"]
    assert label["samples"]["all"]["value"] < 0.1
    assert label["test"] == scored["obeyed"]["label"]["test"]
    assert abs(size["samples"]["all"]["value"]) < 0.6
    assert size["samples"]["error"] > 2 * size["test"]["error"]
    assert all("beyond" in content["finding"] for content in (label, size))


def test_each_class_is_held_against_its_own(scored: dict) -> None:
    """Right volumes have far more counts: asked of the wrong side, both classes are off."""
    obeyed, swapped = (
        {side: scored[name]["scores"]["counts"]["by_class"][side] for side in ("left", "right")}
        for name in ("obeyed", "swapped")
    )
    for side, sign in (("left", 1), ("right", -1)):
        assert obeyed[side]["test"]["p"] > 0.01
        assert swapped[side]["test"]["p"] < 0.01
        assert sign * swapped[side]["estimate"]["value"] > 0.1
        assert abs(obeyed[side]["estimate"]["value"]) < sign * swapped[side]["estimate"]["value"]


def test_the_report_shows_them(scored: dict) -> None:
    tables = tabulate_conditions(scored["file"])
    assert tables is not None
    assert [row[0] for row in tables.obeyed] == [
        "label, mean over classes (chance: 50 %)",
        "label left",
        "label right",
        "size: correlation",
        "size: error",
    ]
    assert tables.scores is not None
    assert list(tables.scores.columns) == ["left", "right"]
    (counts,) = [row for row in tables.scores.rows if row.label == "total counts"]
    assert all("p = " in cell.lines[1] for cell in counts.cells)
    assert tabulate_conditions(None) is None
