"""The files of shared/data, each read independently of voxgen, or with the words of its refusal."""

import csv
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np

from file_cases import Case
from project import ROOT
from readings import Reading

DATA = ROOT.parent / "shared" / "data"
NOT_DATA = re.compile(r"LICENSE|PROVENANCE|README|SHA256SUMS")
Read = Callable[[Path], Sequence[np.ndarray]]


def _table(key: str, columns: int, by: str | None = None, factor: float = 1.0) -> Read:
    """The first columns of a table, as one cloud or told apart by another dataset."""

    def read(path: Path) -> Sequence[np.ndarray]:
        with h5py.File(path) as file:
            points = file[key][:, :columns] * factor
            values = file[by][:] if by else np.zeros(len(points))
        return [points[values == value] for value in np.unique(values)]

    return read


def _stacked(key: str) -> Read:
    def read(path: Path) -> Sequence[np.ndarray]:
        with h5py.File(path) as file:
            return list(file[key][:])

    return read


def _groups(path: Path) -> Sequence[np.ndarray]:
    with h5py.File(path) as file:
        return [file[name]["points"][:] for name in sorted(file)]


def _axes(key: str, *factors: float) -> Read:
    """One dataset an axis, each with its factor."""

    def read(path: Path) -> Sequence[np.ndarray]:
        with h5py.File(path) as file:
            return [np.column_stack([file[f"{key}/{axis}"][:] for axis in "xyz"]) * factors]

    return read


def _locs(pixel: float, by: str | None = None) -> Read:
    """Picasso's records: x and y in pixels of so many nm, z is 0."""

    def read(path: Path) -> Sequence[np.ndarray]:
        with h5py.File(path) as file:
            locs = file["locs"][:]
        points = np.column_stack([locs["x"] * pixel, locs["y"] * pixel, np.zeros(len(locs))])
        values = locs[by] if by else np.zeros(len(locs))
        return [points[values == value] for value in np.unique(values)]

    return read


def _csv(*columns: str) -> Read:
    def read(path: Path) -> Sequence[np.ndarray]:
        with path.open(newline="") as file:
            return [np.array([[float(row[name]) for name in columns] for row in csv.DictReader(file)])]

    return read


