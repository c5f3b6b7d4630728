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
from voxgen.sources.decathlon import channel_number, read_task
from voxgen.stages.download import download
from voxgen.stages.prepare_volumes import prepare_volumes

BRAIN = {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}
VOXELS = np.random.default_rng(0).integers(0, 500, (4, 5, 6, 4)).astype(np.int16)


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
    assert (found.name, found.modalities) == ("BRATS", ("FLAIR", "T1w", "t1gd", "T2w"))
    assert found.scans == [tmp_path / "imagesTr" / name for name in ("a.nii.gz", "b.nii.gz")]
    assert found.labels == [tmp_path / "labelsTr" / "a.nii.gz", None]


def test_what_is_no_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataset\.json: missing.*data\.scans\.task"):
        read_task(tmp_path)
    for changes in ({"modality": {"1": "CT"}}, {"training": [3]}, {"training": [{"label": "a"}]}):
        with pytest.raises(InputError, match="not a decathlon task"):
            read_task(task(tmp_path, **changes))
    with pytest.raises(InputError, match="of 0 training images none exists"):
        read_task(task(tmp_path, training=[]))
    twice = [{"image": "./imagesTr/a.nii.gz", "label": "a"}, {"image": "imagesTr/a.nii.gz", "label": "b"}]
    with pytest.raises(InputError, match="of 2 training images some have the same name"):
        read_task(task(tmp_path, training=twice))
    (task(tmp_path) / "imagesTr" / "b.nii.gz").unlink()
    with pytest.raises(InputError, match=r"of 2 training images 1 are missing, first .*b\.nii\.gz; unpack"):
        read_task(tmp_path)


def test_channels_go_by_number_or_name(tmp_path: Path) -> None:
    brain = read_task(task(tmp_path / "brain"))
    assert [channel_number(brain, channel) for channel in (3, "flair", "T1GD")] == [3, 0, 2]
    for channel in (None, 4, "PET"):
        with pytest.raises(InputError, match=r"data\.scans\.channel is .*0 FLAIR, 1 T1w, 2 t1gd, 3 T2w"):
            channel_number(brain, channel)
    single = read_task(task(tmp_path / "single", {"0": "MRI"}))
    assert [channel_number(single, channel) for channel in (None, 0, "mri")] == [None, 0, 0]


def test_the_stage_takes_the_channel_and_keeps_the_label(tmp_path: Path, settings: Settings) -> None:
    task(tmp_path / "task")
    grid = {
        "shape": (4, 5, 6),
        "origin": (0, 0, 0),
        "spacing": (1, 1, 1),
        "unit": "mm",
        "method": "intensity",
    }
    write_json(tmp_path / "grid.json", {**grid, "sigma": 1.0, "placement": "cloud"})
    scans = Scans(spacing=(1.0, 1.0, 1.0), channel="T2w", percentiles=(0.0, 100.0), task=None)
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
