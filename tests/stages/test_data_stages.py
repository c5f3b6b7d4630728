"""The stages from raw files to collected volumes, on tiny examples."""

import json
import multiprocessing
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from voxgen.errors import InputError
from voxgen.io.files import read_json, read_table, write_json
from voxgen.io.shards import Shard
from voxgen.io.shards import shards as shards_of
from voxgen.settings.clouds import CloudSettings
from voxgen.settings.grid import GridSettings
from voxgen.settings.intensity import IntensitySettings
from voxgen.settings.machine import Machine
from voxgen.settings.split import SplitSettings
from voxgen.settings.synthetic import Synthetic
from voxgen.settings.turns import Turn
from voxgen.sources.clouds.writing import Form, write_clouds
from voxgen.stages.collect_voxels import collect_voxels
from voxgen.stages.fix_grid import fix_grid
from voxgen.stages.index_clouds import index_clouds
from voxgen.stages.simulate import simulate
from voxgen.stages.split_clouds import split_clouds
from voxgen.stages.voxelize import voxelize
from voxgen.volumes.grid import Grid, rasterize
from voxgen.volumes.nifti import read_volume

SPLITS = ("train", "val", "test")
SHARES = {"train": 0.5, "val": 0.25, "test": 0.25, "group": None, "stratify": None}
WHOLE = Shard(0, 1)
CONFIG = yaml.safe_load((Path(__file__).parents[2] / "config" / "config.yaml").read_text())
MACHINE = Machine.model_validate_json(json.dumps(CONFIG["machine"]))
READING = CloudSettings(
    **(
        dict.fromkeys(CloudSettings.model_fields)
        | {"source": "h5", "key": "pc", "unit": "nm", "min_points": 4}
    )
)


@dataclass(frozen=True)
class Data:
    """What the stages from split_clouds to collect_voxels are given of the section `data`."""

    split: SplitSettings
    grid: GridSettings
    intensity: IntensitySettings
    on_bad_cloud: str
    max_dropped: float = 0.2


def splitting(
    bounds: object = "train", on_bad_cloud: str = "error", method: str = "density", **split: str
) -> Data:
    return Data(
        split=SplitSettings(**(SHARES | split)),
        grid=GridSettings(shape=(8, 8, 8), bounds=bounds, method=method, sigma=1.0, dtype="auto"),
        intensity=IntensitySettings(law="log1p", quantile=0.5),
        on_bad_cloud=on_bad_cloud,
    )


def some_clouds(n: int = 8, points: int = 20) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.random((points, 3)) * 100 for _ in range(n)]


def indexed(
    folder: Path, clouds: list[np.ndarray], name: str = "a", layout: str = "groups", **extras: object
) -> tuple[Path, Path]:
    raw, index = folder / f"{name}.h5", folder / f"index/{name}.csv"
    given = {key: (values, None) for key, values in extras.items()}
    write_clouds(raw, clouds, Form(layout, "pc", "nm", np.dtype(np.float64)), given)
    index_clouds([raw], name, index, READING, None, *[*extras, None, None][:2])
    return raw, index


def split(
    folder: Path, parts: list[Path], settings: Data, seed: int = 0, turns: tuple[Turn, ...] = ()
) -> Path:
    table, dropped = folder / "split.csv", folder / "dropped.csv"
    limits = (settings.on_bad_cloud, settings.max_dropped)
    split_clouds(parts, table, dropped, settings.split, settings.grid.bounds, "nm", *limits, seed)
    fix_grid(parts, table, folder / "grid.json", settings.grid, "nm", "h5", (1.0, 1.0, 1.0), turns)
    return folder / "grid.json"


def voxelized(raw: Path, index: Path, grid: Path, out: Path, shard: Shard = WHOLE) -> Path:
    voxelize([raw], index, grid, shard, out, READING, 0.5, MACHINE)
    return out


