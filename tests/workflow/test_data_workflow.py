"""The data chapters of the real Snakefile: what a new file redoes, and sources that are no clouds."""

import h5py
import nibabel as nib
import numpy as np
import pytest

from project import Project
from voxgen.io.files import read_table

pytestmark = pytest.mark.workflow

COLLECTED = ("--cores", "2", "results/voxels/intensity.json")


def write_clouds(path, seed, n=12):
    with h5py.File(path, "w") as file:
        file["points"] = np.random.default_rng(seed).uniform(0, 1000, (n, 64, 3)).astype(np.float32)


def of_files(*names, **grid):
    bounds = {"bounds": [[0.0, 1000.0], [0.0, 1000.0], [0.0, 1000.0]]}
    files = {name: f"{name}.h5" for name in names}
    return {"data": {"source": "h5", "files": files, "grid": bounds | grid}}


def test_a_new_file_voxelizes_itself_alone(tmp_path):
    project = Project(tmp_path)
    for seed, name in enumerate("abc"):
        write_clouds(project.folder / f"{name}.h5", seed)
    result = project.run(*COLLECTED, overlay=of_files("a", "b"))
    assert result.returncode == 0, result.stdout
    assert not project.stale(*COLLECTED, overlay=of_files("a", "b"))
    more = {"index_clouds": 1, "split_clouds": 1, "voxelize": 2, "collect_voxels": 1}
    assert project.stale(*COLLECTED, overlay=of_files("a", "b", "c")) == more
    by_train = project.stale(*COLLECTED, overlay=of_files("a", "b", "c", bounds="train"))
    assert by_train == more | {"fix_grid": 1, "voxelize": 6}


def test_a_pattern_stands_for_its_files(tmp_path):
    project = Project(tmp_path)
    overlay = of_files("cells")
    overlay["data"]["files"]["cells"] = "raw/*.h5"
    nothing = project.run(*COLLECTED, overlay=overlay)
    assert nothing.returncode != 0
    assert "data.files.cells: no file matches raw/*.h5; paths start at" in nothing.stdout
    (project.folder / "raw").mkdir()
    for seed, name in enumerate("ab"):
        write_clouds(project.folder / f"raw/{name}.h5", seed, n=6)
    result = project.run(*COLLECTED, overlay=overlay)
    assert result.returncode == 0, result.stdout
    rows = (project.folder / "results/clouds/split.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [f"cells-{i:06d}" for i in range(12)]
    write_clouds(project.folder / "raw/c.h5", 2)
    assert project.stale(*COLLECTED, overlay=overlay)["voxelize"] == 2


def test_tiles_of_a_table_become_volumes_on_one_grid(tmp_path):
    project = Project(tmp_path)
    for seed, name in enumerate("abc"):
        points = np.random.default_rng(seed).uniform(0, 4000, (3000, 3)).tolist()
        lines = ['"x [nm]","y [nm]","z [nm]"', *(",".join(map(repr, point)) for point in points)]
        (project.folder / f"{name}.csv").write_text("\n".join(lines))
    data = {
        "source": "csv",
        "files": {"field": "*.csv"},
        "tile": [1000.0, 1000.0],
        "split": {"group": "file"},
        "grid": {"bounds": [[0.0, 1000.0], [0.0, 1000.0], [0.0, 4000.0]], "method": "density"},
    }
    result = project.run(*COLLECTED, overlay={"data": data})
    assert result.returncode == 0, result.stdout
    volumes = list((project.folder / "results/voxels/shards").glob("*/*.nii.gz"))
    assert len(volumes) == 3 * 16
    assert sum(np.asarray(nib.load(path).dataobj).sum() for path in volumes) == 3 * 3000
    rows = (project.folder / "results/clouds/split.csv").read_text().splitlines()[1:]
    assert [len({row.split(",")[1] for row in rows[i : i + 16]}) for i in (0, 16, 32)] == [1, 1, 1]


def write_scans(folder, n=12):
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(n):
        volume = np.zeros((14, 17, 9), np.float32)
        volume[3:11, 4:12, 2:7] = rng.uniform(50, 100, (8, 8, 5))
        nib.save(nib.Nifti1Image(volume, np.diag([-1.0, 1.0, 1.0, 1.0])), folder / f"scan{i:02d}.nii.gz")


def test_scans_run_to_the_report(tmp_path):
    project = Project(tmp_path)
    write_scans(project.folder / "scans")
    overlay = {"data": {"source": "nifti", "files": {"brains": "scans"}}}
    result = project.run("--cores", "2", overlay=overlay)
    assert result.returncode == 0, result.stdout
    samples = project.folder / "results/samples"
    assert not (samples / "samples.h5").exists()
    image = nib.load(samples / "sample-000000.nii.gz")
    assert image.shape == (16, 16, 8)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert image.header.get_zooms() == (1.0, 1.0, 1.0)
    assert (project.folder / "results/report.html").exists()
    assert not project.stale(overlay=overlay)


def test_scans_of_one_patient_share_a_split(tmp_path):
    project = Project(tmp_path)
    write_scans(project.folder / "scans")
    lines = [f"scans/scan{i:02d}.nii.gz,patient{i // 2},{'old' if i < 6 else 'young'}" for i in range(12)]
    (project.folder / "scans.csv").write_text("\n".join(["path,patient,age", *lines]))
    split = {"train": 0.5, "val": 0.25, "test": 0.25, "group": "patient"}
    data = {"source": "nifti", "files": {"brains": "scans.csv"}, "label": "age", "split": split}
    result = project.run(*COLLECTED, overlay={"data": data})
    assert result.returncode == 0, result.stdout
    rows = read_table(project.folder / "results/clouds/split.csv")
    assert [row["split"] for row in rows[::2]] == [row["split"] for row in rows[1::2]]
    assert [row["label"] for row in rows] == ["old"] * 6 + ["young"] * 6


def test_scans_that_cannot_be_used_are_refused_or_left_out(tmp_path):
    project = Project(tmp_path)
    write_scans(project.folder / "scans", n=30)
    nib.save(
        nib.Nifti1Image(np.zeros((8, 8, 8), np.float32), np.eye(4)), project.folder / "scans/zeros.nii.gz"
    )
    overlay = {"data": {"source": "nifti", "files": {"brains": "scans"}}}
    refused = project.run(*COLLECTED, overlay=overlay)
    assert refused.returncode != 0
    assert "1 of 31 cannot be used" in refused.stdout
    assert "zeros.nii.gz" in refused.stdout
    assert "Traceback" not in refused.stdout
    overlay["data"]["on_bad_cloud"] = "skip"
    result = project.run(*COLLECTED, overlay=overlay)
    assert result.returncode == 0, result.stdout
    assert "brains-zeros" in (project.folder / "results/clouds/dropped.csv").read_text()


def test_spheres_are_simulated_and_seen_at_another_resolution(tmp_path):
    project = Project(tmp_path)
    data = {
        "source": "spheres",
        "spheres": {"files": 1, "volumes": 10, "radius": [4.0, 8.0]},
        "grid": {"shape": [16, 16, 16]},
        "train_shape": [8, 8, 8],
    }
    result = project.run(*COLLECTED, overlay={"data": data})
    assert result.returncode == 0, result.stdout
    shapes = {
        folder: {
            nib.load(path).shape for path in (project.folder / "results/voxels").glob(f"{folder}/*.nii.gz")
        }
        for folder in ("train", "shards/*")
    }
    assert shapes == {"train": {(8, 8, 8)}, "shards/*": {(16, 16, 16)}}
