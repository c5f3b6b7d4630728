"""What the file of a checkpoint holds of weights. No code in it is run."""

import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from voxgen.errors import InputError

Weights = dict[str, Tensor]

WRAPPERS = re.compile(r"(?:(?<=\.)|^)(?:module|_orig_mod)\.")  # of DDP, DataParallel and compile
ARCHIVE, PICKLE = b"PK", b"\x80"
POINTER = b"version https://git-lfs"
NEEDS_CODE = re.compile(r"GLOBAL `?([\w.]+)")


@dataclass(frozen=True)
class CheckpointFile:
    """Mappings from names to tensors, each under the path of its keys in the file ("" for the file itself).

    Attributes:
        parts: without the prefixes of wrappers.
        epoch: what the file says, if anything.
    """

    parts: dict[str, Weights]
    epoch: int | None


def read_checkpoint(path: Path) -> CheckpointFile:
    """Read a checkpoint of torch or a safetensors file.

    Raises:
        InputError: it cannot be read, or not without running code.
    """
    content = _content(path)
    parts = {name: _unwrapped(path, name, weights) for name, weights in _parts(content, "")}
    epoch = content.get("epoch") if isinstance(content, Mapping) else None
    return CheckpointFile(parts, epoch if type(epoch) is int else None)


def _content(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            begins = file.read(len(POINTER))
        if begins == POINTER:
            raise InputError(f"{path}: is a pointer of Git LFS; fetch the content (git lfs pull)")
        if begins[8:9] == b"{":
            return load(path.read_bytes())
        if not begins.startswith((ARCHIVE, PICKLE)):
            raise InputError(
                f"{path}: neither a checkpoint of torch nor safetensors; name the file of weights"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch warns of is refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name the file of a checkpoint") from None
    except pickle.UnpicklingError as error:
        raise _refused_pickle(path, str(error)) from None
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        if "TorchScript" in str(error):
            raise _refused_pickle(path, "it is a TorchScript archive") from None
        (first, *_) = str(error).splitlines() or [type(error).__name__]
        raise InputError(f"{path}: damaged, it cannot be read ({first}); copy it again") from None


def _refused_pickle(path: Path, said: str) -> InputError:
    found = NEEDS_CODE.search(said)
    needs = f"it needs the code of {found[1]}" if found else said.splitlines()[0]
    return InputError(
        f"{path}: more than weights, {needs}, and no code of a file is run. If you trust the file, store its "
        f"weights alone, where the program that wrote it is: torch.save(torch.load({str(path)!r}, "
        "weights_only=False)['state_dict'], 'weights.pt'), or of a whole module its state_dict()"
    )


def _parts(content: Any, path: str) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    if not isinstance(content, Mapping):
        return
    weights = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    if weights and all(isinstance(key, str) for key in weights):
        yield path, weights
    for key, value in content.items():
        yield from _parts(value, f"{path}.{key}" if path else str(key))


def _unwrapped(path: Path, part: str, weights: Mapping[str, Tensor]) -> Weights:
    unwrapped = {WRAPPERS.sub("", name): tensor for name, tensor in weights.items()}
    if len(unwrapped) < len(weights):
        raise InputError(
            f"{path}: {part or 'the file'} holds parameters both with and without the prefixes module. or "
            "_orig_mod.; store one network alone"
        )
    return unwrapped
