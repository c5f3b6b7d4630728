"""Scores of volumes as they are: intensities, occupancy, sharpness, spectra, pieces, diversity, features.

Shapes: N and M volumes, D volumes kept whole, F features.
"""

from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgen.evaluation.scores import Scored, Sets, compared, jackknifed, scored
from voxgen.evaluation.sets import VolumeSet
from voxgen.metrics import volumes
from voxgen.metrics.bootstrap import Bootstrap, Estimate, Statistic
from voxgen.metrics.comparison import Metric
from voxgen.metrics.distributions import KernelDistance, frechet_distance
from voxgen.metrics.similarity import ms_ssim

Array = NDArray[np.float64]
Part = Callable[[VolumeSet], NDArray[Any]]


def volume_scores(sets: Sets, upper: float, bootstrap: Bootstrap) -> dict[str, Scored]:
    """Scores that need no more than the voxels; `upper` is the end of the histograms.

    Differences of means are resampled. Distances, which repeated volumes would raise, are jackknifed, and
    left out for fewer than three volumes.
    """
    relative = "relative difference of the mean"
    counted, shells = int(volumes.counted_shells(sets["test"].spectra).sum()), sets["test"].spectra.shape[1]
    differences: dict[str, tuple[Metric, Part]] = {
        "occupancy": (
            Metric("occupancy", "%", "towards 0", f"{relative} share of occupied voxels"),
            lambda one: one.occupancy,
        ),
        "sharpness": (
            Metric("sharpness", "%", "towards 0", f"{relative} gradient over intensity; below 0: blurred"),
            lambda one: one.sharpness,
        ),
        "pieces": (
            Metric(
                "connected components", "%", "towards 0", f"{relative} number of pieces of the foreground"
            ),
            lambda one: one.pieces,
        ),
    }
    distances: dict[str, tuple[Metric, Statistic, Part]] = {
        "histogram": (
            Metric(
                "density histogram", "", "lower", "Wasserstein-1 of foreground intensities, network range"
            ),
            partial(volumes.histogram_distance, upper=upper),
            lambda one: one.histograms,
        ),
        "spectrum": (
            Metric(
                "power spectrum",
                "dB",
                "lower",
                f"mean difference over {counted} of {shells} shells of spatial frequency: those in which "
                "test volumes have more than a millionth of their strongest power",
            ),
            volumes.spectrum_distance,
            lambda one: one.spectra,
        ),
    }
    found = {}
    for name, (metric, statistic, part) in distances.items():
        values = {one: part(described) for one, described in sets.items()}
        if min(map(len, values.values())) >= 3:
            found[name] = compared(metric, "volumes", statistic, values, jackknifed(bootstrap))
    for name, (metric, part) in differences.items():
        values = {one: part(described) for one, described in sets.items()}
        if min(map(len, values.values())):
            found[name] = compared(metric, "volumes", volumes.relative_difference, values, bootstrap.pair)
    return found


def diversity_score(sets: Sets, window: int, bootstrap: Bootstrap) -> dict[str, Scored]:
    """How alike the volumes of a set are to each other, beside those of the test split."""
    if min(len(one.whole) for one in sets.values()) < 2:
        return {}
    alike = {name: _alike(one.whole, window) for name, one in sets.items()}
    metric = Metric(
        "diversity",
        "",
        "towards 0",
        f"mean MS-SSIM (windows of {window} voxels) between volumes of the set, less that between test "
        "volumes; above 0: too alike",
    )

    def estimate(name: str) -> Estimate:
        def gap(c_N: NDArray[np.integer], d_M: NDArray[np.integer]) -> float:
            return _mean_of_pairs(alike[name], c_N) - _mean_of_pairs(alike["test"], d_M)

        return bootstrap.counted(gap, len(alike[name]), len(alike["test"]), "diversity")

    return {"diversity": scored(metric, "diversity", estimate)}


def feature_scores(sets: Sets, bootstrap: Bootstrap) -> dict[str, Scored]:
    """Frechet and kernel distance for each kind of features, for three volumes or more."""
    found: dict[str, Scored] = {}
    if min(len(one.occupancy) for one in sets.values()) >= 3:
        for kind in sets["test"].features:
            features = _standardised({name: one.features[kind] for name, one in sets.items()})
            found |= _feature_distances(kind, features, bootstrap)
    return found


def _feature_distances(kind: str, features: dict[str, Array], bootstrap: Bootstrap) -> dict[str, Scored]:
    test = features["test"]
    if not test.shape[1]:
        return {}

    def kernel_distance(name: str) -> Estimate:
        of = features[name]
        return bootstrap.counted(KernelDistance(of, test), len(of), len(test), "kernel")

    of = f"of {test.shape[1]} features ({kind})"
    frechet = Metric(
        f"Fréchet distance, {kind}",
        "",
        "lower",
        f"{of}; biased upwards for few volumes, so only beside its floor",
    )
    kernel = Metric(
        f"kernel distance, {kind}",
        "",
        "towards 0",
        f"{of}, unbiased: 0 for one distribution, by chance below",
    )
    return {
        f"frechet {kind}": compared(frechet, "features", frechet_distance, features, jackknifed(bootstrap)),
        f"kernel {kind}": scored(kernel, "features", kernel_distance),
    }


def _alike(x_DXYZ: NDArray[np.float32], window: int) -> Array:
    """MS-SSIM (D, D) of each pair of volumes; 0 on the diagonal, which is no pair."""
    similarity = np.zeros((len(x_DXYZ), len(x_DXYZ)))
    for i, j in combinations(range(len(x_DXYZ)), 2):
        similarity[i, j] = similarity[j, i] = ms_ssim(x_DXYZ[i], x_DXYZ[j], window)
    return similarity


def _mean_of_pairs(values_DD: Array, c_D: NDArray[np.integer]) -> float:
    """Mean over pairs of different volumes, of which volume i is there c_D[i] times."""
    c = c_D.astype(np.float64)
    return float(c @ values_DD @ c / (c.sum() ** 2 - c @ c))


def _standardised(features: dict[str, NDArray[np.float32]]) -> dict[str, Array]:
    """Features (N, F) in the test split's standard deviations from its mean, without its constant ones."""
    test = features["test"].astype(np.float64)
    mean, std = test.mean(0), test.std(0)
    varied = std > 1e-6 * max(float(std.max()), 1e-30)
    return {name: (of[:, varied] - mean[varied]) / std[varied] for name, of in features.items()}
