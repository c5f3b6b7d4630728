"""Reading and writing raw clouds: both layouts, and every way in which a file can be wrong."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from voxgen import clouds as module
from voxgen.clouds import open_clouds, write_clouds
from voxgen.errors import InputError

RNG = np.random.default_rng(0)


def ragged() -> list[np.ndarray]:
    return [RNG.random((n, 3)) for n in (4, 1, 7)]


def test_stacked_round_trip(tmp_path: Path) -> None:
    path, points = tmp_path / "a.h5", RNG.random((5, 6, 3)).astype(np.float32)
    write_clouds(path, points, "stacked", "pc", "nm", np.float32, {"truth/width": ([25.0] * 5, "nm")})
    with open_clouds(path, "pc") as file:
        assert (file.layout, len(file), file.unit, file.dtype) == ("stacked", 5, "nm", np.dtype(np.float32))
        assert file.uniform_points() == 6
        read = list(file)
    assert [(row, key) for row, key, _ in read] == [(row, "/pc") for row in range(5)]
    np.testing.assert_array_equal(np.stack([cloud for _, _, cloud in read]), points)
    assert read[0][2].dtype == np.float64
    with h5py.File(path) as file:
        assert file["truth/width"].attrs["units"] == "nm"


def test_groups_round_trip(tmp_path: Path) -> None:
    path, points = tmp_path / "a.h5", ragged()
    write_clouds(path, points, "groups", "points", "um", np.float64)
    with open_clouds(path, "points") as file:
        assert (file.layout, len(file), file.unit, file.uniform_points()) == ("groups", 3, "um", None)
        for (row, key, cloud), expected in zip(file, points, strict=True):
            assert key == f"/cloud_{row:06d}/points"
            np.testing.assert_array_equal(cloud, expected)


def test_ranges_and_blocks_give_the_same_clouds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, points = tmp_path / "a.h5", RNG.random((7, 4, 5))
    with h5py.File(path, "w") as file:
        file.create_dataset("pc", data=points, chunks=(2, 4, 5), compression="gzip")
    monkeypatch.setattr(module, "BLOCK_BYTES", 3 * 4 * 3 * 8)
    with open_clouds(path, "pc") as file:
        read = list(file.read(1, 6))
    assert [row for row, _, _ in read] == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(np.stack([cloud for _, _, cloud in read]), points[1:6, :, :3])


def test_unequal_clouds_are_refused_where_they_are_stacked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cloud 1 has shape \(1, 3\), the first one \(4, 3\)"):
        write_clouds(tmp_path / "b.h5", ragged(), "stacked", "pc", "nm", np.float32)
    assert list(tmp_path.iterdir()) == []


def test_labels_of_both_layouts(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    extras = {"label": (np.array([[3], [1], [2]]), None), "name": (["a", "b", "c"], None)}
    write_clouds(path, np.zeros((3, 2, 3)), "stacked", "pc", "nm", np.float32, extras)
    with open_clouds(path, "pc") as file:
        assert file.labels("label") == ["3", "1", "2"]
        assert file.labels("name") == ["a", "b", "c"]
        with pytest.raises(InputError, match=r"data\.label"):
            file.labels("missing")
    write_clouds(tmp_path / "b.h5", ragged(), "groups", "points", "nm", np.float32)
    with h5py.File(tmp_path / "b.h5", "a") as file:
        for i, group in enumerate(file.values()):
            group["kind"] = i
            group.attrs["cell"] = f"cell {i}"
    with open_clouds(tmp_path / "b.h5", "points") as file:
        assert file.labels("kind") == ["0", "1", "2"]
        assert file.labels("cell") == ["cell 0", "cell 1", "cell 2"]


def test_missing_foreign_and_truncated_files_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"no such file; correct data\.files"),
        open_clouds(tmp_path / "x", "pc"),
    ):
        pass
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(InputError, match="cannot be read as HDF5"), open_clouds(tmp_path / "text.h5", "pc"):
        pass
    write_clouds(tmp_path / "a.h5", RNG.random((9, 500, 3)), "stacked", "pc", "nm", np.float64)
    raw = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(raw[: len(raw) // 2])
    with (
        pytest.raises(InputError, match="fetch it again if it was truncated"),
        open_clouds(tmp_path / "cut.h5", "pc"),
    ):
        pass


def test_a_wrong_key_names_what_would_fit(tmp_path: Path) -> None:
    write_clouds(tmp_path / "a.h5", np.zeros((2, 3, 3)), "stacked", "point_clouds", "nm", np.float32)
    with pytest.raises(InputError, match="nearest: point_clouds"), open_clouds(tmp_path / "a.h5", "clouds"):
        pass
    write_clouds(tmp_path / "b.h5", ragged(), "groups", "points", "nm", np.float32)
    with pytest.raises(InputError, match="nearest: points"), open_clouds(tmp_path / "b.h5", "cloud_000000"):
        pass
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["t"] = np.zeros(4)
    with pytest.raises(InputError, match=r"nothing in the file would fit, found: t \(4,\)"):
        open_clouds(tmp_path / "c.h5", "pc").__enter__()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((5, 3)), r"found shape \(5, 3\), expected \(N, P, 3 or more columns\).*\(1, P, 3\)"),
        (np.zeros((2, 5, 2)), r"found shape \(2, 5, 2\)"),
        (np.zeros((2, 5, 3), dtype="S4"), "is not numeric"),
        (np.zeros((0, 5, 3)), "holds no cloud"),
    ],
)
def test_wrong_rank_type_and_size_are_refused(tmp_path: Path, data: np.ndarray, message: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["pc"] = data
    with pytest.raises(InputError, match=message), open_clouds(tmp_path / "a.h5", "pc"):
        pass


def test_groups_without_the_dataset_are_named_and_bad_ones_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a/points"] = np.zeros((0,))
        file["b/points"] = np.zeros((4, 2))
        file["c/other"] = np.zeros(1)
    with open_clouds(tmp_path / "a.h5", "points") as clouds:
        assert "1 of 3 groups hold no dataset 'points'" in caplog.text
        assert len(clouds) == 2
        assert next(clouds.read(0, 1))[2].shape == (0, 3)
        with pytest.raises(InputError, match=r"/b/points, row 1: found shape \(4, 2\)"):
            list(clouds)
