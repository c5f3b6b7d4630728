"""Trainings on 8-cubes, with something that happens to them where a test wants it."""

import io
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from shutil import copytree
from typing import Any

import torch

from conditioned import conditioned, told_latents
from conftest import trained_for
from voxgen.settings.autoencoder import AutoencoderSettings, InputNoise
from voxgen.settings.losses import Adversary
from voxgen.settings.prior import PriorSettings
from voxgen.settings.sections import Settings
from voxgen.stages.encode_latents import encode_latents
from voxgen.stages.scale_factor import scale_factor
from voxgen.stages.train_autoencoder import train_autoencoder
from voxgen.stages.train_diffusion import train_diffusion
from voxgen.training.engine import Engine

TRAININGS = ("autoencoder", "adversarial", "codes", "prior", "told", "transformer")  # told: with conditions
PRIORS = TRAININGS[-3:]
ADVERSARY = {"weight": 0.1, "warmup_epochs": 1, "learning_rate": 1e-3, "channels": 4, "layers": 1}
ADVERSARY |= {"scales": 1, "norm": "instance"}
MODEL = {"model.safetensors", "config.json", "history.csv"}
EPOCHS = 3
STEPS = 2  # an epoch


@dataclass(frozen=True)
class Fired:
    """A training whose model and states lie in a folder; `made` holds what the stages before it made."""

    training: str
    voxels: Path
    made: Path
    folder: Path
    settings: Settings
    checkpoint_minutes: float = 1e-9  # a state after every step
    max_minutes: float | None = None

    @property
    def model(self) -> Path:
        """Where the outputs go."""
        return self.folder / "model"

    @property
    def state(self) -> Path:
        """Where the folders of states are."""
        return self.folder / "state"

    def states(self) -> list[Path]:
        """All states, the earliest first."""
        return sorted(self.state.glob("*/state-*.pt"))

    def train(self, call: Callable[..., None] | None = None) -> None:
        """Call the stage, or have it called, as `together` does."""
        minutes = {"checkpoint_minutes": self.checkpoint_minutes, "max_minutes": self.max_minutes}
        machine = self.settings.machine.model_copy(update=minutes)
        lengths = {"epochs": EPOCHS, "schedule_epochs": EPOCHS}
        section = self._prior() if self.training in PRIORS else self._autoencoder()
        arguments: dict[str, Any] = {
            "out": self.model,
            "state": self.state,
            "settings": trained_for(section, **lengths),
            "seed": self.settings.seed,
            "machine": machine,
        }
        if self.training not in PRIORS:
            arguments |= {
                name: (self.voxels / f"{name}.csv", self.voxels / name) for name in ("train", "val")
            }
            arguments |= {name: self.voxels / f"{name}.json" for name in ("grid", "intensity")}
            arguments |= {name: getattr(self.settings.data, name) for name in ("flips", "rotations")}
            if call:
                call(train_autoencoder, None, **arguments)
            else:
                train_autoencoder(**arguments)
            return
        latents = self.made / "latents"
        if self.training == "told":
            latents = self.folder / "latents"
            latents = latents if latents.exists() else told_latents(self.made / "latents", latents)
        train_diffusion(
            *(latents / "train", latents / "val", latents / "scale.json", self.made / "autoencoder"),
            **arguments,
        )

    def encode_volumes(self, folder: Path) -> None:
        """Leave the trained autoencoder and what it makes of the volumes in a folder, for a prior."""
        copytree(self.model, folder / "autoencoder")
        described = self.voxels / "grid.json", self.voxels / "intensity.json"
        symmetries = self.settings.data.flips, self.settings.data.rotations
        for split in ("train", "val"):
            volumes = self.voxels / f"{split}.csv", self.voxels / split
            out = folder / "latents" / split
            encode_latents(
                split, volumes, *described, folder / "autoencoder", out, *symmetries, self.settings.machine
            )
        scale_factor(folder / "latents/train", folder / "latents/scale.json", "draw")

    def _prior(self) -> PriorSettings:
        if self.training == "told":
            return conditioned(self.settings).prior
        kind = "transformer" if self.training == "transformer" else "diffusion"
        return self.settings.prior.model_copy(update={"kind": kind})

    def _autoencoder(self) -> AutoencoderSettings:
        section = self.settings.autoencoder
        if self.training == "codes":
            return section.model_copy(update={"kind": "vq"})
        if self.training == "autoencoder":
            return section
        losses = section.kl.losses.model_copy(update={"adversarial": Adversary(**ADVERSARY)})
        noise = InputNoise(gaussian=0.1, dropout=0.1)
        kl = section.kl.model_copy(update={"losses": losses, "input_noise": noise})
        return section.model_copy(update={"kl": kl})

    def killed(self, moment: Callable[[], None]) -> int:
        """The exit code of a process that trains after `moment` has set what is to kill it.

        It is forked from one that has imported everything and trained nothing: that takes no second.
        """
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([train_autoencoder.__module__, train_diffusion.__module__])
        process = context.Process(target=_train_until, args=(self, moment))
        process.start()
        process.join(120)
        assert process.exitcode is not None, "it was not killed, and did not end"
        return process.exitcode


def assert_same(fired: Fired, whole: Fired) -> None:
    """Outputs equal bit for bit, and nothing half-written beside them."""
    assert {path.name for path in fired.model.iterdir()} == MODEL
    for name in MODEL:
        assert (fired.model / name).read_bytes() == (whole.model / name).read_bytes(), name
    assert not half_written(fired)


def half_written(fired: Fired) -> list[Path]:
    """Files that were not finished."""
    return [path for folder in (fired.model, fired.state) for path in folder.rglob(".*")]


def before_call(
    number: int, owner: Any, name: str, act: Callable[[], Any], put: Callable[..., None] = setattr
) -> None:
    """Let the call of that number, from 0, of a function or method do something first."""
    original, numbers = getattr(owner, name), count()

    def replacement(*arguments: Any, **keywords: Any) -> Any:
        if next(numbers) == number:
            act()
        return original(*arguments, **keywords)

    put(owner, name, replacement)


def _train_until(fired: Fired, moment: Callable[[], None]) -> None:
    moment()
    fired.train()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def between_steps() -> None:
    """Die before the second step of the second epoch."""
    before_call(STEPS + 1, Engine, "train_step", _die)


def in_validation() -> None:
    """Die in the validation of the second epoch."""
    before_call(1, Engine, "val_step", _die)


def in_the_states_write() -> None:
    """Die in the second epoch, when half of its first state is written."""
    save, numbers = torch.save, count()

    def half(content: Any, file: io.BufferedWriter) -> None:
        if next(numbers) <= STEPS:
            return save(content, file)
        whole = io.BytesIO()
        save(content, whole)
        file.write(whole.getvalue()[: whole.tell() // 2])
        file.flush()
        return _die()

    torch.save = half


def while_outputs_are_written() -> None:
    """Die when history.csv and config.json are there, and half of model.safetensors."""
    write = Path.write_bytes

    def half(path: Path, content: bytes) -> int:
        if path.name.endswith(".model.safetensors"):
            write(path, content[: len(content) // 2])
            _die()
        return write(path, content)

    Path.write_bytes = half


MOMENTS = (between_steps, in_validation, in_the_states_write, while_outputs_are_written)
