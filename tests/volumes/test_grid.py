"""Points to counts and back, on dyadic coordinates where the arithmetic is exact."""

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from voxgen.errors import InputError
from voxgen.volumes.grid import (
    Grid,
    as_stored,
    draw_points,
    fixed_grid,
    grid_from_extent,
    occupied_above,
    place_points,
    rasterize,
    scan_grid,
    template_grid,
)

SHAPE = (8, 6, 4)
BOUNDS = ((-2.0, 2.0), (0.0, 12.0), (8.0, 9.0))
METHODS = ("occupancy", "density", "gaussian")


def grid(method: str = "density", sigma: float = 1.0) -> Grid:
    return fixed_grid(SHAPE, BOUNDS, "nm", method, sigma)


def clouds(low: int = 0, high: int = 1) -> st.SearchStrategy[np.ndarray]:
    """Clouds on a 1/8 voxel lattice, from `low` to `high` times the extent of the grid."""
    rows = st.tuples(*(st.integers(low * 8 * n, high * 8 * n - 1) for n in SHAPE))
    lattice = st.lists(rows, min_size=1, max_size=40)
    return lattice.map(lambda rows: np.array(rows) / 8 * grid().spacing + grid().origin)


@given(clouds(-1, 2))
def test_density_conserves_the_points_and_counts_those_outside(points: np.ndarray) -> None:
    counts, outside = rasterize(points, grid())
    low, high = np.array(BOUNDS).T
    assert outside == np.sum(np.any((points < low) | (points >= high), axis=1))
    assert counts.sum() == len(points) - outside
    assert counts.dtype == np.float32
    occupancy, _ = rasterize(points, grid("occupancy"))
    np.testing.assert_array_equal(occupancy, np.minimum(counts, 1))


@given(clouds(), st.randoms(use_true_random=False))
def test_the_order_of_points_does_not_matter(points: np.ndarray, random: object) -> None:
    shuffled = points[np.random.default_rng(random.randrange(99)).permutation(len(points))]  # type: ignore[attr-defined]
    for method in METHODS:
        np.testing.assert_array_equal(
            rasterize(points, grid(method))[0], rasterize(shuffled, grid(method))[0]
        )


@given(clouds(), st.sampled_from([0, 1, 2]), st.sampled_from(METHODS))
def test_a_shift_by_a_voxel_shifts_the_grid(points: np.ndarray, axis: int, method: str) -> None:
    step = np.eye(3)[axis] * grid().spacing
    points = points[(points + step)[:, axis] < BOUNDS[axis][1]]
    counts, shifted = (rasterize(cloud, grid(method))[0] for cloud in (points, points + step))
    before = np.take(counts, range(SHAPE[axis] - 1), axis=axis)
    after = np.take(shifted, range(1, SHAPE[axis]), axis=axis)
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-6 if method == "gaussian" else 0)


@given(clouds(), st.sampled_from([0, 1, 2]), st.sampled_from(METHODS))
def test_lower_faces_are_inside_and_upper_ones_outside(points: np.ndarray, axis: int, method: str) -> None:
    for face, outside in zip(BOUNDS[axis], (0, len(points)), strict=True):
        points[:, axis] = face
        counts, found = rasterize(points, grid(method))
        assert found == outside
        assert counts.any() == (outside == 0)


STEPS = np.arange(480)


