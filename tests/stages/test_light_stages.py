"""Light stages and the settings do without torch, so that their jobs start at once."""

import subprocess
import sys
from pathlib import Path

import pytest

import voxgen.settings

HEAVY = ("torch", "monai", "lightning_fabric", "tensorboard", "matplotlib.pyplot")
LIGHT_STAGES = (
    "simulate",
    "simulate_spheres",
    "download",
    "index_clouds",
    "prepare_volumes",
    "split_clouds",
    "ask_conditions",
    "fix_grid",
    "voxelize",
    "collect_voxels",
    "plot_voxels",
    "scale_factor",
    "sample",
    "plot_history",
    "plot_reconstructions",
    "plot_spectrum",
    "plot_memorisation",
    "summarise",
    "check_verdict",
    "report",
    "pack_model",
)
SETTINGS = [f"voxgen.settings.{path.stem}" for path in Path(voxgen.settings.__path__[0]).glob("[a-z]*.py")]


def heavy_after(*modules: str) -> list[str]:
    """The heavy packages that a fresh Python has loaded after importing `modules`."""
    script = f"import sys, {', '.join(modules)}; print(*set({HEAVY}) & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    return ran.stdout.split()


@pytest.mark.parametrize("stage", LIGHT_STAGES)
def test_light_stages_do_without_torch(stage: str) -> None:
    assert heavy_after(f"voxgen.stages.{stage}") == []


def test_figures_do_without_torch_and_pyplot() -> None:
    figures = ("training_curves", "power_spectra", "split_sheets", "volume_sheets")
    assert heavy_after(*(f"voxgen.figures.{name}" for name in figures)) == []


def test_settings_do_without_torch() -> None:
    assert len(SETTINGS) >= 3
    assert heavy_after(*SETTINGS) == []


def test_the_package_does_without_torch_until_a_model_is_loaded() -> None:
    assert heavy_after("voxgen") == []


def test_network_stages_are_seen_as_heavy() -> None:
    assert "torch" in heavy_after("voxgen.training.checkpoints")
