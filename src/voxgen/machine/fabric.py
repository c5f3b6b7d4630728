"""Where networks run, in what arithmetic and in how many processes: the machine's choices, made once."""

import logging
import os
import warnings
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import lightning_fabric
import torch
from lightning_fabric.plugins import MixedPrecision, Precision
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import distributed, nn

from voxgen.errors import InputError
from voxgen.machine.memory import keep_freed_memory
from voxgen.settings.machine import Inference, Machine

log = logging.getLogger(__name__)
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)

# values of ONEDNN_MAX_CPU_ISA below avx512_core_bf16
WITHOUT_BF16 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI")

M = TypeVar("M", bound=nn.Module)


class _Autocast(MixedPrecision):
    """Mixed precision that leaves a batch as it is: Fabric's would round what the loss compares with."""

    def convert_input(self, data: Any) -> Any:
        return data


def launch(machine: Inference) -> lightning_fabric.Fabric:
    """Fabric on one device, with the machine's precision and threads.

    Raises:
        InputError: `machine.device` is cuda and there is none.
    """
    device = _device(machine)
    own = [local_rank()] if device == "cuda" else 1
    alone = LightningEnvironment()  # not what Fabric makes of a Slurm job
    plugins: list[Any] = [_precision(machine, device), alone]
    return lightning_fabric.Fabric(accelerator=device, devices=own, plugins=plugins)


def launch_together(machine: Machine, several_turns: bool = False) -> lightning_fabric.Fabric:
    """Fabric over all processes of a training; where there is one process, the same as `launch`.

    `several_turns`: a step trains a part of the network at a time.

    Raises:
        InputError: as `launch`, or fewer GPUs than `machine.gpus`.
        RuntimeError: `machine` asks for several processes, but this is none of them.
    """
    if machine.gpus * machine.nodes == 1:
        return launch(machine)
    if not distributed.is_torchelastic_launched():
        raise RuntimeError("several processes: call the stage by training.distributed.together.together")
    device = _device(machine)
    if device == "cuda" and torch.cuda.device_count() < machine.gpus:
        raise InputError(f"machine.gpus: {machine.gpus}, but this node has {torch.cuda.device_count()}")
    fabric = lightning_fabric.Fabric(
        accelerator=device,
        devices=machine.gpus,
        num_nodes=machine.nodes,
        strategy=DDPStrategy(find_unused_parameters=several_turns),
        plugins=[_precision(machine, device)],
    )
    fabric.launch()
    # said of kernels of one voxel, whose strides mean nothing
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    log.info("%d processes on %d nodes", fabric.world_size, machine.nodes)
    return fabric


def rank() -> int:
    """The number of this process among those of a training; 0 where it is alone."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def local_rank() -> int:
    """The number of this process on its node; 0 where it is alone."""
    return int(distributed.get_node_local_rank(fallback_rank=0))


def gathered(content: Any) -> list[Any]:
    """What every process gives, in the order of their ranks; all must call."""
    if not distributed.is_initialized():
        return [content]
    contents: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(contents, content)
    return contents


def agreed(flags: Sequence[bool], device: torch.device) -> list[bool]:
    """Which flags any process has raised; all must call."""
    if not distributed.is_initialized():
        return list(flags)
    raised = torch.tensor(flags, dtype=torch.int32, device=device)
    distributed.all_reduce(raised, distributed.ReduceOp.MAX)
    return [bool(flag) for flag in raised.tolist()]


def synchronised(module: M, fabric: lightning_fabric.Fabric) -> M:
    """The module with batch normalisation over all processes, where it occurs and there are several.

    Raises:
        InputError: torch cannot do so on this device.
    """
    found = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())
    if fabric.world_size == 1 or not found:
        return module
    if fabric.device.type != "cuda":
        raise InputError("machine.gpus: batch normalisation over several processes needs GPUs; give 1")
    converted: M = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
    return converted


def _device(machine: Inference) -> str:
    torch.set_num_threads(machine.threads)
    has_gpu = torch.cuda.is_available()
    if machine.device == "cuda" and not has_gpu:
        raise InputError("machine.device: cuda, but torch finds no GPU; give auto or cpu")
    if has_gpu and machine.device != "cpu":
        return "cuda"
    keep_freed_memory()
    return "cpu"


def _precision(machine: Inference, device: str) -> Precision:
    chosen = machine.precision if machine.precision != "auto" else fastest(device)
    log.info("device %s, %s, %d threads", device, chosen, torch.get_num_threads())
    if chosen == "fp32":
        return Precision()
    return _Autocast("bf16-mixed" if chosen == "bf16" else "16-mixed", device)


def fastest(device: str) -> Literal["bf16", "fp32"]:
    """The precision that is fastest on a device, "cuda" or "cpu".

    On a CPU that has bf16, torch and oneDNN may be told to do without (docs/performance.md).
    """
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    used = torch.backends.cpu.get_cpu_capability() not in ("DEFAULT", "AVX2")
    allowed = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() not in WITHOUT_BF16
    return "bf16" if used and allowed and torch.cpu._is_avx512_bf16_supported() else "fp32"