@pytest.mark.parametrize(
    ("lattice", "low", "length"),
    [
        (0.1 * STEPS, 0.0, 48.0),
        ((np.float32(0.1) * STEPS.astype(np.float32)).astype(float), 0.0, 48.0),
        (1000 * (np.float32(0.107) * STEPS.astype(np.float32)).astype(float), 0.0, 480 * 107.0),
        (-24 + 0.1 * STEPS, -24.0, 48.0),
        ((1e6 + 107.3 * STEPS).astype(np.float32).astype(float), 1e6, 480 * 107.3),
        (-1e6 + 107.3 * STEPS, -1e6, 480 * 107.3),
    ],
    ids=["0.1 k", "0.1 k in float32", "um in float32 to nm", "below 0", "far in float32", "far"],
)
@pytest.mark.parametrize("layers", [1, 2, 5])
def test_every_voxel_gets_as_many_layers_of_a_lattice(
    lattice: np.ndarray, low: float, length: float, layers: int
) -> None:
    points = np.full((len(lattice), 3), 0.5)
    points[:, 1] = lattice
    whole = fixed_grid((1, 480 // layers, 1), [(0, 1), (low, low + length), (0, 1)], "nm", "density", 1.0)
    counts, outside = rasterize(points, whole)
    assert outside == 0
    assert set(counts.ravel()) == {layers}


def test_a_layer_on_the_upper_bound_is_outside_however_it_is_rounded() -> None:
    for face in (
        0.3,
        0.1 * 3,
        np.nextafter(0.3, 0),
        float(np.float32(0.3)),
        np.nextafter(np.float32(0.3), 0),
    ):
        cube = fixed_grid((3, 3, 3), [(0, 0.3)] * 3, "nm", "density", 1.0)
        assert rasterize(np.full((1, 3), float(face)), cube)[1] == 1
    for low, point in ((0.3, 0.1 * 3 - 1e-9), (0.0, 0.3 - 0.1 * 3)):
        cube = fixed_grid((3, 3, 3), [(low, low + 0.3)] * 3, "nm", "density", 1.0)
        assert rasterize(np.full((1, 3), point), cube)[1] == 0


def test_the_extent_of_a_lattice_gives_voxels_of_its_points() -> None:
    """As many voxels as points: one in each; half as many: the first half voxel lies outside the lattice."""
    lattice = 0.1 * np.stack(np.meshgrid(*[np.arange(11)] * 3), -1).reshape(-1, 3)
    for n, layers in ((11, [1] * 11), (6, [1, 2, 2, 2, 2, 2])):
        made = grid_from_extent((n,) * 3, lattice.min(0), lattice.max(0), "nm", "density", 1.0)
        counts, outside = rasterize(lattice, made)
        assert outside == 0
        np.testing.assert_array_equal(counts, np.einsum("i,j,k", layers, layers, layers))


@pytest.mark.parametrize("low", [0.0, -1e5, 1e6, 1e9])
def test_points_that_lie_on_no_lattice_are_counted_where_they_lie(low: float) -> None:
    """Beyond a relative 2.4e-7 of a coordinate, and never more than a thousandth of a voxel."""
    points = np.random.default_rng(0).uniform(low, low + 6400.0, (20000, 3))
    cube = fixed_grid((64, 64, 64), [(low, low + 6400)] * 3, "nm", "density", 1.0)
    expected = np.zeros((64, 64, 64))
    np.add.at(expected, tuple(np.floor((points - low) / 100).astype(int).T), 1)
    counts, outside = rasterize(points, cube)
    moved = np.abs(counts - expected).sum() / 2 + outside
    share = min(2.4e-7 * max(abs(low), 6400) / 100, 1e-3)
    assert moved <= 3 * share * len(points) * 1.3
    assert low != 0 or moved == 0


@given(clouds(), st.sampled_from([0.5, 1.0, 1.7]))
def test_gaussian_conserves_the_points_that_lie_deep_inside(points: np.ndarray, sigma: float) -> None:
    margin = int(4 * sigma) + 1
    low, high = np.array(BOUNDS).T + np.outer([-margin, margin], grid().spacing)
    wide = fixed_grid(tuple(n + 2 * margin for n in SHAPE), np.stack([low, high], 1), "nm", "gaussian", sigma)
    counts, outside = rasterize(points, wide)
    assert outside == 0
    assert counts.sum(dtype=np.float64) == pytest.approx(len(points), rel=1e-6)


def test_gaussian_loses_what_leaves_the_volume() -> None:
    wide = fixed_grid((24, 24, 24), [(0, 24)] * 3, "nm", "gaussian", 1.0)
    assert 0.5 < rasterize(np.array([[0.5, 12.5, 12.5]]), wide)[0].sum() < 0.8
    assert not rasterize(np.empty((0, 3)), wide)[0].any()


@settings(max_examples=20)
@given(clouds(), st.sampled_from([0.5, 1.0, 1.7]))
def test_gaussian_equals_scipy_over_the_whole_volume(points: np.ndarray, sigma: float) -> None:
    expected = ndimage.gaussian_filter(rasterize(points, grid())[0], sigma, mode="constant", truncate=4.0)
    np.testing.assert_allclose(rasterize(points, grid("gaussian", sigma))[0], expected, atol=1e-6)


def test_a_single_localisation_is_occupied_down_to_half_its_peak() -> None:
    for sigma in (0.7, 1.0, 2.0):
        wide = fixed_grid((33, 33, 33), [(0, 33)] * 3, "nm", "gaussian", sigma)
        counts, _ = rasterize(np.full((1, 3), 16.5), wide)
        assert occupied_above(wide) == pytest.approx(counts.max() / 2, rel=1e-5)
    assert occupied_above(grid("density")) == occupied_above(grid("occupancy")) == 0.5
    assert occupied_above(scan_grid(SHAPE, (1, 1, 2), "mm")) == 0.1


@given(clouds(), st.sampled_from(["occupancy", "density"]))
def test_drawn_points_lie_within_a_voxel_of_the_cloud(points: np.ndarray, method: str) -> None:
    counts, _ = rasterize(points, grid(method))
    drawn = draw_points(counts, grid(method), 100, np.random.default_rng(0))
    assert drawn.shape == (100, 3)
    assert drawn.dtype == np.float64
    steps = np.abs(drawn[:, None] - points[None]) / np.array(grid().spacing)
    assert steps.max(axis=2).min(axis=1).max() <= 1
    again, outside = rasterize(drawn, grid(method))
    assert outside == 0
    assert not again[counts == 0].any()


@given(clouds(), st.integers(0, 60))
def test_each_count_is_a_point_before_one_is_drawn_twice(points: np.ndarray, n: int) -> None:
    counts, _ = rasterize(points, grid("density"))
    placed = place_points(counts, grid("density"), n, np.random.default_rng(0))
    assert placed.shape == (n, 3)
    again, outside = rasterize(placed, grid("density"))
    assert outside == 0
    assert not again[counts == 0].any()
    assert np.all(again <= counts if n <= len(points) else again >= counts)


def test_fewer_points_than_counts_are_a_random_choice() -> None:
    counts = np.zeros(SHAPE, np.float32)
    counts[0, 0, 0], counts[7, 5, 3] = 100, 300
    firsts = [place_points(counts, grid(), 40, np.random.default_rng(i))[:, 0] < 0 for i in range(50)]
    assert np.mean(firsts) == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / 2000))


