"""Decathlon tasks: what is read, downloaded and refused."""

import json
from pathlib import Path
from typing import Any

import monai.apps
import nibabel as nib
import numpy as np
import pytest
from monai.apps.utils import HashCheckError

from voxgen.errors import InputError
from voxgen.io.files import read_table, write_json
from voxgen.io.shards import Shard
from voxgen.settings.scans import Scans
from voxgen.settings.sections import Settings
from voxgen.sources.decathlon import Case, channel_number, read_task
from voxgen.stages.download import download
from voxgen.stages.prepare_volumes import prepare_volumes

BRAIN = {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}
VOXELS = np.random.default_rng(0).integers(0, 500, (5, 6, 7, 4)).astype(np.int16)


def task(folder: Path, modality: dict[str, str] | None = None, **changes: Any) -> Path:
    """A task of two images; `changes` replace entries of dataset.json."""
    names = ["b.nii.gz", "a.nii.gz", "._a.nii.gz"]
    pairs = [{"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"} for name in names]
    content = {"name": "BRATS", "modality": modality or BRAIN, "training": pairs, "test": [], **changes}
    for name in names[:2]:
        (folder / "imagesTr").mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(VOXELS + ord(name[0]), np.eye(4)), folder / "imagesTr" / name)
    (folder / "labelsTr").mkdir(exist_ok=True)
    (folder / "labelsTr" / "a.nii.gz").touch()
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def test_a_task_is_read(tmp_path: Path) -> None:
    found = read_task(task(tmp_path))
    images = [tmp_path / "imagesTr" / name for name in ("a.nii.gz", "b.nii.gz")]
    assert found.channels == ("FLAIR", "T1w", "t1gd", "T2w")
    assert found.cases == [
        Case("a", (images[0],), tmp_path / "labelsTr" / "a.nii.gz"),
        Case("b", (images[1],), None),
    ]


def test_what_is_no_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataset\.json: missing.*data\.scans\.task"):
        read_task(tmp_path)
    for changes in ({"modality": {"1": "CT"}}, {"training": [3]}, {"training": [{"label": "a"}]}):
        with pytest.raises(InputError, match="not a decathlon task"):
            read_task(task(tmp_path, **changes))
    with pytest.raises(InputError, match="of 0 training images none exists"):
        read_task(task(tmp_path, training=[]))
    twice = [{"image": "./imagesTr/a.nii.gz", "label": "a"}, {"image": "imagesTr/a.nii.gz", "label": "b"}]
    with pytest.raises(InputError, match=r"of 2 training images 2 have the same name \(a\)"):
        read_task(task(tmp_path, training=twice))
    (task(tmp_path) / "imagesTr" / "b.nii.gz").unlink()
    with pytest.raises(
        InputError,
        match=r"of 2 training images 1 are missing, first .*b\.nii\.gz, also by its last parts.*; unpack",
    ):
        read_task(tmp_path)


def test_channels_go_by_number_or_name(tmp_path: Path) -> None:
    brain = read_task(task(tmp_path / "brain"))
    assert [channel_number(brain, channel) for channel in (3, "flair", "T1GD")] == [3, 0, 2]
    for channel in (None, 4, "PET"):
        with pytest.raises(InputError, match=r"data\.scans\.channel is .*0 FLAIR, 1 T1w, 2 t1gd, 3 T2w"):
            channel_number(brain, channel)
    single = read_task(task(tmp_path / "single", {"0": "MRI"}))
    assert [channel_number(single, channel) for channel in (None, 0, "mri")] == [None, 0, 0]


V2 = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0}, "file_ending": ".nii.gz"}


