"""`voxgen view` says in one sentence what it cannot show."""

import socket
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from view_fixture import HALF, interrupted, nifti, reads, write_run, write_volumes
from voxgen.cli.main import main
from voxgen.cli.serving import PageServer


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run"))


def damaged(folder: Path) -> Path:
    whole = write_volumes(folder, 1) / "v0.nii.gz"
    whole.write_bytes(whole.read_bytes()[:HALF])
    return whole


def broken_link(folder: Path) -> Path:
    (folder / "b.nii.gz").symlink_to(folder / "shard" / "b.nii.gz")
    return folder


def of_colours(folder: Path) -> Path:
    colours = np.zeros((2, 2, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colours, np.eye(4)), folder / "rgb.nii")
    return folder / "rgb.nii"


def singular(folder: Path) -> Path:
    path = nifti(folder / "flat.nii", np.ones((2, 2, 2)), np.eye(4), "mm")
    content = bytearray(path.read_bytes())
    content[252:256] = b"\0\0\2\0"  # only the sform holds
    content[280:328] = np.zeros((3, 4), "<f4").tobytes()
    path.write_bytes(content)
    return path


def with_below(folder: Path) -> Path:
    write_volumes(folder / "test", 1)
    (folder / "empty").mkdir()
    return folder


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


REFUSED: dict[str, Callable[[Path], Path]] = {
    "no such file or folder; check the path": lambda folder: folder / "nothing",
    "a folder without .nii and .nii.gz files; give": lambda folder: folder,
    "there are some in test": with_below,
    "a file .png, expected a folder or .nii": written("a.png", b"PNG"),
    "a file without a suffix, expected": written("a", b"?"),
    "not a whole NIfTI file": damaged,
    "no longer exists; make it again": broken_link,
    "4D, shape (2, 2, 2, 3), expected one volume in 3D; cut": lambda folder: nifti(
        folder / "a.nii", np.ones((2, 2, 2, 3)), np.eye(4), "mm"
    ),
    "colour or complex": of_colours,
    "singular affine": singular,
    "all 8 voxels are zero": lambda folder: nifti(folder / "a.nii", np.zeros((2, 2, 2)), np.eye(4), "mm"),
    "NaN or infinity in 8 of 8 voxels": lambda folder: nifti(
        folder / "a.nii", np.full((2, 2, 2), np.inf), np.eye(4), "mm"
    ),
    "is empty, expected CSV": written("a.csv", b""),
    "damaged.h5: ": written("damaged.h5", b"no HDF5"),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_shown_is_refused(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PageServer, "serve_forever", interrupted)
    path = REFUSED[words](tmp_path)
    assert main(["view", str(path), "--no-browser"]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.startswith(f"voxgen: {path}")
    assert said.count("\n") == 1


def test_a_volume_with_a_fourth_axis_of_one_is_one(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", np.ones((2, 3, 4, 1)), np.eye(4), "mm")
    assert reads(path).choice.size == (2, 3, 4)


def test_ports_and_paths_are_refused(volumes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["view", str(volumes), "--port", str(port), "--no-browser"]) == 1
    assert f"port {port}: cannot be used (Address already in use)" in capsys.readouterr().err
    assert main(["view", str(volumes), "--port", "65536", "--no-browser"]) == 1
    assert "expected 0 to 65535" in capsys.readouterr().err
    assert main(["view", *[str(volumes)] * 3]) == 1
    assert "3 paths, expected one, or two" in capsys.readouterr().err
