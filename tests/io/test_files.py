"""The files behind the names of data.files."""

from pathlib import Path

import pytest

from voxgen.errors import InputError
from voxgen.settings.sections import Settings
from voxgen.sources.raw_files import listed_scans, raw_sources, source_files


def found(settings: Settings, source: str, given: str) -> list[str]:
    data = settings.data.model_copy(update={"source": source, "files": {"cells": given}})
    return source_files(data, "cells", given)


def touched(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_path_or_a_pattern_of_clouds(tmp_path: Path, settings: Settings) -> None:
    touched(tmp_path, "b.h5", "a.h5", "deep/er/c.h5", "odd[1].h5", ".hidden.h5")
    assert found(settings, "h5", "a.h5") == ["a.h5"]
    assert found(settings, "h5", "?.h5") == ["a.h5", "b.h5"]
    assert found(settings, "h5", "deep/**/*.h5") == ["deep/er/c.h5"]
    assert found(settings, "h5", "odd[1].h5") == ["odd[1].h5"]
    for nothing, message in (("x.h5", "no file at x.h5"), ("*.csv", r"no file matches \*\.csv")):
        with pytest.raises(InputError, match=rf"data\.files\.cells: {message}"):
            found(settings, "h5", nothing)


def test_scans_of_a_folder_a_pattern_and_a_list(tmp_path: Path, settings: Settings) -> None:
    touched(tmp_path, "in/b.nii.gz", "in/a.nii", "in/._a.nii", "in/.h.nii.gz", "in/notes.json")
    both = ["in/a.nii", "in/b.nii.gz"]
    assert found(settings, "nifti", "in") == found(settings, "nifti", "in/*") == both
    assert found(settings, "nifti", "in/b.nii.gz") == both[1:]
    (tmp_path / "in/list.txt").write_text(f"# two\nb.nii.gz # the second\n\n{tmp_path / 'in/a.nii'}\n")
    assert found(settings, "nifti", "in/list.txt") == ["in/b.nii.gz", str(tmp_path / "in/a.nii")]
    (tmp_path / "in/list.txt").write_text("b.nii.gz\nmissing.nii\n")
    with pytest.raises(InputError, match=r"list in/list\.txt: no file at in/missing\.nii"):
        found(settings, "nifti", "in/list.txt")
    with pytest.raises(InputError, match=r"in/notes\.json names no \.nii or \.nii\.gz file"):
        found(settings, "nifti", "in/notes.json")
    (tmp_path / "in/list.csv").write_text("patient,path\n7,b.nii.gz\n8,a.nii\n")
    assert found(settings, "nifti", "in/list.csv") == ["in/b.nii.gz", "in/a.nii"]
    assert listed_scans(Path("in/list.csv"))["in/a.nii"] == {"patient": "8"}
    (tmp_path / "in/list.csv").write_bytes("path; Patient\na.nii; Jürgen\n;\n".encode("latin-1"))
    assert listed_scans(Path("in/list.csv")) == {"in/a.nii": {"Patient": "Jürgen"}}
    (tmp_path / "in/list.csv").write_text("path,patient\nb.nii.gz,7,8\n")
    with pytest.raises(InputError, match=r"in/list\.csv: row 0: .*expected path, patient"):
        found(settings, "nifti", "in/list.csv")
    (tmp_path / "in/list.csv").write_text("patient,file\n7,b.nii.gz\n")
    with pytest.raises(InputError, match=r"in/list\.csv: columns patient, file, expected one called path"):
        found(settings, "nifti", "in/list.csv")
    touched(tmp_path, "in/c #2.NII.GZ", "in/deep/d.nii", "in/._x.nii.gz")
    assert found(settings, "nifti", "in") == [*both, "in/c #2.NII.GZ"]
    (tmp_path / "in/list.txt").write_text("c #2.NII.GZ\n/home/joe/in/b.nii.gz # moved\ndeep\\d.nii\n")
    assert found(settings, "nifti", "in/list.txt") == ["in/c #2.NII.GZ", "in/b.nii.gz", "in/deep/d.nii"]
    touched(tmp_path, "in/B.nii")
    with pytest.raises(InputError, match=r"in/B\.nii and in/b\.nii\.gz have the same name"):
        found(settings, "nifti", "in")
    (tmp_path / "in/B.nii").unlink()
    touched(tmp_path, "in/a.nii.gz")
    with pytest.raises(InputError, match=r"in/a\.nii and in/a\.nii\.gz have the same name"):
        found(settings, "nifti", "in")


@pytest.mark.parametrize(
    ("name", "help"),
    [
        ("a.hdr", "nibabel.*Analyze does not say which side is left"),
        ("brain.MGZ", "mri_convert"),
        ("a.nrrd", "SimpleITK"),
        ("slice.dcm", "dcm2niix"),
        ("a.nii.bz2", "into .nii"),
        (
            "sub-01/anat/T1w.nii.gz",
            r"below, such as in/sub-01/anat/T1w\.nii\.gz: give its folder or a pattern",
        ),
    ],
)
def test_other_formats_and_folders_below_are_named(
    tmp_path: Path, settings: Settings, name: str, help: str
) -> None:
    touched(tmp_path, f"in/{name}", "in/notes.json")
    with pytest.raises(InputError, match=rf"in names no \.nii or \.nii\.gz file.*{help}"):
        found(settings, "nifti", "in")


def test_a_task_is_its_table_of_contents(tmp_path: Path, settings: Settings) -> None:
    touched(tmp_path, "Task04/dataset.json")
    assert found(settings, "decathlon", "Task04") == ["Task04/dataset.json"]
    with pytest.raises(InputError, match=r"no file at Task05/dataset\.json"):
        found(settings, "decathlon", "Task05")
    scans = settings.data.scans.model_copy(update={"task": "Task01_BrainTumour"})
    data = settings.data.model_copy(update={"source": "decathlon", "scans": scans})
    (name, given), *none = raw_sources(data, Path("results")).items()
    assert not none
    assert (name, given) == ("Task01_BrainTumour", "results/raw/Task01_BrainTumour")
    assert source_files(data, name, given) == ["results/raw/Task01_BrainTumour/dataset.json"]


def test_simulated_sources_name_what_will_be_made(settings: Settings) -> None:
    names = raw_sources(settings.data, Path("results"))
    assert names == {f"filaments-{i}": f"results/raw/filaments-{i}.h5" for i in range(2)}
    spheres = settings.data.model_copy(update={"source": "spheres"})
    assert list(raw_sources(spheres, Path("results"))) == ["spheres-0", "spheres-1"]
    assert source_files(spheres, "spheres-0", "results/raw/spheres-0.csv") == ["results/raw/spheres-0.csv"]
