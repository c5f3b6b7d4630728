"""What a run has to work with: versions, GPUs, processor, memory, disk. Found out without importing torch.

Memory and disk are in GB of 1e9 bytes. What cannot be found out is None, never an exception.
"""

import ast
import csv
import importlib.util
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path
from typing import Any

import psutil
from packaging.requirements import Requirement

from voxgen.io.files import write_json
from voxgen.machine.threads import WAITING

log = logging.getLogger(__name__)

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
GB = 1e9
BF16_CAPABILITY = 8.0  # Ampere
BF16_FLAGS = {"avx512_bf16", "amx_bf16"}
NVIDIA_SMI_SECONDS = 5
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
VARIABLES = (*THREADS, *WAITING, "CUDA_VISIBLE_DEVICES")


def store_environment(path: Path, **more: Any) -> None:
    """Write `environment` and `more` as JSON to `path`; what goes wrong is logged and never raised."""
    try:
        write_json(path, environment(path.parent) | more)
    except Exception as error:  # a note about a run must not end it
        log.warning("%s: not written (%s)", path, error)


def environment(folder: Path) -> dict[str, Any]:
    """What a run whose results lie in `folder`, which need not exist yet, has to work with.

    Keys: written, python, platform, packages, torch, driver, gpus, cpu, memory, disk, variables, compiler.
    """
    driver, gpus = _nvidia()
    return {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": {"version": platform.python_version(), "kind": _python_kind()},
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "packages": {"voxgen": _version("voxgen")} | {need.name: _version(need.name) for need in required()},
        "torch": _torch_build(),
        "driver": driver,
        "gpus": gpus,
        "cpu": _cpu(),
        "memory": _memory(),
        "disk": {"free_gb": _free_disk(folder)},
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "compiler": _compiler(),
    }


def required() -> list[Requirement]:
    """The packages that voxgen needs to run, with their versions, as its own metadata declare them."""
    try:
        declared = metadata("voxgen")
    except PackageNotFoundError:  # run from its source, not installed
        return []
    needs = map(Requirement, declared.get_all("Requires-Dist") or [])
    return [need for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]


def required_python() -> str:
    """The versions of Python that voxgen runs on, such as ">=3.11,<3.14"; "" where it does not say."""
    try:
        declared = metadata("voxgen").get_all("Requires-Python")
    except PackageNotFoundError:
        return ""
    return declared[0] if declared else ""


def usable_cpus() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _python_kind() -> str:
    if Path(sys.prefix, "conda-meta").is_dir():
        return "conda"
    return "venv" if sys.prefix != sys.base_prefix else "system"


def _torch_build() -> dict[str, str | None]:
    """The CUDA or ROCm (hip) version that torch was built for, as its version.py says."""
    found = importlib.util.find_spec("torch")
    said = _text(Path(found.origin).with_name("version.py")) if found and found.origin else ""
    values = dict(re.findall(r"^(cuda|hip)\b[^=\n]*= *(None|'[^'\n]*'|\"[^\"\n]*\") *$", said, re.MULTILINE))
    return {name: ast.literal_eval(values.get(name, "None")) for name in ("cuda", "hip")}


def _nvidia() -> tuple[dict[str, str | None], list[dict[str, Any]]]:
    """The driver, with what is wrong with it, and its GPUs."""
    said = re.search(r"Module.*?\s(\d+\.[\d.]+)", _text(PROC / "driver/nvidia/version"))
    driver: dict[str, str | None] = {"version": said.group(1) if said else None, "problem": None}
    program = shutil.which("nvidia-smi")
    if program is None:
        return driver, []
    asked = ["driver_version", "name", "memory.total", "compute_cap"]
    answer = _ask(program, asked)
    if isinstance(answer, str) and "compute_cap" in answer:  # drivers before 2021 do not know it
        answer = _ask(program, asked[:-1])
    if isinstance(answer, str):
        return driver | {"problem": answer}, []
    gpus = []
    for driver["version"], name, megabytes, *capability in answer:
        memory, capable = _number(megabytes), _number(*capability)
        gpus.append(
            {
                "name": name,
                "memory_gb": None if memory is None else round(memory * 2**20 / GB, 1),
                "capability": capable,
                "bf16": None if capable is None else capable >= BF16_CAPABILITY,
            }
        )
    return driver, gpus


def _ask(program: str, fields: list[str]) -> list[list[str]] | str:
    """A row of `fields` for each GPU, or what went wrong."""
    line = [program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        ran = subprocess.run(
            line, capture_output=True, text=True, timeout=NVIDIA_SMI_SECONDS, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired:
        return f"nvidia-smi did not answer in {NVIDIA_SMI_SECONDS} s"
    except OSError as error:
        return f"nvidia-smi does not start ({error.strerror})"
    rows = list(csv.reader(ran.stdout.splitlines(), skipinitialspace=True))
    if ran.returncode or any(len(row) != len(fields) for row in rows):
        said = " ".join((ran.stdout + ran.stderr).split())
        return f"nvidia-smi failed with {ran.returncode}: {said[:200] or 'no message'}"
    return rows


def _number(text: str = "") -> float | None:
    """The number in a field of nvidia-smi; it writes [N/A] and the like for what it does not know."""
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else None


def _cpu() -> dict[str, Any]:
    """Name, logical cores, CPUs that this process may use, and whether there are bf16 instructions."""
    said = _text(PROC / "cpuinfo")
    name = re.search(r"^model name\s*: *(.+)$", said, re.MULTILINE)
    flags = re.search(r"^flags\s*:(.*)$", said, re.MULTILINE)
    return {
        "name": name.group(1) if name else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "usable": usable_cpus(),
        "bf16": bool(BF16_FLAGS & set(flags.group(1).split())) if flags else None,
    }


def _memory() -> dict[str, float | None]:
    """Memory of the machine, what is available of it, and the limit of a container or scheduler [GB]."""
    found = psutil.virtual_memory()
    limit = min(_memory_limits(), default=found.total)
    return {
        "total_gb": round(found.total / GB, 2),
        "available_gb": round(min(found.available, limit) / GB, 2),
        "limit_gb": round(limit / GB, 2) if limit < found.total else None,
    }


def _memory_limits() -> Iterator[int]:
    """The limits of the control groups, of both versions, that this process is in [bytes]."""
    for line in _text(PROC / "self/cgroup").splitlines():
        number, controllers, own = line.split(":", 2)
        version_2 = number == "0"
        if not version_2 and "memory" not in controllers.split(","):
            continue
        root = CGROUPS if version_2 else CGROUPS / "memory"
        name = "memory.max" if version_2 else "memory.limit_in_bytes"
        group = Path(own.lstrip("/"))
        for folder in (group, *group.parents):
            said = _text(root / folder / name).strip()
            if said.isdecimal():
                yield int(said)


def _free_disk(folder: Path) -> float | None:
    """Space for results in `folder`, or where it will be made [GB]."""
    folder = folder.absolute()
    there = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    try:
        return round(shutil.disk_usage(there).free / GB, 2)
    except OSError:
        return None


def _compiler() -> str | None:
    """The C++ compiler that torch.compile calls on a CPU, if it is there."""
    name = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    return name if shutil.which(name) else None


def _text(path: Path) -> str:
    """The content of a file of the system; empty where it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
