"""The examples of docs/python.md run as they stand there."""

import re
import shlex
from pathlib import Path

import pytest

from report_fixture import write_scores
from voxgen.cli.main import main
from voxgen.settings.sections import Settings
from voxgen.stages.pack_model import pack_model


def test_each_example_runs(
    root: Path,
    results: Path,
    voxels: Path,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("autoencoder", "prior", "samples"):
        (tmp_path / "results" / path).parent.mkdir(exist_ok=True)
        (tmp_path / "results" / path).symlink_to(results / path)
    (tmp_path / "results/voxels").mkdir()
    (tmp_path / "results/voxels/test").symlink_to(voxels / "val")
    ran, names = [], dict[str, object]()
    text = (root / "docs/python.md").read_text()
    for language, example in re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL):
        if language == "python":
            exec(compile(example, "docs/python.md", "exec"), names)
        elif example == "make model\n":
            packed = (results / "autoencoder", results / "prior", results / "samples/config.json")
            described = (voxels / "grid.json", [voxels / "train.csv"])
            summary = write_scores(tmp_path / "evaluation").summary
            pack_model(*packed, *described, summary, tmp_path / "results/model", settings.data)
        else:
            program, *arguments = shlex.split(example)
            assert (program, main(arguments)) == ("voxgen", 0)
        ran.append(language)
    assert ran.count("python") == 7
    assert ran.count("") == 2
    written = {path.name for path in tmp_path.glob("*.nii.gz")}
    assert written == {"sample.nii.gz", "reconstructed.nii.gz", *(f"between-{i}.nii.gz" for i in range(5))}
    assert len(list((tmp_path / "new").glob("*.nii.gz"))) == 3