def collect(folder: Path, shards: list[Path], settings: Data) -> dict[str, list[dict[str, str]]]:
    splits = [(folder / f"{name}.csv", folder / name) for name in SPLITS]
    collect_voxels(
        shards,
        [shard / "dropped.csv" for shard in shards],
        *(folder / "split.csv", folder / "grid.json", *splits),
        *(folder / "seen/grid.json", folder / "intensity.json", folder / "lost.csv"),
        *(settings.intensity, None, settings.on_bad_cloud, settings.max_dropped, MACHINE),
    )
    return {name: read_table(manifest) for name, (manifest, _) in zip(SPLITS, splits, strict=True)}


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
    simulate(tmp_path / "a.h5", "some-0", settings, seed=0)
    simulate(tmp_path / "b.h5", "some-0", settings, seed=0)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["point_clouds"].shape == (3, 50, 3)
        assert file["point_clouds"].dtype == np.float32
        assert file["point_clouds"].attrs["units"] == file["truth/length"].attrs["units"] == "nm"
        assert set(file["truth/filaments"][()]) <= {1, 2}
        assert file["truth/width"][()].tolist() == [25, 25, 25]
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_train_split_that_a_turn_would_stretch_is_refused_and_a_square_one_is_not(tmp_path: Path) -> None:
    _, part = indexed(tmp_path, [cloud * (1.0, 0.5, 1.0) for cloud in some_clouds(points=200)])
    message = (
        r"data\.rotations: xy turns voxels of 14\.\d+ nm along x into 7\.\d+ nm along y; give them equal"
    )
    with pytest.raises(InputError, match=message):
        split(tmp_path, [part], splitting(), turns=(("xy", 8),))
    assert not (tmp_path / "grid.json").exists()
    split(tmp_path, [part], splitting(), turns=(("xz", 8),))


def test_the_index_says_what_is_wrong(tmp_path: Path) -> None:
    clouds = some_clouds(5)
    clouds[1][[4, 7]] = [np.nan, 0, np.inf]
    clouds[2], clouds[3], clouds[4] = np.empty((0, 3)), clouds[3][:2], clouds[0].copy()
    _, index = indexed(tmp_path, clouds)
    rows = read_table(index)
    assert [row["id"] for row in rows] == [f"a-{i:06d}" for i in range(5)]
    assert [row["reason"] for row in rows] == [
        "",
        "NaN or infinite coordinates in 2 of 20 rows, first row 4; data.missing: [] leaves such rows out",
        "empty",
        "2 points, expected at least 4 (data.min_points)",
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
        InputError,
        match=r"(?s)1 of 8.*a-000003 \(.*a\.h5: /cloud_000003/pc, row 3\): NaN.*on_bad_cloud: skip",
    ):
        split(tmp_path, [index], splitting())
    split(tmp_path, [index], splitting(on_bad_cloud="skip"))
    dropped = read_table(tmp_path / "dropped.csv")
    assert [(row["id"], row["row"]) for row in dropped] == [("a-000003", "3")]
    assert len(read_table(tmp_path / "split.csv")) == 7


def test_covariates_come_into_the_index_and_one_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    extras = {"truth/turns": (np.array([3, 1, 4]), None), "truth/other": (np.zeros(3), None)}
    form = Form("stacked", "pc", "nm", np.dtype(np.float64))
    write_clouds(tmp_path / "a.h5", some_clouds(3), form, extras)
    raw, index = [tmp_path / "a.h5"], tmp_path / "index.csv"
    index_clouds(raw, "a", index, READING, None, None, None, ("truth/turns",))
    found = [json.loads(row["attributes"]) for row in read_table(index)]
    assert found == [{"truth/turns": turns} for turns in (3, 1, 4)]
    with pytest.raises(InputError, match=r"no 'truth/twists'.*correct data\.label, data\.covariates"):
        index_clouds(raw, "a", index, READING, None, None, None, ("truth/twists",))


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
    settings = splitting(bounds, "skip", method)
    grid = split(folder, [index], settings)
    shards = [
        voxelized(raw, index, grid, folder / f"shards/a-{one.number}", one) for one in shards_of(chunks)
    ]
    collect(folder, shards, settings)
    return collect(folder, shards, settings)


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
            voxelized(raw, index, grid, tmp_path / "shard")
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


def test_clouds_that_do_not_reach_the_grid(tmp_path: Path) -> None:
    """By their extent where that tells, else by their points; refused, or dropped and listed."""
    clouds = some_clouds(20)
    clouds[3] += 1e6
    clouds[5] = np.tile([[-1.0, 50, 50], [101.0, 50, 50]], (10, 1))
    raw, index = indexed(tmp_path, clouds)
    bounds = ((0.0, 100.0),) * 3
    with pytest.raises(
        InputError,
        match=r"(?s)1 of 20.*a-000003.*row 3.*outside the bounds: found x 1\.00001e\+06.*data\.grid\.bounds",
    ):
        split(tmp_path, [index], splitting(bounds))
    grid = split(tmp_path, [index], splitting(bounds, "skip"))
    assert [row["id"] for row in read_table(tmp_path / "dropped.csv")] == ["a-000003"]
    shard = voxelized(raw, index, grid, tmp_path / "shard")
    assert [row["id"] for row in read_table(shard / "dropped.csv")] == ["a-000003", "a-000005"]
    with pytest.raises(InputError, match=r"(?s)1 of 19.*a-000005"):
        collect(tmp_path, [shard], splitting(bounds))
    manifests = collect(tmp_path, [shard], splitting(bounds, "skip"))
    assert sum(map(len, manifests.values())) == 18
    assert [row["id"] for row in read_table(tmp_path / "lost.csv")] == ["a-000005"]


