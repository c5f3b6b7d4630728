"""`voxgen sample`: files as the workflow leaves them, of a model alone."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from voxgen.cli.main import main
from voxgen.io.files import read_json, read_table
from voxgen.volumes.nifti import read_volume


def sample(results: Path, out: Path, *arguments: str) -> int:
    return main(["sample", str(results), "--out", str(out), *arguments])


def test_files_are_those_of_the_rules(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs, ours = results / "samples", tmp_path / "new"
    assert sample(results, ours, "-n", "3", "--first", "4") == 0
    said = capsys.readouterr()
    assert said.out == f"3 samples of {results}, from index 4 on: {ours}\n"
    assert "3/3" in said.err
    names = [f"sample-{index:06d}.nii.gz" for index in (4, 5, 6)]
    assert {path.name for path in ours.iterdir()} == {*names, "config.json", "samples.csv", "samples.h5"}
    for name in names:
        expected = read_volume(theirs / name)
        np.testing.assert_allclose(read_volume(ours / name), expected, rtol=0, atol=1e-4 * np.ptp(expected))
    rows, expected_rows = (read_table(folder / "samples.csv") for folder in (ours, theirs))
    assert rows[0].keys() == expected_rows[0].keys()
    for row, other in zip(rows, expected_rows[4:7], strict=True):
        assert [row[name] for name in ("id", "seed", "index", "points")] == [
            other[name] for name in ("id", "seed", "index", "points")
        ]
        assert float(row["sum"]) == pytest.approx(float(other["sum"]), rel=1e-4)
    with h5py.File(ours / "samples.h5") as mine, h5py.File(theirs / "samples.h5") as other:
        assert mine["point_clouds"].shape == (3, *other["point_clouds"].shape[1:])
        assert mine["point_clouds"].attrs["units"] == "nm"
        assert mine["id"].asstr()[()].tolist() == [row["id"] for row in rows]
    config = read_json(theirs / "config.json")
    config["sampling"]["samples"] = 3
    assert read_json(ours / "config.json") == config


def test_seed_and_steps_are_recorded_and_decide(results: Path, tmp_path: Path) -> None:
    assert sample(results, tmp_path / "one", "--seed", "3", "--steps", "7") == 0
    config = read_json(tmp_path / "one/config.json")
    assert (config["seed"], config["sampling"]["steps"]) == (3, 7)
    assert sample(results, tmp_path / "other", "--seed", "4", "--steps", "7") == 0
    one, other = (read_volume(tmp_path / name / "sample-000000.nii.gz") for name in ("one", "other"))
    assert np.abs(one - other).max() > 1e-2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-n", "0"], "-n 0 --first 0 --seed 0: expected 1 or more samples"),
        (["--first", "-1"], "--first -1"),
        (["--steps", "0"], "sampling.steps: "),
    ],
)
def test_numbers_that_cannot_be_are_refused(
    arguments: list[str], message: str, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sample(results, tmp_path / "new", *arguments) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_files_that_lie_there_are_left_alone(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new/mine.txt").write_text("mine")
    assert sample(results, tmp_path / "new") == 1
    assert "new: holds something already; name a new folder" in capsys.readouterr().err
    assert sample(tmp_path / "absent", tmp_path / "other") == 1
    assert "absent: no config.json, no samples/config.json" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["new", "mine.txt"]
