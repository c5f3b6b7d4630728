"""Which rows are points: padding, masks, missing numbers; packed and normalised numbers; what is bad."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from test_clouds import RNG, read, reading, same, write

from voxgen.errors import InputError
from voxgen.sources.clouds.opening import open_clouds
from voxgen.sources.missing import is_sentinel

POINTS = RNG.normal(0, 1000, (4, 20, 3))
LENGTHS = np.array([20, 15, 12, 7])
KEPT = np.arange(20) < LENGTHS[:, None]
CLOUDS = [points[kept] for points, kept in zip(POINTS, KEPT, strict=True)]


def padded(fill: float | None) -> np.ndarray:
    """Clouds filled up with a number, or with their last point."""
    filled = POINTS.copy()
    for cloud, length in zip(filled, LENGTHS, strict=True):
        cloud[length:] = cloud[length - 1] if fill is None else fill
    return filled


def reasons(path: Path, **settings: Any) -> list[str]:
    with open_clouds([path], reading(**settings)) as clouds:
        return [clouds.judge(cloud) for cloud in clouds.read(0, len(clouds))]


@pytest.mark.parametrize("fill", [0.0, -1.0, np.nan, None])
@pytest.mark.parametrize(
    ("beside", "found"),
    [
        ({"some_name": LENGTHS}, {"counts": "/some_name"}),
        ({"meta/seq_len": LENGTHS[:, None].astype("u1")}, {"counts": "/meta/seq_len"}),
        ({"mask": KEPT}, {"mask": "/mask"}),
        ({"padding": ~KEPT}, {"mask": "not /padding"}),
        ({"odd": KEPT[..., None].astype("i4"), "label": [3, 1, 2, 5]}, {"mask": "/odd"}),
    ],
)
def test_lengths_and_masks_are_known_by_what_they_leave_out(
    tmp_path: Path, fill: float | None, beside: dict[str, Any], found: dict[str, str]
) -> None:
    path = write(tmp_path / "a.h5", {"points": padded(fill)} | beside)
    clouds, how = read(path)
    same(clouds, CLOUDS)
    assert {name: value for name in ("counts", "mask") if (value := getattr(how, name))} == found
    same(read(path, **found)[0], CLOUDS)


@pytest.mark.parametrize(
    ("beside", "settings", "sizes"),
    [
        ({"num_points": LENGTHS}, {"counts": "num_points"}, LENGTHS),
        ({"num_points": LENGTHS}, {"counts": "none", "mask": "none"}, [20] * 4),
        ({"mask": KEPT}, {"mask": "mask"}, LENGTHS),
        ({"mask": KEPT}, {"mask": "not mask"}, 20 - LENGTHS),
    ],
)
def test_what_leaves_out_other_points_is_asked_for(
    tmp_path: Path, beside: dict[str, Any], settings: dict[str, str], sizes: Any
) -> None:
    path = write(tmp_path / "a.h5", {"points": POINTS} | beside)
    with pytest.raises(InputError, match=rf"/{next(iter(beside))} may say which of its 20 rows are points"):
        read(path)
    assert [len(cloud.points) for cloud in read(path, **settings)[0]] == list(sizes)


def test_a_column_may_be_the_mask(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", {"points": np.concatenate([padded(0.0), KEPT[..., None]], axis=-1)})
    with pytest.raises(InputError, match=r"4 columns without names"):
        read(path)
    same(read(path, columns=(0, 1, 2), mask="3")[0], CLOUDS)
    records = np.zeros(20, [("x", "f8"), ("y", "f8"), ("z", "f8"), ("valid", "?")])
    records["x"], records["y"], records["z"] = POINTS[1].T
    records["valid"] = KEPT[1]
    path = write(tmp_path / "b.h5", {"locs": records})
    with pytest.raises(InputError, match=r"the column valid may say which rows are points; set data\.mask"):
        read(path)
    same(read(path, mask="valid")[0], [CLOUDS[1]])
    same(read(path, mask="none")[0], [POINTS[1]])


def test_repetitions_of_the_last_point_are_bad_or_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", {"points": padded(None)})
    assert [bool(reason) for reason in reasons(path)] == [False, True, True, True]
    assert "ends with 6 equal points" in reasons(path)[1]
    assert reasons(path, counts="none") == [""] * 4
    same(read(path, counts="until_repeat")[0], CLOUDS)


@pytest.mark.parametrize(
    ("number", "scale"), [(9999.0, 1.0), (-1e30, 1.0), (-9999.0, 0.1), (9.96921e36, 1.0)]
)
def test_numbers_that_mean_none(tmp_path: Path, number: float, scale: float) -> None:
    points = POINTS.copy()
    points[2, 7, 1] = number
    path = write(tmp_path / "a.h5", {"points": points.astype(np.float32)})
    found = reasons(path, scale=scale)
    assert [bool(reason) for reason in found] == [False, False, True, False]
    assert "1 of 20 rows have" in found[2]
    assert "as y" in found[2]
    cloud = read(path, scale=scale, missing=(number,))[0][2].points
    np.testing.assert_allclose(cloud, np.delete(POINTS[2], 7, axis=0) * scale, rtol=1e-6)
    assert reasons(path, missing=()) == [""] * 4


def test_real_coordinates_are_no_sentinels(tmp_path: Path) -> None:
    grid = np.stack(np.meshgrid(*[np.arange(991.0, 1000.0)] * 3), axis=-1).reshape(1, -1, 3)
    assert reasons(write(tmp_path / "a.h5", {"points": grid})) == [""]
    points = POINTS.copy()
    points[0, 0], points[1, 5], points[2, 3] = 0, [-1, -1, -1], [98.99999, 1, 1]
    assert reasons(write(tmp_path / "b.h5", {"points": points})) == [""] * 4
    assert not any(map(is_sentinel, (0.0, -1.0, 98.99999, 1000.0, np.inf, np.nan, 1e9)))


def test_missing_rows_are_left_out_where_the_file_or_the_settings_say_so(tmp_path: Path) -> None:
    points = POINTS[0].copy()
    points[[3, 8]] = -5
    path = write(tmp_path / "a.h5", {"points": points})
    assert len(read(path)[0][0].points) == 20
    with h5py.File(path, "a") as file:
        file["points"].attrs["_FillValue"] = -5.0
    same(read(path)[0], [np.delete(points, [3, 8], axis=0)])
    points[4, 1] = np.nan
    path = write(tmp_path / "b.h5", {"points": points})
    assert "data.missing: [] leaves such rows out" in reasons(path)[0]
    same(read(path, missing=())[0], [np.delete(points, 4, axis=0)])


def test_packed_numbers_are_unpacked(tmp_path: Path) -> None:
    packed = np.arange(60, dtype=np.int16).reshape(20, 3)
    path = write(tmp_path / "a.h5", {"points": packed})
    with h5py.File(path, "a") as file:
        file["points"].attrs.update(
            {"scale_factor": 0.5, "add_offset": [10.0], "missing_value": np.int16(59)}
        )
    found, _ = read(path)
    np.testing.assert_array_equal(found[0].points[:19], packed[:19] * 0.5 + 10)
    assert np.isnan(found[0].points[19, 2])


LOW, HIGH = POINTS.min(axis=1, keepdims=True), POINTS.max(axis=1, keepdims=True)
MIDDLE, WIDTH = POINTS.mean(axis=1, keepdims=True), POINTS.std(axis=1, keepdims=True)
WHOLE = POINTS.min(axis=(0, 1)), POINTS.max(axis=(0, 1))


@pytest.mark.parametrize(
    ("points", "names", "values"),
    [
        ((POINTS - LOW) / (HIGH - LOW) * 2 - 1, ("min_vals", "max_vals"), (LOW[:, 0], HIGH[:, 0])),
        ((POINTS - LOW) / (HIGH - LOW), ("bbox_min", "bbox_max"), (LOW, HIGH)),
        ((POINTS - WHOLE[0]) / (WHOLE[1] - WHOLE[0]) * 2 - 1, ("xyz_min", "xyz_max"), WHOLE),
        ((POINTS - MIDDLE) / WIDTH, ("mean", "std"), (MIDDLE[:, 0], WIDTH[:, 0])),
    ],
)
def test_normalised_clouds_get_their_units_back(
    tmp_path: Path, points: np.ndarray, names: tuple[str, str], values: tuple[np.ndarray, np.ndarray]
) -> None:
    path = write(tmp_path / "a.h5", {"points": points, **dict(zip(names, values, strict=True))})
    for cloud, expected in zip(read(path)[0], POINTS, strict=True):
        np.testing.assert_allclose(cloud.points, expected, rtol=1e-9, atol=1e-9)
    same(read(path, normalised="keep")[0], points)


def test_statistics_of_clouds_stay_unused_and_other_values_are_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", {"points": POINTS, "min_vals": LOW[:, 0], "max_vals": HIGH[:, 0]})
    same(read(path)[0], POINTS)
    path = write(tmp_path / "b.h5", {"points": POINTS / 3000, "min_vals": LOW[:, 0], "max_vals": HIGH[:, 0]})
    with pytest.raises(InputError, match=r"/min_vals and /max_vals may be .*data\.normalised: keep"):
        read(path)
    same(read(path, normalised="keep")[0], POINTS / 3000)


def test_arrays_stored_transposed_are_read(tmp_path: Path) -> None:
    for name, stored in (("points", POINTS.swapaxes(1, 2)), ("coords", POINTS[0].T)):
        path = write(tmp_path / f"{name}.h5", {name: stored})
        expected = POINTS if stored.ndim == 3 else POINTS[:1]
        found, how = read(path)
        same(found, expected)
        assert any("transposed" in note for note in how.notes)
        same(read(path, key=name)[0], expected)
