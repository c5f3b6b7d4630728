"""Paths: what a list of another machine means, and folders whose names look like patterns."""

from pathlib import Path

import pytest

from voxgen.errors import InputError
from voxgen.sources.paths import existing, matching, stated_file

FILES = ("a.nii", "imagesTr/a.nii", "labelsTr/a.nii", "imagesTr/b.nii", "deep/imagesTr/b.nii")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / "Task04" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "Task04" / name).touch()
    return tmp_path / "Task04"


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ("./imagesTr/a.nii", "imagesTr/a.nii"),
        ("imagesTr/../labelsTr/a.nii", "labelsTr/a.nii"),
        ("/home/joe/Task04/imagesTr/a.nii", "imagesTr/a.nii"),
        ("/home/joe/renamed/labelsTr/a.nii", "labelsTr/a.nii"),
        (r"D:\data\Task04\imagesTr\a.nii", "imagesTr/a.nii"),
        (r".\imagesTr\a.nii", "imagesTr/a.nii"),
        (r".\a.nii", "a.nii"),
        ("/home/joe/Task04/a.nii", "a.nii"),
        ("/home/joe/deep/imagesTr/b.nii", "deep/imagesTr/b.nii"),
        ("/home/joe/other/b.nii", None),
        ("/home/joe/testTr/a.nii", None),  # not the file of that name elsewhere
        ("/home/joe/Task04/imagesTr/c.nii", None),
        ("", None),
    ],
)
def test_a_path_of_another_machine_is_found_by_its_last_parts(
    folder: Path, stated: str, found: str | None
) -> None:
    path = stated_file(folder, stated)
    assert (path and path.resolve()) == (found and (folder / found).resolve())


def test_a_folder_that_exists_is_no_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("run[1]*/x {2}, é.nii", "run1/y.nii"):
        Path(name).parent.mkdir()
        Path(name).touch()
    assert matching("run[1]*/*.nii", "key") == ["run[1]*/x {2}, é.nii"]
    assert matching("run[1]*/x {2}, é.nii", "key") == ["run[1]*/x {2}, é.nii"]
    assert matching("run[0-9]/*.nii", "key") == ["run1/y.nii"]
    with pytest.raises(InputError, match=r"^key: no file matches run\[1\]\*/\*\.h5$"):
        matching("run[1]*/*.h5", "key")


def test_a_link_that_leads_nowhere_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.nii").symlink_to(".git/annex/a")
    with pytest.raises(InputError, match=r"a link to \.git/annex/a, which is not there; fetch its content"):
        existing(str(tmp_path / "a.nii"), "key")