def test_skipping_stops_above_the_largest_share(tmp_path: Path) -> None:
    clouds = some_clouds(10)
    for cloud in clouds[:3]:
        cloud[0] = np.inf
    _, index = indexed(tmp_path, clouds)
    with pytest.raises(InputError, match=r"(?s)3 of 10.*30\.0% is more than data\.max_dropped \(20\.0%\)"):
        split(tmp_path, [index], splitting(on_bad_cloud="skip"))


def test_an_id_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    _, index = indexed(tmp_path, some_clouds())
    with pytest.raises(InputError, match=r"id a-000000 is there twice: .*a\.h5.*data\.files"):
        split(tmp_path, [index, index], splitting())


def test_groups_share_a_split_and_strata_are_spread(tmp_path: Path) -> None:
    patient = np.repeat(np.arange(12), 2)
    kind = np.tile([b"round", b"long"], 12)
    _, index = indexed(tmp_path, some_clouds(24), layout="stacked", patient=patient, kind=kind)
    split(tmp_path, [index], splitting(group="patient"))
    assigned = [row["split"] for row in read_table(tmp_path / "split.csv")]
    assert assigned[::2] == assigned[1::2]
    assert [assigned.count(name) for name in SPLITS] == [12, 6, 6]
    split(tmp_path, [index], splitting(stratify="kind"))
    assigned = [row["split"] for row in read_table(tmp_path / "split.csv")]
    assert [assigned[::2].count(name) for name in SPLITS] == [6, 3, 3]
    with pytest.raises(
        InputError, match=r"data\.split\.group: a-000000 has no 'ward'; known of it: file, kind, patient"
    ):
        split(tmp_path, [index], splitting(group="ward"))


def test_voxelize_refuses_a_foreign_index(tmp_path: Path) -> None:
    raw, index = indexed(tmp_path, some_clouds())
    grid = split(tmp_path, [index], splitting())
    _, short = indexed(tmp_path, some_clouds(3), "b")
    with pytest.raises(InputError, match="8 clouds, but its index has 3"):
        voxelized(raw, short, grid, tmp_path / "out")


def test_a_killed_shard_leaves_whole_volumes_alone(tmp_path: Path) -> None:
    """After kill -9 what has the name of a volume can be read, and there is no manifest."""
    raw, index = indexed(tmp_path, some_clouds(2000), layout="stacked")
    grid = split(tmp_path, [index], splitting())
    worker = multiprocessing.get_context("spawn").Process(
        target=voxelized, args=(raw, index, grid, tmp_path / "s")
    )
    worker.start()
    deadline = time.monotonic() + 30
    while len(left := list((tmp_path / "s").glob("*.nii.gz"))) < 20 and time.monotonic() < deadline:
        time.sleep(0.001)
    worker.kill()
    worker.join()
    left = list((tmp_path / "s").glob("*.nii.gz"))
    assert 20 <= len(left) < 2000
    assert all(read_volume(path).shape == (8, 8, 8) for path in left)
    assert not (tmp_path / "s/manifest.csv").exists()


def test_volumes_that_are_no_counts_keep_their_values(tmp_path: Path) -> None:
    collected(tmp_path, "density", "train")
    write_json(tmp_path / "grid.json", read_json(tmp_path / "grid.json") | {"method": "intensity"})
    collect(tmp_path, [tmp_path / f"shards/a-{k}" for k in range(3)], splitting("train", "skip"))
    law = read_json(tmp_path / "intensity.json")
    assert (law["law"], law["divisor"]) == ("identity", 1.0)


def test_collect_refuses_volumes_that_disagree_with_the_split(tmp_path: Path) -> None:
    collected(tmp_path, "density", "train")
    shards = [tmp_path / "shards/a-0"]
    for given, message in ((shards, "in one only"), (shards * 2, "is in .* and .*; delete these folders")):
        with pytest.raises(InputError, match=message):
            collect(tmp_path, given, splitting("train", "skip"))