def data_set(folder: Path, content: dict[str, Any], *missing: str) -> Path:
    """Cases a and b of two channels as nnU-Net keeps them, a file a channel, but for those `missing`."""
    for case in "ab":
        for number in range(2):
            name = f"imagesTr/{case}_{number:04d}.nii.gz"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if name not in missing:
                nib.save(nib.Nifti1Image(VOXELS[..., number] + ord(case), np.eye(4)), folder / name)
    (folder / "labelsTr").mkdir()
    (folder / "labelsTr" / "a.nii.gz").touch()
    (folder / "imagesTr" / "._a_0000.nii.gz").touch()
    (folder / "dataset.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(content).encode())
    return folder


def listed(folder: str = "imagesTr", *names: str) -> list[dict[str, str]]:
    return [
        {"image": f"{folder}/{name}.nii.gz", "label": f"labelsTr/{name}.nii.gz"} for name in names or "ab"
    ]


NNUNET: dict[str, dict[str, Any]] = {
    "version 2": V2 | {"numTraining": 2},
    "version 2, listed": V2
    | {
        "dataset": {
            case: {
                "images": [f"/data/nnUNet_raw/D1/imagesTr/{case}_000{i}.nii.gz" for i in range(2)],
                "label": f"labelsTr/{case}.nii.gz",
            }
            for case in "ab"
        }
    },
    "version 1": {"modality": {"0": "T1", "1": "T2"}, "training": listed()},
    "version 1, of another machine": {
        "modality": {"0": "T1", "1": "T2"},
        "training": listed("C:\\raw\\imagesTr"),
    },
}


@pytest.mark.parametrize("version", NNUNET)
def test_data_sets_of_nnunet_have_a_file_for_each_channel(tmp_path: Path, version: str) -> None:
    found = read_task(data_set(tmp_path, NNUNET[version]))
    assert found.channels == ("T1", "T2")
    assert [(case.name, case.label) for case in found.cases] == [
        ("a", tmp_path / "labelsTr/a.nii.gz"),
        ("b", None),
    ]
    number = channel_number(found, "t2")
    images = [case.image(number) for case in found.cases]
    assert images == [(tmp_path / f"imagesTr/{case}_0001.nii.gz", None) for case in "ab"]
    with pytest.raises(InputError, match=r"data\.scans\.channel is null, expected one of 0 T1, 1 T2"):
        channel_number(found, None)
    elsewhere = [note for note in found.notes if "found by their last parts" in note]
    assert len(elsewhere) == (version in ("version 2, listed", "version 1, of another machine"))


UNUSABLE: dict[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
    "a first channel": (V2, ("imagesTr/b_0000.nii.gz",), r"b_0000\.nii\.gz: missing, expected of each case"),
    "a second one": (V2, ("imagesTr/b_0001.nii.gz",), r"b_0001\.nii\.gz: missing, expected of each case"),
    "a third one": (V2 | {"channel_names": {"0": "T1"}}, (), r"a_0001\.nii\.gz: not expected"),
    "a case": (V2 | {"numTraining": 3}, (), "numTraining is 3, found 2 cases in imagesTr"),
    "NIfTI": (
        V2 | {"file_ending": ".png"},
        (),
        r"file_ending is \.png, expected \.nii or \.nii\.gz; convert",
    ),
    "an ending": ({"channel_names": {"0": "T1"}}, (), "not a decathlon task .*file_ending.* of nnU-Net"),
    "an image": (V2 | {"dataset": {"a": {"images": ["a_0000.nii.gz"]}}}, (), "a has 1 images, expected 2"),
    "a listed channel": (
        {"modality": {"0": "T1", "1": "T2"}, "training": listed()},
        ("imagesTr/b_0001.nii.gz",),
        r"of 2 training images 1 are missing, first imagesTr/b\.nii\.gz",
    ),
    "a listed NIfTI": (
        {"modality": {"0": "T1"}, "training": [{"image": "a.mha"}]},
        (),
        r"1 images such as a\.mha",
    ),
}


@pytest.mark.parametrize("lacking", UNUSABLE)
def test_what_a_data_set_lacks_is_named(tmp_path: Path, lacking: str) -> None:
    content, missing, message = UNUSABLE[lacking]
    with pytest.raises(InputError, match=message):
        read_task(data_set(tmp_path, content, *missing))


def test_an_image_and_its_label_of_another_machine_are_not_mixed_up(tmp_path: Path) -> None:
    moved = [
        {"image": f"/home/joe/BRATS/imagesTr/{n}", "label": f"/home/joe/BRATS/labelsTr/{n}"}
        for n in ("a.nii.gz", "b.nii.gz")
    ]
    found = read_task(task(tmp_path, training=moved))
    assert found.cases == read_task(task(tmp_path)).cases
    assert found.notes[0].startswith("2 images are not where dataset.json says, first /home/joe/BRATS")
    with pytest.raises(
        InputError, match=r"first /home/joe/b\.nii\.gz, also by its last parts below the folder"
    ):
        read_task(task(tmp_path, training=[{"image": "/home/joe/b.nii.gz", "label": ""}]))


def test_the_stage_takes_the_channel_and_keeps_the_label(tmp_path: Path, settings: Settings) -> None:
    task(tmp_path / "task")
    grid = {
        "shape": (5, 6, 7),
        "origin": (0, 0, 0),
        "spacing": (1, 1, 1),
        "unit": "mm",
        "method": "intensity",
    }
    write_json(tmp_path / "grid.json", {**grid, "sigma": 1.0, "placement": "cloud"})
    scans = Scans(
        spacing=(1.0, 1.0, 1.0), channel="T2w", channel_axis=None, percentiles=(0.0, 100.0), task=None
    )
    out = tmp_path / "out"
    contents = [tmp_path / "task/dataset.json"]
    grid = tmp_path / "grid.json"
    prepare_volumes(
        contents, None, "t", grid, Shard(0, 1), out, "decathlon", scans, None, 0.9, 0, settings.machine
    )
    rows = read_table(out / "manifest.csv")
    assert [row["id"] for row in rows] == ["t-a", "t-b"]
    attributes = [json.loads(row["attributes"]) for row in rows]
    assert [one["label_file"] for one in attributes] == [str(tmp_path / "task/labelsTr/a.nii.gz"), None]
    assert {one["channel"] for one in attributes} == {3}
    assert float(rows[0]["high"]) == VOXELS[..., 3].max() + ord("a")


def fetched(
    monkeypatch: pytest.MonkeyPatch, fails: Exception | None = None, name: str = "dataset.json"
) -> list[Any]:
    """MONAI's download, replaced; the calls are recorded."""
    calls: list[Any] = []

    def replacement(url: str, output_dir: str, hash_val: str, hash_type: str) -> None:
        calls.append((url, hash_val, hash_type))
        folder = Path(output_dir) / "Task04_Hippocampus"
        folder.mkdir()
        (folder / name).write_text("{}")
        if fails:
            raise fails

    monkeypatch.setattr(monai.apps, "download_and_extract", replacement)
    return calls


def test_a_task_is_downloaded_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fetched(monkeypatch)
    out = tmp_path / "raw" / "Task04_Hippocampus"
    out.mkdir(parents=True)  # as Snakemake does for an output inside it
    download("Task04_Hippocampus", out)
    assert (out / "dataset.json").read_text() == "{}"
    assert list(out.parent.iterdir()) == [out]
    dataset = monai.apps.DecathlonDataset
    assert calls == [(dataset.resource["Task04_Hippocampus"], dataset.md5["Task04_Hippocampus"], "md5")]


@pytest.mark.parametrize(
    ("fails", "name", "reason"),
    [
        (OSError("no route to host"), "dataset.json", "no route to host"),
        (HashCheckError("md5 hash check failed"), "dataset.json", "md5 hash check failed"),
        (Exception("Error processing URL"), "dataset.json", "Error processing URL"),
        (None, "other.json", "holds no Task04_Hippocampus/dataset.json"),
    ],
)
def test_a_failed_download_leaves_nothing_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Exception | None, name: str, reason: str
) -> None:
    fetched(monkeypatch, fails, name)
    with pytest.raises(InputError) as refused:
        download("Task04_Hippocampus", tmp_path / "raw" / "Task04_Hippocampus")
    assert reason in str(refused.value)
    assert monai.apps.DecathlonDataset.resource["Task04_Hippocampus"] in str(refused.value)
    assert "data.files: {Task04_Hippocampus: F/Task04_Hippocampus}" in str(refused.value)
    assert not list((tmp_path / "raw").iterdir())


def test_an_unknown_task_lists_the_ten(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Task11 is unknown.*Task01_BrainTumour.*Task10_Colon"):
        download("Task11", tmp_path / "raw")
    assert not list(tmp_path.iterdir())
