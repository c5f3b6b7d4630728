"""`voxgen inspect` on scans: each file is judged as the stage judges it, and what is pasted runs."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import yaml

from voxgen.cli.inspect_scans import inspect_scans
from voxgen.cli.scan_files import PERCENTILES, holds_scans
from voxgen.errors import InputError
from voxgen.io.files import read_table, write_json
from voxgen.io.shards import Shard
from voxgen.settings.sections import Settings
from voxgen.sources.raw_files import source_files
from voxgen.stages.prepare_volumes import prepare_volumes
from voxgen.volumes.nifti import read_volume

SHARED = Path(__file__).parents[3] / "shared" / "cases"
EXPECTED = json.loads((SHARED / "expected.json").read_text()) if SHARED.is_dir() else {}
VOLUMES = [name for name in ("nii-names", "nii-channel-first", "nnunet-v2") if EXPECTED] + [
    name for name in EXPECTED if name.startswith(("nii-2d/", "nii-gz-mislabelled/"))
]


def scan(path: Path, voxels: Any, affine: Any = None) -> Path:
    image = nib.Nifti1Image(np.asarray(voxels), np.eye(4) if affine is None else affine)
    image.header.set_xyzt_units("mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 900, shape).astype(np.int16)


def inspected(path: Path, **given: object) -> tuple[str, str]:
    """What is printed, and the refusal that ends it."""
    lines: list[str] = []
    try:
        for line in inspect_scans([path], {f"scans.{key}": value for key, value in given.items()}):
            lines.append(line)
    except InputError as error:
        return "\n".join(lines), str(error)
    return "\n".join(lines), ""


def pasted(text: str) -> dict[str, Any]:
    section: dict[str, Any] = yaml.safe_load(text[text.index("\ndata:\n") :])["data"]
    return section


def staged(
    folder: Path, settings: Settings, data: dict[str, Any]
) -> tuple[list[dict[str, str]], list[np.ndarray]]:
    """The index and the volumes that the stage makes with a section `data`."""
    (name, given), *_ = data["files"].items()
    scans = settings.data.scans.model_copy(update=data["scans"])
    section = settings.data.model_copy(
        update={"source": data["source"], "files": data["files"], "scans": scans}
    )
    raw = [Path(file) for file in source_files(section, name, given)]
    grid = {"shape": data["grid"]["shape"], "origin": (0, 0, 0), "spacing": data["scans"]["spacing"]}
    grid |= {"unit": "mm", "method": "intensity", "sigma": 1.0, "placement": "cloud"}
    write_json(folder / "grid.json", grid)
    out = folder / "out"
    where = (name, folder / "grid.json", Shard(0, 1), out, data["source"])
    prepare_volumes(raw, None, *where, scans, None, 0.9, 0, settings.machine)
    volumes = [read_volume(out / row["file"]) for row in read_table(out / "manifest.csv")]
    return read_table(out / "index.csv"), volumes


@pytest.mark.skipif(not VOLUMES, reason=f"no cases in {SHARED}")
@pytest.mark.parametrize("name", VOLUMES)
def test_cases_are_read_right_or_refused(tmp_path: Path, settings: Settings, name: str) -> None:
    case = EXPECTED[name]
    text, refusal = inspected(SHARED / case["file"])
    if refusal:
        assert "\ndata:\n" not in text
        for words in case["refused"]:
            assert any(word.lower() in refusal.lower() for word in words.split("|")), (words, refusal)
    if "shape" not in case:
        assert refusal
        return
    axis = {"channel_axis": "first"} if name == "nii-channel-first" else {}
    assert bool(refusal) == bool(axis)
    section = pasted(inspected(SHARED / case["file"], **axis)[0])
    index, volumes = staged(tmp_path, settings, section)
    assert {row["reason"] for row in index} == {""}
    assert {volume.shape for volume in volumes} == {tuple(case["shape"])}
    brightest = [[int(i) for i in np.unravel_index(volume.argmax(), volume.shape)] for volume in volumes]
    assert sorted(brightest) == sorted(case["brightest"])


BAD = {
    "slice": (noise(8, 8), r"shape (8, 8), expected 3D"),
    "channel-first": (noise(2, 8, 9, 10), "data.scans.channel_axis"),
    "nan": (np.where(noise(8, 8, 8) < 5, np.nan, 1.0), "NaN or infinity in"),
    "flat": (np.full((8, 8, 8), 7.0), "no contrast, 7 at both percentiles"),
    "zero": (np.zeros((8, 8, 8)), "all 512 voxels are zero"),
    "complex": (noise(8, 8, 8).astype(np.complex64), "complex"),
    "colour": (np.zeros((8, 8, 8), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "colour, R, G, B"),
    "two": (noise(8, 8, 8, 2, 2), "found two axes"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_listed_and_refused_in_the_words_of_the_stage(
    tmp_path: Path, settings: Settings, name: str
) -> None:
    voxels, message = BAD[name]
    good, bad = scan(tmp_path / "in/a.nii", noise(8, 8, 8)), scan(tmp_path / "in/b.nii.gz", voxels)
    text, refusal = inspected(tmp_path / "in")
    assert "\n  a.nii  (8, 8, 8)  int16  1 x 1 x 1 mm  RAS\n" in text
    (line,) = (line for line in text.splitlines() if "REFUSED" in line)
    assert line.startswith(f"  b.nii.gz  {voxels.shape}")
    assert message in line
    assert refusal.startswith(f"1 of 2 files cannot be used, first {bad}: ")
    assert message in refusal
    section = {"source": "nifti", "files": {"s": str(good.parent)}, "grid": {"shape": [8, 8, 8]}}
    index, volumes = staged(tmp_path, settings, section | {"scans": {"spacing": (1.0, 1.0, 1.0)}})
    assert [bool(row["reason"]) for row in index] == [False, True]
    assert line.endswith(index[1]["reason"])
    assert len(volumes) == 1


def test_what_is_pasted_of_several_volumes_names_the_one_that_is_taken(
    tmp_path: Path, settings: Settings
) -> None:
    scan(tmp_path / "in/a.nii", noise(8, 9, 10, 3))
    scan(tmp_path / "in/b.nii", noise(8, 9, 10, seed=1))
    text, refusal = inspected(tmp_path / "in")
    assert not refusal
    assert "note        1 of 2 files hold several volumes (3 at most), of which the first is taken" in text
    assert pasted(text)["scans"]["channel"] == 0
    index, volumes = staged(tmp_path, settings, pasted(text))
    assert {row["reason"] for row in index} == {""}
    assert len(volumes) == 2
    assert "b.nii: no volume 2" in inspected(tmp_path / "in", channel=2)[1]


def test_many_files_are_counted_but_bad_ones_shown(tmp_path: Path) -> None:
    for number in range(30):
        scan(tmp_path / f"{number:02d}.nii", noise(4, 4, 4) if number != 25 else np.zeros((4, 4, 4)))
    text, refusal = inspected(tmp_path)
    assert text.count("  RAS") == 10
    assert "\n  25.nii  (4, 4, 4)  float64  1 x 1 x 1 mm  REFUSED: all 64 voxels are zero" in text
    assert "\n  and 19 more\n" in text
    assert "data.on_bad_cloud: skip" in refusal


def test_what_is_left_out_or_taken_for_granted_is_noted(tmp_path: Path) -> None:
    scan(tmp_path / "a.nii", noise(8, 8, 1))
    scan(tmp_path / "b.nii", noise(8, 8, 8)).rename(tmp_path / "b.nii.gz")
    scan(tmp_path / "c.nii", noise(8, 8, 8)).write_bytes(
        nib.Nifti1Image(noise(8, 8, 8), np.eye(4)).to_bytes()
    )
    for name in ("._a.nii", "notes.json", "brain.mgz"):
        (tmp_path / name).touch()
    (tmp_path / "labels").mkdir()
    text, _ = inspected(tmp_path)
    assert f"note        not read in {tmp_path}: 1 .json, 1 .mgz, 1 folders, 1 hidden" in text
    assert "note        a.nii: a single slice" in text
    assert "note        b.nii.gz: not compressed, though the name says otherwise" in text
    assert "note        c.nii: the header states no unit of lengths: taken as mm" in text


def test_the_spacing_is_that_of_the_affine(tmp_path: Path) -> None:
    image = nib.Nifti1Image(noise(8, 8, 8), None)
    image.header.set_sform(np.diag([3.0, 3, 3, 1]), code="scanner")
    nib.save(image, tmp_path / "a.nii")
    assert pasted(inspected(tmp_path)[0])["scans"]["spacing"] == [3.0, 3.0, 3.0]


def test_a_task_is_inspected_by_its_table_of_contents(tmp_path: Path, settings: Settings) -> None:
    for number in range(2):
        scan(tmp_path / f"D1/imagesTr/x_000{number}.nii.gz", noise(8, 8, 8, seed=number))
    content = {"channel_names": {"0": "T1", "1": "T2"}, "file_ending": ".nii.gz", "numTraining": 1}
    write_json(tmp_path / "D1/dataset.json", content)
    assert "expected one of 0 T1, 1 T2" in inspected(tmp_path / "D1")[1]
    text, _ = inspected(tmp_path / "D1", channel="T2")
    assert "channels 0 T1, 1 T2" in text
    section = pasted(text)
    assert (section["source"], section["files"]) == ("decathlon", {"D1": str(tmp_path / "D1")})
    index, volumes = staged(tmp_path, settings, section)
    assert [row["id"] for row in index] == ["D1-x"]
    expected = noise(8, 8, 8, seed=1)
    assert np.unravel_index(volumes[0].argmax(), (8, 8, 8)) == np.unravel_index(expected.argmax(), (8, 8, 8))


def test_every_path_has_a_name_that_settings_allow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("a/T1", "b/T1", "脑 [1]*"):
        scan(tmp_path / folder / "x.nii", noise(8, 8, 8))
    lines = inspect_scans([tmp_path / "a/T1", tmp_path / "b/T1", tmp_path / "脑 [1]*"])
    files = pasted("\n".join(lines))["files"]
    assert list(files.values()) == [str(tmp_path / name) for name in ("a/T1", "b/T1", "脑 [1]*")]
    assert list(files) == ["T1", "T1-1", "___1__"]
    monkeypatch.chdir(tmp_path / "a/T1")
    assert pasted(inspected(Path())[0])["files"] == {"T1": "."}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"key": "points"}, "key: no setting of scans; known: scans.channel, scans.channel_axis, scans.perc"),
        ({"scans.task": "x"}, "scans.task: no setting of scans"),
        ({"scans.channel_axis": "second"}, "scans.channel_axis: Input should be 'first' or 'last'"),
        ({"scans.percentiles": [9, 1]}, "the lower .9. is not below the upper"),
        ({"scans.channel": "T1"}, "T1 is a name, expected a number for source nifti"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, given: dict[str, object], message: str) -> None:
    scan(tmp_path / "a.nii", noise(8, 8, 8))
    with pytest.raises(InputError, match=message):
        list(inspect_scans([tmp_path], given))


def test_percentiles_are_those_of_the_settings(settings: Settings) -> None:
    assert tuple(PERCENTILES) == settings.data.scans.percentiles


def test_what_holds_scans(tmp_path: Path) -> None:
    for name in ("in/A.NII.GZ", "task/dataset.json", "other/brain.mgz", "clouds/a.h5", "hidden/._a.nii"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "list.csv").write_text("path,age\na.nii.gz,3\n")
    (tmp_path / "table.csv").write_text("x,y,z\n1,2,3\n")
    names = ("in", "task", "other", "in/A.NII.GZ", "list.csv", "clouds", "hidden", "table.csv", "clouds/a.h5")
    assert [name for name in names if holds_scans(tmp_path / name)] == list(names[:5])
