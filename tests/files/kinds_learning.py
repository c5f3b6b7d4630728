"""Files of those who learn from point clouds."""

from typing import Any

import numpy as np

from files.kinds import Clouds, f4, fields, kind, put, shapes, sizes, spots, xyz


@kind("ply_data_train0.h5", "normal", "data.key", unit="unitless", carried={"label": range(6)})
def modelnet40_ply(file: Any) -> Clouds:
    """ModelNet40 ply_data: data and normal of one shape, label (B, 1), faceId (B, N)."""
    clouds = shapes()
    faces = np.arange(6 * 64, dtype=np.int32).reshape(6, 64)
    put(file, {"data": f4(clouds), "normal": f4(shapes(seed=1)), "faceId": faces})
    file["label"] = np.arange(6, dtype=np.uint8)[:, None]
    return list(clouds)


@kind("modelnet.h5", "data.columns", unit="unitless")
def modelnet_with_normals(file: Any) -> Clouds:
    """ModelNet with normals: data (B, N, 6), columns without names."""
    clouds = shapes()
    put(
        file,
        {"data": f4(np.concatenate([clouds, shapes(seed=1)], axis=-1)), "label": np.zeros((6, 1), np.uint8)},
    )
    return list(clouds)


@kind("shapenet.h5", unit="unitless", carried={"label": range(6)}, never=["pid"])
def shapenet_parts(file: Any) -> Clouds:
    """ShapeNet part hdf5_data: data, label (B, 1), pid (B, N) a part of each point."""
    clouds = shapes()
    put(file, {"data": f4(clouds), "label": np.arange(6, dtype=np.uint8)[:, None]})
    file["pid"] = np.zeros((6, 64), np.uint8)
    return list(clouds)


@kind("shapenet.h5", unit="unitless", never=["pid"])
def shapenet_parts_as_many_points_as_clouds(file: Any) -> Clouds:
    """The same, 32 clouds of 32 points: (B, N) labels are square."""
    clouds = shapes(32, 32)
    put(file, {"data": f4(clouds), "label": np.zeros((32, 1), np.uint8), "pid": np.zeros((32, 32), np.uint8)})
    return list(clouds)


@kind("shapenet.h5", "mean", "std")
def pointflow_normalised(file: Any) -> Clouds:
    """PointFlow's normalised ShapeNet: (points - mean) / std, of each shape, beside the points."""
    clouds = fields()
    mean, std = clouds.mean(axis=1, keepdims=True), clouds.std(axis=(1, 2), keepdims=True)
    put(file, {"data": f4((clouds - mean) / std), "mean": mean, "std": std})
    return list(clouds)


@kind("objects.h5", "mask", unit="unitless", carried={"label": range(6)})
def scanobjectnn(file: Any) -> Clouds:
    """ScanObjectNN: data, label (B,), mask (B, N), -1 for points of the background."""
    clouds = shapes()
    mask = np.where(np.arange(64) < 20, -1, np.arange(6)[:, None]).astype(np.int32)
    put(file, {"data": f4(clouds), "label": np.arange(6, dtype=np.int32), "mask": mask})
    return list(clouds)


@kind("ply_data_all_0.h5", "data.columns", unit="unitless", never=["label"])
def s3dis(file: Any) -> Clouds:
    """S3DIS indoor3d_sem_seg: data (B, N, 9) of xyz, rgb, normalised xyz; label (B, N) of points."""
    clouds = shapes()
    more = np.random.default_rng(1).random((6, 64, 6))
    put(file, {"data": f4(np.concatenate([clouds, more], axis=-1)), "label": np.zeros((6, 64), np.uint8)})
    return list(clouds)


@kind("MVP_Train_CP.h5", "incomplete_pcds", "complete_pcds", unit="unitless")
def mvp_completion(file: Any) -> None:
    """MVP: 26 partial views of each shape, incomplete_pcds (26 B, N, 3), beside complete_pcds (B, N, 3)."""
    put(file, {"incomplete_pcds": f4(shapes(26)), "complete_pcds": f4(shapes(1)), "labels": np.zeros(26)})


@kind("MVP_Test_CP.h5", "complete_pcds", "data.key", unit="unitless")
def mvp_ground_truth(file: Any) -> Clouds:
    """MVP ground truth: complete_pcds, normals and novel_complete_pcds, which are other shapes."""
    clouds = shapes()
    put(file, {"complete_pcds": f4(clouds), "labels": np.arange(6), "normals": f4(shapes(seed=2))})
    put(file, {"novel_complete_pcds": f4(shapes(4, seed=1)), "novel_labels": np.arange(4)})
    return None


