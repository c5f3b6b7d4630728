"""Clouds of different sizes: padded, one after another in a table, or as lists."""

from typing import Any

import h5py
import numpy as np

from files.kinds import Clouds, edges, f4, fields, kind, put, sizes, spots


def _padded(fill: Any, counts: Any, n: int = 64) -> tuple[Any, Clouds]:
    clouds = [spots(m, i) for i, m in enumerate(counts)]
    stack = np.zeros((len(counts), n, 3))
    for row, cloud in zip(stack, clouds, strict=True):
        row[:], row[: len(cloud)] = cloud[-1] if fill == "last" else fill, cloud
    return stack, clouds


@kind("batch.h5", "mask|padd", key="points")
def padded_with_mask_and_key(file: Any) -> Clouds:
    """Clouds padded with zeros, `mask` true where a point is, data.key given."""
    counts = sizes()
    file["points"], clouds = _padded(0, counts)
    file["mask"] = np.arange(64) < counts[:, None]
    return clouds


@kind("batch.h5", "padd|zero|origin|0, 0, 0")
def padded_with_zeros(file: Any) -> Clouds:
    """Clouds padded with (0, 0, 0), no lengths."""
    file["points"], clouds = _padded(0, sizes())
    return clouds


@kind("batch.h5", "padd|NaN")
def padded_with_nan(file: Any) -> Clouds:
    """Clouds padded with NaN, no lengths."""
    file["points"], clouds = _padded(np.nan, sizes())
    return clouds


@kind("batch.h5", "padd|-1")
def padded_with_minus_one(file: Any) -> Clouds:
    """Clouds padded with (-1, -1, -1), no lengths."""
    file["points"], clouds = _padded(-1, sizes())
    return clouds


@kind("batch.h5", "padd|repeat|last point|same point")
def padded_with_the_last_point(file: Any) -> Clouds:
    """Clouds padded with their last point, no lengths."""
    file["points"], clouds = _padded("last", sizes())
    return clouds


@kind("batch.h5", "nvalid|padd")
def padded_with_odd_lengths(file: Any) -> Clouds:
    """Clouds padded with zeros, lengths called nvalid (B, 1)."""
    counts = sizes()
    file["points"], clouds = _padded(0, counts)
    file["nvalid"] = counts[:, None].astype(np.uint16)
    return clouds


@kind("batch.h5", "meta|padd")
def padded_with_lengths_elsewhere(file: Any) -> Clouds:
    """Clouds padded with zeros, lengths in another group: meta/num_points."""
    counts = sizes()
    file["train/points"], clouds = _padded(0, counts)
    file["meta/num_points"] = counts
    return clouds


@kind("batch.h5", "padding_mask|padd")
def padded_with_padding_mask(file: Any) -> Clouds:
    """Clouds padded with their last point, padding_mask true where padding is."""
    counts = sizes()
    file["points"], clouds = _padded("last", counts)
    file["padding_mask"] = np.arange(64) >= counts[:, None]
    return clouds


@kind("batch.h5", "mask|padd")
def padded_with_mask_of_the_other_sense(file: Any) -> Clouds:
    """Clouds padded with zeros, `mask` true where padding is, as numpy.ma has it."""
    counts = sizes()
    file["points"], clouds = _padded(0, counts)
    file["mask"] = np.arange(64) >= counts[:, None]
    return clouds


@kind("batch.h5", "mask|padd")
def padded_with_float_mask(file: Any) -> Clouds:
    """Clouds padded with zeros, mask (B, N, 1) of 1.0 and 0.0."""
    counts = sizes()
    file["points"], clouds = _padded(0, counts)
    file["mask"] = f4(np.arange(64) < counts[:, None])[..., None]
    return clouds


@kind("batch.h5", "valid|mask|scattered")
def padded_in_the_middle(file: Any) -> Clouds:
    """Clouds whose missing points lie anywhere, told by `valid`."""
    clouds, valid = fields(), np.random.default_rng(5).random((6, 64)) < 0.7
    put(file, {"points": np.where(valid[..., None], clouds, 0), "valid": valid})
    return [cloud[there] for cloud, there in zip(clouds, valid, strict=True)]


def _ragged(seed: int = 0) -> tuple[Any, Any, Clouds]:
    counts = sizes(6, 64, seed)
    points = spots(int(counts.sum()))
    return points, counts, np.split(points, edges(counts)[1:-1])


@kind("ragged.h5", "offsets|(6, 2)|ranges")
def ranges_start_end(file: Any) -> Clouds:
    """A table beside offsets (n, 2) of [start, end)."""
    points, counts, clouds = _ragged()
    ends = edges(counts)
    put(file, {"points": points, "offsets": np.column_stack([ends[:-1], ends[1:]])})
    return clouds


