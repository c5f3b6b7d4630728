"""Bad input stops the real workflow before any training, with one clear message."""

import h5py
import nibabel as nib
import numpy as np
import pytest

from project import Project

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("bad"))


def clouds(n=12, points=64):
    return np.random.default_rng(0).uniform(0, 1000, (n, points, 3)).astype(np.float32)


def of_file(name, key="point_clouds", **data):
    return {"data": {"source": "h5", "files": {"cells": name}, "key": key, **data}}


def write(path, points):
    with h5py.File(path, "w") as file:
        file["point_clouds"] = points


def assert_refused(project, overlay, *messages):
    result = project.run("--cores", "2", "results/samples", overlay=overlay)
    assert result.returncode != 0
    for message in messages:
        assert message in result.stdout, result.stdout
    assert "Traceback" not in result.stdout
    assert "rule train_autoencoder" not in result.stdout
    assert not (project.folder / "results" / "state").exists()


def test_missing_file(project):
    assert_refused(project, of_file("absent.h5"), "data.files.cells: no file at absent.h5")


def test_weights_of_medicalnet(project):
    absent = {"evaluation": {"medicalnet": "absent.pth"}}
    assert_refused(project, absent, "evaluation.medicalnet: no file at absent.pth")
    (project.folder / "text.pth").write_text("hello")
    text = {"evaluation": {"medicalnet": "text.pth"}}
    assert_refused(project, text, "evaluation.medicalnet: text.pth holds no weights")


def test_weights_of_a_perceptual_loss(project):
    perceptual = {"weight": 0.1, "network": "medicalnet_resnet10", "weights": "absent.pth"}
    overlay = {"autoencoder": {"kl": {"losses": {"perceptual": perceptual}}}}
    result = project.run("--cores", "2", "results/samples", overlay=overlay)
    assert result.returncode != 0
    message = f"no file absent.pth in {project.folder}; run `voxgen fetch-weights medicalnet_resnet10`"
    assert result.stdout.count(message) == 1, result.stdout
    assert_refused(project, overlay, "autoencoder, losses.perceptual: no file absent.pth")


def test_wrong_key(project):
    write(project.folder / "key.h5", clouds())
    assert_refused(project, of_file("key.h5", key="point_cluods"), "key.h5", "'point_cluods'", "point_clouds")


def test_truncated_file(project):
    path = project.folder / "truncated.h5"
    write(path, clouds())
    path.write_bytes(path.read_bytes()[:-500])
    assert_refused(project, of_file("truncated.h5"), "truncated.h5", "truncated", "fetch it again")


def test_nan_coordinates(project):
    points = clouds()
    points[3, 17, 1] = np.nan
    write(project.folder / "nan.h5", points)
    assert_refused(
        project, of_file("nan.h5"), "cells-000003", "NaN", "first row 17", "data.on_bad_cloud: skip"
    )


def test_empty_cloud(project):
    with h5py.File(project.folder / "empty.h5", "w") as file:
        for i in range(12):
            file[f"cell{i:02d}/points"] = np.empty((0, 3)) if i == 5 else clouds()[i]
    assert_refused(project, of_file("empty.h5", key="points"), "cells-000005", "cell05", "empty")


def test_unknown_key(project):
    assert_refused(project, {"data": {"gird": 3}}, "data.gird: unknown key; did you mean grid?")


def test_shape_that_the_factors_do_not_divide(project):
    assert_refused(
        project,
        {"data": {"grid": {"shape": [17, 16, 8]}}},
        "data.grid.shape: 17 voxels along x",
        "expected 1 or a multiple of 2",
        "try 16",
    )


def test_number_that_yaml_reads_as_text(project):
    assert_refused(
        project,
        {"prior": {"diffusion": {"training": {"learning_rate": "1e-4"}}}},
        "learning_rate",
        "write 1.0e-4",
    )


def test_too_few_points(project):
    write(project.folder / "few.h5", clouds(points=9))
    assert_refused(project, of_file("few.h5"), "cells-000000", "9 points, expected at least 16")


def test_the_wrong_kind_of_dataset(project):
    with h5py.File(project.folder / "text.h5", "w") as file:
        file["point_clouds"] = [b"not", b"numbers"]
    assert_refused(project, of_file("text.h5"), "text.h5", "point_clouds", "data.key")


def test_two_datasets_that_could_be_the_clouds(project):
    with h5py.File(project.folder / "two.h5", "w") as file:
        file["points"], file["coordinates"] = clouds(), clouds()
    assert_refused(project, of_file("two.h5", key=None), "points", "coordinates", "data.key")


def test_a_compression_filter_that_is_not_installed(project):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((1, 4, 3))
    properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)
    with h5py.File(project.folder / "zstd.h5", "w") as file:
        space = h5py.h5s.create_simple((1, 4, 3))
        low = h5py.h5d.create(file.id, b"point_clouds", h5py.h5t.NATIVE_DOUBLE, space, properties)
        h5py.Dataset(low).id.write_direct_chunk((0, 0, 0), bytes(96))
    assert_refused(project, of_file("zstd.h5"), "zstd.h5", "Zstandard", "pip install hdf5plugin")


def test_two_clouds_of_one_name(project):
    scan = nib.Nifti1Image(np.random.default_rng(0).random((8, 8, 8), dtype=np.float32), np.eye(4))
    for name in ("b-c", "c"):
        nib.save(scan, project.folder / f"{name}.nii.gz")
    files = {"a": "b-c.nii.gz", "a-b": "c.nii.gz"}
    overlay = {"data": {"source": "nifti", "files": files}}
    assert_refused(project, overlay, "id a-b-c is there twice", "data.files")


@pytest.mark.parametrize(
    ("shape", "affine", "message"),
    [
        ((8, 8, 8, 3), np.eye(4), "data.scans.channel"),
        ((8, 8, 8), np.diag([1.0, 1.0, 0.0, 1.0]), "affine"),
    ],
)
def test_scans_of_four_dimensions_or_without_a_place(project, shape, affine, message):
    scan = nib.Nifti1Image(np.random.default_rng(0).random(shape, dtype=np.float32), None)
    scan.header.set_sform(affine, code="scanner")
    nib.save(scan, project.folder / "bad.nii.gz")
    overlay = {"data": {"source": "nifti", "files": {"cells": "bad.nii.gz"}}}
    assert_refused(project, overlay, "1 of 1 cannot be used", "bad.nii.gz", message)


def test_more_bad_clouds_than_may_be_dropped(project):
    points = clouds(20)
    points[[3, 7], 0] = np.nan
    write(project.folder / "many.h5", points)
    assert_refused(
        project, of_file("many.h5", on_bad_cloud="skip"), "10.0% is more than data.max_dropped (5.0%)"
    )


def test_points_outside_the_bounds(project):
    write(project.folder / "outside.h5", clouds() + 1e6)
    assert_refused(project, of_file("outside.h5"), "cells", "outside the bounds", "data.grid.bounds: train")


def test_bad_clouds_can_be_skipped_and_are_listed(project):
    points = clouds(40)
    points[3, 17, 1] = np.nan
    write(project.folder / "skip.h5", points)
    overlay = of_file("skip.h5", on_bad_cloud="skip")
    result = project.run("--cores", "2", "results/voxels/intensity.json", overlay=overlay)
    assert result.returncode == 0, result.stdout
    dropped = (project.folder / "results" / "clouds" / "dropped.csv").read_text()
    assert "cells-000003" in dropped
    listed = (project.folder / "results" / "voxels" / "train.csv").read_text()
    assert "cells-000003" not in listed