@kind("train-00.h5", "data.key", unit="unitless", never=["label"])
def partnet_instances(file: Any) -> Clouds:
    """PartNet ins_seg_h5: pts, nor (unit vectors) and rgb of one shape, label (B, N) of points."""
    clouds, normals = shapes(), shapes(seed=1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    put(file, {"pts": f4(clouds), "nor": f4(normals), "rgb": np.zeros((6, 64, 3), np.uint8)})
    put(file, {"label": np.zeros((6, 64), np.int32), "opacity": np.zeros((6, 64), np.uint8)})
    return list(clouds)


@kind("keypoints.h5", "data.key", unit="unitless")
def keypointnet(file: Any) -> Clouds:
    """Clouds beside sparse key points (B, 10, 3), padded with -1."""
    clouds, few = shapes(), shapes(6, 10, seed=1)
    few[:, 7:] = -1
    put(file, {"point_clouds": f4(clouds), "keypoints": f4(few)})
    return list(clouds)


@kind("g.hdf5", "mask|column", unit="unitless")
def jetnet(file: Any) -> None:
    """JetNet: particle_features (n, 30, 4) of eta, phi, pt, mask: no positions, the fourth column a mask."""
    _jets(file)


@kind("g.hdf5", "mask|padding|column 3", unit="unitless", columns=[0, 1, 2])
def jetnet_with_columns(file: Any) -> Clouds:
    """The same, columns given: particles whose mask is 0 are padding."""
    return _jets(file)


def _jets(file: Any) -> Clouds:
    counts, rng = sizes(8, 30, 3) + 8, np.random.default_rng(0)
    features = rng.normal(size=(8, 30, 4)).astype(np.float32)
    features[..., 3] = np.arange(30) < counts[:, None]
    features[features[..., 3] == 0] = 0
    jets = np.column_stack([rng.random((8, 3)), counts])
    put(file, {"particle_features": features, "jet_features": f4(jets)})
    return [cloud[:n, :3].astype(float) for cloud, n in zip(features, counts, strict=True)]


@kind("showers.h5", "axis|axes|transpos", unit="mm")
def calorimeter_showers(file: Any) -> Clouds:
    """CaloClouds: events (B, 4, P) with x, y, z, energy along the second axis, padded with zeros."""
    counts, events = sizes(6, 200), np.zeros((6, 4, 200), np.float32)
    clouds = [spots(n, i) for i, n in enumerate(counts)]
    for event, cloud in zip(events, clouds, strict=True):
        event[:3, : len(cloud)], event[3, : len(cloud)] = cloud.T, 0.5
    put(file, {"events": events, "energy": f4(np.arange(6.0)[:, None])})
    return clouds


@kind("batch.h5", "axis|axes|transpos", unit="unitless")
def channels_first(file: Any) -> Clouds:
    """Clouds as PyTorch's convolutions want them: points (B, 3, N)."""
    clouds = shapes()
    file["points"] = f4(clouds.transpose(0, 2, 1))
    return list(clouds)


@kind("batch.h5", "axis|axes|transpos", unit="unitless", key="pcd", min_points=3)
def channels_first_with_key(file: Any) -> Clouds:
    """The same of 16 points with data.key given: (B, 3, 16)."""
    clouds = shapes(6, 16)
    file["pcd"] = f4(clouds.transpose(0, 2, 1))
    return list(clouds)


@kind("shapes.h5", "min_vals")
def normalised_by_min_max(file: Any) -> Clouds:
    """Clouds in [-1, 1] beside min_vals and max_vals (B, 3)."""
    clouds = fields()
    low, high = clouds.min(axis=1), clouds.max(axis=1)
    unit = 2 * (clouds - low[:, None]) / (high - low)[:, None] - 1
    put(file, {"points": unit, "min_vals": low, "max_vals": high})
    return list(clouds)


@kind("shapes.h5", "centroid|scale")
def normalised_by_centroid_and_scale(file: Any) -> Clouds:
    """Clouds in the unit ball beside centroid (B, 3) and scale (B, 1)."""
    clouds = fields()
    centroid = clouds.mean(axis=1, keepdims=True)
    scale = np.linalg.norm(clouds - centroid, axis=-1).max(axis=1)[:, None]
    put(file, {"points": (clouds - centroid) / scale[..., None], "centroid": centroid[:, 0], "scale": scale})
    return list(clouds)


@kind("shapes.h5", "mean|std")
def normalised_by_attributes(file: Any) -> Clouds:
    """Clouds of zero mean and unit deviation over the whole set, which attributes of the dataset state."""
    clouds = fields()
    mean, std = clouds.mean(axis=(0, 1)), clouds.std(axis=(0, 1))
    file["points"] = (clouds - mean) / std
    file["points"].attrs.update({"mean": mean, "std": std})
    return list(clouds)


@kind("shapes.h5", "bbox_min|bbox")
def normalised_to_a_box(file: Any) -> Clouds:
    """Clouds in [0, 1] beside bbox_min and bbox_max (B, 3)."""
    clouds = fields()
    low, high = clouds.min(axis=1), clouds.max(axis=1)
    put(file, {"points": (clouds - low[:, None]) / (high - low)[:, None], "bbox_min": low, "bbox_max": high})
    return list(clouds)


@kind("shapes.h5", never=["mean"])
def statistics_of_raw_clouds(file: Any) -> Clouds:
    """Clouds in nm beside mean, std, min, max (B, 3) of them: they are not normalised."""
    clouds = fields()
    put(file, {name: getattr(clouds, name)(axis=1) for name in ("mean", "std", "min", "max")})
    file["points"] = clouds
    return list(clouds)


@kind("shapes.h5", "data.key")
def centres_beside_unnamed_clouds(file: Any) -> Clouds:
    """Clouds `pcd` (B, N, 3) beside a centre of each, `com` (B, 3)."""
    clouds = fields()
    put(file, {"pcd": clouds, "com": clouds.mean(axis=1)})
    return list(clouds)


@kind("split.h5", "train/points", "test/points", unit="unitless")
def train_and_test(file: Any) -> Clouds:
    """train/points and test/points, stacked: either all clouds of both, or it is asked for."""
    train, test = shapes(6), shapes(4, seed=1)
    put(file, {"train/points": train, "test/points": test})
    return [*test, *train]


@kind("filtered.h5", "raw/points", "filtered/points")
def raw_beside_filtered(file: Any) -> None:
    """raw/points beside filtered/points: two states of the same clouds."""
    clouds = fields()
    put(file, {"raw/points": clouds, "filtered/points": clouds[:, :40]})


@kind("cells.h5", "before", "after")
def before_and_after(file: Any) -> None:
    """cell_N/before/xyz and cell_N/after/xyz, the same points registered."""
    for i in range(4):
        put(file, {f"cell_{i}/before/xyz": spots(50, i), f"cell_{i}/after/xyz": spots(50, i) + 40})


@kind("scene.h5", "group_by", unit="mm")
def semantic_labels(file: Any) -> Clouds:
    """One scene beside the class of each point, `labels` (N,): classes are no clouds."""
    points, labels = spots(520), np.repeat(np.arange(13), 40)
    put(file, {"points": points, "labels": labels, "colors": np.ones((520, 3), np.uint8)})
    return [points]


@kind("poses.h5", "(20, 3, 3)|rotation", unit="unitless")
def camera_poses(file: Any) -> None:
    """Cameras: rotation (B, 3, 3) and translation (B, 3), no clouds."""
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 3, 3)))[0]
    put(file, {"rotation": turned, "translation": spots(20), "intrinsics": np.tile(np.eye(3), (20, 1, 1))})


