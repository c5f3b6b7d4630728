"""Which attempts at a training are worth making."""

import logging
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from voxgen.errors import InputError, StoppedError
from voxgen.io.files import read_json, write_json
from voxgen.training.distributed.attempts import KEPT, RECORD, attempt

IMPORTS = "import sys, voxgen.training.distributed.attempts; sys.exit('torch' in sys.modules)"


def reach(folder: Path, epoch: int, position: int = 0, training: str = "abc") -> None:
    """Leave a state."""
    path = folder / training / f"state-{epoch:05d}-{position:07d}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def ended(folder: Path, number: int, error: BaseException | None = None, reached: Any = None) -> None:
    """Make an attempt that leaves a state and ends with an error, if there is one."""
    expected = pytest.raises(type(error)) if error else nullcontext()
    with expected, attempt(folder, number):
        if reached:
            reach(folder, *reached)
        if error:
            raise error


def killed(folder: Path, number: int, *reached: int) -> None:
    """Leave what an attempt that was killed leaves."""
    made = attempt(folder, number)
    made.__enter__()
    if reached:
        reach(folder, *reached)
    recorded = read_json(folder / RECORD)
    made.__exit__(None, None, None)
    write_json(folder / RECORD, recorded)


def test_a_first_attempt_is_always_made(tmp_path: Path) -> None:
    for _ in range(2):
        ended(tmp_path, 1, InputError("no such file"))
    killed(tmp_path, 1)
    ended(tmp_path, 1)
    ends = [each["end"] for each in read_json(tmp_path / RECORD)]
    assert ends == ["refused", "refused", "killed", "finished"]


def test_what_is_told_of_an_attempt(tmp_path: Path) -> None:
    reach(tmp_path, 1)
    ended(tmp_path, 1, StoppedError("asked"), (1, 3))
    (told,) = read_json(tmp_path / RECORD)
    assert told.pop("started") <= told.pop("ended")
    reached = {"from": {"abc": [1, 0]}, "to": {"abc": [1, 3]}}
    assert told == reached | {"attempt": 1, "end": "stopped", "reason": "asked"}


def test_the_traceback_of_a_failure_is_kept(tmp_path: Path) -> None:
    ended(tmp_path, 1, MemoryError("big"))
    (told,) = read_json(tmp_path / RECORD)
    assert told["traceback"][-1] == told["reason"] == "MemoryError: big"
    with pytest.raises(InputError, match=rf"\({tmp_path / RECORD} tells more\)"), attempt(tmp_path, 2):
        pytest.fail("it was made")


@pytest.mark.parametrize(
    "made",
    [
        lambda folder: killed(folder, 1, 1, 0),
        lambda folder: killed(folder, 1, 2, 5),
        lambda folder: ended(folder, 1, MemoryError("big"), (1, 0)),
        lambda folder: ended(folder, 1, StoppedError("asked"), (0, 3)),
        lambda folder: ended(folder, 1, StoppedError("asked"), (1, 0)),
    ],
)
def test_after_a_kill_an_error_or_a_wish_to_stop_an_attempt_that_got_on_has_a_follower(
    tmp_path: Path, made: Callable[[Path], None]
) -> None:
    made(tmp_path)
    ended(tmp_path, 2, reached=(3, 0))
    assert read_json(tmp_path / RECORD)[-1]["end"] == "finished"


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda folder: killed(folder, 1), r"attempt 1 added no epoch \(killed\); mend that and run"),
        (lambda folder: killed(folder, 1, 0, 3), r"attempt 1 added no epoch \(killed\)"),
        (
            lambda folder: ended(folder, 1, MemoryError("big")),
            r"no epoch \(failed\): MemoryError: big",
        ),
        (lambda folder: ended(folder, 1, StoppedError("asked")), r"no epoch \(stopped\): asked; mend that"),
        (
            lambda folder: ended(folder, 1, StoppedError("stopped (asked by SIGINT)"), (2, 0)),
            r"after Ctrl-C: stopped \(asked by SIGINT\)",
        ),
        (lambda folder: ended(folder, 1, InputError("not finite")), "since the reason stays: not finite"),
        (lambda folder: ended(folder, 1, InputError("no room"), (5, 0)), "since the reason stays: no room"),
    ],
)
def test_an_attempt_after_one_in_vain_is_refused_and_so_are_all_that_follow(
    tmp_path: Path, made: Callable[[Path], None], message: str
) -> None:
    made(tmp_path)
    for number in (2, 3):
        with pytest.raises(InputError, match=f"not tried again.*{message}"), attempt(tmp_path, number):
            pytest.fail("it was made")
    assert len(read_json(tmp_path / RECORD)) == 1
    ended(tmp_path, 1, reached=(6, 0))


def test_epochs_of_another_training_than_the_one_before_count(tmp_path: Path) -> None:
    reach(tmp_path, 9, 0, "old")
    killed(tmp_path, 1, 1, 0)
    ended(tmp_path, 2)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b'[{"attempt": 1', b'{"attempt": 1}', b"[3]", b'[{"attempt": 1}]', b"null"]
)
def test_a_damaged_record_stops_nobody(tmp_path: Path, content: bytes) -> None:
    (tmp_path / RECORD).write_bytes(content)
    ended(tmp_path, 2)
    assert [each["attempt"] for each in read_json(tmp_path / RECORD)] == [2]


def test_a_record_that_cannot_be_written_hides_no_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / RECORD).mkdir()
    ended(tmp_path, 1, InputError("the reason"))
    assert f"{tmp_path / RECORD}: cannot be written" in caplog.text


def test_the_record_stays_short(tmp_path: Path) -> None:
    write_json(tmp_path / RECORD, [{"attempt": 1, "from": {}, "end": "killed", "reason": None}] * KEPT)
    ended(tmp_path, 1)
    record = read_json(tmp_path / RECORD)
    assert (len(record), record[-1]["end"]) == (KEPT, "finished")


def test_to_refuse_takes_no_torch() -> None:
    assert subprocess.run([sys.executable, "-c", IMPORTS], check=False).returncode == 0


def test_ctrl_c_before_there_is_anything_to_save_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoppedError, match="before there was anything to save"), attempt(tmp_path, 1):
        raise KeyboardInterrupt
    assert read_json(tmp_path / RECORD)[0]["end"] == "stopped"


def test_all_attempts_log_to_one_file(tmp_path: Path) -> None:
    for number in (1, 2):
        with attempt(tmp_path, number):
            reach(tmp_path, number)
            logging.getLogger("voxgen").warning("attempt %d", number)
    lines = (tmp_path / "training.log").read_text().splitlines()
    assert [line[-9:] for line in lines] == ["attempt 1", "attempt 2"]


def test_an_attempt_that_cannot_be_recorded_is_the_last(tmp_path: Path) -> None:
    (tmp_path / RECORD).mkdir()
    ended(tmp_path, 1)
    with pytest.raises(InputError, match=r"attempts\.json cannot be written"), attempt(tmp_path, 2):
        raise AssertionError("made")
