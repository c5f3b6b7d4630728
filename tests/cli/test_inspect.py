"""`voxgen inspect`: what it prints of real and made files; what it says to paste reads them alike."""

import json
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import yaml

from voxgen.cli.main import main
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.opening import open_clouds

SHARED = Path(__file__).parents[3] / "shared" / "data"
CLOUDS = {
    "adrenal/derived_adrenal_trainval_pc2048.h5": 1286,
    "mdtraj_frames/frame0.h5": 501,
    "microtubules_asga/derived_microtubules.h5": 44,
    "neuron_points/bio_neuron-000.h5 columns=[0,1,2]": 1,
    "smlm_tetrahedra/derived_tetrahedra_train_groups.h5": 500,
    "smlm_tetrahedra/original_csv/smlm_sample1.csv": 1,
    "smlm_mt_challenge/sequence-as-stack-MT1.N1.LD-AS-Exp.csv": 1,
    "smlm_mt_challenge/sequence-as-stack-MT1.N1.HD-AS-Exp.csv tile=[2000,2000] min_points=50": 12,
    "sonata_nodes/l4_nodes.h5": 1,
    "storm_analysis_frames/test_ref.hdf5": 1,
    "storm_analysis_frames/test_sim.hdf5": 1,
    "vasculature_points/vasculature1.h5 columns=[0,1,2]": 1,
    "picasso_locs/egfr_mols.hdf5 z=0.0": 1,
    "picasso_locs/raw_movie_locs_picked.hdf5 z=0.0": 9,
    "picasso_locs/testdata_locs.hdf5 z=0.0 unit=um": 1,
}
REFUSED = {
    "sonata_nodes/lgn_nodes.h5": "x and y but no z",
    "picasso_locs/egfr_mols.hdf5": "x and y but no z",
    "neuron_points/bio_neuron-000.h5": "data.columns",
    "vasculature_points/vasculature1.h5": "data.columns",
}


def pasted(text: str) -> dict[str, object]:
    """The section `data` at the end of the output."""
    section: dict[str, object] = yaml.safe_load(text[text.index("\ndata:\n") :])["data"]
    return section


def digest_of(path: Path, given: dict[str, object]) -> list[tuple[int, float]]:
    """Points and sum of the coordinates of each cloud, as settings with only these keys read them."""
    keys = dict.fromkeys(CloudSettings.model_fields) | {"min_points": 1}
    values = keys | {key: value for key, value in given.items() if key in keys}
    with open_clouds([path], CloudSettings.model_validate_json(json.dumps(values))) as clouds:
        return [(len(cloud.points), float(cloud.points.sum())) for cloud in clouds.read(0, len(clouds))]


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no real files in {SHARED}")
@pytest.mark.parametrize("given", CLOUDS)
def test_real_files_are_shown_and_read_by_what_is_pasted(
    given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *more = given.split()
    assert main(["inspect", str(SHARED / name), *more]) == 0
    printed = capsys.readouterr().out
    assert f"\nclouds      {CLOUDS[given]}\n" in printed
    section = pasted(printed)
    found = digest_of(SHARED / name, section)
    assert len(found) == CLOUDS[given]
    assert f", {sum(points for points, _ in found)} in all" in printed
    overrides = {key: yaml.safe_load(value) for key, value in (one.split("=") for one in more)}
    by_itself = {"source": section["source"], "unit": section["unit"], **overrides}
    assert digest_of(SHARED / name, by_itself) == found


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no real files in {SHARED}")
@pytest.mark.parametrize("name", REFUSED)
def test_real_files_are_refused_with_the_reason(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(SHARED / name)]) == 1
    printed = capsys.readouterr()
    assert "datasets" in printed.out
    assert REFUSED[name] in printed.err


def test_datasets_alike_share_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in range(12):
            points = file.create_dataset(f"cell{number}/points", data=rng.random((20 + number, 3)))
            points.attrs["units"] = "um"
    assert main(["inspect", str(tmp_path / "a.h5")]) == 0
    printed = capsys.readouterr().out
    assert "\n  cell*/points  12 x (20..31, 3)  float64  [um]\n" in printed
    assert "\npoints      20 to 31 per cloud, median 25.5, 306 in all\n" in printed
    assert pasted(printed)["unit"] == "um"


