"""A volume in Python: its place, and its way to a file and back."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import voxgen
from voxgen.errors import InputError
from voxgen.generation.volume import Volume

VOXELS = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
PLACE = (0.0, -400.0, 1000.0), (100.0, 200.0, 50.0)


def test_the_affine_leads_to_voxel_centres_in_the_unit() -> None:
    volume = Volume(VOXELS, *PLACE, "nm")
    np.testing.assert_array_equal(volume.affine @ [0, 0, 0, 1], [50.0, -300.0, 1025.0, 1])
    np.testing.assert_array_equal(volume.affine @ [1, 2, 3, 1], [150.0, 100.0, 1175.0, 1])


@pytest.mark.parametrize(
    ("unit", "read", "factor"), [("nm", "um", 1e-3), ("mm", "mm", 1), ("unitless", "unitless", 1)]
)
def test_a_saved_volume_is_read_where_it_lay(unit: str, read: str, factor: float, tmp_path: Path) -> None:
    Volume(VOXELS, *PLACE, unit).save(tmp_path / "one.nii.gz")
    back = voxgen.read(tmp_path / "one.nii.gz")
    np.testing.assert_array_equal(back.array, VOXELS)
    assert back.unit == read
    for found, given in zip((back.origin, back.spacing), PLACE, strict=True):
        np.testing.assert_allclose(found, np.multiply(given, factor), rtol=1e-5, atol=1e-6)


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one\.nii: volumes are written as \.nii\.gz"):
        Volume(VOXELS, *PLACE, "nm").save(tmp_path / "one.nii")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("axes", [(-1, 1, 1), "turned"])
def test_a_file_with_axes_of_its_own_is_refused(axes: object, tmp_path: Path) -> None:
    affine = np.diag([*axes, 1.0]) if isinstance(axes, tuple) else np.eye(4)[[1, 0, 2, 3]]
    nib.save(nib.Nifti1Image(VOXELS, affine), tmp_path / "one.nii.gz")
    with pytest.raises(InputError, match="expected x, y and z along those of the world"):
        voxgen.read(tmp_path / "one.nii.gz")


def test_what_is_no_nifti_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.nii.gz").write_text("no volume")
    for name in ("one.nii.gz", "absent.nii.gz"):
        with pytest.raises(InputError, match=f"{name}: no NIfTI file"):
            voxgen.read(tmp_path / name)
