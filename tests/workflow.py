"""The real Snakefile in a folder of its own, as a user would run it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
TRAIN_AUTOENCODER = "results/autoencoder/model.safetensors"


class Project:
    """A copy of the workflow and the package, so that a test may edit both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("Snakefile", "workflow", "config", "profiles", "envs", "src"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, folder / name)

    def command(self, *arguments: str, overlay: dict | None = None) -> tuple[list[str], dict[str, str]]:
        """Command line and environment of one Snakemake run on the smoke overlay."""
        overlays = ["config/smoke.yaml"]
        if overlay is not None:
            (self.folder / "config" / "test.yaml").write_text(yaml.safe_dump(overlay))
            overlays.append("config/test.yaml")
        line = [sys.executable, "-m", "snakemake", *arguments, "--configfile", *overlays]
        environment = os.environ | {"PYTHONPATH": str(self.folder / "src"), "OMP_NUM_THREADS": "1"}
        return line, environment

    def run(self, *arguments: str, overlay: dict | None = None) -> subprocess.CompletedProcess[str]:
        """Run Snakemake to its end; stdout holds both streams."""
        line, environment = self.command(*arguments, overlay=overlay)
        return subprocess.run(
            line,
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    def start(self, *arguments: str, overlay: dict | None = None) -> subprocess.Popen[bytes]:
        """Start Snakemake and return at once."""
        line, environment = self.command(*arguments, overlay=overlay)
        return subprocess.Popen(
            line, cwd=self.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def stale(self, *arguments: str, overlay: dict | None = None) -> set[str]:
        """The rules that a run would execute, read from the job table of a dry run."""
        result = self.run("--dry-run", *arguments, overlay=overlay)
        assert result.returncode == 0, result.stdout
        _, _, table = result.stdout.partition("Job stats:\n")
        rows = table.partition("\n\n")[0].splitlines()[2:]
        return {row.split()[0] for row in rows} - {"all", "total"}
