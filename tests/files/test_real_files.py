"""Every file of shared/data, as its makers wrote it: read as others read it, or refused with what helps."""

from pathlib import Path

import pytest

from file_cases import Case
from real_files import DATA, NOT_DATA, real_files

needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no {DATA}: these files are kept outside the project"
)


@needs_data
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in real_files()])
def test_a_real_file_is_read_as_others_read_it(case: Case, tmp_path: Path) -> None:
    verdict = case.verdict(tmp_path)
    expected = "refused rightly" if case.right is None else "right"
    assert verdict.kind == expected, str(verdict)


@needs_data
def test_no_file_is_left_out() -> None:
    told = {case.files for case in real_files()}
    files = {file for file in DATA.rglob("*") if file.is_file() and not NOT_DATA.search(file.name)}
    assert {file for file in files if not {file, *file.parents} & told} == set()
