"""What the digest of a stage follows by name, against what the stage really runs."""

import inspect
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

from conftest import VOLUMES, trained_for
from fire import ADVERSARY
from resnet_files import random_weights, saved
from voxgen.settings import formulas
from voxgen.settings.autoencoder import InputNoise
from voxgen.settings.base import WHOLE
from voxgen.settings.losses import KLLosses
from voxgen.settings.sections import Settings
from voxgen.stages.encode_latents import encode_latents
from voxgen.stages.scale_factor import scale_factor
from voxgen.stages.train_autoencoder import train_autoencoder
from voxgen.stages.train_diffusion import train_diffusion

Place = tuple[str, str]


def ran(act: Callable[[], Any]) -> set[Place]:
    """The module and top-level name of each function of the package that runs meanwhile, in any thread."""
    codes: dict[int, CodeType] = {}
    package = str(formulas.PACKAGE)

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(package) and not watched(frame):
            codes[id(code)] = code

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return {place for code in codes.values() if (place := top(code))}


def watched(frame: FrameType | None) -> bool:
    """Whether a carrier that only looks on, and changes no result, asked for this: a picture, say."""
    while frame:
        if frame.f_code.co_filename.startswith(str(formulas.PACKAGE / "training" / "monitor")):
            return frame.f_code.co_name not in ("told_of_memory", "interruption", "profiled")
        frame = frame.f_back
    return False


def top(code: CodeType) -> Place | None:
    """Where a function of the package lies, by the name at the top of its module that holds it."""
    path = Path(code.co_filename)
    if not path.is_relative_to(formulas.PACKAGE) or code.co_name == "<module>":
        return None
    module = ".".join(("voxgen", *path.relative_to(formulas.PACKAGE).with_suffix("").parts))
    name = code.co_qualname.partition(".")[0]
    if name.startswith("<"):  # a lambda or comprehension: the statement that it stands in
        tree = formulas.ast.parse(path.read_text())
        (node,) = (n for n in tree.body if n.lineno <= code.co_firstlineno <= (n.end_lineno or 0))
        name = next(iter(formulas._names(node)), name)
    return module, name


def assert_followed(stage: Callable[..., None], act: Callable[[], Any]) -> None:
    module = inspect.getmodule(stage).__name__  # type: ignore[union-attr]
    places = {place for place in ran(act) if not formulas._carries(place[0])}
    assert (module, stage.__name__) in places
    assert sorted(places - set(formulas.formulas(module))) == []


def test_a_function_that_no_name_leads_to_is_seen(results: Path, tmp_path: Path) -> None:
    def act() -> None:
        scale_factor(results / "latents/train", tmp_path / "scale.json", "draw")

    assert ("voxgen.models.whitening", "fit_whitening") in ran(act)
    assert ("voxgen.models.whitening", "fit_whitening") not in formulas.formulas("voxgen.stages.simulate")


def test_scale_factor_runs_what_its_digest_follows(results: Path, tmp_path: Path) -> None:
    assert_followed(
        scale_factor, lambda: scale_factor(results / "latents/train", tmp_path / "scale.json", "draw")
    )


def test_encode_latents_runs_what_its_digest_follows(
    results: Path, voxels: Path, tmp_path: Path, settings: Settings
) -> None:
    described = voxels / "grid.json", voxels / "intensity.json", results / "autoencoder"
    split = voxels / "val.csv", voxels / "val"
    assert_followed(
        encode_latents,
        lambda: encode_latents("train", split, *described, tmp_path, ("x",), ("xy",), settings.machine),
    )


def test_train_autoencoder_runs_what_its_digest_follows(
    voxels: Path, tmp_path: Path, settings: Settings
) -> None:
    splits = ((voxels / f"{split}.csv", voxels / split) for split in VOLUMES)
    described = voxels / "grid.json", voxels / "intensity.json"
    section = trained_for(settings.autoencoder, epochs=1).model_copy(update={"patch": (4, 4, 8)})
    given = (*splits, *described, tmp_path / "out", tmp_path / "state", section, ("x",), ("xy",), 0)
    assert_followed(train_autoencoder, lambda: train_autoencoder(*given, settings.machine))


def test_train_autoencoder_runs_what_its_digest_follows_with_every_term(
    voxels: Path, tmp_path: Path, settings: Settings
) -> None:
    file = saved(tmp_path / "resnet_10_23dataset.pth", random_weights(10))
    step = {"weight": 1.0, "threshold": 0.5, "softness": 0.1}
    terms = {
        "mse": {"weight": 1.0, "foreground": 2.0},
        "dice": step,
        "cl_dice": {**step, "iterations": 2},
        "perceptual": {"weight": 1.0, "network": "medicalnet_resnet10", "weights": str(file)},
        "adversarial": ADVERSARY | {"warmup_epochs": 0},
    }
    losses = KLLosses(**settings.autoencoder.kl.losses.model_dump(context=WHOLE) | terms)
    noise = InputNoise(gaussian=0.1, dropout=0.1)
    kl = settings.autoencoder.kl.model_copy(update={"losses": losses, "input_noise": noise})
    section = trained_for(
        settings.autoencoder.model_copy(update={"kl": kl}), epochs=1, batch=2, fast_dev_run=True
    )
    splits = ((voxels / f"{split}.csv", voxels / split) for split in VOLUMES)
    described = voxels / "grid.json", voxels / "intensity.json"
    given = (*splits, *described, tmp_path / "out", tmp_path / "state", section, ("x",), ("xy",), 0)
    assert_followed(train_autoencoder, lambda: train_autoencoder(*given, settings.machine, file))


@pytest.mark.parametrize(
    "process",
    [
        {"process": "flow", "coupling": 4, "times": "stratified"},
        {"process": "ddpm", "prediction": "v", "min_snr": 5.0, "times": "logit_normal"},
    ],
    ids=["flow", "ddpm"],
)
def test_train_diffusion_runs_what_its_digest_follows(
    results: Path, tmp_path: Path, settings: Settings, process: dict[str, Any]
) -> None:
    latents = results / "latents"
    diffusion = settings.prior.diffusion.model_copy(update=process)
    section = trained_for(settings.prior.model_copy(update={"diffusion": diffusion}), epochs=1)
    given = (latents / "train", latents / "val", latents / "scale.json", results / "autoencoder")
    places = (tmp_path / "out", tmp_path / "state", section, 0, settings.machine)
    assert_followed(train_diffusion, lambda: train_diffusion(*given, *places))
