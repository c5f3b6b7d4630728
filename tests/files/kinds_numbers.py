"""Numbers that say they are something else, and what tells clouds apart."""

from typing import Any

import numpy as np

from files.kinds import Clouds, f4, fields, kind, put, records, shapes, spots, xyz


def _with(value: Any, rows: slice = slice(10, 14), axes: Any = slice(None)) -> tuple[Any, Clouds]:
    points = spots()
    made = points.copy()
    made[rows, axes] = value
    return made, [np.delete(points, rows, axis=0)]


@kind("points.h5", "-1e+30|sentinel")
def sentinel_huge(file: Any) -> Clouds:
    """Points that were not found are (-1e30, -1e30, -1e30)."""
    file["points"], right = _with(-1e30)
    return right


@kind("points.h5", "9999|sentinel")
def sentinel_9999(file: Any) -> Clouds:
    """Points that were not found are (9999, 9999, 9999), all at one place."""
    file["points"], right = _with(9999)
    return right


@kind("points.h5", "-9999|sentinel")
def sentinel_in_z_alone(file: Any) -> Clouds:
    """Z that could not be fitted is -9999."""
    made, right = _with(-9999, slice(10, 40), 2)
    file["locs"] = records(xyz(made))
    return right


@kind("points.h5", "1.79769e+308|sentinel|1.79769")
def sentinel_largest(file: Any) -> Clouds:
    """Missing points are the largest float64."""
    file["points"], right = _with(np.finfo(float).max)
    return right


@kind("points.h5", "NaN")
def missing_is_nan(file: Any) -> Clouds:
    """Four points are NaN."""
    file["points"], right = _with(np.nan)
    return right


@kind("points.h5", "same|9999|place|repeat|times")
def real_points_at_one_place(file: Any) -> Clouds:
    """A bead localised many times within 20 nm: no sentinel."""
    points = spots()
    points[:60] = points[0] + np.random.default_rng(1).normal(0, 10, (60, 3)).astype(np.float32)
    file["points"] = points
    return [points]


@kind("clustered.h5", "-1")
def noise_class(file: Any) -> Clouds:
    """DBSCAN's labels beside the points: -1 is noise and no cloud."""
    points, label = spots(), np.repeat(np.arange(-1, 4), 40)
    put(file, {"points": points, "cluster_id": label})
    return [points[label == one] for one in range(4)]


@kind("clustered.h5", "-1", group_by="label")
def noise_class_asked_for(file: Any) -> Clouds:
    """The same as records, data.group_by given."""
    points, label = spots(), np.repeat(np.arange(-1, 4), 40)
    file["locs"] = records({**xyz(points), "label": label.astype(np.int16)})
    return [points[label == one] for one in range(4)]


@kind("groups.h5", "group_by")
def group_zero_is_a_cloud(file: Any) -> Clouds:
    """Clusters 0 to 4, 0 being one of them."""
    points, label = spots(), np.repeat(np.arange(5), 40)
    file["locs"] = records({**xyz(points), "cluster": label})
    return [points[label == one] for one in range(5)]


@kind("tracks.h5", "data.columns")
def tracks_unnamed(file: Any) -> None:
    """Napari tracks (n, 5) of id, t, z, y, x, columns without names."""
    file["tracks"] = _tracks()


@kind("tracks.h5", "data.columns")
def tracks_with_time_first(file: Any) -> None:
    """A matrix (n, 4) of time, x, y, z called points, columns without names."""
    file["points"] = _tracks()[:, 1:]


@kind("tracks.h5", "data.columns", key="points")
def tracks_with_key(file: Any) -> None:
    """The same, data.key given."""
    file["points"] = _tracks()[:, 1:]


@kind("tracks.h5", columns=[4, 3, 2], group_by="none")
def tracks_with_columns(file: Any) -> Clouds:
    """Napari tracks, data.columns given."""
    file["tracks"] = tracks = _tracks()
    return [tracks[:, [4, 3, 2]]]


def _tracks() -> Any:
    return np.column_stack([np.repeat(np.arange(10), 20), np.tile(np.arange(20), 10), spots()[:, ::-1]])


@kind("tracks.h5")
def tracks_by_name(file: Any) -> Clouds:
    """Records track_id, t [s], x [um], y [um], z [um]."""
    points, track = spots(), np.repeat(np.arange(10), 20)
    file["tracks"] = records(
        {
            "track_id": track,
            "t [s]": np.arange(200) / 30,
            **xyz(points / 1000, ["x [um]", "y [um]", "z [um]"]),
        }
    )
    return [points[track == one] for one in range(10)]


@kind("tracks.h5", "track_id|group_by")
def tracks_as_arrays(file: Any) -> Clouds:
    """One dataset a column: TRACK_ID, POSITION_X, POSITION_Y, POSITION_Z, FRAME, as TrackMate names them."""
    points, track = spots(), np.repeat(np.arange(10), 20)
    axes = xyz(points, ["POSITION_X", "POSITION_Y", "POSITION_Z"])
    put(file.create_group("spots"), {"TRACK_ID": track, "FRAME": np.tile(np.arange(20), 10), **axes})
    return [points[track == one] for one in range(10)]


