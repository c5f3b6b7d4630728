"""`voxgen doctor`: whether this machine has what voxgen needs, and what helps where it has not."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from packaging.specifiers import SpecifierSet

from voxgen.errors import InputError
from voxgen.io.files import write_json
from voxgen.machine.environment import environment, required, required_python

RESULTS = Path("results")
MEMORY_GB = 4.0
DISK_GB = 5.0
SLOWER = "fp32 is used with machine.precision: auto, which is slower"
NAMED = ("torch", "monai", "snakemake", "lightning-fabric", "numpy")
REINSTALL = "run make environment, or pip install -e . in your own environment"


@dataclass(frozen=True)
class Check:
    """One line of the report; `fail`: voxgen does not run so, `look`: it could run better."""

    name: str
    mark: Literal["ok", "look", "fail"]
    found: str
    remedy: str = ""


def doctor(file: Path | None) -> Iterator[str]:
    """The lines of the report, as they are found; all of it goes to `file` as JSON, if one is given.

    Raises:
        InputError: a check fails, or `file` cannot be written.
    """
    facts = environment(RESULTS)
    failed = []
    found = []
    for check in checks(facts):
        found.append(check)
        yield f"{check.mark:<6}{check.name:<18}{check.found}"
        if check.remedy:
            yield f"{'':<24}-> {check.remedy}"
        if check.mark == "fail":
            failed.append(check.name)
    if file is not None:
        try:
            write_json(file, facts | {"checks": [asdict(check) for check in found]})
        except OSError as error:
            raise InputError(f"--json {file}: cannot be written ({error.strerror})") from None
    if failed:
        raise InputError(f"failed: {', '.join(failed)}; what helps stands below each")


def checks(facts: dict[str, Any]) -> Iterator[Check]:
    """Judge what `environment` found; then try a step, which is added to `facts` under "step"."""
    yield from _software(facts)
    yield _compute(facts)
    yield from _nvidia(facts)
    yield _bf16(facts)
    yield from _machine(facts)
    facts["step"] = _try_step()
    yield from _step(facts)


def _software(facts: Mapping[str, Any]) -> Iterator[Check]:
    """Python and the packages that voxgen needs; those that are in order and not NAMED share a line."""
    python, wanted = facts["python"]["version"], required_python()
    shown = f"{python} ({facts['python']['kind']}), {facts['platform']}"
    if SpecifierSet(wanted).contains(python, prereleases=True):
        yield Check("Python", "ok", shown)
    else:
        yield Check("Python", "fail", shown, f"voxgen needs {wanted}; make a new environment with it")
    unnamed = 0
    needed = required()
    if not needed:
        yield Check("packages", "look", "voxgen is not installed, so its needs are unknown", REINSTALL)
        return
    for need in needed:
        version = facts["packages"].get(need.name)
        if version is None:
            yield Check(need.name, "fail", f"not installed, {need.specifier} is needed", REINSTALL)
        elif not need.specifier.contains(version, prereleases=True):
            yield Check(need.name, "fail", f"{version}, but {need.specifier} is needed", REINSTALL)
        elif need.name in NAMED:
            yield Check(need.name, "ok", version)
        else:
            unnamed += 1
    yield Check("other packages", "ok", f"{unnamed} as they are needed")


def _compute(facts: Mapping[str, Any]) -> Check:
    """What torch is built for, against the driver."""
    build, has_driver = facts["torch"], bool(facts["driver"]["version"])
    if build["cuda"]:
        return Check("CUDA", "ok", f"torch is built for CUDA {build['cuda']}")
    if build["hip"]:
        return Check("CUDA", "ok", f"torch is built for ROCm {build['hip']}")
    if not has_driver:
        return Check("CUDA", "ok", "torch is built for the CPU")
    return Check(
        "CUDA",
        "look",
        "an NVIDIA driver is there, but torch is built for the CPU: GPUs stay unused",
        "pip install --force-reinstall torch, with the --index-url of a CUDA build that "
        "https://pytorch.org/get-started/locally names, then pip install -e .",
    )


def _nvidia(facts: Mapping[str, Any]) -> Iterator[Check]:
    driver, gpus = facts["driver"], facts["gpus"]
    if driver["problem"]:
        remedy = "a driver that was updated since the machine started needs a reboot; else reinstall it"
        yield Check("driver", "look", f"{driver['version'] or 'unknown'}: {driver['problem']}", remedy)
    else:
        yield Check("driver", "ok", driver["version"] or "no NVIDIA driver found")
    for number, gpu in enumerate(gpus):
        memory = f", {gpu['memory_gb']:g} GB" if gpu["memory_gb"] else ""
        capability = f", compute capability {gpu['capability']}" if gpu["capability"] else ""
        yield Check(f"GPU {number}", "ok", f"{gpu['name']}{memory}{capability}")
    if not gpus:
        yield Check("GPU", "ok", "none found; networks run on the CPU")


def _bf16(facts: Mapping[str, Any]) -> Check:
    """Of the GPUs, where torch can use them, or else of the CPU."""
    usable = facts["gpus"] if facts["torch"]["cuda"] else []
    parts = usable or [facts["cpu"]]
    of = "the GPU" if usable else "the CPU"
    if all(part["bf16"] for part in parts):
        return Check("bf16", "ok", f"{of} has it")
    if any(part["bf16"] is None for part in parts):
        return Check("bf16", "look", f"unknown whether {of} has it", f"if not, {SLOWER}")
    return Check("bf16", "look", f"{of} does not have it", SLOWER)


def _machine(facts: Mapping[str, Any]) -> Iterator[Check]:
    """CPU, memory, disk, threads and compiler."""
    cpu, memory, free = facts["cpu"], facts["memory"], facts["disk"]["free_gb"]
    yield Check("CPU", "ok", f"{cpu['name']}, {cpu['cores']} cores, {cpu['usable']} for this process")
    limit = f", limited to {memory['limit_gb']:g} GB" if memory["limit_gb"] else ""
    shown = f"{memory['available_gb']:g} GB available of {memory['total_gb']:g} GB{limit}"
    if memory["available_gb"] < MEMORY_GB:
        remedy = f"at least {MEMORY_GB:g} GB are good; end other programs, or lower machine.cache_gb"
        yield Check("memory", "look", shown, remedy)
    else:
        yield Check("memory", "ok", shown)
    shown = "unknown" if free is None else f"{free:g} GB free for results"
    if free is not None and free < DISK_GB:
        remedy = f"at least {DISK_GB:g} GB are good; free space, or work in another folder (--directory)"
        yield Check("disk", "look", shown, remedy)
    else:
        yield Check("disk", "ok", shown)
    yield _threads(facts["variables"], cpu["usable"])
    if facts["compiler"]:
        yield Check("C++ compiler", "ok", facts["compiler"])
    else:
        remedy = "only machine.compile: true on a CPU needs one: install g++, or name yours in CXX"
        yield Check("C++ compiler", "look", "none found", remedy)


def _threads(variables: Mapping[str, str], usable: int) -> Check:
    """More threads than CPUs make OpenMP many times slower."""
    threads = {name: value for name, value in variables.items() if name.endswith("_NUM_THREADS")}
    shown = ", ".join(f"{name}={value}" for name, value in threads.items()) or "no variable sets them"
    many = [name for name, value in threads.items() if value.isdecimal() and int(value) > usable]
    if not many:
        return Check("threads", "ok", shown)
    remedy = f"unset {' '.join(many)}, or give at most {usable}; the rules of the workflow set it themselves"
    return Check("threads", "look", f"{shown}, but this process may use {usable} CPUs", remedy)


def _try_step() -> dict[str, Any]:
    try:
        from voxgen.training.monitor.trial import trial

        return trial()
    except Exception as error:  # an installation may be broken in any way; it is what is asked about
        problem = f"{type(error).__name__}: {error}"[:500]
        return {"device": None, "fp32": {"seconds": None, "finite": None, "error": problem}}


def _step(facts: Mapping[str, Any]) -> Iterator[Check]:
    step = facts["step"]
    for kind in ("fp32", "bf16"):
        if kind not in step:
            continue
        name, result = f"step in {kind}", step[kind]
        if result["finite"]:
            shown = f"forward and backward on {step['device']} in {1e3 * result['seconds']:.0f} ms"
            yield Check(name, "ok", f"{shown}, gradient finite")
        else:
            problem = result["error"] or "loss or gradient is not finite"
            yield Check(name, "fail", " ".join(problem.split()), _way_round(kind, step["device"]))
    if facts["gpus"] and facts["torch"]["cuda"] and step["device"] == "cpu":
        remedy = "look at CUDA_VISIBLE_DEVICES; a driver older than torch's CUDA must be updated"
        yield Check("device", "look", "there is a GPU, but torch does not find it", remedy)


def _way_round(kind: str, device: str | None) -> str:
    if kind == "bf16":
        return "set machine.precision: fp32"
    if device == "cuda":
        return "set machine.device: cpu, or install a torch that fits the driver (README, With a GPU)"
    return REINSTALL
