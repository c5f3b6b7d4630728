"""Where networks run and in what arithmetic: the machine's choices, made once."""

import logging

import lightning_fabric
import torch

from voxgen.errors import InputError
from voxgen.settings.sections import Machine

log = logging.getLogger(__name__)


def launch(machine: Machine) -> lightning_fabric.Fabric:
    """Fabric on one device, with the machine's precision and threads.

    Raises:
        InputError: `machine.device` is cuda and there is none.
    """
    torch.set_num_threads(machine.threads)
    has_gpu = torch.cuda.is_available()
    if machine.device == "cuda" and not has_gpu:
        raise InputError("machine.device: cuda, but torch finds no GPU; give auto or cpu")
    device = "cuda" if has_gpu and machine.device != "cpu" else "cpu"
    precision = machine.precision if machine.precision != "auto" else _fastest(device)
    log.info("device %s, %s, %d threads", device, precision, torch.get_num_threads())
    return lightning_fabric.Fabric(
        accelerator=device, devices=1, precision="bf16-mixed" if precision == "bf16" else "32-true"
    )


def _fastest(device: str) -> str:
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "fp32"
