"""NIfTI files: a viewer shows a point in the voxel that it was counted in."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from voxgen.volumes.grid import Method, as_stored, draw_points, fixed_grid, rasterize
from voxgen.volumes.nifti import affine_of, read_volume, write_volume

BOUNDS = ((-256.0, 256.0), (0.0, 768.0), (1024.0, 1152.0))
SHAPE = (8, 6, 4)
EDGES = {"nm": (1e-3, "micron"), "um": (1.0, "micron"), "mm": (1.0, "mm"), "unitless": (1.0, "unknown")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all examples of a property share."""
    return tmp_path_factory.mktemp("volumes")


@given(
    st.tuples(*(st.integers(int(low) * 16, int(high) * 16 - 1) for low, high in BOUNDS)),
    st.sampled_from(sorted(EDGES)),
)
def test_a_point_lands_in_the_voxel_whose_centre_is_nearest(lattice: tuple[int, ...], unit: str) -> None:
    point = np.array([lattice]) / 16
    grid = fixed_grid(SHAPE, BOUNDS, unit, "density", 1.0)
    voxel = np.argwhere(rasterize(point, grid)[0])[0]
    indices = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1).reshape(-1, 3)
    centres = nib.affines.apply_affine(affine_of(grid.origin, grid.spacing, unit), indices)
    distances = np.abs(centres - point * EDGES[unit][0]).max(axis=1)
    mine = distances[np.all(indices == voxel, axis=1)][0]
    assert mine <= distances.min() + 1e-9


@pytest.mark.parametrize("unit", sorted(EDGES))
def test_the_file_says_where_it_lies(tmp_path: Path, unit: str) -> None:
    grid = fixed_grid(SHAPE, BOUNDS, unit, "density", 1.0)
    counts, _ = rasterize(np.array([[-200.0, 100.0, 1100.0]]), grid)
    write_volume(tmp_path / "a.nii.gz", counts, grid.origin, grid.spacing, unit)
    image = nib.load(tmp_path / "a.nii.gz")
    scale, name = EDGES[unit]
    assert image.header.get_xyzt_units()[0] == name
    assert image.header["sform_code"] > 0
    assert image.header["qform_code"] > 0
    voxel = np.linalg.inv(image.affine) @ [-200.0 * scale, 100.0 * scale, 1100.0 * scale, 1]
    assert counts[tuple(np.rint(voxel[:3]).astype(int))] == 1
    np.testing.assert_allclose(image.get_qform(), image.affine, rtol=1e-5)
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz"), counts)


@settings(max_examples=30)
@given(
    hnp.arrays(np.int64, (20, 3), elements=st.integers(0, 8 * min(SHAPE) - 1)),
    st.sampled_from(["occupancy", "density"]),
)
def test_cloud_to_file_and_back_stays_within_a_voxel(
    folder: Path, lattice: NDArray[np.int64], method: Method
) -> None:
    grid = fixed_grid(SHAPE, BOUNDS, "nm", method, 1.0)
    points = grid.origin + lattice / 8 * grid.spacing
    stored = as_stored(rasterize(points, grid)[0], grid)
    write_volume(folder / "a.nii.gz", stored, grid.origin, grid.spacing, "nm")
    drawn = draw_points(read_volume(folder / "a.nii.gz"), grid, 50, np.random.default_rng(1))
    steps = np.abs(drawn[:, None] - points[None]) / np.array(grid.spacing)
    assert steps.max(axis=2).min(axis=1).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("compression", [0, 1, 2, 3])
def test_the_bytes_depend_on_the_content_alone(tmp_path: Path, dtype: type, compression: int) -> None:
    volume = np.random.default_rng(0).poisson(0.2, (16, 12, 8)).astype(dtype)
    for name in ("a", "b"):
        path = tmp_path / f"{name}.nii.gz"
        write_volume(path, volume, (0, 0, 0), (1, 1, 1), "mm", compression=compression)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert nib.load(tmp_path / "a.nii.gz").get_data_dtype() == dtype
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz"), volume)


def test_a_volume_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        write_volume(tmp_path / "a.nii.gz", np.ones((2, 2, 2), np.uint8), (0, 0, 0), (1, 1, 1), "mm")
    assert not list(tmp_path.iterdir())
