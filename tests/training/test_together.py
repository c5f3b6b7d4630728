"""Several processes train as one would, on the CPU with gloo; however one of them ends, all do."""

import json
import logging
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import psutil
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from fire import Fired
from rehearsal import Case, rehearse
from voxgen.errors import InputError, StoppedError
from voxgen.io.files import read_json, read_table
from voxgen.machine.ahead import AHEAD
from voxgen.machine.fabric import synchronised
from voxgen.settings.machine import Machine
from voxgen.settings.sections import Settings
from voxgen.settings.training import Training
from voxgen.training.distributed.together import together

PATIENCE = 120  # s


@pytest.fixture(scope="module")
def machine(settings: Settings) -> Machine:
    return settings.machine.model_copy(update={"batch": 2, "checkpoint_minutes": 1e9})


@pytest.fixture(scope="module")
def cases(settings: Settings) -> dict[str, Case]:
    """Five steps each, but for `long`."""
    base = settings.autoencoder.chosen.training.model_copy(
        update={"batch": 4, "epochs": 1, "schedule_epochs": 5, "learning_rate": 0.05, "ema": 0.7}
    )

    def case(name: str, *, epochs: int = 1, batch: int = 4, **more: object) -> Case:
        training = base.model_copy(update={"epochs": epochs, "batch": batch})
        return Case(name=name, training=training, **more)

    given = [
        case("even"),
        case("uneven", epochs=5, batch=5, items=5, val=3),
        case("alone", epochs=5, items=1, val=1),
        case("accumulated", machine={"micro_batch": 1}),
        case("turns", turns=True),
        case("accumulated_turns", turns=True, machine={"micro_batch": 1}),
        case("codes", epochs=5, batch=5, items=5, val=3, codes=True),
        case("accumulated_codes", epochs=5, batch=5, items=5, val=3, codes=True, machine={"micro_batch": 1}),
        case("taken_up", epochs=2),
        case("given_up"),
        case("own", own_folders=True),
        case("long", epochs=20),
    ]
    return {each.name: each for each in given}


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory, machine: Machine, cases: dict[str, Case]) -> Path:
    """A folder with all cases, trained in 1 process and in 2."""
    folder = tmp_path_factory.mktemp("rehearsal")
    rehearsed(folder / "1", [cases["taken_up"].model_copy(update=_epochs(cases, 1))], machine, 1)
    shutil.copytree(folder / "1" / "state", folder / "2" / "state")
    for processes in (1, 2):
        here = folder / str(processes)
        with printed(folder / "stderr"):
            rehearsed(here, list(cases.values()), machine, processes, here / "environment.json")
    return folder


def test_an_autoencoder_with_a_discriminator_trains_the_same(
    tmp_path: Path, voxels: Path, results: Path, settings: Settings
) -> None:
    """Within rounding, which Adam's first steps enlarge."""
    trained = []
    for processes in (1, 2):
        machine = settings.machine.model_copy(update={"gpus": processes, "micro_batch": 1})
        fired = Fired("adversarial", voxels, results, tmp_path / str(processes), settings, 1e9)
        fired = replace(fired, settings=settings.model_copy(update={"machine": machine}))
        fired.train(together)
        trained.append(fired)
    one, two = (read_table(fired.model / "history.csv") for fired in trained)
    for row, other in zip(one, two, strict=True):
        assert {name for name, value in row.items() if value} == {
            name for name, value in other.items() if value
        }
        for name in ("train_l1", "val_l1", "train_adversarial", "train_discriminator_loss"):
            if row[name]:
                assert float(other[name]) == pytest.approx(float(row[name]), rel=1e-2), name


def _epochs(cases: dict[str, Case], epochs: int) -> dict[str, Training]:
    return {"training": cases["taken_up"].training.model_copy(update={"epochs": epochs})}