@kind("ragged.h5", "slices|(6, 2)")
def ranges_start_length(file: Any) -> Clouds:
    """A table beside slices (n, 2) of (start, length)."""
    points, counts, clouds = _ragged()
    put(file, {"points": points, "slices": np.column_stack([edges(counts)[:-1], counts])})
    return clouds


@kind("ragged.h5", "row_splits")
def ranges_row_splits(file: Any) -> Clouds:
    """Open3D and TensorFlow: values beside row_splits (n + 1,)."""
    points, counts, clouds = _ragged()
    put(file, {"points": points, "row_splits": edges(counts)})
    return clouds


@kind("ragged.h5", "ends|cumulative")
def ranges_of_ends(file: Any) -> Clouds:
    """A table beside the end of each cloud, ends (n,), which does not start with 0."""
    points, counts, clouds = _ragged()
    put(file, {"points": points, "ends": edges(counts)[1:]})
    return clouds


@kind("ragged.h5", "cloud_length|lengths")
def ranges_odd_counts(file: Any) -> Clouds:
    """A table beside cloud_lengths (n,)."""
    points, counts, clouds = _ragged()
    put(file, {"points": points, "cloud_lengths": counts})
    return clouds


@kind("graphs.h5", "batch|ptr")
def torch_geometric_batch(file: Any) -> Clouds:
    """PyTorch Geometric's Batch: pos, batch (N,), ptr (n + 1,), edge_index, features x (N, 5), y (n,)."""
    points, counts, clouds = _ragged()
    put(file, {"pos": f4(points), "batch": np.repeat(np.arange(6), counts), "ptr": edges(counts)})
    put(file, {"edge_index": np.zeros((2, 50), int), "x": f4(np.ones((len(points), 5))), "y": np.arange(6)})
    return clouds


@kind("graphs.h5", "batch")
def torch_geometric_batch_only(file: Any) -> Clouds:
    """The same with the vector batch alone."""
    points, counts, clouds = _ragged()
    put(file, {"pos": f4(points), "batch": np.repeat(np.arange(6), counts)})
    return clouds


@kind("graphs.h5", "slices")
def torch_geometric_slices(file: Any) -> Clouds:
    """PyTorch Geometric's InMemoryDataset: data/pos and slices/pos (n + 1,)."""
    points, counts, clouds = _ragged()
    put(
        file,
        {
            "data/pos": f4(points),
            "slices/pos": edges(counts),
            "data/y": np.arange(6),
            "slices/y": np.arange(7),
        },
    )
    return clouds


@kind("awkward.h5", "node|axes|x, y")
def awkward_buffers(file: Any) -> Clouds:
    """ak.to_buffers in a group: node0-offsets, node2-data, ... and the form as an attribute."""
    points, counts, clouds = _ragged()
    put(file, {"points/node0-offsets": edges(counts)})
    for i in range(3):
        file[f"points/node{i + 2}-data"] = points[:, i]
    file["points"].attrs.update({"form": '{"class": "ListOffsetArray"}', "length": 6})
    return clouds


@kind("vlen.h5")
def lists_of_flattened_points(file: Any) -> Clouds:
    """One variable-length list of x, y, z, x, y, z, ... a cloud."""
    _, _, clouds = _ragged()
    file["points"] = _lists([cloud.ravel() for cloud in clouds])
    return clouds


@kind("vlen.h5", "axis|axes|together|list along")
def lists_along_each_axis(file: Any) -> Clouds:
    """Datasets x, y, z, each with one variable-length list a cloud."""
    _, _, clouds = _ragged()
    for i, axis in enumerate("xyz"):
        file[axis] = _lists([cloud[:, i] for cloud in clouds])
    return clouds


@kind("vlen.h5", "axis|axes|together|multiple of 3", key="x")
def lists_along_each_axis_with_key(file: Any) -> None:
    """The same with data.key: x, as a message may advise: the lists of x alone are no points."""
    for i, axis in enumerate("xyz"):
        file[axis] = _lists([spots(n, j)[:, i] for j, n in enumerate((30, 33, 36, 39))])


@kind("vlen.h5", "hits_x|variable|columns")
def lists_along_each_axis_in_records(file: Any) -> Clouds:
    """Records of events with lists hits_x, hits_y, hits_z, as ROOT trees become."""
    _, _, clouds = _ragged()
    kind_ = h5py.vlen_dtype(np.float32)
    rows = np.zeros(6, [("event", "i4"), *((f"hits_{axis}", kind_) for axis in "xyz")])
    for row, cloud in zip(rows, clouds, strict=True):
        for i, axis in enumerate("xyz"):
            row[f"hits_{axis}"] = f4(cloud[:, i])
    file["events"] = rows
    return clouds


def _lists(values: list[Any]) -> Any:
    held = np.empty(len(values), dtype=h5py.vlen_dtype(np.float64))
    held[:] = values
    return held
