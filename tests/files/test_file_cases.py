"""The judge of files itself: it tells right from wrong, and help from none."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest

from file_cases import Case
from readings import Reading, Verdict

CLOUDS = np.random.default_rng(0).uniform(1000, 9000, (4, 32, 3))
RIGHT = Reading.of(list(CLOUDS), "nm")
VOLUMES = np.random.default_rng(1).random((3, 8, 8, 8)).astype(np.float32)
BRIGHT = sorted(tuple(map(int, np.unravel_index(each.argmax(), each.shape))) for each in VOLUMES)


def of_clouds(folder: Path, right: Reading | None, refused: Sequence[str] = (), key: str = "points") -> Case:
    """Clouds in nm in a file, which two datasets could be where `key` is another one."""
    folder.mkdir()
    with h5py.File(folder / "a.h5", "w") as file:
        for name in {"points", key}:
            file.create_dataset(name, data=CLOUDS).attrs["units"] = "nm"
    data = {"source": "h5", "files": {"case": "input/a.h5"}, "unit": "nm", "grid": {"bounds": "train"}}
    return Case("a", folder / "a.h5", data, None if right is None else lambda: right, refused)


def judged(case: Case, folder: Path) -> Verdict:
    (folder / "copy").mkdir()
    return case.verdict(folder / "copy")


@pytest.mark.parametrize(
    ("right", "why"),
    [
        (RIGHT, ""),
        (replace(RIGHT, points=[32, 32, 31, 32]), "4 clouds of 128 points, expected 4 of 127"),
        (replace(RIGHT, first=[0.0, 0.0, 0.0]), "first point"),
        (replace(RIGHT, bounds=np.add(RIGHT.bounds, 0.01)), "xmin of cloud 0"),
        (replace(RIGHT, bounds=np.multiply(RIGHT.bounds, 1000)), "inspect: x "),
    ],
)
def test_other_numbers_are_read_wrong(right: Reading, why: str, tmp_path: Path) -> None:
    verdict = judged(of_clouds(tmp_path / "files", right), tmp_path)
    assert verdict.kind == ("READ WRONG" if why else "right")
    assert why in verdict.why


def test_an_attribute_that_is_none_is_read_wrong(tmp_path: Path) -> None:
    case = of_clouds(tmp_path / "files", RIGHT)
    with h5py.File(case.files, "a") as file:
        file["seg"] = np.arange(4)
    verdict = judged(replace(case, not_attributes=["seg"]), tmp_path)
    assert str(verdict).startswith("READ WRONG: stages: seg is an attribute")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["DATA.KEY", "nothing|coordinates"], "refused rightly"),
        (["data.key", "nothing"], "refused without help"),
        ([], "refused without help"),
    ],
)
def test_a_refusal_helps_where_it_has_every_word(words: list[str], kind: str, tmp_path: Path) -> None:
    verdict = judged(of_clouds(tmp_path / "files", RIGHT, words, key="coordinates"), tmp_path)
    assert verdict.kind == kind


def test_what_is_to_be_refused_is_not_to_be_read(tmp_path: Path) -> None:
    assert judged(of_clouds(tmp_path / "files", None, ["data.key"]), tmp_path).kind == "READ WRONG"


def test_an_error_that_is_no_refusal_is_a_traceback(tmp_path: Path) -> None:
    def right() -> Reading:
        raise OSError("unforeseen")

    case = replace(of_clouds(tmp_path / "files", RIGHT), right=right)
    assert str(judged(case, tmp_path)).startswith("traceback: inspect: OSError: unforeseen; stages: ")


@pytest.mark.parametrize(
    ("right", "why"),
    [
        (Reading(shape=(8, 8, 8), brightest=BRIGHT), ""),
        (Reading(shape=(8, 8, 8), brightest=[*BRIGHT[1:], (9, 9, 9)]), "brightest voxels"),
        (Reading(shape=(8, 8, 8), brightest=BRIGHT[1:]), "inspect: 3 files, expected 2"),
        (Reading(shape=(8, 8, 16), brightest=BRIGHT), "volumes of (8, 8, 8), expected (8, 8, 16)"),
    ],
)
def test_volumes_are_told_by_their_brightest_voxels(right: Reading, why: str, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    for number, voxels in enumerate(VOLUMES):
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / f"files/s{number}.nii.gz")
    scans = {"spacing": [1.0, 1.0, 1.0]}
    data = {"source": "nifti", "files": {"case": "input"}, "scans": scans, "grid": {"shape": [8, 8, 8]}}
    verdict = judged(Case("scans", tmp_path / "files", data, lambda: right), tmp_path)
    assert verdict.kind == ("READ WRONG" if why else "right")
    assert why in verdict.why


def test_the_worst_verdict_counts() -> None:
    kinds = {
        "inspect": Verdict("right"),
        "stages": Verdict("READ WRONG", "x"),
        "pasted": Verdict("traceback"),
    }
    assert Verdict.worst(kinds) == Verdict("READ WRONG", "stages: x")