def test_clouds_that_the_index_would_refuse_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = np.random.default_rng(0).random((4, 20, 3))
    points[1, 2:4], points[2, 5, 2] = np.nan, 9999.0
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["points"] = points
        file["label"] = [0, 1, 0, 1]
    assert main(["inspect", str(path)]) == 1
    printed = capsys.readouterr()
    assert "row 1: NaN or infinite coordinates in 2 of 20 rows" in printed.out
    assert "row 2: 1 of 20 rows have 9999 as z" in printed.out
    assert "2 of 4 clouds cannot be used" in printed.err
    assert "data:" not in printed.out
    assert main(["inspect", str(path), "on_bad_cloud=skip", "label=label"]) == 0
    section = pasted(capsys.readouterr().out)
    assert (section["on_bad_cloud"], section["label"]) == ("skip", "label")
    assert main(["inspect", str(path), "missing=[9999]"]) == 0
    assert "points      18 to 20 per cloud" in capsys.readouterr().out
    assert main(["inspect", str(path), "label=labels"]) == 1
    assert "no 'labels'" in capsys.readouterr().err


def ramp(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_scans_are_listed_with_a_grid_that_holds_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    affine = np.array([[0, 0, 3.0, 0], [-2.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(ramp((10, 20, 30)), affine), tmp_path / "a.nii.gz")
    nib.save(nib.Nifti1Image(ramp((12, 20, 28)), affine), tmp_path / "b.nii")
    assert main(["inspect", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "2 NIfTI files\n  a.nii.gz  (10, 20, 30)  float32  2 x 1 x 3" in printed
    assert "PSR" in printed
    assert "extent      84..90 x 20..24 x 20 mm" in printed
    section = pasted(printed)
    assert section["scans"] == {"spacing": [3.0, 2.0, 1.0]}
    assert section["grid"] == {"shape": [32, 16, 24]}


def test_scans_in_micrometres_are_pasted_in_millimetres(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = nib.Nifti1Image(ramp((8, 8, 8, 2)), np.diag([500.0, 500, 1000, 1]))
    scan.header.set_xyzt_units("micron", "sec")
    nib.save(scan, tmp_path / "a.nii.gz")
    assert main(["inspect", str(tmp_path / "a.nii.gz")]) == 0
    printed = capsys.readouterr().out
    assert "500 x 500 x 1000 micron" in printed
    assert pasted(printed)["scans"] == {"spacing": [0.5, 0.5, 1.0], "channel": 0}


def test_a_folder_of_clouds_has_a_line_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    contents = {"a.h5": rng.random((3, 20, 3)), "b.hdf5": rng.random((20, 5)), "c.h5": rng.random((2, 4, 3))}
    for name, points in contents.items():
        with h5py.File(tmp_path / name, "w") as file:
            file["points"] = points
    rows = "\n".join(",".join(map(str, row)) for row in rng.random((20, 3)))
    (tmp_path / "d.csv").write_text(f"x_um,y_um,z_um\n{rows}\n")
    (tmp_path / "notes.md").write_text("not read")
    assert main(["inspect", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert "2 of 4 files cannot be used as they are" in printed.err
    _, *lines = printed.out.splitlines()
    assert lines[0] == "  a.h5  stacked (N, P, C), 3 clouds, unitless"
    assert lines[1].startswith("  b.hdf5  REFUSED: /points: 5 columns without names")
    assert lines[2].startswith(
        "  c.h5  stacked (N, P, C), 2 clouds, unitless  2 BAD, first /points: 4 points"
    )
    assert lines[3] == "  d.csv  CSV, one cloud per file, 1 clouds, um"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.h5"], "missing.h5: no such file"),
        (["a.h5", "keey=points"], "keey"),
        (["a.h5", "scale=-1"], "scale"),
        (["z=0.0"], "no file to inspect"),
        (["scans"], "scans"),
    ],
)
def test_what_cannot_be_inspected_is_said_in_one_message(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["points"] = np.zeros((2, 4, 3))
    assert main(["inspect", *arguments]) == 1
    assert message in capsys.readouterr().err