@kind("tracks.h5", "NaN", unit="um")
def trajectories_padded(file: Any) -> Clouds:
    """Tracks (n, T, 3), NaN beyond their end, lengths in an attribute of the dataset."""
    clouds = fields(5, 40)
    counts = [40, 30, 35, 25, 38]
    for cloud, n in zip(clouds, counts, strict=True):
        cloud[n:] = np.nan
    file["positions"] = clouds
    file["positions"].attrs["lengths"] = counts
    return [cloud[:n] for cloud, n in zip(clouds, counts, strict=True)]


@kind("voxels.h5")
def integer_coordinates(file: Any) -> Clouds:
    """Voxel indices as coordinates: int16 coords (n, 3), unit um."""
    points = np.rint(spots() / 10)
    file["coords"] = points.astype(np.int16)
    file["coords"].attrs["units"] = "um"
    return [points * 1000]


@kind("voxels.h5", "data.key|data.columns", unit="unitless")
def sparse_voxels(file: Any) -> Clouds:
    """MinkowskiEngine: coordinates (n, 4) of batch index, x, y, z as int32, features (n, 3)."""
    points, batch = np.rint(spots() / 100), np.repeat(np.arange(4), 50)
    put(
        file,
        {"coordinates": np.column_stack([batch, points]).astype(np.int32), "features": f4(shapes(1, 200)[0])},
    )
    return None


@kind("cells.h5", "data.key")
def boxes_beside_points(file: Any) -> Clouds:
    """One group a cell with pts (n, 3), bbox (2, 3) and principal_axes (3, 3)."""
    clouds = [spots(40 + i, i) for i in range(4)]
    for i, cloud in enumerate(clouds):
        box = np.array([cloud.min(axis=0), cloud.max(axis=0)])
        put(file, {f"cell_{i}/pts": cloud, f"cell_{i}/bbox": box, f"cell_{i}/principal_axes": np.eye(3)})
    return clouds


@kind("cells.h5", "channel|data.key")
def two_channels(file: Any) -> None:
    """One group a cell with channel_488/xyz and channel_647/xyz: two dyes of one cell."""
    for i in range(4):
        put(file, {f"cell_{i}/channel_488/xyz": spots(40, i), f"cell_{i}/channel_647/xyz": spots(50, i + 9)})


@kind("cells.h5")
def conditions(file: Any) -> Clouds:
    """cell_N/points of three sizes, the condition an attribute of each group."""
    clouds = [spots(n, i) for i, n in enumerate((40, 50, 60))]
    for i, cloud in enumerate(clouds):
        put(file, {f"cell_{i}/points": cloud})
        file[f"cell_{i}"].attrs["condition"] = "control"
    return clouds


@kind("cells.h5", "differ|column|width|data.columns")
def columns_differ_between_clouds(file: Any) -> None:
    """cell_0/points (n, 3) as x, y, z; cell_1/points (n, 4) with the time first."""
    put(file, {"cell_0/points": spots(40), "cell_1/points": np.column_stack([np.arange(50), spots(50)])})


@kind("cells.h5", "unit")
def units_differ_between_clouds(file: Any) -> Clouds:
    """cell_0/points in nm, cell_1/points in um."""
    clouds = [spots(40), spots(50, 1)]
    put(file, {"cell_0/points": clouds[0], "cell_1/points": clouds[1] / 1000})
    file["cell_0/points"].attrs["units"], file["cell_1/points"].attrs["units"] = "nm", "um"
    return clouds


@kind("cells.h5", "unit")
def units_missing_in_one_cloud(file: Any) -> None:
    """cell_0/points in um, cell_1/points without a unit."""
    put(file, {"cell_0/points": spots(40) / 1000, "cell_1/points": spots(50, 1) / 1000})
    file["cell_0/points"].attrs["units"] = "um"


@kind("labels.h5", label="label", carried={"label": [3, 1, 2]})
def label_of_each_cloud(file: Any) -> Clouds:
    """One group a cloud, its label an attribute."""
    clouds = [spots(40, i) for i in range(3)]
    for i, (cloud, label) in enumerate(zip(clouds, (3, 1, 2), strict=True)):
        put(file, {f"cloud_{i}/points": cloud})
        file[f"cloud_{i}"].attrs["label"] = label
    return clouds


@kind("labels.h5", "label", "(6, 4)|one value|one per cloud", unit="unitless", label="label")
def label_one_hot(file: Any) -> Clouds:
    """Labels one-hot (B, 4): not one value a cloud; inspect reads the clouds."""
    clouds = shapes()
    put(file, {"points": clouds, "label": np.eye(4)[[3, 2, 1, 0, 0, 1]]})
    return list(clouds)
