"""Each kind of file is read right, or refused with what helps; some have to be read, some to be refused."""

from pathlib import Path

import pytest

from files import kinds_table  # noqa: F401
from files.judging import HELPED, RIGHT, judge
from files.kinds import KINDS


@pytest.mark.parametrize("name", KINDS)
def test_kind_is_read_right_or_refused_with_help(name: str, tmp_path: Path) -> None:
    verdict = judge(KINDS[name], tmp_path)
    assert verdict.word in (RIGHT, HELPED), verdict.why


def test_there_are_kinds_of_every_field() -> None:
    assert len({kind.field for kind in KINDS.values()}) == 8
