"""The overlay of DDPM, from raw files to samples; and samples that are drawn anew by another sampler."""

import pytest
import yaml

from project import ROOT, Project
from voxgen.io.files import read_json, read_table

pytestmark = pytest.mark.workflow
SAMPLES = "results/samples"


@pytest.mark.heavy
def test_a_denoiser_of_v_is_trained_and_sampled_by_two_samplers(tmp_path):
    project, overlay = Project(tmp_path), yaml.safe_load((ROOT / "config/ddpm.yaml").read_text())
    result = project.run("--cores", "2", SAMPLES, overlay=overlay)
    assert result.returncode == 0, result.stdout
    results = project.folder / "results"
    chosen = read_json(results / "prior/config.json")["settings"]["diffusion"]
    assert {name: chosen[name] for name in overlay["prior"]["diffusion"]} == overlay["prior"]["diffusion"]
    assert read_json(results / "samples/config.json")["sampling"]["sampler"] == "dpm_solver_2m"
    assert len(read_table(results / "samples/samples.csv")) == 8
    assert not project.stale(SAMPLES, overlay=overlay)
    overlay["sampling"] |= {"sampler": "sde", "steps": 27}
    assert set(project.stale(SAMPLES, overlay=overlay)) == {"draw_samples", "sample"}
