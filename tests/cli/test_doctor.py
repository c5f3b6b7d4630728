"""`voxgen doctor` and the environment that each run stores, on machines that are made up."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

import voxgen.machine.environment
from project import Project
from voxgen.cli import doctor
from voxgen.cli.main import main
from voxgen.machine.environment import environment, store_environment, usable_cpus
from voxgen.training.monitor.trial import store_environment_with_step, trial

H200 = "echo 570.86.15, NVIDIA H200, 143771, 9.0"
V100 = "echo 470.82.01, Tesla V100, 32510, 7.0"
OLD = """case "$1" in
    *compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; exit 2;;
    *) echo 450.80.02, Tesla K80, 11441;;
esac"""
CPU = "model name\t: Test CPU\nflags\t\t: fpu avx512f {}\n"
STEP = {"device": "cpu", "fp32": {"seconds": 0.01, "finite": True, "error": None}}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has what a test puts on it: bin/ is PATH; proc/ and cgroup/ replace the kernel's."""
    for name in ("bin", "proc", "cgroup"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(voxgen.machine.environment, "PROC", tmp_path / "proc")
    monkeypatch.setattr(voxgen.machine.environment, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in (*voxgen.machine.environment.VARIABLES, "CXX"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def install(machine: Path, name: str, body: str) -> None:
    """Put a program of this name on the machine's PATH."""
    program = machine / "bin" / name
    put(program, f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("answer", "driver", "gpu"),
    [
        (H200, "570.86.15", {"name": "NVIDIA H200", "memory_gb": 150.8, "capability": 9.0, "bf16": True}),
        (V100, "470.82.01", {"name": "Tesla V100", "memory_gb": 34.1, "capability": 7.0, "bf16": False}),
        (OLD, "450.80.02", {"name": "Tesla K80", "memory_gb": 12.0, "capability": None, "bf16": None}),
        (
            "echo 580.1, NVIDIA GB10, [N/A], 12.1",
            "580.1",
            {"name": "NVIDIA GB10", "memory_gb": None, "capability": 12.1, "bf16": True},
        ),
    ],
)
def test_gpus_are_what_nvidia_smi_says(machine: Path, answer: str, driver: str, gpu: dict[str, Any]) -> None:
    install(machine, "nvidia-smi", answer)
    found = environment(machine)
    assert found["driver"] == {"version": driver, "problem": None}
    assert found["gpus"] == [gpu]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("echo Driver/library version mismatch; exit 18", "failed with 18: Driver/library version mismatch"),
        ("exit 9", "failed with 9: no message"),
        ("echo no comma here", "failed with 0: no comma here"),
        ("exec /bin/sleep 60", "did not answer in 0.2 s"),
    ],
)
def test_a_broken_nvidia_smi_is_named_beside_the_driver_of_the_kernel(
    machine: Path, monkeypatch: pytest.MonkeyPatch, answer: str, problem: str
) -> None:
    monkeypatch.setattr(voxgen.machine.environment, "NVIDIA_SMI_SECONDS", 0.2)
    install(machine, "nvidia-smi", answer)
    put(
        machine / "proc/driver/nvidia/version",
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue\n",
    )
    found = environment(machine)
    assert found["driver"] == {"version": "535.54.03", "problem": f"nvidia-smi {problem}"}
    assert found["gpus"] == []


def test_a_program_that_cannot_start_is_no_exception(machine: Path) -> None:
    program = machine / "bin/nvidia-smi"
    put(program, "#!/nowhere/sh\n")
    program.chmod(0o755)
    assert "does not start" in environment(machine)["driver"]["problem"]


@pytest.mark.parametrize(("flags", "bf16"), [("avx512_bf16", True), ("amx_bf16", True), ("avx2", False)])
def test_bf16_of_a_cpu_is_read_from_its_flags(machine: Path, flags: str, bf16: bool) -> None:
    put(machine / "proc/cpuinfo", CPU.format(flags))
    cpu = environment(machine)["cpu"]
    assert (cpu["name"], cpu["bf16"]) == ("Test CPU", bf16)


def test_what_a_bare_machine_does_not_tell_is_none(machine: Path) -> None:
    found = environment(machine / "not" / "there" / "yet")
    assert found["cpu"]["bf16"] is None
    assert found["driver"] == {"version": None, "problem": None}
    assert (found["gpus"], found["variables"], found["compiler"]) == ([], {}, None)
    assert found["disk"]["free_gb"] > 0
    assert found["memory"]["limit_gb"] is None


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/job/step\n", {"job/memory.max": "2000000000", "job/step/memory.max": "max"}, 2.0),
        ("0::/\n", {"memory.max": "1500000000"}, 1.5),
        ("4:memory:/a/b\n3:cpuset:/\n", {"memory/memory.limit_in_bytes": "1000000000"}, 1.0),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
        ("0::/\n", {"memory.max": "max"}, None),
    ],
)
def test_memory_is_that_of_the_control_group(
    machine: Path, groups: str, limits: dict[str, str], expected: float | None
) -> None:
    put(machine / "proc/self/cgroup", groups)
    for path, limit in limits.items():
        put(machine / "cgroup" / path, f"{limit}\n")
    memory = environment(machine)["memory"]
    assert memory["limit_gb"] == expected
    assert memory["available_gb"] <= (expected or psutil.virtual_memory().total / 1e9)


