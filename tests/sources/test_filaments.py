"""The simulator: truth, box, addresses and the worm-like chain's decay."""

import numpy as np
import pytest

from voxgen.errors import InputError
from voxgen.settings.synthetic import Synthetic
from voxgen.sources.filaments import simulate_filaments, worm_like_chains

SETTINGS = Synthetic(
    files=1,
    clouds=3,
    points=500,
    box=(1000.0, 800.0, 300.0),
    filaments=(2, 4),
    persistence=1000.0,
    diameter=25.0,
    precision=(5.0, 10.0),
    clutter=0.1,
)


def test_clouds_keep_to_the_box_and_the_settings() -> None:
    for cloud in simulate_filaments(SETTINGS, seed=0, index=0):
        assert cloud.points.shape == (500, 3)
        assert cloud.points.dtype == np.float32
        assert (cloud.points >= 0).all()
        assert (cloud.points < np.array(SETTINGS.box)).all()
        assert 2 <= cloud.filaments <= 4
        assert 0 < cloud.length < 4 * 2 * np.linalg.norm(SETTINGS.box)
        assert cloud.width == 25.0


def test_a_cloud_depends_on_its_address_alone() -> None:
    def points(seed: int, index: int, clouds: int = 3) -> np.ndarray:
        settings = SETTINGS.model_copy(update={"clouds": clouds})
        return np.stack([cloud.points for cloud in simulate_filaments(settings, seed, index)])

    np.testing.assert_array_equal(points(0, 0), points(0, 0, clouds=66)[:3])
    assert not np.array_equal(points(0, 0), points(0, 1))
    assert not np.array_equal(points(0, 0), points(1, 0))


def test_localisations_lie_on_the_surface_of_a_tubule() -> None:
    exact = SETTINGS.model_copy(
        update={
            "precision": (1e-6, 1e-6),
            "clutter": 0.0,
            "filaments": (1, 1),
            "persistence": 1e9,
            "points": 2000,
        }
    )
    for cloud in simulate_filaments(exact, seed=1, index=0):
        points = cloud.points.astype(np.float64)
        low, high = np.quantile(points, [0.1, 0.9], axis=0)
        middle = points[np.all((points >= low - 200) & (points <= high + 200), axis=1)]
        axis = np.linalg.svd(middle - middle.mean(axis=0))[2][0]
        across = (middle - middle.mean(axis=0)) @ (np.eye(3) - np.outer(axis, axis))
        assert np.median(np.linalg.norm(across, axis=1)) == pytest.approx(12.5, abs=2.5)


def test_tangents_decorrelate_over_the_persistence_length() -> None:
    rng = np.random.default_rng(0)
    starts, tangents = np.zeros((4000, 3)), np.tile([0.0, 0.0, 1.0], (4000, 1))
    paths = worm_like_chains(
        starts, tangents, rng.standard_normal((4000, 51, 3)), step=2.0, persistence=100.0
    )
    along = np.diff(paths, axis=1)[:, :, 2] / 2.0
    assert along[:, 25].mean() == pytest.approx(np.exp(-0.5), abs=0.02)
    assert along[:, 50].mean() == pytest.approx(np.exp(-1.0), abs=0.02)
    np.testing.assert_allclose(np.linalg.norm(np.diff(paths, axis=1), axis=2), 2.0)


def test_only_clutter_and_errors_larger_than_the_box() -> None:
    clutter = SETTINGS.model_copy(update={"clutter": 1.0})
    assert next(simulate_filaments(clutter, 0, 0)).points.std(axis=0) == pytest.approx(
        np.array(SETTINGS.box) / np.sqrt(12), rel=0.1
    )
    blurred = SETTINGS.model_copy(update={"precision": (1e7, 1e7)})
    with pytest.raises(InputError, match="precision"):
        next(simulate_filaments(blurred, 0, 0))
