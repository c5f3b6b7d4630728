"""Stage plot_voxels: statistics against hand-made volumes, and figures that are written."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from voxgen.io.files import read_json, write_table
from voxgen.stages import plot_voxels as stage
from voxgen.stages.plot_voxels import plot_voxels
from voxgen.volumes.nifti import write_volume

SPLITS = ("train", "val", "test")
SPACING = {f"spacing_{axis}": 2.0 for axis in "xyz"}
COLUMNS = ("id", "file", "points", "outside", "max", "occupied", *SPACING, "unit")
Cloud = tuple[np.ndarray, int, int]


def cloud(counts: Mapping[tuple[int, int, int], float], points: int = 0, outside: int = 0) -> Cloud:
    """A volume (4, 4, 4) with these voxels, the points of its cloud, and how many lie outside."""
    volume = np.zeros((4, 4, 4), np.float32)
    for place, value in counts.items():
        volume[place] = value
    return volume, points, outside


def run(folder: Path, splits: Mapping[str, list[Cloud]]) -> dict[str, Any]:
    """Write the splits, call the stage and return statistics.json."""
    for name in SPLITS:
        rows = []
        for i, (volume, points, outside) in enumerate(splits.get(name, [])):
            described = {
                "id": f"{name}-{i}",
                "file": f"{name}-{i}.nii.gz",
                "points": points,
                "outside": outside,
            }
            filled = {"max": volume.max(), "occupied": np.mean(volume > 0.5)}
            rows.append({**described, **filled, **SPACING, "unit": "nm"})
            write_volume(folder / name / f"{name}-{i}.nii.gz", volume, (0, 0, 0), (2, 2, 2), "nm")
        write_table(folder / f"{name}.csv", rows, COLUMNS)
    plot_voxels(
        *((folder / f"{name}.csv", folder / name) for name in SPLITS),
        *(folder / "preview.png", folder / "statistics.json", folder / "statistics.png"),
    )
    content: dict[str, Any] = read_json(folder / "statistics.json")
    return content


def test_statistics_of_clouds(tmp_path: Path) -> None:
    train = [
        cloud({(0, 0, 0): 1, (1, 1, 1): 3, (2, 2, 2): 4}, points=10, outside=2),
        cloud({(0, 0, 0): 1}, points=2, outside=1),
        cloud({(3, 3, 3): 7, (0, 1, 2): 2}, points=9),
        cloud({(1, 2, 3): 0.25, (3, 2, 1): 1.5}, points=4),
    ]
    found = run(tmp_path, {"train": train, "val": train[:1], "test": []})
    assert found["quantity"] == "counts in a voxel"
    assert found["density_edges"] == [0.25, 0.5, 1, 2, 4, 8]
    statistics = found["splits"]["train"]
    assert statistics["density"] == {"volumes": 4, "histogram": [1, 0, 3, 2, 2]}
    assert statistics["volumes"] == 4
    assert statistics["empty"] == 1 - 8 / 256
    assert statistics["occupied"] == pytest.approx(7 / 256)
    points = statistics["points"]
    assert [points[key] for key in ("total", "min", "median", "max")] == [25, 2, 6.5, 10]
    assert (points["lower_quartile"], points["upper_quartile"]) == (3.5, 9.25)
    assert sum(points["histogram"]) == 4
    assert found["points_edges"][0] == 2
    assert found["points_edges"][-1] == 10
    outside = statistics["outside"]
    assert (outside["total"], outside["share"]) == (3, 3 / 25)
    assert outside["worst"][:3] == [
        {"id": "train-1", "share": 0.5},
        {"id": "train-0", "share": 0.2},
        {"id": "train-2", "share": 0.0},
    ]
    assert found["splits"]["val"]["density"]["histogram"] == [0, 0, 1, 1, 1]
    assert found["splits"]["test"] == {"volumes": 0} | dict.fromkeys(
        ("occupied", "empty", "density", "points", "outside")
    )


def test_statistics_of_volumes_that_are_no_clouds(tmp_path: Path) -> None:
    train = [cloud({(0, 0, 0): -1.0, (1, 1, 1): 0.5}), cloud({(0, 0, 0): 1.0, (0, 0, 1): 1.0})]
    found = run(tmp_path, {"train": train})
    assert (found["quantity"], found["points_edges"]) == ("intensity", None)
    edges, statistics = found["density_edges"], found["splits"]["train"]
    assert (edges[0], edges[-1], len(edges)) == (-1, 1, stage.BINS + 1)
    assert (statistics["points"], statistics["outside"]) == (None, None)
    histogram = statistics["density"]["histogram"]
    assert (histogram[0], histogram[-1], sum(histogram)) == (1, 2, 4)
    assert statistics["empty"] == 1 - 4 / 128


def test_fainter_counts_are_in_the_first_bin(tmp_path: Path) -> None:
    found = run(tmp_path, {"train": [cloud({(0, 0, 0): 1e-9, (1, 1, 1): 1.0}, points=1)]})
    assert found["density_edges"][0] == 2.0**stage.FAINTEST
    assert found["splits"]["train"]["density"]["histogram"][0] == 1


def test_volumes_without_counts_are_drawn(tmp_path: Path) -> None:
    found = run(tmp_path, {"train": [cloud({}, points=3, outside=2)] * 2})
    assert found["splits"]["train"]["empty"] == 1
    assert sum(found["splits"]["train"]["density"]["histogram"]) == 0
    assert (tmp_path / "statistics.png").exists()


def test_figures_are_pictures_and_repeatable(tmp_path: Path) -> None:
    splits = {name: [cloud({(i, 1, 2): i + 1}, points=i + 3) for i in range(3)] for name in ("train", "test")}
    run(tmp_path / "a", splits)
    run(tmp_path / "b", splits)
    for name in ("preview.png", "statistics.png", "statistics.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert imread(tmp_path / "a" / "preview.png").std() > 0.1
    assert imread(tmp_path / "a" / "statistics.png").std() > 0.1


def test_an_even_choice_of_volumes_is_read_and_every_row_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "READ", 3)
    clouds = [cloud({(0, 0, 0): 2.0**i}, points=i + 1, outside=i) for i in range(9)]
    statistics = run(tmp_path, {"train": clouds})["splits"]["train"]
    assert statistics["density"] == {"volumes": 3, "histogram": [1, 0, 0, 0, 1, 0, 0, 0, 1]}
    assert (statistics["volumes"], statistics["points"]["total"], statistics["outside"]["total"]) == (
        9,
        45,
        36,
    )
    assert [one["id"] for one in statistics["outside"]["worst"]] == [f"train-{i}" for i in (8, 7, 6, 5, 4)]
