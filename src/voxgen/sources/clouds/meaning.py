"""What the names of datasets and columns say: coordinates, another quantity, or which cloud a point is of."""

import re

COORDINATES = {
    *("point", "points", "pointcloud", "pointclouds", "cloud", "clouds", "pc", "pcs", "pcd", "pcds", "pts"),
    *("coordinate", "coordinates", "coord", "coords", "xyz", "position", "positions", "pos", "loc", "locs"),
    *("localization", "localizations", "localisation", "localisations", "vertex", "vertices", "verts"),
}
OTHERS = {
    *("velocity", "velocities", "vel", "force", "forces", "acceleration", "accelerations", "momentum"),
    *("momenta", "displacement", "displacements", "gradient", "gradients", "flow", "normal", "normals"),
    *("tangent", "tangents", "direction", "directions", "orientation", "orientations", "angle", "angles"),
    *("rotation", "rotations", "color", "colors", "colour", "colours", "rgb", "intensity", "image", "images"),
    *("face", "faces", "triangle", "triangles", "tri", "simplices", "connectivity", "topology", "lengths"),
    *("element", "elements", "edge", "edges", "index", "indices", "ids", "neighbors", "neighbours"),
    *("box", "boxes", "lattice", "bounds", "extent", "extents", "min", "max", "mins", "maxs"),
    *("mean", "means", "std", "stds", "sigma", "sigmas", "variance", "error", "errors", "precision"),
    *(
        "uncertainty",
        "uncertainties",
        "sig",
        "err",
        "unc",
        "crlb",
        "cr",
        "var",
        "drift",
        "offset",
        "offsets",
        "center",
        "centers",
        "centre",
        "centres",
    ),
    *("centroid", "centroids", "origin", "spacing", "scale", "size", "sizes", "mask", "pose", "poses"),
    *("weight", "weights", "pca", "umap", "tsne", "embedding", "latent", "intrinsics", "extrinsics"),
    *("label", "labels", "seg", "time", "times", "charge", "spin", "descriptor"),
}
GENERIC = {"value", "values", "data", "array", "arr", "dataset", "block", "items", "table"}
NUMBERING = r"(?:ids?|index|indices|number|numbers|num|no|nr|names?)"
INSTANCE = re.compile(
    rf"(?:.*_)?(?:group|cloud|cluster|track|molecule|filament|particle|instance|batch)s?(?:_?{NUMBERING})?"
)
KIND = re.compile(
    r"(?:.*_)?(?:label|class|segment|segmentation|category|phase|roi|region|trajectory|cell|vesicle|sample|axon"
    r"|structure|nucleus|object|fov|event|fiber|fibre|tube|organelle|synapse|chain|tid|channel)"
    rf"(?:e?s)?(?:_?{NUMBERING})?"
)
NO_CLOUDS = {
    *("frame", "frames", "time", "times", "step", "steps", "image", "slice", "t", "n", "count", "counts"),
    *("photons", "intensity", "amplitude", "area", "iterations"),
}


def holds_coordinates(path: str) -> bool | None:
    """Whether the name of a dataset or group says that coordinates are in it; None: it does not say.

    Where the last name says nothing, as value and data do, the one above it counts.
    """
    for part in reversed(path.strip("/").split("/")):
        words = split_words(part) - GENERIC
        if words:
            return False if words & OTHERS else True if words & COORDINATES else None
    return None


def split_words(name: str) -> set[str]:
    """The words of a name in lower case: point_clouds1 and PointClouds are point and clouds."""
    return {word for word in re.split(r"[\W\d_]+", _spell(name)) if word}


def tells_clouds_apart(name: str) -> bool:
    """Whether a column of this name is taken, unasked, to tell clouds apart: cluster, track_id, trackNr."""
    word = _spell(name)
    if word in ("id", "ids") or counts_points(name) or tells_kinds_apart(name) or "type" in word:
        return False
    return word.endswith(("_id", "_ids")) or INSTANCE.fullmatch(word) is not None


def tells_kinds_apart(name: str) -> bool:
    """Whether a column of this name may tell clouds apart, or the kinds of points within one."""
    return KIND.fullmatch(_spell(name)) is not None


def counts_points(name: str) -> bool:
    """Whether a column of this name numbers points or moments, not clouds."""
    return bool(split_words(name) & NO_CLOUDS) or _spell(name) in ("id", "ids", "index")


def _spell(name: str) -> str:
    """A name in lower case, its words parted by underscores: trackNr is track_nr."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[\s.-]+", "_", name).lower()