def test_drawn_points_of_gaussian_counts_lie_within_three_sigma() -> None:
    wide = fixed_grid((32, 32, 32), [(0, 64)] * 3, "nm", "gaussian", 1.5)
    counts, _ = rasterize(np.full((1, 3), 33.0), wide)
    drawn = draw_points(counts, wide, 4000, np.random.default_rng(0))
    away = np.abs(drawn - 33.0) / (2 * 1.5)
    assert np.quantile(away, 0.99) < 3
    assert drawn.mean(axis=0) == pytest.approx([33, 33, 33], abs=0.2)


def test_points_are_drawn_in_proportion_to_the_counts() -> None:
    counts = np.zeros(SHAPE, np.float32)
    counts[0, 0, 0], counts[7, 5, 3], counts[3, 3, 3] = 1, 3, -5
    drawn = draw_points(counts, grid(), 4000, np.random.default_rng(0))
    redrawn, _ = rasterize(drawn, grid())
    assert redrawn[3, 3, 3] == 0
    assert redrawn[7, 5, 3] / 4000 == pytest.approx(0.75, abs=0.03)
    for empty, message in ((np.zeros(SHAPE), "all zero"), (np.full(SHAPE, np.inf), "not finite")):
        with pytest.raises(InputError, match=message):
            draw_points(empty, grid(), 5, np.random.default_rng(0))


