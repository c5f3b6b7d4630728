"""The stages from raw files to collected volumes, on tiny examples."""

from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from voxgen.clouds import write_clouds
from voxgen.errors import InputError
from voxgen.io.files import read_json, read_table
from voxgen.io.nifti import read_volume
from voxgen.settings.sections import GridSettings, Split, Synthetic
from voxgen.stages.collect_voxels import collect_voxels
from voxgen.stages.index_clouds import index_clouds
from voxgen.stages.simulate import simulate
from voxgen.stages.split_clouds import split_clouds
from voxgen.stages.voxelize import voxelize
from voxgen.voxels import Grid, rasterize

SPLITS = ("train", "val", "test")
READING = SimpleNamespace(key="pc", label=None, min_points=4)


def splitting(
    bounds: object = "train", on_bad_cloud: str = "error", method: str = "density"
) -> SimpleNamespace:
    grid = GridSettings(shape=(8, 8, 8), bounds=bounds, method=method, sigma=1.0)
    shares = Split(train=0.5, val=0.25, test=0.25)
    return SimpleNamespace(split=shares, grid=grid, unit="nm", on_bad_cloud=on_bad_cloud)


def some_clouds(n: int = 8, points: int = 20) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.random((points, 3)) * 100 for _ in range(n)]


def indexed(
    folder: Path, clouds: list[np.ndarray], name: str = "a", layout: str = "groups"
) -> tuple[Path, Path]:
    raw, index = folder / f"{name}.h5", folder / f"index/{name}.csv"
    write_clouds(raw, clouds, layout, "pc", "nm", np.float64)
    index_clouds(raw, name, index, READING)
    return raw, index


def split(folder: Path, parts: list[Path], settings: SimpleNamespace, seed: int = 0) -> Path:
    split_clouds(parts, folder / "split.csv", folder / "dropped.csv", folder / "grid.json", settings, seed)
    return folder / "grid.json"


def test_simulate_writes_clouds_and_truth(tmp_path: Path) -> None:
    settings = Synthetic(
        files=1,
        clouds=3,
        points=50,
        box=(500.0, 500.0, 100.0),
        filaments=(1, 2),
        persistence=1000.0,
        diameter=25.0,
        precision=(5.0, 5.0),
        clutter=0.1,
    )
    simulate(tmp_path / "a.h5", 0, settings, seed=0)
    simulate(tmp_path / "b.h5", 0, settings, seed=0)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["point_clouds"].shape == (3, 50, 3)
        assert file["point_clouds"].dtype == np.float32
        assert file["point_clouds"].attrs["units"] == file["truth/length"].attrs["units"] == "nm"
        assert set(file["truth/filaments"][()]) <= {1, 2}
        assert file["truth/width"][()].tolist() == [25, 25, 25]
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_the_index_says_what_is_wrong(tmp_path: Path) -> None:
    clouds = some_clouds(5)
    clouds[1][[4, 7]] = [np.nan, 0, np.inf]
    clouds[2], clouds[3], clouds[4] = np.empty((0, 3)), clouds[3][:2], clouds[0].copy()
    _, index = indexed(tmp_path, clouds)
    rows = read_table(index)
    assert [row["id"] for row in rows] == [f"a-{i:06d}" for i in range(5)]
    assert [row["reason"] for row in rows] == [
        "",
        "NaN or infinite coordinates in 2 of 20 rows, first row 4",
        "empty",
        "2 points, expected at least 4",
        "",
    ]
    assert [float(rows[0][name]) for name in ("xmin", "ymin", "zmin")] == clouds[0].min(axis=0).tolist()
    assert [float(rows[0][name]) for name in ("xmax", "ymax", "zmax")] == clouds[0].max(axis=0).tolist()
    assert rows[0]["digest"] == rows[4]["digest"] != rows[3]["digest"]


def test_bad_clouds_stop_or_are_listed(tmp_path: Path) -> None:
    clouds = some_clouds()
    clouds[3][0] = np.nan
    _, index = indexed(tmp_path, clouds)
    with pytest.raises(
        InputError, match=r"(?s)1 of 8.*a-000003 \(/cloud_000003/pc, row 3\): NaN.*on_bad_cloud: skip"
    ):
        split(tmp_path, [index], splitting())
    split(tmp_path, [index], splitting(on_bad_cloud="skip"))
    dropped = read_table(tmp_path / "dropped.csv")
    assert [(row["id"], row["row"]) for row in dropped] == [("a-000003", "3")]
    assert len(read_table(tmp_path / "split.csv")) == 7


def test_splits_do_not_depend_on_the_order_of_files(tmp_path: Path) -> None:
    clouds = some_clouds()
    parts = [indexed(tmp_path, clouds[:5], "a")[1], indexed(tmp_path, clouds[5:], "b", "stacked")[1]]
    grid = split(tmp_path / "1", parts, splitting())
    again = split(tmp_path / "2", parts[::-1], splitting())
    assert grid.read_text() == again.read_text()
    assert (tmp_path / "1/split.csv").read_text() == (tmp_path / "2/split.csv").read_text()
    assigned = [row["split"] for row in read_table(tmp_path / "1/split.csv")]
    assert [assigned.count(name) for name in SPLITS] == [4, 2, 2]
    with pytest.raises(InputError, match="2 different usable clouds"):
        split(tmp_path, [indexed(tmp_path, clouds[:2], "c")[1]], splitting())


