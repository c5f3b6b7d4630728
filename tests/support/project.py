"""The real Snakefile in a folder of its own, as a user would run it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TRAIN_AUTOENCODER = "results/autoencoder/model.safetensors"


class Project:
    """A copy of the workflow and the package, so that a test may edit both."""

    def __init__(self, folder: Path, root: Path = ROOT) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        for name in ("Snakefile", "Makefile", "workflow", "config", "profiles", "envs", "src"):
            copy = shutil.copytree if (root / name).is_dir() else shutil.copy
            copy(root / name, folder / name)

    def copied(self, folder: Path) -> "Project":
        """The same project with its results in another folder."""
        other = object.__new__(Project)
        other.folder = Path(shutil.copytree(self.folder, folder, symlinks=True))
        return other

    def command(self, *arguments: str, overlay: dict | None = None) -> tuple[list[str], dict[str, str]]:
        """Command line and environment of one Snakemake run on the smoke overlay."""
        overlays = ["config/smoke.yaml"]
        if overlay is not None:
            (self.folder / "config" / "test.yaml").write_text(yaml.safe_dump(overlay))
            overlays.append("config/test.yaml")
        line = [sys.executable, "-m", "snakemake", *arguments, "--configfile", *overlays]
        environment = os.environ | {"PYTHONPATH": str(self.folder / "src"), "OMP_NUM_THREADS": "1"}
        return line, environment

    def run(
        self, *arguments: str, overlay: dict | None = None, under: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake to its end, as what the command `under` starts; stdout holds both streams."""
        line, environment = self.command(*arguments, overlay=overlay)
        return subprocess.run(
            [*under, *line],
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    def start(self, *arguments: str, overlay: dict | None = None) -> subprocess.Popen[bytes]:
        """Start Snakemake as the head of a process group, and return at once."""
        line, environment = self.command(*arguments, overlay=overlay)
        return subprocess.Popen(
            line,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def accept(self, *targets: str, overlay: dict | None = None) -> str:
        """`make accept` with the Python that runs the tests; what it says."""
        line, environment = self.command(overlay=overlay)
        files = line[line.index("--configfile") + 1 :]
        given = {
            "TARGETS": " ".join(targets),
            "CONFIG": " ".join(files),
            "BIN": str(Path(sys.executable).parent),
        }
        make = ["make", "--old-file=.venv/runtime.stamp", "accept"]
        make += [f"{name}={value}" for name, value in given.items()]
        result = subprocess.run(
            make, cwd=self.folder, env=environment, text=True, capture_output=True, check=False
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def edit(self, module: str, before: str, after: str) -> None:
        """Replace what stands once in a module of the copied package."""
        path = self.folder / "src" / "voxgen" / module
        source = path.read_text()
        assert source.count(before) == 1, (module, before)
        path.write_text(source.replace(before, after))

    def stale(self, *arguments: str, overlay: dict | None = None) -> dict[str, int]:
        """The rules that a run would execute with how often, from the job table of a dry run."""
        result = self.run("--dry-run", *arguments, overlay=overlay)
        assert result.returncode == 0, result.stdout
        _, _, table = result.stdout.partition("Job stats:\n")
        rows = (row.split() for row in table.partition("\n\n")[0].splitlines()[2:])
        return {rule: int(count) for rule, count in rows if rule not in ("all", "total")}


def trainer_in_mid_epoch(
    project: Project,
    running: subprocess.Popen[bytes],
    training: str,
    after: int = 1,
    patience: float = 120,
) -> int:
    """Wait until the trainer has saved a state inside an epoch, `after` or more being done; its process."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        assert running.poll() is None, "the run ended before it could be killed"
        for epoch, position, folder in reached(project, training):
            if epoch >= after and position >= 1:
                return holder(folder)
        time.sleep(0.005)
    raise AssertionError("no state appeared")


def reached(project: Project, training: str) -> list[tuple[int, int, Path]]:
    """Epochs and steps of each state of a training, and its folder; the furthest last."""
    states = (project.folder / "results" / "state").glob(f"{training}/*/state-*.pt")
    return sorted((*map(int, state.stem.split("-")[1:]), state.parent) for state in states)


def holder(folder: Path) -> int:
    """The process that holds a folder of states, or did so last."""
    return int((folder / "lock").read_text().split()[1])