def test_versions_and_the_cuda_of_torch_are_those_of_the_modules(machine: Path) -> None:
    install(machine, "g++", "exit 0")
    found = environment(machine)
    assert found["packages"]["torch"] == torch.__version__
    assert found["torch"] == {"cuda": torch.version.cuda, "hip": torch.version.hip}
    assert found["python"]["version"] == ".".join(map(str, sys.version_info[:3]))
    assert {"monai", "snakemake", "lightning-fabric", "numpy", "voxgen"} <= set(found["packages"])
    assert found["compiler"] == "g++"


def test_the_environment_is_found_out_without_torch() -> None:
    script = (
        "import sys; from pathlib import Path; from voxgen.machine.environment import environment; "
        "environment(Path('.')); print('torch' in sys.modules, 'monai' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]


def test_it_takes_no_time(machine: Path) -> None:
    install(machine, "nvidia-smi", H200)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        store_environment(machine / "environment.json")
        times.append(time.perf_counter() - start)
    assert min(times) < 0.3


def test_a_folder_that_cannot_be_written_ends_nothing(
    machine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(machine / "file", "")
    store_environment(machine / "file" / "environment.json")
    assert "not written" in caplog.text


def test_a_step_leaves_the_random_numbers_as_they_were() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    step = trial()
    assert torch.equal(torch.rand(3), expected)
    for kind in set(step) - {"device"}:
        assert step[kind]["error"] is None
        assert step[kind]["finite"] is True
        assert 0 < step[kind]["seconds"] < 10
    assert "fp32" in step


def test_a_training_stores_the_step_beside_the_rest(machine: Path) -> None:
    path = machine / "logs" / "environment.json"
    store_environment_with_step(path, torch.device("cpu"))
    stored = json.loads(path.read_text())
    assert stored["step"]["device"] == "cpu"
    assert stored["step"]["fp32"]["finite"] is True
    assert stored.keys() == environment(machine).keys() | {"step"}


def test_a_device_that_is_broken_is_told_of() -> None:
    step = trial(torch.device("meta"))
    assert step["fp32"]["error"]
    assert step["fp32"]["finite"] is None


Report = Callable[..., tuple[int, str, str]]


@pytest.fixture
def report(machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Report:
    """Exit code and both streams of `voxgen doctor` on a sound machine, of which some facts are replaced."""
    sound = environment(machine) | {
        "torch": {"cuda": "12.8", "hip": None},
        "driver": {"version": "570.86.15", "problem": None},
        "gpus": [{"name": "NVIDIA H200", "memory_gb": 150.8, "capability": 9.0, "bf16": True}],
        "cpu": {"name": "Test CPU", "cores": 16, "usable": 8, "bf16": True},
        "memory": {"total_gb": 64.0, "available_gb": 60.0, "limit_gb": None},
        "disk": {"free_gb": 500.0},
        "compiler": "g++",
        "step": STEP | {"device": "cuda"},
    }

    def ask(*arguments: str, **other: Any) -> tuple[int, str, str]:
        facts = deepcopy(sound)
        for name, value in other.items():
            facts[name] = facts[name] | value if isinstance(value, dict) else value
        step = facts.pop("step")
        monkeypatch.setattr(doctor, "environment", lambda folder: facts)
        monkeypatch.setattr(doctor, "_try_step", lambda: step)
        code = main(["doctor", *arguments])
        return code, *capsys.readouterr()

    return ask


def test_a_sound_machine_is_ok_in_every_line(report: Report) -> None:
    code, printed, complaint = report()
    assert code == 0
    assert complaint == ""
    assert {line.split()[0] for line in printed.splitlines()} == {"ok"}
    assert "\nok    GPU 0             NVIDIA H200, 150.8 GB, compute capability 9.0\n" in printed
    for name in (
        "Python",
        "torch",
        "monai",
        "snakemake",
        "CUDA",
        "driver",
        "bf16",
        "memory",
        "disk",
        "threads",
    ):
        assert f"ok    {name} " in printed


@pytest.mark.parametrize(
    ("other", "name", "remedy"),
    [
        ({"torch": {"cuda": None}, "step": STEP}, "CUDA", "--index-url"),
        ({"driver": {"problem": "nvidia-smi failed"}, "gpus": [], "step": STEP}, "driver", "reboot"),
        ({"step": STEP}, "device", "CUDA_VISIBLE_DEVICES"),
        (
            {"gpus": [{"name": "Tesla V100", "memory_gb": 34.1, "capability": 7.0, "bf16": False}]},
            "bf16",
            "fp32",
        ),
        ({"gpus": [], "cpu": {"bf16": False}}, "bf16", "fp32"),
        ({"gpus": [], "cpu": {"bf16": None}}, "bf16", "fp32"),
        ({"memory": {"available_gb": 3.9}}, "memory", "machine.cache_gb"),
        ({"disk": {"free_gb": 4.9}}, "disk", "free space"),
        ({"variables": {"OMP_NUM_THREADS": "9"}}, "threads", "at most 8"),
        ({"compiler": None}, "C++ compiler", "CXX"),
    ],
)
def test_what_could_be_better_is_named_with_a_remedy(
    report: Report, other: dict[str, Any], name: str, remedy: str
) -> None:
    code, printed, _ = report(**other)
    assert code == 0
    lines = printed.splitlines()
    noted = [number for number, line in enumerate(lines) if line.startswith("look")]
    assert len(noted) == 1
    assert lines[noted[0]].startswith(f"look  {name} ")
    assert lines[noted[0] + 1].strip().startswith("-> ")
    assert remedy in lines[noted[0] + 1]


@pytest.mark.parametrize(
    ("other", "name", "remedy"),
    [
        ({"python": {"version": "3.10.1"}}, "Python", "make a new environment"),
        ({"packages": {"torch": "2.7.1+cu126"}}, "torch", "pip install"),
        ({"packages": {"snakemake": "10.0"}}, "snakemake", "pip install"),
        ({"packages": {"isal": None}}, "isal", "pip install"),
        (
            {"step": {"fp32": {"finite": None, "error": "ImportError: no"}}},
            "step in fp32",
            "machine.device: cpu",
        ),
        ({"step": {"device": None, "fp32": {"finite": None, "error": "no"}}}, "step in fp32", "pip install"),
        (
            {"step": {"bf16": {"seconds": 1.0, "finite": False, "error": None}}},
            "step in bf16",
            "machine.precision: fp32",
        ),
    ],
)
def test_what_does_not_work_fails_with_a_remedy(
    report: Report, other: dict[str, Any], name: str, remedy: str
) -> None:
    code, printed, complaint = report(**other)
    assert code == 1
    assert complaint == f"voxgen: failed: {name}; what helps stands below each\n"
    lines = printed.splitlines()
    (place,) = (number for number, line in enumerate(lines) if line.startswith("fail"))
    assert lines[place].startswith(f"fail  {name} ")
    assert remedy in lines[place + 1]


def test_json_holds_facts_checks_and_step_also_of_a_failure(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "doctor.json"
    code, printed, _ = report("--json", str(file), packages={"monai": "1.5"})
    assert code == 1
    stored = json.loads(file.read_text())
    assert stored["gpus"][0]["name"] == "NVIDIA H200"
    assert stored["step"]["fp32"]["finite"] is True
    assert [check["name"] for check in stored["checks"] if check["mark"] == "fail"] == ["monai"]
    assert len(stored["checks"]) == len([line for line in printed.splitlines() if not line.startswith(" ")])


def test_json_that_cannot_be_written_is_said(report: Report, tmp_path: Path) -> None:
    put(tmp_path / "file", "")
    code, _, complaint = report("--json", str(tmp_path / "file" / "doctor.json"))
    assert code == 1
    assert "cannot be written" in complaint


def test_this_machine_makes_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    assert "\nok    step in fp32      forward and backward on " in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.workflow
def test_a_run_leaves_its_environment(tmp_path: Path) -> None:
    project = Project(tmp_path)
    result = project.run("--cores", "1", "results/voxels/shards/grid.json")
    assert result.returncode == 0, result.stdout
    stored = json.loads((tmp_path / "results" / "logs" / "environment.json").read_text())
    assert stored["cpu"]["usable"] == usable_cpus()
    assert stored["variables"]["OMP_NUM_THREADS"] == "1"
    assert "step" not in stored
    assert not project.stale("results/voxels/shards/grid.json")
