"""`voxgen compare`: what it says of runs with known differences, and of those that cannot be compared."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compare_fixture import change, set_value, write_run
from report_fixture import estimate
from voxgen.cli.main import main
from voxgen.errors import InputError
from voxgen.figures.sheet import png
from voxgen.figures.training_curves import draw_validation
from voxgen.io.files import write_json
from voxgen.pages.comparing.comparability import check_comparability
from voxgen.pages.comparing.comparison import Comparison, compare_runs
from voxgen.pages.comparing.finished_runs import PARTS, read_runs
from voxgen.pages.comparing.progress import compare_times, loss_rows, validation_curves
from voxgen.pages.comparing.run_scores import NOT_COMPARABLE, OVERLAP
from voxgen.pages.comparing.run_tests import NONE_FOUND


def compared(*projects: Path) -> Comparison:
    return compare_runs(read_runs(projects))


def verdicts(found: Comparison, place: int = 1) -> dict[str, str]:
    return {row.label: row.cells[place].outcome for table in found.tables for row in table.rows}


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    return write_run(tmp_path / "first"), write_run(tmp_path / "second")


def test_equal_runs_differ_in_nothing(two: tuple[Path, Path]) -> None:
    found = compared(*two)
    assert (found.reasons, found.doubts, found.missing, found.settings) == ([], [], [], [])
    assert set(verdicts(found).values()) == {OVERLAP, ""}  # "": latents have no interval
    assert found.findings == ["second beside first: of 6 scores intervals that overlap in 6."]


def test_settings_that_differ_are_named_as_in_the_config(two: tuple[Path, Path]) -> None:
    first, second = two
    change(second, "autoencoder", lambda c: c["settings"]["kl"]["training"].update(epochs=16, patience=None))
    change(second, "prior", lambda c: c["scale"].update(mean=[7.0]))
    change(second, "prior", lambda c: c["settings"].update(posterior="mean"))
    change(second, "prior", lambda c: c["settings"]["diffusion"]["network"].update(channels=[32, 64]))
    change(second, "sampling", lambda c: c["sampling"].update(steps=20))
    change(second, "latents", lambda c: c.update(flips=[]))
    assert [(name, values) for name, *values in compared(first, second).settings] == [
        ("data.flips", ["[x, y]", "[]"]),
        ("autoencoder.kl.training.epochs", ["8", "16"]),
        ("autoencoder.kl.training.patience", ["–", "null"]),
        ("prior.posterior", ["draw", "mean"]),
        ("prior.diffusion.network.channels", ["[16, 32]", "[32, 64]"]),
        ("sampling.steps", ["10", "20"]),
    ]


def test_evaluated_runs_recorded_all_settings(two: tuple[Path, Path]) -> None:
    first, second = two
    kept = {"seed": 0, "data": {"key": None, "flips": ["x"]}, "gates": {"ssim": [0.9, 0.8]}}
    change(first, "summary", lambda c: c.update(settings=kept))
    change(second, "sampling", lambda c: c["sampling"].update(steps=20))
    assert [row[0] for row in compared(first, second).settings] == ["sampling.steps"]  # of what both recorded
    other = {**kept, "data": {"key": "points", "flips": ["x"]}, "gates": {"ssim": [0.7, 0.6]}}
    change(second, "summary", lambda c: c.update(settings=other))
    assert [(name, values) for name, *values in compared(first, second).settings] == [
        ("data.key", ["null", "points"]),
        ("gates.ssim", ["[0.9, 0.8]", "[0.7, 0.6]"]),
    ]


def test_digits_tell_values_apart_and_a_missing_part_is_no_difference(two: tuple[Path, Path]) -> None:
    first, second = two
    change(
        second, "autoencoder", lambda c: c["settings"]["kl"]["training"].update(learning_rate=2e-3 + 1e-12)
    )
    (second / "results" / PARTS["prior"][0]).unlink()
    found = compared(first, second)
    ((name, *values),) = found.settings
    assert name == "autoencoder.kl.training.learning_rate"
    assert [float(value) for value in values] == [2e-3, 2e-3 + 1e-12]
    assert found.missing == ["second: no settings of the prior (prior/config.json)"]


def test_another_train_split_is_a_difference_and_no_obstacle(two: tuple[Path, Path]) -> None:
    manifest = two[1] / "results" / "voxels" / "train.csv"
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[:-1]))
    found = compared(*two)
    ((name, *values),) = found.settings
    assert name == "train volumes"
    assert [value.split()[0] for value in values] == ["3", "2"]
    assert found.reasons == []


@pytest.mark.parametrize(
    ("part", "metric", "value", "label", "verdict"),
    [
        ("reconstruction", "ssim", 0.93, "SSIM", OVERLAP),  # [0.91, 0.95] touches [0.95, 0.99]
        ("reconstruction", "ssim", 0.92, "SSIM", "worse"),
        ("reconstruction", "psnr", 40.0, "PSNR", "better"),
        ("samples", "occupancy", -0.001, "occupancy", "better"),  # 0.05 was farther from 0
        ("samples", "occupancy", -0.2, "occupancy", "worse"),
        ("samples", "1-nna", 0.5, "1-NNA", "better"),  # 0.05 was farther from 0.5
    ],
)
def test_verdicts_follow_direction_and_intervals(
    two: tuple[Path, Path], part: str, metric: str, value: float, label: str, verdict: str
) -> None:
    spread = 0.005 if part == "samples" else 0.02
    for project in two:
        change(project, part, set_value(metric, 0.05 if part == "samples" else 0.97, spread))
    change(two[0], "reconstruction", set_value("psnr", 31.0, 0.5))
    change(two[1], part, set_value(metric, value, spread))
    if metric != "psnr":
        change(two[1], "reconstruction", set_value("psnr", 31.0, 0.5))
    found = compared(*two)
    assert verdicts(found)[label] == verdict
    assert set(verdicts(found, 0).values()) == {""}
    said = {OVERLAP: "intervals that overlap in 6"}
    where = f"{'reconstruction' if part == 'reconstruction' else 'samples'}: {label}"
    assert said.get(verdict, f"of 6 scores {verdict} in 1 ({where})") in found.findings[0]


def numbers(mean: float, spread: float) -> list[float]:
    """64 numbers, the same ones for the same mean and spread."""
    return [mean + spread * float(x) for x in np.random.default_rng(0).permutation(np.linspace(-2, 2, 64))]


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        ((1.0, 0.5), (1.02, 0.5), NONE_FOUND),
        ((1.0, 0.5), (2.0, 0.5), "worse"),
        ((2.0, 0.5), (1.2, 0.5), "better"),
        ((1.0, 0.5), (1.0, 0.2), "worse"),  # the mean is right, the spread is not
    ],
)
def test_samples_are_tested_against_samples_where_each_volume_has_a_number(
    two: tuple[Path, Path], first: tuple[float, float], second: tuple[float, float], outcome: str
) -> None:
    for project, drawn in zip(two, (first, second), strict=True):
        sets = {"samples": {"occupancy": numbers(*drawn)}, "test": {"occupancy": [None, *numbers(1.0, 0.5)]}}
        change(project, "samples", lambda c, sets=sets: c.update(volumes=sets))
    found = compared(*two)
    assert verdicts(found)["occupancy"] == outcome
    assert f"{outcome} in 1" in found.findings[0]
    change(two[1], "samples", set_value("occupancy", 0.05, n=4))
    assert verdicts(compared(*two))["occupancy"] == NOT_COMPARABLE


def test_copies_are_judged_by_their_share(two: tuple[Path, Path]) -> None:
    change(two[1], "memorisation", lambda c: c["spaces"]["voxels"].update(share=estimate(0.2, n=12)))
    found = compared(*two)
    assert verdicts(found)["In voxels"] == "worse"
    assert verdicts(found)["In the latent space"] == OVERLAP
    assert found.tables[-1].rows[0].cells[-1].lines == ["1 %"]


def test_other_test_volumes_are_not_comparable(two: tuple[Path, Path]) -> None:
    manifest = two[1] / "results" / "voxels" / "test.csv"
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[:-1]))
    found = compared(*two)
    assert found.reasons == ["second beside first: other test volumes: of 3 and 2 volumes 2 are the same"]
    assert set(verdicts(found).values()) == {NOT_COMPARABLE, ""}
    assert found.findings == ["second beside first: not comparable."]


def test_the_same_ids_with_other_voxels_are_other_volumes(two: tuple[Path, Path]) -> None:
    first, second = read_runs(two)
    assert second.test is not None
    changed = replace(second, test=second.test | {"test-1": "other"})
    (reason,) = check_comparability(first, changed).reasons
    assert reason == "other test volumes: the ids are the same, but 1 of 3 and 3 volumes differ"


def test_an_unknown_test_split_is_a_doubt(two: tuple[Path, Path]) -> None:
    (two[1] / "results" / "voxels" / "test.csv").unlink()
    found = compared(*two)
    assert found.reasons == []
    assert found.doubts == [
        "second beside first: second has no voxels/test.csv: whether the test splits are the same is unknown"
    ]
    assert found.missing == ["second: no test split (voxels/test.csv)"]


@pytest.mark.parametrize(
    ("part", "changed", "reason"),
    [
        ("grid", {"shape": [24, 24, 4]}, "another grid: shape 24 × 24 × 8 and 24 × 24 × 4"),
        ("grid", {"method": "density"}, "another grid: method gaussian and density"),
        ("grid", {"dtype": "uint16"}, None),
        (
            "intensity",
            {"law": "linear"},
            "another intensity law: log1p, divided by 1.5, and linear, divided by 1.5",
        ),
        ("intensity", {"divisor": 1.51}, None),
        (
            "intensity",
            {"divisor": 1.6},
            "another intensity law: log1p, divided by 1.5, and log1p, divided by 1.6",
        ),
    ],
)
def test_grid_and_law_must_be_the_same(
    two: tuple[Path, Path], part: str, changed: dict[str, Any], reason: str | None
) -> None:
    change(two[1], part, lambda content: content.update(changed))
    found = compared(*two)
    assert found.reasons == ([f"second beside first: {reason}"] if reason else [])
    assert [row[0] for row in found.settings] == [f"data.{part}.{name}" for name in changed]


def test_grid_and_law_are_also_found_in_the_artefacts(two: tuple[Path, Path]) -> None:
    for part in ("grid", "intensity"):
        (two[1] / "results" / PARTS[part][0]).unlink()
    change(two[1], "sampling", lambda c: c["grid"].update(shape=[48, 24, 8]))
    (reason,) = compared(*two).reasons
    assert reason.endswith("another grid: shape 24 × 24 × 8 and 48 × 24 × 8")


def test_sets_of_other_sizes_are_not_compared(two: tuple[Path, Path]) -> None:
    change(two[1], "samples", lambda c: c.update(n=4))
    change(two[1], "samples", set_value("occupancy", 0.5, n=4))
    found = compared(*two)
    assert found.doubts == [
        "second beside first: scores (samples) rest on 6 and 4 volumes per set: "
        "those of different n are not compared"
    ]
    assert found.tables[1].sizes == "first: 6 volumes per set; second: 4 volumes per set"
    assert verdicts(found)["occupancy"] == NOT_COMPARABLE
    assert verdicts(found)["1-NNA"] == OVERLAP


def test_a_metric_that_means_something_else_is_another(two: tuple[Path, Path]) -> None:
    change(two[1], "samples", lambda c: c["metrics"]["1-nna"].update(meaning="clouds of 128 points"))
    change(two[1], "samples", lambda c: c["metrics"]["1-nna"].update(train=estimate(0.6)))
    found = compared(*two)
    assert verdicts(found)["1-NNA"] == NOT_COMPARABLE
    rows = {row.label: row for table in found.tables for row in table.rows}
    assert rows["1-NNA"].cells[-1].lines == ["first: 52.0 % [50.0, 54.0]", "second: 60.0 % [58.0, 62.0]"]


def test_three_runs_with_missing_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, c = (write_run(tmp_path / name) for name in "abc")
    change(b, "reconstruction", set_value("psnr", 40.0, 0.5))
    shutil.rmtree(c / "results" / "evaluation")
    shutil.rmtree(c / "results" / "prior")
    assert main(["compare", str(a), str(b / "results"), str(c)]) == 0
    lines = [re.split(r" {3,}", line.strip()) for line in capsys.readouterr().out.splitlines()]
    assert ["PSNR", "higher", "31.2 dB [30.7, 31.7]", "40.0 dB [39.5, 40.5] better", "–", "–"] in lines
    assert ["Prior: lowest validation loss", *["0.25 (epoch 2)"] * 2, "–"] in lines
    assert ["sample", "1 min 15 s", "1 min 15 s", "1 min 15 s"] in lines
    assert ["samples", "look", "look", "–"] in lines
    words = "\n".join(" ".join(line) for line in lines)
    assert "b beside a: of 6 scores better in 1 (reconstruction: PSNR)" in words
    assert "c beside a: they share no score." in words
    assert "c: no settings of the prior (prior/config.json); no scores of the autoencoder" in words


def test_the_first_run_may_be_the_one_without_scores(two: tuple[Path, Path]) -> None:
    shutil.rmtree(two[0] / "results" / "evaluation")
    found = compared(*two)
    assert set(verdicts(found).values()) == {""}
    assert found.findings == ["second beside first: they share no score."]


def test_columns_stand_below_one_another(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *map(str, two)]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = next(line for line in lines if "good is" in line and "blurred" in line)
    ssim = next(line for line in lines if "SSIM" in line)
    for name, words in (("good is", "higher"), ("first", "0.970"), ("a blurred", "0.800")):
        assert head.index(name) == ssim.index(words)
    assert head.index("second") == ssim.rindex("0.970 [")
    assert "No recorded setting differs." in lines


def test_projects_of_one_name_are_told_apart(tmp_path: Path) -> None:
    projects = [write_run(tmp_path / name / "run") for name in ("today", "yesterday")]
    assert [run.name for run in read_runs(projects)] == ["today/run", "yesterday/run"]


@pytest.mark.parametrize("content", ["nothing", "a clone"])
def test_a_folder_that_is_no_run_is_refused(
    two: tuple[Path, Path], tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    if content == "a clone":
        (other / "results").mkdir(parents=True)
        (other / "results" / "README.md").write_text("# What lies where")
    assert main(["compare", str(two[0]), str(other)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(other) in said
    assert ("is not there" if content == "nothing" else "holds no trained model") in said


def test_what_cannot_be_compared_is_refused(two: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match="two runs or more, found 1"):
        read_runs(two[:1])
    with pytest.raises(InputError, match="given twice"):
        read_runs([two[0], two[0] / "results"])
    change(two[1], "samples", lambda c: c["metrics"]["1-nna"].pop("direction"))
    with pytest.raises(InputError, match=r"samples\.json: not the scores .*direction"):
        compared(*two)
    (two[1] / "results" / PARTS["summary"][0]).write_text("[]")
    with pytest.raises(InputError, match=r"summary\.json: found list"):
        read_runs(two)


def test_losses_and_times(two: tuple[Path, Path]) -> None:
    (two[1] / "results" / "autoencoder" / "history.csv").unlink()
    runs = read_runs(two)
    assert loss_rows(runs)[:3] == [
        ["Autoencoder: epochs", "3", "–"],
        ["Autoencoder: last validation loss", "0.5", "–"],
        ["Autoencoder: lowest validation loss", "0.25 (epoch 2)", "–"],
    ]
    assert [curve.label for curve in validation_curves(runs, "autoencoder")] == ["first"]
    assert len({png(draw_validation(validation_curves(runs, "prior"), "t")) for _ in range(2)}) == 1
    write_json(two[0] / "results" / "logs" / "environment.json", {"cpu": {"name": "fast"}, "gpus": []})
    assert compare_times(runs) == [["cpu", "name fast", "–"], ["sample", "1 min 15 s", "1 min 15 s"]]


def test_losses_in_other_latents_are_said_to_be_others(two: tuple[Path, Path]) -> None:
    assert not compared(*two).other_latents
    change(two[1], "prior", lambda c: c["made_from"].update(autoencoder="4567"))
    assert compared(*two).other_latents
