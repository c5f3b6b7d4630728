"""Paths that Snakemake would read as something else get a link, and come back as they were."""

import os
from pathlib import Path

import pytest

from voxgen.errors import InputError
from voxgen.io.plain_paths import path_as_given, plain_path

PLAIN = ("raw/points.h5", "/raw/a b/100%/#1/q'uo\"te/$HOME/[x]*?~.h5", "../raw/脑部.nii.gz", "a,b;c&d\\e.h5")
OTHER = (
    *("run{1}/points.h5", "{/points.h5", "{{x}}.h5", "a{name,[a-z]+}b.h5", "../../{x}/points.h5"),
    *("<logs>/points.h5", "a\nb.h5", " a.h5", "a.h5 "),
)


@pytest.mark.parametrize("path", PLAIN)
def test_most_paths_are_named_as_they_are(path: str) -> None:
    assert plain_path(path) == path == path_as_given(path)


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("path", OTHER)
def test_others_get_a_link(
    path: str, absolute: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in/side").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "in/side")
    given = str(tmp_path / path.removeprefix("../../")) if absolute else path
    Path(given).parent.mkdir(exist_ok=True)
    Path(given).write_text("points")
    os.utime(given, (1e9, 1e9))
    link = plain_path(given)
    assert not set(link) & set("{}<>\n")
    assert link == link.strip()
    assert Path(link).read_text() == "points"
    assert os.lstat(link).st_mtime <= 1e9
    assert path_as_given(link) == given
    assert plain_path(given) == link


def test_paths_of_one_name_get_links_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len({plain_path(f"{{{number}}}/points.h5") for number in range(9)}) == 9


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(InputError, match=r"b'caf\\xe9.nii': the name is not UTF-8; rename it"):
        plain_path(os.fsdecode(b"caf\xe9.nii"))