@kind("rgb.h5", "image|(64, 48, 3)", unit="unitless")
def float_image(file: Any) -> None:
    """An RGB image (H, W, 3) of floats in [0, 1]."""
    file["image"] = f4(np.random.default_rng(0).random((64, 48, 3)))


@kind("features.h5", "data.columns|no dataset", unit="unitless")
def feature_matrix(file: Any) -> None:
    """Features (samples, 12) beside targets: no positions."""
    put(file, {"features": np.random.default_rng(0).normal(size=(80, 12)), "target": np.arange(80) % 3})


@kind("ani1x.h5", "coordinates", unit="unitless")
def ani1x(file: Any) -> Clouds:
    """ANI-1x: a group a formula with coordinates (Nc, Na, 3), forces of that shape, atomic_numbers (Na,)."""
    clouds: list[Any] = []
    for name, (conformations, atoms) in {"C5H10": (3, 18), "C6H12": (2, 20)}.items():
        stack = shapes(conformations, atoms, seed=atoms)
        put(
            file.create_group(name),
            {"coordinates": f4(stack), "wb97x_dz.forces": f4(shapes(conformations, atoms))},
        )
        put(
            file[name],
            {"atomic_numbers": np.ones(atoms, np.uint8), "wb97x_dz.energy": np.zeros(conformations)},
        )
        clouds += list(stack)
    return clouds


@kind("md17.h5", "data.key", unit="unitless")
def md17(file: Any) -> Clouds:
    """MD17: R and F of one shape (T, N, 3), E (T, 1), z (N,) charges."""
    clouds = shapes(12, 21)
    put(file, {"R": clouds, "F": shapes(12, 21, seed=1), "E": np.zeros((12, 1)), "z": np.ones(21, np.uint8)})
    return list(clouds)


@kind("axes.h5", "x", "(6, 64)")
def axes_stacked(file: Any) -> Clouds:
    """Datasets x, y, z of shape (B, N)."""
    clouds = fields()
    put(file, {axis: clouds[..., i] for i, axis in enumerate("xyz")})
    return list(clouds)


@kind("axes.h5")
def axes_as_columns(file: Any) -> Clouds:
    """Datasets x, y, z of shape (N, 1)."""
    points = spots()
    put(file, {name: values[:, None] for name, values in xyz(points).items()})
    return [points]