def collected(folder: Path, method: str, bounds: object, chunks: int = 3) -> dict[str, list[dict[str, str]]]:
    clouds = some_clouds()
    clouds[2][0] = np.nan
    raw, index = indexed(folder, clouds, layout="stacked")
    grid = split(folder, [index], splitting(bounds, "skip", method))
    shards = [folder / f"shards/a-{chunk}" for chunk in range(chunks)]
    for chunk, shard in enumerate(shards):
        voxelize(raw, index, grid, chunk, chunks, shard, SimpleNamespace(key="pc"), quantile=0.5)
    manifests = {name: folder / f"{name}.csv" for name in SPLITS}
    folders = {name: folder / name for name in SPLITS}
    for _ in range(2):
        collect_voxels(
            shards, folder / "split.csv", manifests, folders, folder / "intensity.json", "log1p", quantile=0.5
        )
    return {name: read_table(manifest) for name, manifest in manifests.items()}


@pytest.mark.parametrize("method", ["occupancy", "density", "gaussian"])
def test_volumes_are_written_collected_and_described(tmp_path: Path, method: str) -> None:
    manifests = collected(tmp_path, method, ((0.0, 100.0),) * 3)
    rows = [row for split_rows in manifests.values() for row in split_rows]
    assert sorted(row["id"] for row in rows) == [f"a-{i:06d}" for i in (0, 1, 3, 4, 5, 6, 7)]
    for name, split_rows in manifests.items():
        assert [row["id"] for row in split_rows] == sorted(row["id"] for row in split_rows)
        assert {path.name for path in (tmp_path / name).iterdir()} == {row["file"] for row in split_rows}
        for row in split_rows:
            link = tmp_path / name / row["file"]
            assert link.is_symlink()
            assert not link.readlink().is_absolute()
            volume = read_volume(link)
            assert row["split"] == name
            assert float(row["sum"]) == pytest.approx(volume.sum(), rel=1e-6)
            assert (row["unit"], row["outside"], float(row["spacing_x"])) == ("nm", "0", 12.5)
    law = read_json(tmp_path / "intensity.json")
    levels = [float(row["level"]) for row in manifests["train"]]
    assert law["divisor"] == pytest.approx(np.log1p(np.median(levels)))
    assert (law["law"], law["quantile"], law["n_train"]) == ("log1p", 0.5, len(levels))


def test_a_manifest_changes_with_its_volumes(tmp_path: Path) -> None:
    """Trainings are named by manifests: voxels that moved must show there, even where sums agree."""
    raw, index = indexed(tmp_path, some_clouds())
    grid = split(tmp_path, [index], splitting())

    def mirrored(points: np.ndarray, placed: Grid) -> tuple[np.ndarray, int]:
        counts, outside = rasterize(points, placed)
        return counts[:, ::-1], outside

    found = []
    for formula in (rasterize, mirrored):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("voxgen.stages.voxelize.rasterize", formula)
            voxelize(raw, index, grid, 0, 1, tmp_path / "shard", READING, 0.5)
        found.append(read_table(tmp_path / "shard" / "manifest.csv"))
    for row, moved in zip(*found, strict=True):
        assert row["sum"] == moved["sum"]
        assert row["volume"] != moved["volume"]


def test_each_cloud_has_its_own_grid_where_bounds_are_cloud(tmp_path: Path) -> None:
    rows = collected(tmp_path, "density", "cloud")["train"]
    assert {row["outside"] for row in rows} == {"0"}
    assert {float(row["sum"]) for row in rows} == {20.0}
    assert len({row["spacing_x"] for row in rows}) == len(rows)
    assert {row["unit"] for row in rows} == {"nm"}
    assert read_json(tmp_path / "grid.json")["unit"] == "unitless"


def test_train_bounds_hold_every_train_point(tmp_path: Path) -> None:
    assert {row["outside"] for row in collected(tmp_path, "density", "train")["train"]} == {"0"}


def test_more_chunks_than_clouds_leave_empty_shards(tmp_path: Path) -> None:
    assert sum(map(len, collected(tmp_path, "density", "train", chunks=11).values())) == 7


def test_voxelize_refuses_foreign_bounds_units_and_indices(tmp_path: Path) -> None:
    raw, index = indexed(tmp_path, some_clouds())
    arguments = (0, 1, tmp_path / "out", SimpleNamespace(key="pc"), 0.5)
    grid = split(tmp_path, [index], splitting(bounds=((1e4, 2e4),) * 3))
    with pytest.raises(
        InputError, match=r"row 0: all 20 points lie outside.*x 10000 to 20000.*data\.grid\.bounds"
    ):
        voxelize(raw, index, grid, *arguments)
    _, short = indexed(tmp_path, some_clouds(3), "b")
    with pytest.raises(InputError, match="8 clouds, but its index has 3"):
        voxelize(raw, short, grid, *arguments)
    write_clouds(tmp_path / "mm.h5", some_clouds(), "groups", "pc", "Millimeters", np.float64)
    with pytest.raises(InputError, match=r"says Millimeters, data\.unit says nm; set data\.unit: mm"):
        voxelize(tmp_path / "mm.h5", index, grid, *arguments)


def test_collect_refuses_volumes_that_disagree_with_the_split(tmp_path: Path) -> None:
    collected(tmp_path, "density", "train")
    shards = [tmp_path / "shards/a-0"]
    files = ({name: tmp_path / f"{name}.csv" for name in SPLITS}, {name: tmp_path / name for name in SPLITS})
    for given, message in ((shards, "in one only"), (shards * 2, "is in .* too")):
        with pytest.raises(InputError, match=message):
            collect_voxels(given, tmp_path / "split.csv", *files, tmp_path / "i.json", "linear", 0.5)
