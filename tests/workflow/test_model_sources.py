"""Models from elsewhere in the real Snakefile: what is not trained, what is read, what is refused."""

import pytest

from project import Project
from voxgen.io.files import write_json

MODELS = {"autoencoder": {"source": "old/autoencoder"}, "prior": {"source": "old/prior"}}
CONFIGS = {
    "old/autoencoder": {"kind": "autoencoder", "grid": {"shape": [16, 16, 8]}},
    "old/prior": {"kind": "prior"},
    "old/larger": {"kind": "autoencoder", "grid": {"shape": [64, 64, 8]}},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with folders of models, whose weights nobody reads before they are needed."""
    project = Project(tmp_path_factory.mktemp("sources") / "project")
    for name, config in CONFIGS.items():
        write_json(project.folder / name / "config.json", config)
        (project.folder / name / "model.safetensors").touch()
    return project


def test_a_prior_from_elsewhere_is_not_trained(project: Project) -> None:
    planned = project.stale(overlay=MODELS)
    assert not {"train_autoencoder", "train_diffusion", "plot_history"} & set(planned)
    assert planned["encode_latents"] == 1  # the train split, for the memorisation and the scale's check
    assert {"scale_factor", "draw_samples", "evaluate_samples", "report"} <= set(planned)
    trained = project.stale(overlay={"autoencoder": MODELS["autoencoder"]})
    assert (trained["train_diffusion"], trained["plot_history"], trained["encode_latents"]) == (1, 1, 2)


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"prior": MODELS["prior"]}, "name the prior's autoencoder in autoencoder.source"),
        ({**MODELS, "prior": {"source": "absent"}}, "prior.source: no file at absent/config.json"),
        ({**MODELS, "autoencoder": {"source": "no"}}, "autoencoder.source: no file at no/config.json"),
        (
            {"autoencoder": {"source": "old/larger"}},
            "old/larger: made for shape [64, 64, 8], found [16, 16, 8]",
        ),
        ({"autoencoder": {"source": "old/prior"}}, "kind is 'prior', expected 'autoencoder'"),
    ],
)
def test_a_source_that_cannot_be_used_is_refused_at_once(
    project: Project, overlay: dict, message: str
) -> None:
    result = project.run("--dry-run", overlay=overlay)
    assert result.returncode != 0
    assert message in result.stdout
    assert "Traceback" not in result.stdout