def rehearsed(
    folder: Path, cases: list[Case], machine: Machine, processes: int, environment: Path | None = None
) -> None:
    """Train `cases` in so many processes, which find the tests' modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "support"), prepend=os.pathsep)
        together(
            rehearse,
            environment,
            cases=cases,
            out=folder / "out",
            notes=folder / "notes",
            state=folder / "state",
            machine=machine.model_copy(update={"gpus": processes}),
        )


def asked(notes: Path) -> list[list[list]]:
    """What each process asked for: epochs with items."""
    return [
        [json.loads(line) for line in path.read_text().splitlines()] for path in sorted(notes.glob("asked-*"))
    ]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def assert_agree(one: Path, other: Path, tolerance: float = 1e-5) -> None:
    """The same averaged weights and figures."""
    torch.testing.assert_close(weights(one), weights(other), rtol=tolerance, atol=tolerance)
    histories = [read_table(folder / "history.csv") for folder in (one, other)]
    assert len(histories[0]) == len(histories[1]) > 0
    for row, expected in zip(*histories, strict=True):
        assert {name: float(value) for name, value in row.items()} == {
            name: pytest.approx(float(value), rel=tolerance, abs=1e-7) for name, value in expected.items()
        }


@pytest.mark.parametrize(
    "name",
    ["even", "uneven", "alone", "accumulated", "turns", "accumulated_turns", "codes", "own", "long"],
)
def test_two_processes_agree_with_one(rehearsal: Path, name: str) -> None:
    own = "rank-0" if name == "own" else "."
    assert_agree(rehearsal / "2/out" / name / own, rehearsal / "1/out" / name / own)


@pytest.mark.parametrize("processes", [1, 2])
def test_accumulated_gradients_are_those_of_the_whole_batch(rehearsal: Path, processes: int) -> None:
    out = rehearsal / str(processes) / "out"
    assert_agree(out / "accumulated", out / "even")
    assert_agree(out / "accumulated_turns", out / "turns")
    assert_agree(out / "accumulated_codes", out / "codes")


def test_two_processes_share_what_one_sees(rehearsal: Path) -> None:
    (whole,), (first, second) = (asked(rehearsal / n / "notes/even") for n in "12")
    assert [len(items) for _, items in first] == [len(items) for _, items in second] == [2] * 5
    assert [[epoch, items + more] for (epoch, items), (_, more) in zip(first, second, strict=True)] == whole


def test_uneven_steps_are_shared_out(rehearsal: Path) -> None:
    (whole,), (first, second) = (asked(rehearsal / n / "notes/uneven") for n in "12")
    assert [len(items) for _, items in first] == [3] * 5
    assert [items + more for (_, items), (_, more) in zip(first, second, strict=True)] == [
        items for _, items in whole
    ]


@pytest.mark.parametrize("name", ["turns", "accumulated_turns"])
@pytest.mark.parametrize("processes", [1, 2])
def test_the_generator_leaves_no_gradient_in_the_discriminator(
    rehearsal: Path, name: str, processes: int
) -> None:
    for process in range(processes):
        left = read_json(rehearsal / str(processes) / "notes" / name / f"left-{process}.json")
        assert left == ["nothing"] * 4 * 5


def test_a_state_is_taken_up_by_another_number_of_processes(
    rehearsal: Path, tmp_path: Path, machine: Machine, cases: dict[str, Case]
) -> None:
    """The state of one epoch in 1 process was there before 2 went on; here it is the other way round."""
    assert len(asked(rehearsal / "2/notes/taken_up")[0]) == 5
    assert_agree(rehearsal / "2/out/taken_up", rehearsal / "1/out/taken_up")
    shutil.copytree(rehearsal / "2/state/given_up", tmp_path / "state/given_up")
    further = cases["given_up"].model_copy(update=_epochs(cases, 2))
    rehearsed(tmp_path, [further], machine, 1)
    assert len(asked(tmp_path / "notes/given_up")[0]) == 5
    assert_agree(tmp_path / "out/given_up", rehearsal / "1/out/taken_up")


def test_only_the_first_process_writes(rehearsal: Path) -> None:
    (rehearsal / "2/state/own/rank-0/tensorboard").stat()
    for kind in ("state", "out"):
        assert [path.name for path in (rehearsal / "2" / kind / "own").iterdir()] == ["rank-0"]
    pid, _ = read_json(rehearsal / "2/notes/even/process-0.json")
    assert (rehearsal / "2/state/even/lock").read_text().startswith(f"process {pid} on ")
    assert len(list((rehearsal / "2/state/even/tensorboard").iterdir())) == 1
    assert read_json(rehearsal / "2/environment.json")["step"]["fp32"]["finite"]
    assert not list((rehearsal / "2/state").glob("processes-*"))


@contextmanager
def printed(file: Path) -> Iterator[None]:
    """Keep what this process and its children print as errors."""
    before = os.dup(2)
    with file.open("a") as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)


@contextmanager
def doing(wanted: Callable[[], bool], act: Callable[[], None]) -> Iterator[None]:
    """Act from a thread once something is the case, while the block runs."""
    over = Event()

    def wait() -> None:
        while not over.wait(0.01):
            if wanted():
                act()
                return

    thread = Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def await_that(wanted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def under_way(notes: Path, steps: int = 3) -> Callable[[], bool]:
    """Whether both processes have asked for the items of some steps."""
    return lambda: [len(process) >= steps for process in asked(notes)] == [True, True]


def assert_none_is_left(notes: Path) -> None:
    """The processes, and torchrun above them, are gone."""
    for path in notes.glob("process-*.json"):
        assert not any(map(psutil.pid_exists, read_json(path)))


@pytest.fixture(scope="module")
def interrupted(
    tmp_path_factory: pytest.TempPathFactory, machine: Machine, cases: dict[str, Case]
) -> tuple[Path, list[InputError]]:
    """A training that was asked to stop and went on, and then one with bad input; what they raised."""
    folder = tmp_path_factory.mktemp("interrupted")
    slow = cases["long"].model_copy(update={"pause_at": 7})
    bad = cases["even"].model_copy(update={"bad_in": 1})
    stop = partial(os.kill, os.getpid(), signal.SIGTERM)
    with printed(folder / "stderr"):
        with pytest.raises(InputError) as stopped, doing(under_way(folder / "notes/long", 12), stop):
            rehearsed(folder, [slow], machine, 2)
        shutil.copytree(folder / "notes", folder / "notes_before")
        with pytest.raises(InputError) as refused:
            rehearsed(folder, [cases["long"], bad], machine, 2)
    return folder, [stopped.value, refused.value]


def test_asked_to_stop_all_processes_save_and_go_on_to_the_same(
    interrupted: tuple[Path, list[InputError]], rehearsal: Path
) -> None:
    folder, (stopped, _) = interrupted
    assert isinstance(stopped, StoppedError)
    assert re.match(r"stopped in epoch \d+, step \d+ \(asked by SIGTERM\); the state is saved", str(stopped))
    (once, again), (whole, _) = asked(folder / "notes_before/long"), asked(rehearsal / "2/notes/long")
    assert len(once) == pytest.approx(len(again), abs=2)
    assert 12 <= len(once) < len(whole)
    assert len(asked(folder / "notes/long")[0]) < len(once) + len(whole) - 12 + AHEAD
    for name in ("model.safetensors", "history.csv"):
        ours, theirs = (root / "out/long" / name for root in (folder, rehearsal / "2"))
        assert ours.read_bytes() == theirs.read_bytes()


def test_bad_input_in_any_process_is_told_in_one_line(interrupted: tuple[Path, list[InputError]]) -> None:
    folder, (_, refused) = interrupted
    assert (type(refused), str(refused)) == (InputError, "volume 3 cannot be read by process 1")
    assert not (folder / "out/even").exists()


def test_what_is_printed_is_the_first_process_alone(
    interrupted: tuple[Path, list[InputError]], rehearsal: Path
) -> None:
    for folder in (interrupted[0], rehearsal):
        lines = (folder / "stderr").read_text().splitlines()
        assert lines
        assert [line for line in lines if " rehearse: " not in line] == []
        assert len(lines) == len(set(lines))


def test_no_process_outlives_the_call(interrupted: tuple[Path, list[InputError]], rehearsal: Path) -> None:
    for folder in (interrupted[0], rehearsal / "2"):
        for notes in (folder / "notes").iterdir():
            assert_none_is_left(notes)


@pytest.mark.heavy
def test_a_killed_process_ends_all(tmp_path: Path, machine: Machine, cases: dict[str, Case]) -> None:
    notes = tmp_path / "notes/long"
    paused = cases["long"].model_copy(update={"pause_at": 3})

    def kill() -> None:
        os.kill(read_json(notes / "process-1.json")[0], signal.SIGKILL)

    with (
        doing(under_way(notes), kill),
        pytest.raises(RuntimeError, match="process 1 was ended by SIGKILL, often for want of memory"),
    ):
        rehearsed(tmp_path, [paused], machine, 2)
    assert_none_is_left(notes)


@pytest.mark.heavy
def test_no_process_outlives_the_caller_however_it_ends(
    tmp_path: Path, machine: Machine, cases: dict[str, Case]
) -> None:
    notes = tmp_path / "notes/long"
    slow = cases["long"].model_copy(update={"pause_at": 3})
    caller = get_context("spawn").Process(target=rehearsed, args=(tmp_path, [slow], machine, 2))
    caller.start()
    await_that(under_way(notes))
    caller.kill()
    caller.join()
    pids = [pid for path in notes.glob("process-*.json") for pid in read_json(path)]
    await_that(lambda: not any(map(psutil.pid_exists, pids)))
    assert len(asked(notes)[0]) < 100
    assert len(list((tmp_path / "state/long").glob("state-*.pt"))) >= 1


@pytest.mark.heavy
def test_a_failure_stands_in_the_log_once(tmp_path: Path, machine: Machine, cases: dict[str, Case]) -> None:
    failing = cases["even"].model_copy(update={"failing_in": 1})
    handler = logging.FileHandler(tmp_path / "stage.log", mode="w")
    logging.getLogger().addHandler(handler)
    try:
        with pytest.raises(RuntimeError, match="process 1: ZeroDivisionError: a mistake"):
            rehearsed(tmp_path, [failing], machine, 2)
        logging.getLogger().error("the end")
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
    said = (tmp_path / "stage.log").read_text()
    assert said.count("process 1 failed") == said.count("Traceback") == 1
    assert "ZeroDivisionError: a mistake" in said
    assert said.endswith("the end\n")


def test_several_nodes_need_a_slurm_job(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(InputError, match=r"machine\.nodes: 2, but this is no Slurm job; give 1, or run"):
        rehearsed(tmp_path, [], machine.model_copy(update={"nodes": 2}), 1)


def fabric(processes: int, device: str) -> SimpleNamespace:
    return SimpleNamespace(world_size=processes, device=torch.device(device))


def test_batch_norm_is_synchronised_over_gpus_and_refused_over_cpus() -> None:
    network = nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2))
    assert synchronised(network, fabric(1, "cpu")) is network
    assert synchronised(network[:1], fabric(2, "cpu"))[0] is network[0]
    with pytest.raises(InputError, match=r"machine\.gpus: batch normalisation over several processes"):
        synchronised(network, fabric(2, "cpu"))
    assert isinstance(synchronised(network, fabric(2, "cuda"))[1], nn.SyncBatchNorm)
