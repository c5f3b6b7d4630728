"""Places that cannot be written, and paths of any name, in the real workflow."""

import os
import resource
import shutil

import h5py
import numpy as np
import pytest

from project import Project
from voxgen.io.files import read_table

pytestmark = pytest.mark.workflow

SMALL = 20_000  # bytes: smaller than the file of simulated clouds, larger than what Snakemake writes
NAMES = ("run{1}", "{", "{{x}}", "{name}", "<logs>", "a b, c", "q'uo\"te", "100%#1", "脑部", "[x]*", " lead")

RIGHTS_OF_ROOT = "-dac_override,-dac_read_search"


def write_clouds(path):
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        file["points"] = np.random.default_rng(0).uniform(0, 1000, (4, 32, 3))


def test_paths_may_have_any_name_and_so_may_the_project(tmp_path):
    project = Project(tmp_path / "pro { 'ject")
    files = {f"n{i}": f"raw/{name}/points.h5" for i, name in enumerate(NAMES)}
    for path in files.values():
        write_clouds(project.folder / path)
    overlay = {"data": {"source": "h5", "files": {**files, "pattern": "raw/{*/*.h5"}}}
    target = ("--cores", "2", "results/clouds/split.csv")
    result = project.run(*target, overlay=overlay)
    assert result.returncode == 0, result.stdout
    index = project.folder / "results/clouds/index"
    assert {name: {row["file"] for row in read_table(index / f"{name}.csv")} for name in files} == {
        name: {path} for name, path in files.items()
    }
    assert len({row["file"] for row in read_table(index / "pattern.csv")}) == 3
    assert not project.stale(*target, overlay=overlay)


def test_a_home_that_cannot_be_written_is_not_missed(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/dev/null/home")
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"):
        monkeypatch.delenv(name, raising=False)
    result = Project(tmp_path).run("--cores", "2", "results/voxels/preview.png")
    assert result.returncode == 0, result.stdout
    assert "/dev/null" not in result.stdout
    assert "cache" not in result.stdout


def test_a_limit_of_a_files_size_is_told_by_any_stage(tmp_path):
    project = Project(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, hard))
    try:
        result = project.run("--cores", "1", "results/raw/filaments-0.h5")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert result.returncode != 0
    assert "results/raw/filaments-0.h5: File too large; " in result.stdout
    assert "raise the limit (ulimit -f), and run the same command again" in result.stdout
    assert "Traceback" not in result.stdout


@pytest.mark.parametrize("name", ["results", ".snakemake"])
def test_a_folder_that_leads_nowhere_is_named(name, tmp_path):
    project = Project(tmp_path)
    (project.folder / name).symlink_to("/nowhere/at/all")
    result = project.run("--cores", "1", "results/raw/filaments-0.h5")
    assert result.returncode != 0
    assert f"{name}: no folder; remove it, or make the folder that it leads to" in result.stdout
    assert "Traceback" not in result.stdout


@pytest.mark.parametrize("name", ["results", ".snakemake"])
def test_a_folder_that_cannot_be_written_is_named(name, tmp_path):
    project = Project(tmp_path)
    (project.folder / name).mkdir(mode=0o500)
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere")
    drop = ["setpriv", f"--bounding-set={RIGHTS_OF_ROOT}", f"--inh-caps={RIGHTS_OF_ROOT}"]
    under = drop if os.geteuid() == 0 else []
    result = project.run("--cores", "1", "results/raw/filaments-0.h5", under=under)
    assert result.returncode != 0
    assert f"{name}: Permission denied; mend the permissions, and run the same" in result.stdout
    assert "Traceback" not in result.stdout


def test_a_project_between_braces_is_refused(tmp_path):
    result = Project(tmp_path / "run{1}").run("--cores", "1", "results/raw/filaments-0.h5")
    assert result.returncode != 0
    assert "run{1}: Snakemake takes what stands between { and } for a wildcard; rename the" in result.stdout
    assert "Traceback" not in result.stdout