@given(
    hnp.arrays(np.float64, (5, 3), elements=st.floats(-1e6, 1e6)),
    st.tuples(*[st.integers(1, 9)] * 3),
)
@example(np.array([[5e-324, 0, 0], [0, 0, 0]]), (1, 1, 1))
def test_bounds_from_the_extent_hold_every_point(points: np.ndarray, shape: tuple[int, int, int]) -> None:
    made = grid_from_extent(shape, points.min(axis=0), points.max(axis=0), "nm", "density", 1.0)
    assert rasterize(points, made)[1] == 0
    assert all(edge > 0 for edge in made.spacing)


def test_bounds_from_the_extent_are_half_a_voxel_wider() -> None:
    made = grid_from_extent((5, 3, 4), (0, 0, 7), (8, 4, 7), "nm", "density", 1.0)
    assert made.spacing == (2, 2, 2)
    assert made.bounds == ((-1, 9), (-1, 5), (3, 11))


@given(
    hnp.arrays(np.float64, (6, 3), elements=st.floats(-1e6, 1e6)),
    st.sampled_from([(8, 8, 8), (8, 4, 2), (1, 5, 8)]),
)
def test_a_template_laid_around_a_cloud_holds_it(points: np.ndarray, shape: tuple[int, int, int]) -> None:
    template = template_grid(shape, "um", "density", 1.0)
    placed = template.placed(points)
    assert (placed.placement, placed.unit, placed.shape) == ("fixed", "um", shape)
    assert len(set(placed.spacing)) == 1
    assert rasterize(points, placed)[1] == 0


def test_a_template_is_centred_with_half_a_voxel_to_spare() -> None:
    template = template_grid((8, 8, 4), "nm", "density", 1.0)
    assert (template.unit, template.bounds) == ("unitless", ((-1, 1), (-1, 1), (-0.5, 0.5)))
    placed = template.placed(np.array([[100.0, 0, 0], [114.0, 2, 2]]))
    assert placed.spacing == (2, 2, 2)
    assert placed.bounds == ((99, 115), (-7, 9), (-3, 5))
    assert template.placed(np.ones((4, 3))).spacing == (1, 1, 1)
    assert grid().placed(np.ones((4, 3))) == grid()


def test_a_template_of_scans_lies_around_zero() -> None:
    template = scan_grid(SHAPE, (1.0, 1.0, 2.5), "mm")
    assert template.bounds == ((-4, 4), (-3, 3), (-5, 5))
    assert (template.placement, template.method, template.dtype) == ("cloud", "intensity", "float32")
    assert (template.unit, template.cloud_unit) == ("mm", "mm")


def test_counts_are_stored_in_the_type_of_the_grid() -> None:
    stored = {
        method: as_stored(rasterize(np.zeros((3, 3)), grid(method))[0], grid(method)) for method in METHODS
    }
    assert [stored[method].dtype for method in METHODS] == [np.uint8, np.float32, np.float32]
    for dtype, most, wider in (("uint8", 255, "uint16"), ("uint16", 65535, "float32")):
        small = fixed_grid(SHAPE, BOUNDS, "nm", "density", 1.0, dtype)
        counts = np.full(SHAPE, most, np.float32)
        assert as_stored(counts, small).dtype == dtype
        np.testing.assert_array_equal(as_stored(counts, small), counts)
        found = f"counts up to {most + 1} do not fit {dtype}; set data.grid.dtype: {wider}"
        with pytest.raises(InputError, match=found):
            as_stored(counts + 1, small)


def test_a_grid_survives_json() -> None:
    scans = scan_grid(SHAPE, (1.0, 1.0, 2.5), "mm")
    for original in (grid("occupancy"), template_grid(SHAPE, "nm", "gaussian", 1.5), scans):
        assert Grid.from_json(json.loads(json.dumps(original.to_json()))) == original
    for content in ({}, {**grid().to_json(), "colour": 1}, {**grid().to_json(), "origin": [1, 2]}):
        with pytest.raises(InputError, match=r"no grid\.json"):
            Grid.from_json(content)
