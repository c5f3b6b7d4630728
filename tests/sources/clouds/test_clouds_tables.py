"""Tables of points: cut by a column, offsets, counts or tiles, with bounded memory."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from test_clouds import RNG, ragged, read, reading, same, write

from voxgen.errors import InputError
from voxgen.sources.clouds import cutting
from voxgen.sources.clouds.datasets import H5Table
from voxgen.sources.clouds.opening import open_clouds
from voxgen.sources.clouds.writing import Form

N = 300


def table(kind: str, points: np.ndarray, ids: np.ndarray) -> dict[str, Any]:
    if kind == "matrix":
        return {"points": points, "track_id": ids}
    if kind == "axes":
        return {**{f"t/{axis}": points[:, i] for i, axis in enumerate("xyz")}, "t/track_id": ids}
    fields = [("x", "f8"), ("frame", "i4"), ("y", "f8"), ("z", "f8"), ("track_id", ids.dtype)]
    records = np.zeros(len(points), fields)
    for i, axis in enumerate("xyz"):
        records[axis] = points[:, i]
    records["track_id"], records["frame"] = ids, np.arange(len(points))
    return {"locs": records}


@pytest.mark.parametrize("kind", ["matrix", "axes", "records"])
@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("batch", [1, 40, 1 << 20])
def test_scattered_clouds_equal_a_direct_grouping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, text: bool, batch: int
) -> None:
    points, numbers = RNG.random((N, 3)), RNG.integers(-3, 20, N)
    ids = np.char.add("t", numbers.astype(str)).astype("S") if text else numbers.astype(">i4")
    path = write(tmp_path / "a.h5", table(kind, points, ids))
    monkeypatch.setattr(cutting, "BATCH_BYTES", batch * cutting.POINT_BYTES)
    monkeypatch.setattr(cutting, "BLOCK_ROWS", 70)
    found, how = read(path)
    values = np.unique(ids)
    same(found, [points[ids == value] for value in values])
    assert how.group_by == "track_id"
    plain = [value.decode() if text else int(value) for value in values]
    assert [cloud.attributes["track_id"] for cloud in found] == plain
    assert found[2].key.endswith(f" where track_id = {plain[2]}")
    with open_clouds([path], reading()) as clouds:
        same(list(clouds.read(3, 6)), [points[ids == value] for value in values[3:6]])


def test_a_batch_reads_only_the_rows_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.h5", table("matrix", RNG.random((N, 3)), np.repeat(np.arange(30), 10)))
    monkeypatch.setattr(cutting, "BATCH_BYTES", 20 * cutting.POINT_BYTES)
    asked = []
    original = H5Table.blocks

    def spied(self: Any, file: Any, columns: Any, start: int, stop: int | None, points: bool = True) -> Any:
        asked.append((start, stop))
        return original(self, file, columns, start, stop, points)

    with open_clouds([path], reading()) as clouds:
        monkeypatch.setattr(H5Table, "blocks", spied)
        assert len(list(clouds.read(10, 14))) == 4
    assert asked == [(100, 120), (120, 140)]


@pytest.mark.parametrize("name", ["offsets", "starts", "index_ptr"])
@pytest.mark.parametrize("closed", [True, False])
def test_offsets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, closed: bool) -> None:
    points = ragged((4, 0, 7, 1, 9))
    edges = np.cumsum([0, 4, 0, 7, 1, 9])
    content = {"points": np.concatenate(points), name: edges if closed else edges[:-1], "label": np.arange(5)}
    path = write(tmp_path / "a.h5", content | {"patient": np.repeat(np.arange(5), [4, 0, 7, 1, 9])})
    monkeypatch.setattr(cutting, "BATCH_BYTES", 8 * cutting.POINT_BYTES)
    monkeypatch.setattr(cutting, "BLOCK_ROWS", 3)
    found, how = read(path, carry=("patient",))
    same(found, points)
    assert (how.offsets, how.layout) == (f"/{name}", "table by offsets")
    assert found[2].key == "/points[4:11]"
    assert found[2].attributes == {"label": 2, "patient": 2}
    assert found[1].attributes["patient"] == ""  # without points there is no value
    same(read(path, offsets=name)[0], points)
    same(read(path, group_by="none")[0], [np.concatenate(points)])


def test_counts(tmp_path: Path) -> None:
    points = ragged((4, 0, 7))
    path = write(
        tmp_path / "a.h5", {"g/points": np.concatenate(points), "g/lengths": [4, 0, 7], "g/size": [11, 0, 0]}
    )
    found, how = read(path)
    same(found, points)
    assert how.counts == "/g/lengths"
    same(read(path, counts="/g/lengths")[0], points)
    same(read(path, counts="size")[0], [np.concatenate(points), points[1], points[1]])
    with open_clouds([path], reading()) as clouds:
        assert clouds.form == Form("table", "g/points", "nm", np.dtype(np.float64))


@pytest.mark.parametrize(
    ("name", "values"),
    [("offsets", [0, 5, 2]), ("offsets", [2, 4]), ("offsets", [0, 12]), ("counts", [4, 4])],
)
def test_offsets_and_counts_that_do_not_fit(tmp_path: Path, name: str, values: list[int]) -> None:
    path = write(tmp_path / "a.h5", {"points": RNG.random((11, 3)), name: values})
    with pytest.raises(InputError, match=rf"/{name}.* may say where its clouds begin"):
        read(path)
    assert len(read(path, offsets="none", counts="none")[0]) == 1
    with pytest.raises(InputError, match=rf"/{name} (is not a list|sums to 8) .*correct data\.{name}"):
        read(path, **{name: name})


def test_first_rows_without_an_end_are_asked_for_and_may_count_from_one(tmp_path: Path) -> None:
    points = ragged((20, 30, 25, 44))
    content = {"points": np.concatenate(points), "some": np.array([0, 20, 50, 75.0])}
    path = write(tmp_path / "a.h5", content)
    with pytest.raises(InputError, match=r"/some may say where its clouds begin; set data\.offsets"):
        read(path)
    same(read(path, offsets="some")[0], points)
    assert len(read(path, offsets="none")[0]) == 1
    path = write(tmp_path / "b.h5", content | {"some": [1, 21, 51, 76]})
    same(read(path, offsets="some")[0], points)
    path = write(tmp_path / "c.h5", content | {"some": [[1, 20], [21, 50], [51, 75], [76, 119]]})
    same(read(path)[0], points)
    path = write(tmp_path / "d.h5", content | {"some": np.array([[20.0, 30, 25, 44]])})
    found, how = read(path)
    same(found, points)
    assert how.counts == "/some"


def test_whole_floats_are_ids_and_runs_of_whole_numbers_are_asked_for(tmp_path: Path) -> None:
    points, ids = RNG.random((40, 3)), np.repeat([3, 1, 2, -1], 10)
    path = write(tmp_path / "a.h5", {"points": points, "track_id": ids.astype("f8")})
    same(read(path)[0], [points[10:20], points[20:30], points[:10]])
    path = write(tmp_path / "b.h5", {"points": points, "odd": ids})
    with pytest.raises(InputError, match="odd may tell the clouds apart, or kinds of points"):
        read(path)
    assert len(read(path, group_by="none")[0]) == 1
    path = write(tmp_path / "c.h5", {"points": points, "photons": ids, "odd": RNG.permutation(ids)})
    assert len(read(path)[0]) == 1


def test_settings_of_offsets_and_counts_are_checked(tmp_path: Path) -> None:
    content = {
        "points": RNG.random((4, 3)),
        "counts": [0.5],
        "pc": np.zeros((2, 3, 3)),
        "n": [4, 1],
        "id": [0, 0, 1, 1],
    }
    path = write(tmp_path / "a.h5", content)
    with pytest.raises(InputError, match=r"no dataset 'x' beside it, found: .*points; correct data\.offsets"):
        read(path, key="points", offsets="x")
    with pytest.raises(
        InputError, match=r"/counts is \(1,\) float64, expected integers \(N,\); correct data\.counts"
    ):
        read(path, key="points", counts="counts")
    with pytest.raises(
        InputError, match=r"2 counts from 1 to 4, expected 2 from 0 to 3 .*correct data\.counts"
    ):
        read(path, key="pc", counts="n")
    with pytest.raises(InputError, match=r"data\.group_by is given, but pc \(2, 3, 3\) holds one"):
        read(path, key="pc", group_by="id")
    with pytest.raises(InputError, match=r"data\.group_by and data\.counts both tell clouds apart"):
        read(path, key="points", group_by="id", counts="n")


def test_which_columns_tell_clouds_apart(tmp_path: Path) -> None:
    points, ids = RNG.random((6, 3)), np.array([0, 0, 1, 1, 2, 2])
    constant, unique = np.zeros(6, int), np.arange(6)
    ignored = {"id": ids, "frame": ids, "atom_type_id": ids, "quality": ids, "mass_id": ids / 4}
    path = write(tmp_path / "a.h5", {"points": points, "row_id": unique, "group": constant} | ignored)
    found, how = read(path)
    assert (len(found), how.group_by) == (1, "none")
    path = write(
        tmp_path / "b.h5", {"points": points, "row_id": unique, "group": constant, "cluster": ids} | ignored
    )
    assert read(path)[1].group_by == "cluster"
    assert len(read(path, group_by="none")[0]) == 1
    assert len(read(path, group_by="quality")[0]) == 3
    assert len(read(path, group_by="row_id")[0]) == 6


def test_two_columns_that_tell_clouds_apart_are_refused(tmp_path: Path) -> None:
    content = {"points": RNG.random((4, 3)), "track_id": [0, 0, 1, 1], "label": [0, 0, 5, 5]}
    path = write(tmp_path / "b.h5", content | {"cluster": [0, 1, 0, 1]})
    with pytest.raises(
        InputError, match=r"cluster and track_id could each tell .* set data\.group_by to one of them"
    ):
        read(path)
    path = write(tmp_path / "a.h5", content)
    found, _ = read(path, carry=("label",))
    assert [cloud.attributes for cloud in found] == [{"track_id": 0, "label": 0}, {"track_id": 1, "label": 5}]


def test_labels_may_be_of_points_or_of_clouds_and_are_asked_for(tmp_path: Path) -> None:
    content = {"points": RNG.random((4, 3)), "label": [0, 0, 5, 5]}
    path = write(tmp_path / "a.h5", content)
    with pytest.raises(InputError, match=r"label may tell the clouds apart, or kinds of points within one"):
        read(path)
    assert len(read(path, group_by="label")[0]) == 2
    assert len(read(path, group_by="none")[0]) == 1
    assert len(read(write(path, content | {"label": [1, 1, 1, 1]}))[0]) == 1


def test_the_noise_of_a_clustering_is_no_cloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    points = RNG.random((6, 3))
    path = write(tmp_path / "a.h5", {"points": points, "cluster": [-1, 0, 1, 0, -1, 1]})
    found, _ = read(path)
    same(found, [points[[1, 3]], points[[2, 5]]])
    assert "2 points have the 'cluster' -1, noise of a clustering" in caplog.text


def test_further_files_are_cut_like_the_first(tmp_path: Path) -> None:
    points = RNG.random((4, 3))
    paths = [
        write(tmp_path / "a.h5", {"points": points, "track_id": [5, 6, 5, 6], "other": [1, 2]}),
        write(tmp_path / "b.h5", {"points": points, "track_id": [7, 7, 7, 7], "other": [1]}),
    ]
    found, _ = read(*paths)
    same(found, [points[::2], points[1::2], points])
    assert [cloud.attributes for cloud in found] == [{"track_id": 5}, {"track_id": 6}, {"track_id": 7}]
    same(
        read(*paths[::-1])[0], [points, points]
    )  # the first file tells nothing apart, so neither does the second


def test_bad_columns_are_refused(tmp_path: Path) -> None:
    content = {
        "points": RNG.random((4, 3)),
        "mass": [0.5, 1, 1, 1],
        "nan": [np.nan] * 4,
        "kind": [1, 2, 1, 1],
    }
    path = write(tmp_path / "a.h5", content)
    with pytest.raises(
        InputError, match=r"no column 'masses', found: .*correct data\.group_by, nearest: mass"
    ):
        read(path, group_by="masses")
    with pytest.raises(InputError, match="column 'mass' holds fractions, expected integers or text"):
        read(path, group_by="mass")
    with pytest.raises(InputError, match="column 'nan' holds no value"):
        read(path, group_by="nan")
    with pytest.raises(InputError, match=r"/points: column 'kind' holds 1, 2 within one cloud"):
        read(path, carry=("kind",))


def test_points_without_a_value_belong_to_no_cloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    points = RNG.random((5, 3))
    path = write(tmp_path / "a.h5", {"points": points, "which": [2.0, np.nan, 1.0, 2.0, np.nan]})
    found, _ = read(path, group_by="which")
    same(found, [points[[2]], points[[0, 3]]])
    assert [cloud.attributes["which"] for cloud in found] == [1, 2]
    assert "2 points have no 'which'" in caplog.text


def test_several_tables_are_cut_each(tmp_path: Path) -> None:
    points = ragged((4, 6))
    content = {
        "e1/points": points[0],
        "e2/points": points[1],
        "e1/of": [0, 1, 0, 1],
        "e2/of": [0, 0, 1, 1, 2, 2],
    }
    found, _ = read(write(tmp_path / "a.h5", content), group_by="of")
    same(found, [points[0][::2], points[0][1::2], points[1][:2], points[1][2:4], points[1][4:]])


@pytest.mark.parametrize("edges", [(2.0, 3.0), (2.0, 3.0, 0.5)])
def test_tiles_lose_and_double_no_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edges: tuple[float, ...]
) -> None:
    points = RNG.normal(0, 3, (N, 3))
    path = write(tmp_path / "a.h5", {"points": points})
    monkeypatch.setattr(cutting, "BATCH_BYTES", 50 * cutting.POINT_BYTES)
    monkeypatch.setattr(cutting, "BLOCK_ROWS", 77)
    found, how = read(path, tile=edges)
    back = []
    for cloud in found:
        corner = np.array([cloud.attributes.get(f"corner_{axis}", 0.0) for axis in "xyz"])
        local = cloud.points[:, : len(edges)]
        assert (local >= 0).all()
        assert (local < edges).all()
        number = [int(part) for part in str(cloud.attributes["tile"]).split("/")]
        assert (np.array(number) * edges == corner[: len(edges)]).all()
        assert cloud.key == f"tile {cloud.attributes['tile']}"
        back.append(cloud.points + corner)
    merged = np.concatenate(back)
    assert len(merged) == N
    np.testing.assert_allclose(merged[np.lexsort(merged.T)], points[np.lexsort(points.T)], atol=1e-12)
    numbers = [tuple(int(part) for part in cloud.key[5:].split("/")) for cloud in found]
    assert numbers == sorted(set(numbers))
    assert (how.tile, how.layout) == (edges, "table by tiles")


def test_a_layer_on_the_face_of_a_tile_is_the_first_of_the_next_one(tmp_path: Path) -> None:
    """In float64 the 6th and the 12th multiple of 0.7 would lie below 4.2 and 8.4, the others above."""
    steps = 1000 * (np.float32(0.7) * np.arange(24, dtype=np.float32)).astype(float)
    points = np.stack([steps, np.full(24, 10.0), np.linspace(-5, 5, 24)], 1)
    found, _ = read(write(tmp_path / "a.h5", {"points": points}), tile=(4200.0, 4200.0))
    assert [len(cloud.points) for cloud in found] == [6, 6, 6, 6]
    for i, cloud in enumerate(found):
        assert (cloud.points[:, 0] >= 0).all()
        np.testing.assert_allclose(cloud.points[:, 0], 700.0 * np.arange(6), atol=1e-3)
        np.testing.assert_array_equal(cloud.points[:, 2], points[6 * i : 6 * i + 6, 2])


def test_tiles_with_few_points_are_background(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    points = np.array([[0.5, 0.5, 0]] * 5 + [[1.5, 0.5, 0]] * 2 + [[np.nan, 0, 0]] + [[1e300, 0.5, 0]])
    path = write(tmp_path / "a.h5", {"points": points})
    with caplog.at_level("INFO"):
        found, _ = read(path, tile=(1.0, 1.0), min_points=3)
    assert [(cloud.key, len(cloud.points)) for cloud in found] == [("tile 0/0", 5)]
    assert "2 tiles with fewer than 3 points are background, 3 points in all" in caplog.text
    assert "1 points are not finite" in caplog.text
    with pytest.raises(
        InputError, match=r"none of 3 tiles has 9 points; enlarge data\.tile, or lower data\.min_points"
    ):
        read(path, tile=(1.0, 1.0), min_points=9)


def test_tiles_are_laid_in_data_unit(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", {"points": np.array([[0.1, 0.2, 0.3], [1.2, 0.2, 0.3]])})
    with h5py.File(path, "a") as file:
        file["points"].attrs["unit"] = "um"
    found, _ = read(path, tile=(1000.0, 1000.0))
    assert [cloud.attributes for cloud in found] == [
        {"tile": "0/0", "corner_x": 0.0, "corner_y": 0.0},
        {"tile": "1/0", "corner_x": 1000.0, "corner_y": 0.0},
    ]
    np.testing.assert_allclose(found[1].points, [[200, 200, 300]])


def test_forms_of_tables(tmp_path: Path) -> None:
    points, ids = RNG.random((4, 3)).astype("f4"), np.array([0, 0, 1, 1])
    for kind, form in {
        "matrix": Form("table", "points", "nm", np.dtype(np.float32), ids="track_id"),
        "records": Form(
            *("table", "locs", "nm", np.dtype(np.float64)),
            ids="track_id",
            kind="records",
            axes=("x", "y", "z"),
        ),
    }.items():
        with open_clouds([write(tmp_path / "a.h5", table(kind, points, ids))], reading()) as clouds:
            assert clouds.form == form