def _scans(pattern: str, shape: tuple[int, int, int], files: Path) -> Reading:
    """Scans in their own voxels, padded on both sides, before them more: where they are brightest."""
    brightest = []
    for path in sorted(files.glob(pattern)) if files.is_dir() else [files]:
        image = nib.as_closest_canonical(nib.load(path))
        voxels = image.get_fdata().reshape(*image.shape[:3], -1)[..., 0]
        before = [(size - own + 1) // 2 for size, own in zip(shape, voxels.shape, strict=True)]
        voxel = np.add(np.unravel_index(voxels.argmax(), voxels.shape), before)
        brightest.append(TURNED.get(path.name, tuple(voxel.tolist())))
    return Reading(shape=shape, brightest=sorted(brightest))


XYZ = ("x", "y", "z")
XYZ_NM = ("x [nm]", "y [nm]", "z [nm]")
NO_Z = ["data.z"]
FIRST = [0, 1, 2]
CLOUDS: dict[str, tuple[Read, dict[str, Any]]] = {
    "adrenal/derived_adrenal_trainval_pc2048.h5": (_stacked("point_clouds"), {"unit": "mm"}),
    "mdtraj_frames/frame0.h5": (_stacked("coordinates"), {}),
    "microtubules_asga/derived_microtubules.h5": (_table("points", 3, "microtubule_id", 0.1), {}),
    "neuron_points/bio_neuron-000.h5": (_table("points", 3), {"unit": "um", "columns": FIRST}),
    "picasso_locs/egfr_mols.hdf5": (_locs(130.0), {"z": 0.0}),
    "picasso_locs/raw_movie_locs_picked.hdf5": (_locs(130.0, "group"), {"z": 0.0}),
    "picasso_locs/testdata_locs.hdf5": (_locs(130.0), {"z": 0.0}),
    "smlm_mt_challenge/sequence-as-stack-MT1.N1.HD-AS-Exp.csv": (_csv(*XYZ_NM), {}),
    "smlm_mt_challenge/sequence-as-stack-MT1.N1.LD-AS-Exp.csv": (_csv(*XYZ_NM), {}),
    "smlm_tetrahedra/derived_tetrahedra_train_groups.h5": (_groups, {"unit": "unitless"}),
    "smlm_tetrahedra/original_csv/smlm_sample1.csv": (_csv(*XYZ), {"unit": "unitless"}),
    "smlm_tetrahedra/original_csv/smlm_sample268.csv": (_csv(*XYZ), {"unit": "unitless"}),
    "sonata_nodes/l4_nodes.h5": (_axes("nodes/l4/0", 1, 1, 1), {"unit": "um"}),
    "storm_analysis_frames/test_ref.hdf5": (_axes("fr_0", 100, 100, 1000), {}),
    "storm_analysis_frames/test_sim.hdf5": (_axes("fr_0", 100, 100, 1000), {}),
    "vasculature_points/vasculature1.h5": (_table("points", 3), {"unit": "um", "columns": FIRST}),
}
TURNED = {"example4d.nii.gz": (63, 51, 0)}  # it lies obliquely; SimpleITK, too, finds it there
REFUSED = {
    "sonata_nodes/lgn_nodes.h5": NO_Z,
    "picasso_locs/egfr_mols.hdf5": NO_Z,
    "picasso_locs/raw_movie_locs_picked.hdf5": NO_Z,
    "picasso_locs/testdata_locs.hdf5": NO_Z,
    "neuron_points/bio_neuron-000.h5": ["data.columns"],
    "vasculature_points/vasculature1.h5": ["data.columns"],
    "picasso_locs/egfr_mols.yaml": ["columns|text|HDF5"],
    "picasso_locs/raw_movie_locs_picked.yaml": ["columns|text|HDF5"],
    "picasso_locs/testdata_locs.yaml": ["columns|text|HDF5"],
    "smlm_mt_challenge/sequence-as-stack-MT1.N1.LD-AS-Exp-protocol.txt": ["columns|text"],
    "microtubules_asga/ASGA_Test_Data_Set.am": ["columns|text|Amira"],
    "adrenal/adrenalmnist3d_64_trainval.npz": ["npz|NumPy|zip|text"],
}
SCANS: dict[str, tuple[tuple[int, int, int], tuple[float, float, float], int | None]] = {
    "hippocampus/imagesTr": ((48, 64, 48), (1.0, 1.0, 1.0), None),
    "hippocampus/labelsTr": ((48, 64, 48), (1.0, 1.0, 1.0), None),
    "nifti_small/example4d.nii.gz": ((128, 96, 24), (2.0, 2.0, 2.2), 0),
    "nifti_small/functional.nii": ((24, 24, 8), (4.0, 4.0, 8.0), 0),
    "nifti_small/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz": ((200, 240, 192), (1.0, 1.0, 1.0), None),
    "nifti_small/standard.nii.gz": ((8, 8, 8), (1.0, 3.0, 2.0), None),
}


def real_files() -> list[Case]:
    """A case of each file of shared/data, and of each folder of scans; none where the folder is absent."""
    if not DATA.is_dir():
        return []
    clouds = [_clouds(name, read, more) for name, (read, more) in CLOUDS.items()]
    refused = [_refusal(name, words) for name, words in REFUSED.items()]
    return [*clouds, *refused, *(_volumes(name, *more) for name, more in SCANS.items())]


def _clouds(name: str, read: Read, more: dict[str, Any]) -> Case:
    data = {"source": _source(name), "files": {"case": f"input/{Path(name).name}"}, "unit": "nm", **more}
    options = [f"{key}={value}" for key, value in more.items()]
    right = partial(_reading, read, DATA / name, data["unit"])
    return Case(name, DATA / name, {**data, "grid": {"bounds": "train"}}, right, options=options)


def _reading(read: Read, path: Path, unit: str) -> Reading:
    return Reading.of(read(path), unit)


def _refusal(name: str, words: Sequence[str]) -> Case:
    data = {"source": _source(name), "files": {"case": f"input/{Path(name).name}"}, "unit": "nm"}
    return Case(f"{name} as it is", DATA / name, data, None, words)


def _volumes(name: str, shape: Any, spacing: Any, channel: int | None) -> Case:
    whole = (DATA / name).is_dir()
    given = "input" if whole else f"input/{Path(name).name}"
    data = {"source": "nifti", "files": {"case": given}, "grid": {"shape": list(shape)}}
    data |= {"scans": {"spacing": list(spacing), "channel": channel}}
    return Case(name, DATA / name, data, partial(_scans, "*.nii*", shape, DATA / name))


def _source(name: str) -> str:
    return "h5" if name.endswith(("h5", "hdf5")) else "csv"
