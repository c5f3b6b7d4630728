"""Real files, each as its makers wrote it."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from test_clouds import read, reading

from voxgen.errors import InputError
from voxgen.sources.clouds.opening import open_clouds
from voxgen.sources.clouds.writing import write_clouds

DATA = Path(__file__).parents[4] / "shared" / "data"
MT = "smlm_mt_challenge/sequence-as-stack-MT1.N1.{}-AS-Exp.csv"


def real(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is not there: the real files are kept outside the project")
    return path


@pytest.mark.parametrize(
    ("name", "settings", "layout", "key", "clouds", "points"),
    [
        (
            "adrenal/derived_adrenal_trainval_pc2048.h5",
            {"unit": "mm"},
            "stacked (N, P, C)",
            "point_clouds",
            1286,
            2633728,
        ),
        (
            "smlm_tetrahedra/derived_tetrahedra_train_groups.h5",
            {"unit": "unitless"},
            "one dataset per cloud",
            "smlm_sample*/points",
            500,
            266905,
        ),
        ("microtubules_asga/derived_microtubules.h5", {}, "table by column", "points", 44, 5983),
        (
            "vasculature_points/vasculature1.h5",
            {"unit": "um", "columns": (0, 1, 2)},
            "one dataset per cloud",
            "points",
            1,
            55807,
        ),
        (
            "vasculature_points/vasculature1.h5",
            {"unit": "um", "tile": (200.0, 200.0), "columns": (0, 1, 2)},
            "table by tiles",
            "points",
            45,
            55807,
        ),
        (
            "neuron_points/bio_neuron-000.h5",
            {"unit": "um", "columns": (0, 1, 2)},
            "one dataset per cloud",
            "points",
            1,
            6237,
        ),
        ("mdtraj_frames/frame0.h5", {}, "stacked (N, P, C)", "coordinates", 501, 11022),
        (
            "sonata_nodes/l4_nodes.h5",
            {"unit": "um"},
            "one group with x, y, z per cloud",
            "nodes/l4/0",
            1,
            449,
        ),
        ("storm_analysis_frames/test_ref.hdf5", {}, "one group with x, y, z per cloud", "fr_0", 1, 200),
        ("storm_analysis_frames/test_sim.hdf5", {}, "one group with x, y, z per cloud", "fr_0", 1, 54),
        ("picasso_locs/egfr_mols.hdf5", {"z": 0.0}, "one dataset of records per cloud", "locs", 1, 4230),
        ("picasso_locs/raw_movie_locs_picked.hdf5", {"z": 0.0}, "table by column", "locs", 9, 2378),
        ("picasso_locs/testdata_locs.hdf5", {"z": 0.0}, "one dataset of records per cloud", "locs", 1, 564),
        (MT.format("LD"), {"source": "csv"}, "CSV, one cloud per file", "", 1, 12716),
        (MT.format("HD"), {"source": "csv"}, "CSV, one cloud per file", "", 1, 8935),
        (
            "smlm_tetrahedra/original_csv/smlm_sample1.csv",
            {"source": "csv", "unit": "unitless"},
            "CSV, one cloud per file",
            "",
            1,
            427,
        ),
    ],
)
def test_real_files(
    name: str, settings: dict[str, Any], layout: str, key: str, clouds: int, points: int
) -> None:
    path = real(name)
    found, how = read(path, **settings)
    assert (how.layout, how.key, len(found)) == (layout, key, clouds)
    assert sum(len(cloud.points) for cloud in found) == points
    explicit = {
        "columns": how.columns or None,
        "group_by": how.group_by,
        "scale": how.scale,
        "key": how.key or None,
    }
    again, _ = read(path, **{**settings, **explicit})
    for cloud, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(cloud.points, other.points)
        assert cloud.key == other.key


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("smlm_tetrahedra/derived_tetrahedra_train_groups.h5", {"unit": "unitless"}),
        ("microtubules_asga/derived_microtubules.h5", {}),
        ("neuron_points/bio_neuron-000.h5", {"unit": "um", "columns": (0, 1, 2)}),
        ("mdtraj_frames/frame0.h5", {}),
        ("sonata_nodes/l4_nodes.h5", {"unit": "um"}),
        ("storm_analysis_frames/test_ref.hdf5", {"unit": "um"}),
        ("picasso_locs/raw_movie_locs_picked.hdf5", {"z": 0.0}),
        ("picasso_locs/testdata_locs.hdf5", {"z": 0.0}),
    ],
)
def test_real_files_come_back(tmp_path: Path, name: str, settings: dict[str, Any]) -> None:
    with open_clouds([real(name)], reading(**settings)) as clouds:
        first = [cloud.points for cloud in clouds.read(0, min(3, len(clouds)))]
    expected = [*first, first[0]]
    write_clouds(tmp_path / "b.h5", expected, clouds.form)
    found, how = read(tmp_path / "b.h5", **settings)
    assert (how.layout, how.columns) == (clouds.found.layout, clouds.found.columns)
    for cloud, points in zip(found, expected, strict=True):
        np.testing.assert_allclose(cloud.points, points, rtol=1e-6)


def test_adrenal_carries_label_and_split() -> None:
    path = real("adrenal/derived_adrenal_trainval_pc2048.h5")
    with open_clouds([path], reading(unit="mm"), ("label", "split")) as clouds, h5py.File(path) as file:
        assert clouds.uniform_points() == 2048
        for cloud in clouds.read(1180, 1200):
            assert cloud.attributes["label"] == file["label"][cloud.row, 0]
            assert cloud.attributes["split"] == file["split"][cloud.row]
            np.testing.assert_array_equal(cloud.points, file["point_clouds"][cloud.row].astype(float))


def test_microtubules_are_scaled_from_angstrom() -> None:
    path = real("microtubules_asga/derived_microtubules.h5")
    found, _ = read(path)
    with h5py.File(path) as file:
        points, ids = file["points"][:], file["microtubule_id"][:]
    for cloud, value in zip(found, np.unique(ids), strict=True):
        np.testing.assert_array_equal(cloud.points, points[ids == value] * 0.1)
        assert cloud.attributes == {"microtubule_id": value}


def test_picked_regions_are_in_nm() -> None:
    path = real("picasso_locs/raw_movie_locs_picked.hdf5")
    found, how = read(path, z=0.0)
    with h5py.File(path) as file:
        locs = file["locs"][:]
    np.testing.assert_allclose(found[3].points[:, 0], locs["x"][locs["group"] == 3] * 130.0)
    assert how.scale == (130.0, 130.0, 1.0)
    assert "pixel size 130 nm from raw_movie_locs_picked.yaml" in how.notes


@pytest.mark.parametrize("name", ["vasculature_points/vasculature1.h5", "neuron_points/bio_neuron-000.h5"])
def test_four_columns_without_names_are_asked_for(name: str) -> None:
    with pytest.raises(InputError, match=r"/points: 4 columns without names .*set data\.columns"):
        read(real(name))


@pytest.mark.parametrize("name", ["sonata_nodes/lgn_nodes.h5", "picasso_locs/egfr_mols.hdf5"])
def test_no_z_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"it has x and y but no z.*data\.z: 0\.0 declares"):
        read(real(name))


def test_the_two_csv_files_are_two_clouds_and_tile_whole() -> None:
    paths = [real(MT.format("HD")), real(MT.format("LD"))]
    found, _ = read(*paths, source="csv")
    assert [len(cloud.points) for cloud in found] == [8935, 12716]
    np.testing.assert_array_equal(
        found[0].points[0], [4839.967314997221, 3039.035409511549, -348.2184667009258]
    )
    tiles, _ = read(*paths, source="csv", tile=(500.0, 500.0), min_points=1)
    assert sum(len(cloud.points) for cloud in tiles) == 8935 + 12716
    assert {cloud.file for cloud in tiles} == {str(path) for path in paths}
