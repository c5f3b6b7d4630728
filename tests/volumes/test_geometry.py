"""Where points lie, seen by others: an independent reader, real masks, the example of docs/geometry.md."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voxgen.volumes.grid import fixed_grid, rasterize
from voxgen.volumes.nifti import affine_of, write_volume

SHAPE = (8, 6, 4)
BOUNDS = ((-256.0, 256.0), (0.0, 768.0), (1024.0, 1152.0))
# ITK knows millimetres alone: it turns micrometres, which nm is written as, into them.
TO_ITK = {"nm": 1e-6, "um": 1e-3, "mm": 1.0, "unitless": 1.0}
RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])
ADRENAL = Path(__file__).parents[3] / "shared" / "data" / "adrenal"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that all examples of a property write."""
    return tmp_path_factory.mktemp("geometry") / "a.nii.gz"


def seen_by_itk(path: Path, point: NDArray[np.float64], unit: str) -> tuple[tuple[int, ...], float]:
    """The voxel in which SimpleITK finds a point [unit] of the volume at `path`, and its value."""
    image = SimpleITK.ReadImage(str(path))
    voxel = image.TransformPhysicalPointToIndex((point * TO_ITK[unit] * RAS_TO_LPS).tolist())
    return voxel, image[voxel]


@settings(max_examples=25)
@given(st.tuples(*(st.integers(0, 8 * n - 1) for n in SHAPE)), st.sampled_from(sorted(TO_ITK)))
def test_itk_finds_a_point_in_the_voxel_that_counted_it(
    path: Path, lattice: tuple[int, ...], unit: str
) -> None:
    grid = fixed_grid(SHAPE, BOUNDS, unit, "density", 1.0)
    point = grid.origin + (np.array(lattice) + 0.5) / 8 * grid.spacing
    counts, _ = rasterize(point[None], grid)
    write_volume(path, counts, grid.origin, grid.spacing, unit)
    voxel, value = seen_by_itk(path, point, unit)
    assert voxel == tuple(np.argwhere(counts)[0])
    assert value == 1


def test_the_example_in_the_documents_holds(path: Path) -> None:
    grid = fixed_grid((64, 64, 32), [(-1600, 1600), (0, 3200), (0, 3200)], "nm", "gaussian", 1.0)
    point = np.array([-1470.0, 120.0, 250.0])
    assert grid.spacing == (50, 50, 100)
    counts, _ = rasterize(point[None], grid)
    assert np.unravel_index(counts.argmax(), counts.shape) == (2, 2, 2)
    affine = affine_of(grid.origin, grid.spacing, "nm")
    np.testing.assert_allclose(affine[:3, 3], [-1.575, 0.025, 0.05])
    np.testing.assert_allclose(np.diag(affine), [0.05, 0.05, 0.1, 1])
    index = np.linalg.inv(affine) @ [-1.470, 0.120, 0.250, 1]
    np.testing.assert_allclose(index[:3], [2.1, 1.9, 2.0])
    write_volume(path, counts, grid.origin, grid.spacing, "nm")
    image = SimpleITK.ReadImage(str(path))
    np.testing.assert_allclose(image.GetOrigin(), [0.001575, -0.000025, 0.00005], rtol=1e-6)
    assert seen_by_itk(path, point, "nm")[0] == (2, 2, 2)


@pytest.mark.skipif(not ADRENAL.is_dir(), reason="shared/data/adrenal is absent")
def test_adrenal_clouds_light_only_voxels_of_their_masks() -> None:
    with np.load(ADRENAL / "adrenalmnist3d_64_trainval.npz") as arrays:
        masks = np.concatenate([arrays["train_images"], arrays["val_images"]])
    with h5py.File(ADRENAL / "derived_adrenal_trainval_pc2048.h5") as file:
        clouds = file["point_clouds"][()].astype(np.float64)
    assert len(clouds) == len(masks) == 1286
    grid = fixed_grid((64, 64, 64), [(0, 64)] * 3, "mm", "occupancy", 1.0)
    for cloud, mask in zip(clouds, masks, strict=True):
        counts, outside = rasterize(cloud, grid)
        assert outside == 0
        assert counts.any()
        assert not counts[mask == 0].any()
