"""CloudSettings clouds in every layout of HDF5 as it is found in the wild, and writing them."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from voxgen.errors import InputError
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds import datasets
from voxgen.sources.clouds.opening import Cloud, open_clouds
from voxgen.sources.clouds.parts import Found
from voxgen.sources.clouds.writing import Form, write_clouds

RNG = np.random.default_rng(0)


def reading(**given: Any) -> CloudSettings:
    nothing = dict.fromkeys(CloudSettings.model_fields)
    return CloudSettings(**{**nothing, "source": "h5", "unit": "nm", "min_points": 1, **given})


def ragged(sizes: Iterable[int] = (4, 1, 7)) -> list[np.ndarray]:
    return [RNG.random((n, 3)) for n in sizes]


def read(*paths: Path, carry: tuple[str, ...] = (), **settings: Any) -> tuple[list[Cloud], Found]:
    with open_clouds(paths, reading(**settings), carry) as clouds:
        found = list(clouds.read(0, len(clouds)))
        assert [cloud.row for cloud in found] == list(range(len(clouds)))
        return found, clouds.found


def same(clouds: list[Cloud], expected: Iterable[np.ndarray]) -> None:
    for cloud, points in zip(clouds, expected, strict=True):
        assert cloud.points.dtype == np.float64
        np.testing.assert_array_equal(cloud.points, points)


def write(path: Path, content: dict[str, Any]) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in content.items():
            file[name] = values
    return path


# Stacked


def test_stacked_with_values_beside(tmp_path: Path) -> None:
    points = RNG.random((5, 6, 4)).astype(np.float32)
    content = {
        "point_clouds": points,
        "label": np.arange(5)[:, None],
        "name": ["a", "b", "c", "d", "é" * 201],
    }
    path = write(tmp_path / "a.h5", content | {"other": np.arange(4)})
    with open_clouds([path], reading(columns=(0, 1, 2))) as clouds:
        assert (len(clouds), clouds.uniform_points()) == (5, 6)
        assert clouds.form == Form("stacked", "point_clouds", "nm", np.dtype(np.float32))
        assert (clouds.found.key, clouds.found.columns) == ("point_clouds", (0, 1, 2))
        found = list(clouds.read(0, 5))
    same(found, points[..., :3])
    assert found[1].attributes == {"label": 1, "name": "b"}
    assert type(found[1].attributes["label"]) is int
    assert found[4].attributes == {"label": 4}  # the name is too long to be a condition
    assert (found[2].key, found[2].file) == ("/point_clouds", str(path))


def test_columns_and_scale_of_a_stack(tmp_path: Path) -> None:
    points = RNG.random((3, 6, 5))
    path = write(tmp_path / "a.h5", {"data": points})
    found, _ = read(path, columns=(4, 0, 2), scale=(1.0, 2.0, 4.0))
    same(found, points[..., [4, 0, 2]] * [1, 2, 4])
    found, _ = read(path, columns=(1, 0), z=7.0)
    same(found, np.concatenate([points[..., [1, 0]], np.full((3, 6, 1), 7.0)], axis=-1))


def test_ranges_and_blocks_give_the_same_clouds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, points = tmp_path / "a.h5", RNG.random((7, 4, 5))
    with h5py.File(path, "w") as file:
        file.create_dataset("pc", data=points, chunks=(2, 4, 5), compression="gzip")
        file["label"] = np.arange(7)
    monkeypatch.setattr(datasets, "BLOCK_BYTES", 3 * 4 * 3 * 8)
    with open_clouds([path], reading(key="pc", columns=(0, 1, 2))) as clouds:
        found = list(clouds.read(1, 6))
    assert [cloud.row for cloud in found] == [1, 2, 3, 4, 5]
    assert [cloud.attributes["label"] for cloud in found] == [1, 2, 3, 4, 5]
    same(found, points[1:6, :, :3])


@pytest.mark.parametrize(("name", "settings"), [("n_points", {}), ("odd", {}), ("odd", {"counts": "odd"})])
def test_padding_is_cut_off(tmp_path: Path, name: str, settings: dict[str, Any]) -> None:
    points = RNG.random((3, 6, 3))
    points[1], points[2, 2:] = -1, 0
    path = write(tmp_path / "a.h5", {"points": points, name: np.array([6, 0, 2])})
    found, how = read(path, **settings)
    same(found, [points[0], points[1, :0], points[2, :2]])
    assert how.counts == f"/{name}"
    same(read(path, counts=how.counts)[0], [cloud.points for cloud in found])
    assert name not in found[0].attributes


@pytest.mark.parametrize("dtype", ["<f2", ">f4", ">f8", "<i2", ">i8", "u1", "<u4"])
def test_any_real_type(tmp_path: Path, dtype: str) -> None:
    points = (RNG.random((3, 5, 3)) * 100).astype(dtype)
    path = write(tmp_path / "a.h5", {"points": points})
    with open_clouds([path], reading()) as clouds:
        same(list(clouds.read(0, 3)), points.astype(np.float64))
        assert clouds.form.dtype == (points.dtype if points.dtype.kind == "f" else np.float32)


# One dataset or group a cloud


@pytest.mark.parametrize(
    ("names", "key"),
    [
        (["a/points", "b/points", "c/points"], "*/points"),
        (["cell1/points", "cell2/points", "cell30/points"], "cell*/points"),
        (["exp1/cell1/points", "exp1/cell2/points", "exp2/cell1/points"], "exp*/cell*/points"),
        (["cloud_000", "cloud_001", "cloud_002"], "cloud_*"),
        (["s/t[0]/xyz", "s/t[1]/xyz", "s/t[2]/xyz"], "s/t[[]*]/xyz"),
    ],
)
def test_a_dataset_a_cloud(tmp_path: Path, names: list[str], key: str) -> None:
    points = ragged((4, 0, 7))
    path = write(tmp_path / "a.h5", dict(zip(names, points, strict=True)))
    found, how = read(path)
    same(found, points)
    assert [cloud.key for cloud in found] == [f"/{name}" for name in names]
    assert (how.key, how.layout) == (key, "one dataset per cloud")
    same(read(path, key=key)[0], points)


def test_a_relative_name_means_that_dataset_in_every_group(tmp_path: Path) -> None:
    points = ragged()
    content = {"a/points": points[0], "b/deep/points": points[1], "b/points": points[2], "a/sigma": points[0]}
    path = write(tmp_path / "a.h5", content)
    found, _ = read(path, key="points")
    assert [cloud.key for cloud in found] == ["/a/points", "/b/deep/points", "/b/points"]
    same(found, points)


def test_a_group_a_cloud_with_a_dataset_an_axis(tmp_path: Path) -> None:
    points = ragged()
    content = {
        f"fr_{i}/{axis}": cloud[:, k] for i, cloud in enumerate(points) for k, axis in enumerate("xyz")
    }
    path = write(tmp_path / "a.h5", content | {"fr_0/height": points[0][:, 0]})
    with open_clouds([path], reading()) as clouds:
        same(list(clouds.read(0, 3)), points)
        assert (clouds.found.key, clouds.found.columns) == ("fr_*", ("x", "y", "z"))
        assert clouds.form == Form(
            "groups", "fr_*", "nm", np.dtype(np.float64), kind="axes", axes=("x", "y", "z")
        )
    same(read(path, key="fr_*")[0], points)
    same(read(path, key="fr_*", columns=("y", "x", "z"))[0], [cloud[:, [1, 0, 2]] for cloud in points])


def test_records_a_cloud(tmp_path: Path) -> None:
    points = ragged()
    records = [
        np.zeros(len(cloud), [("x_nm", "f8"), ("n", "i4"), ("y_nm", ">f4"), ("z_nm", "f8")])
        for cloud in points
    ]
    for record, cloud in zip(records, points, strict=True):
        for name, column in zip(("x_nm", "y_nm", "z_nm"), cloud.T, strict=True):
            record[name] = column
    path = write(tmp_path / "a.h5", {f"run{i}/locs": record for i, record in enumerate(records)})
    found, how = read(path, unit="um")
    for cloud, expected in zip(found, points, strict=True):
        np.testing.assert_allclose(cloud.points, expected * 1e-3, rtol=1e-6)
    assert how.columns == ("x_nm", "y_nm", "z_nm")
    assert how.unit_found == "nm"


def test_groups_without_the_dataset_are_told_of_and_bad_ones_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    content = {"a/points": np.zeros((0,)), "b/points": np.zeros((4, 3)), "c/other": np.zeros(1)}
    path = write(tmp_path / "a.h5", content)
    for settings in ({"key": "points"}, {}):
        caplog.clear()
        found, _ = read(path, **settings)
        assert "1 of 3 groups hold no dataset 'points'" in caplog.text
        assert [len(cloud.points) for cloud in found] == [0, 4]
    write(path, {"a/points": np.zeros((2, 3)), "b/points": np.zeros((4, 2))})
    for settings in ({"key": "points"}, {}):
        with pytest.raises(InputError, match=r"/b/points, row 1: found shape \(4, 2\), expected \(points, 3"):
            read(path, **settings)


def test_groups_without_axes_and_empty_members_of_any_width(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    content = {f"fr_{i}/{axis}": np.zeros(3) for i in range(2) for axis in "xyz"} | {"fr_2/none": [0]}
    assert len(read(write(tmp_path / "a.h5", content))[0]) == 2
    assert "1 of 3 groups hold no dataset x, y" in caplog.text
    points = RNG.random((4, 5))
    path = write(
        tmp_path / "b.h5", {"a/points": np.zeros((0,)), "b/points": points, "c/points": np.zeros((0, 2))}
    )
    found, how = read(path, columns=(4, 3, 2))
    same(found, [np.zeros((0, 3)), points[:, [4, 3, 2]], np.zeros((0, 3))])
    assert how.columns == (4, 3, 2)


# Variable length


@pytest.mark.parametrize("flat", [True, False])
def test_variable_length(tmp_path: Path, flat: bool) -> None:
    points = ragged((4, 0, 7))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("events", (3,) if flat else (3, 3), h5py.vlen_dtype(np.float64))
        for i, cloud in enumerate(points):
            if flat:
                dataset[i] = cloud.reshape(-1)
            else:
                for axis in range(3):
                    dataset[i, axis] = cloud[:, axis]
        file["label"] = [5, 6, 7]
    found, how = read(tmp_path / "a.h5")
    same(found, points)
    assert how.layout == "variable length"
    assert [cloud.attributes for cloud in found] == [{"label": 5}, {"label": 6}, {"label": 7}]


def test_variable_length_that_is_no_points(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("events", (1,), h5py.vlen_dtype(np.float64))[0] = np.zeros(7)
        file.create_dataset("axes", (1, 3), h5py.vlen_dtype(np.float64))[0, 0] = np.zeros(7)
    with pytest.raises(InputError, match=r"/events, row 0: found 7 numbers, expected a multiple of 3"):
        read(tmp_path / "a.h5", key="events")
    with pytest.raises(InputError, match=r"/axes, row 0: found 7, 0, 0 numbers along x, y, z"):
        read(tmp_path / "a.h5", key="axes")


# Links


def test_links_soft_hard_external_and_broken(tmp_path: Path) -> None:
    points = ragged()
    write(tmp_path / "far.h5", {"deep/points": points[2]})
    path = write(tmp_path / "a.h5", {"store/one": points[0], "store/two": points[1]})
    with h5py.File(path, "a") as file:
        file["c0/points"] = h5py.SoftLink("/store/one")
        file["c1/points"] = file["store/two"]
        file["c2/points"] = h5py.ExternalLink("far.h5", "/deep/points")
        file["c3/points"] = h5py.SoftLink("/nowhere")
        file["c4/points"] = h5py.ExternalLink("gone.h5", "/points")
        file["c0/up"] = h5py.SoftLink("/")
        file["loop"] = file["/"]
    same(read(path, key="c*/points")[0], points)
    del_store = tmp_path / "b.h5"
    write(del_store, {"c1/points": points[1]})
    with h5py.File(del_store, "a") as file:
        file["c0/points"] = h5py.ExternalLink("a.h5", "/store/one")
        file["c2/points"] = h5py.ExternalLink("far.h5", "/deep/points")
        file["c3/points"] = h5py.SoftLink("/nowhere")
    found, how = read(del_store)
    same(found, points)
    assert any("/c3/points" in note for note in how.notes)


def test_external_links_in_a_circle_end(tmp_path: Path) -> None:
    points = RNG.random((4, 3))
    write(tmp_path / "a.h5", {"points": points})
    write(tmp_path / "b.h5", {"some": np.zeros(1)})
    for name, other in (("a.h5", "b.h5"), ("b.h5", "a.h5")):
        with h5py.File(tmp_path / name, "a") as file:
            file["other"] = h5py.ExternalLink(other, "/")
    same(read(tmp_path / "a.h5")[0], [points])


def test_a_dataset_that_groups_share_belongs_to_each(tmp_path: Path) -> None:
    points, z = RNG.random((2, 4, 2)), RNG.random(4)
    content = {f"t{i}/{axis}": points[i][:, k] for i in range(2) for k, axis in enumerate("xy")}
    path = write(tmp_path / "a.h5", content | {"t0/z": z})
    with h5py.File(path, "a") as file:
        file["t1/z"] = file["t0/z"]
    same(read(path)[0], [np.column_stack([cloud, z]) for cloud in points])


@pytest.mark.parametrize("key", [None, "cell_*/points"])
def test_further_groups_are_only_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    opened: list[str] = []
    original = h5py.Group.__getitem__

    def spied(self: Any, name: Any) -> Any:
        opened.append(name)
        return original(self, name)

    paths = [
        write(tmp_path / f"{n}.h5", {f"cell_{i:03d}/points": np.zeros((2, 3)) for i in range(n)})
        for n in (2, 50)
    ]
    monkeypatch.setattr(h5py.Group, "__getitem__", spied)
    numbers = []
    for path in paths:
        opened.clear()
        with open_clouds([path], reading(key=key)):
            numbers.append(len(opened))
    assert numbers[0] == numbers[1]


# Attributes


def test_attributes_of_group_and_dataset(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", {"a/points": np.zeros((2, 3)), "b/points": np.zeros((3, 3))})
    with h5py.File(path, "a") as file:
        for i, name in enumerate("ab"):
            file[name].attrs.update(
                {"cell": f"cell {i}", "stage": np.float32(0.5), "vector": [1, 2], "CLASS": "x"}
            )
            file[name]["points"].attrs.update(
                {"alive": np.bool_(True), "text": np.bytes_("ü".encode()), "units": "um"}
            )
            file[name]["points"].attrs["long"] = "x" * 201
            file[name]["points"].attrs["empty"] = h5py.Empty("f4")
        file.attrs["experiment"] = 3
    found, _ = read(path)
    assert found[1].attributes == {"cell": "cell 1", "stage": 0.5, "alive": True, "text": "ü"}
    assert [type(value) for value in found[1].attributes.values()] == [str, float, bool, str]
    found, _ = read(path, carry=("experiment",))
    assert found[0].attributes["experiment"] == 3


def test_what_is_carried_is_found_wherever_it_stands(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", {f"{name}/points": np.zeros((2, 3)) for name in "abc"})
    with h5py.File(path, "a") as file:
        file["label"] = np.array([[3], [1], [2]])
        for i, name in enumerate("abc"):
            file[name]["kind"] = [i]
    found, _ = read(path, carry=("label", "kind"))
    assert [cloud.attributes for cloud in found] == [
        {"label": 3, "kind": 0},
        {"label": 1, "kind": 1},
        {"label": 2, "kind": 2},
    ]
    with open_clouds([path], reading(), ["label"]) as clouds:
        assert next(clouds.read(2, 3)).attributes["label"] == 2
    with pytest.raises(
        InputError,
        match=r"no 'patient'.*there is: kind, points, label; correct data.label, data.covariates, data.split",
    ):
        read(path, carry=("patient",))


# Files


def test_rows_go_on_over_files(tmp_path: Path) -> None:
    points = ragged((3, 4, 5, 6))
    paths = [
        write(tmp_path / "a.h5", {"x1/points": points[0], "x2/points": points[1]}),
        write(tmp_path / "b.h5", {"y1/points": points[2], "y2/points": points[3]}),
    ]
    found, _ = read(*paths)
    same(found, points)
    assert [cloud.file for cloud in found] == [str(paths[0])] * 2 + [str(paths[1])] * 2
    with open_clouds(paths, reading()) as clouds:
        same(list(clouds.read(1, 3)), points[1:3])
        assert clouds.uniform_points() is None
        assert list(clouds.read(2, 2)) == []


def test_a_file_a_cloud_with_attributes_of_the_file(tmp_path: Path) -> None:
    points = ragged([5] * 20)
    paths = [write(tmp_path / f"{i:02}.h5", {"points": cloud}) for i, cloud in enumerate(points)]
    for i, path in enumerate(paths):
        with h5py.File(path, "a") as file:
            file.attrs["patient"] = i
    found, _ = read(*paths, carry=("patient",))
    same(found, points)
    assert [cloud.attributes["patient"] for cloud in found] == list(range(20))
    with open_clouds(paths, reading()) as clouds:
        assert clouds.uniform_points() == 5


def test_files_of_another_layout_are_refused(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / "a.h5", {"points": np.zeros((2, 4, 3))}),
        write(tmp_path / "b.h5", {"points": np.zeros((4, 3))}),
    ]
    with pytest.raises(
        InputError, match=r"b\.h5: found one dataset per cloud at 'points', expected stacked .*/a\.h5"
    ):
        read(*paths)
    with pytest.raises(InputError, match=r"no file to read clouds from; correct data\.files"):
        read()


# Writing


@pytest.mark.parametrize("layout", ["stacked", "groups", "table"])
@pytest.mark.parametrize("sizes", [(6, 6, 6), (1, 1), (5,)])
def test_what_is_written_is_read(tmp_path: Path, layout: Any, sizes: tuple[int, ...]) -> None:
    path, points = tmp_path / "a.h5", ragged(sizes)
    form = Form(layout, "points", "nm", np.dtype(np.float64), ids="filament")
    write_clouds(path, points, form, {"truth/width": ([25.0] * len(points), "nm")})
    with open_clouds([path], reading()) as clouds:
        same(list(clouds.read(0, len(clouds))), points)
        assert clouds.uniform_points() == sizes[0]
        if layout != "groups":
            assert clouds.form == (form if layout == "table" else replace(form, ids="cloud"))
        elif len(sizes) > 1:
            assert clouds.form == replace(form, key="cloud_*/points", ids="cloud")
    with h5py.File(path) as file:
        assert file["truth/width"].attrs["units"] == "nm"


def test_empty_clouds_are_written_and_read(tmp_path: Path) -> None:
    points = ragged((3, 0, 2))
    write_clouds(tmp_path / "a.h5", points, Form("groups", "points", "um", np.dtype(np.float64)))
    same(read(tmp_path / "a.h5", unit="um")[0], points)


def test_a_table_keeps_no_trace_of_an_empty_cloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    points = ragged((3, 0, 2))
    write_clouds(tmp_path / "a.h5", points, Form("table", "points", "nm", np.dtype(np.float64)))
    found, _ = read(tmp_path / "a.h5")
    assert "cloud 1 has no points" in caplog.text
    assert [cloud.attributes["cloud"] for cloud in found] == [0, 2]


@pytest.mark.parametrize(("text", "scale"), [("Angstrom", None), ("pixels", 160.0), (None, 2.0)])
def test_the_form_of_a_file_is_read_with_the_settings_of_the_file(
    tmp_path: Path, text: str | None, scale: float | None
) -> None:
    points = np.round(RNG.random((3, 5, 3)) * 64)
    path = write(tmp_path / "a.h5", {"points": points})
    if text:
        with h5py.File(path, "a") as file:
            file["points"].attrs["units"] = text
    with open_clouds([path], reading(scale=scale)) as clouds:
        form, found = clouds.form, [cloud.points for cloud in clouds.read(0, 3)]
    write_clouds(tmp_path / "b.h5", found, form)
    again, _ = read(tmp_path / "b.h5", scale=scale)
    for cloud, expected in zip(again, found, strict=True):
        np.testing.assert_allclose(cloud.points, expected, rtol=1e-12)
    with h5py.File(tmp_path / "b.h5") as file:
        np.testing.assert_allclose(file["points"], points)
        assert file["points"].attrs.get("units") == text


def test_unequal_clouds_are_not_stacked_and_no_cloud_is_not_written(tmp_path: Path) -> None:
    form = Form("stacked", "pc", "nm", np.dtype(np.float32))
    with pytest.raises(InputError, match=r"cloud 1 has shape \(1, 3\), the first one \(4, 3\)"):
        write_clouds(tmp_path / "b.h5", ragged(), form)
    with pytest.raises(InputError, match="there is no cloud to write"):
        write_clouds(tmp_path / "b.h5", [], form)
    assert list(tmp_path.iterdir()) == []


def test_decisions_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.h5", {"points": np.zeros((2, 4, 3))})
    with h5py.File(path, "a") as file:
        file["points"].attrs["units"] = "µm"
    with caplog.at_level(logging.INFO):
        read(path)
    assert "scale 1000: from µm to nm" in caplog.text
