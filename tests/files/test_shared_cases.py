"""The small files of shared/cases, which imitate what users bring: read right, or refused with what helps."""

from pathlib import Path

import pytest

from file_cases import CASES, Case, shared_cases

RUNS = pytest.mark.workflow


@pytest.mark.skipif(
    not CASES.is_dir(), reason=f"{CASES} is not there: these files are kept outside the project"
)
@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.name, marks=RUNS if case.steps else ()) for case in shared_cases()],
)
def test_a_case_is_read_right_or_refused_with_what_helps(case: Case, tmp_path: Path) -> None:
    verdict = case.verdict(tmp_path)
    assert verdict.kind in ("right", "refused rightly"), str(verdict)
