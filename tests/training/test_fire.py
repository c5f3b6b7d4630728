"""Killed, asked to stop, out of disk or given a damaged state: in the end the same model, bit for bit."""

import signal
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch

from fire import EPOCHS, MOMENTS, STEPS, TRAININGS, Fired, assert_same, before_call, half_written
from voxgen.errors import InputError, StoppedError
from voxgen.io.files import read_json, read_table
from voxgen.settings.sections import Settings
from voxgen.training import artefact, checkpoints
from voxgen.training.distributed.attempts import attempt
from voxgen.training.engine import Engine
from voxgen.training.monitor.board import Board
from voxgen.training.monitor.interruption import interruption

Whole = dict[str, Fired]
DISK_MB = 4
FULL = r"{}\S*: No space left on device; the last good state is kept: make room there, .* run the same"
WRITES = {
    "the state": (torch, "save", STEPS + 1),
    "best.safetensors": (checkpoints, "write_weights", 2),
    "the history of the last epoch": (checkpoints, "write_history", EPOCHS - 1),
    "TensorBoard's events": (Board, "pictures", 0),
    "history.csv": (artefact, "write_history", 0),
    "model.safetensors": (artefact, "write_weights", 0),
}

the_autoencoder = pytest.mark.parametrize("fresh", ["autoencoder"], indirect=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, voxels: Path, results: Path, settings: Settings) -> Whole:
    """All trainings, not interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    fired = {name: Fired(name, voxels, results, folder / name, settings) for name in TRAININGS}
    fired["transformer"] = replace(fired["transformer"], made=folder / "made_of_codes")
    for each in fired.values():
        each.train()
        if each.training == "codes":
            each.encode_volumes(folder / "made_of_codes")
    return fired


@pytest.fixture(params=TRAININGS)
def fresh(whole: Whole, tmp_path: Path, request: pytest.FixtureRequest) -> Fired:
    """A training that has not begun."""
    return replace(whole[request.param], folder=tmp_path)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can only be mounted by root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def stopped(fired: Fired, after: int) -> None:
    """Train until SIGTERM comes in the step that follows so many."""
    with pytest.MonkeyPatch.context() as patch:
        before_call(after, Engine, "train_step", lambda: signal.raise_signal(signal.SIGTERM), patch.setattr)
        with pytest.raises(StoppedError, match="asked by SIGTERM"):
            fired.train()


def damage(path: Path, share: float) -> None:
    """Flip a bit amid the record that lies at a share of them; between records are bytes that say nothing."""
    with ZipFile(path) as state:
        records = state.infolist()
    record, content = records[int(share * len(records))], bytearray(path.read_bytes())
    name, extra = struct.unpack_from("<HH", content, record.header_offset + 26)  # lengths, of a header of 30
    content[record.header_offset + 30 + name + extra + record.compress_size // 2] ^= 4
    path.write_bytes(content)


def fill(disk: Path) -> None:
    """Leave no byte."""
    with (disk / "filler").open("ab", buffering=0) as file:
        for size in (2**16, 2**12, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_called_again_gives_the_same(
    fresh: Fired, whole: Whole, moment: Callable[[], None]
) -> None:
    assert fresh.killed(moment) == -signal.SIGKILL
    assert fresh.states(), "it was killed before its first state"
    assert not (fresh.model / "model.safetensors").exists()
    fresh.train()
    assert_same(fresh, whole[fresh.training])


def test_a_discriminator_is_part_of_what_goes_on(whole: Whole) -> None:
    """It began after the first epoch, and moved the autoencoder away from that without it."""
    adversarial, plain = whole["adversarial"], whole["autoencoder"]
    first, second, third = read_table(adversarial.model / "history.csv")
    assert first["train_discriminator_loss"] == first["train_adversarial"] == ""
    assert all(float(row["train_discriminator_loss"]) > 0 for row in (second, third))
    assert all(float(row["val_adversarial"]) > 0 for row in (second, third))
    weights = [(each.model / "model.safetensors").read_bytes() for each in (adversarial, plain)]
    assert weights[0] != weights[1]
    state = torch.load(adversarial.states()[-1], weights_only=True)["engine"]
    assert set(state["trained"]) == {"model", "discriminator"}
    assert len(state["optimizers"]) == 2


def test_asked_to_stop_it_saves_the_step_and_goes_on_later(fresh: Fired, whole: Whole) -> None:
    fresh = replace(fresh, checkpoint_minutes=1e9)
    before = signal.getsignal(signal.SIGTERM)
    stopped(fresh, STEPS)
    assert signal.getsignal(signal.SIGTERM) is before
    assert [path.name for path in fresh.states()] == ["state-00001-0000000.pt", "state-00001-0000001.pt"]
    fresh.train()
    assert_same(fresh, whole[fresh.training])


def test_only_a_second_ctrl_c_ends_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruption(None) as found:
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
        assert found.reason == "asked by SIGTERM"
        signal.raise_signal(signal.SIGINT)
        assert found.reason == "asked by SIGINT"
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is before


@the_autoencoder
def test_attempts_of_hardly_any_time_each_add_something(fresh: Fired, whole: Whole) -> None:
    short = replace(fresh, checkpoint_minutes=1e9, max_minutes=1e-9)
    reached: list[str] = []
    while not (short.model / "model.safetensors").exists():
        with suppress(StoppedError), attempt(short.state, len(reached) + 1):
            short.train()
        reached.append(short.states()[-1].name)
    assert sorted(set(reached)) == reached
    *early, _ = read_json(short.state / "attempts.json")
    assert len(early) >= EPOCHS
    assert all("machine.max_minutes are over" in each["reason"] for each in early)
    assert_same(short, whole[fresh.training])


@the_autoencoder
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_flipped_bit_is_seen_and_the_state_before_is_taken(
    fresh: Fired, whole: Whole, share: float, caplog: pytest.LogCaptureFixture
) -> None:
    stopped(fresh, STEPS)
    _, last = fresh.states()
    damage(last, share)
    caplog.set_level("INFO")
    fresh.train()
    assert f"{last}: not a readable state" in caplog.text
    assert "resumed at epoch 2, step 0" in caplog.text
    assert_same(fresh, whole[fresh.training])


@the_autoencoder
def test_a_damaged_state_does_not_stand_in_the_way_of_new_ones(
    fresh: Fired, whole: Whole, caplog: pytest.LogCaptureFixture
) -> None:
    fresh.train()
    damage(fresh.states()[-1], 0.5)
    stopped(fresh, 0)
    caplog.set_level("INFO")
    fresh.train()
    assert f"resumed at epoch {EPOCHS}, step 1" in caplog.text
    assert_same(fresh, whole[fresh.training])


@the_autoencoder
def test_nothing_but_damaged_states_is_refused(fresh: Fired) -> None:
    stopped(fresh, STEPS)
    for path in fresh.states():
        damage(path, 0.5)
    with pytest.raises(InputError, match=r"none of its 2 states can be read; delete this folder to train"):
        fresh.train()


@the_autoencoder
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # TensorBoard's own
@pytest.mark.parametrize("write", WRITES)
def test_a_disk_that_gets_full_costs_no_more_than_the_time(
    fresh: Fired, whole: Whole, disk: Path, write: str
) -> None:
    fresh = replace(fresh, folder=disk)
    owner, name, number = WRITES[write]
    with pytest.MonkeyPatch.context() as patch:
        before_call(number, owner, name, lambda: fill(disk), patch.setattr)
        with pytest.raises(InputError, match=FULL.format(disk)), attempt(fresh.state, 1):
            fresh.train()
    assert not half_written(fresh)
    before = fresh.states()[-1].name
    with pytest.raises(InputError, match=FULL.format(disk)), attempt(fresh.state, 1):
        fresh.train()
    assert fresh.states()[-1].name >= before
    (disk / "filler").unlink()
    with attempt(fresh.state, 1):
        fresh.train()
    assert_same(fresh, whole[fresh.training])
    assert read_json(fresh.state / "attempts.json")[-1]["end"] == "finished"


@the_autoencoder
def test_a_disk_that_is_full_from_the_start(fresh: Fired, disk: Path) -> None:
    fill(disk)
    fresh = replace(fresh, folder=disk)
    with pytest.raises(InputError, match=FULL.format(disk)), attempt(fresh.state, 1):
        fresh.train()
