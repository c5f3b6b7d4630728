"""What tests of `voxgen view` share: volumes and clouds to show, and a server of them."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import h5py
import nibabel as nib
import numpy as np

from voxgen.cli.listing import listed
from voxgen.cli.serving import PageServer
from voxgen.cli.view import Site
from voxgen.pages.view_page import Shown, policy
from voxgen.volumes.nifti import write_volume

HALF = 100  # bytes of a small file
SPACING = (400.0, 200.0, 100.0)  # nm


def write_volumes(folder: Path, count: int, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    for number in range(count):
        counts = rng.poisson(0.04, (8, 6, 4)).astype(np.float32)  # nearly empty: shown in colours
        write_volume(folder / f"v{number}.nii.gz", counts, (0, 0, 0), SPACING, "nm")
    return folder


def write_run(results: Path) -> Path:
    """A folder of three volumes and one that is damaged, with secrets in it and beside it."""
    folder = write_volumes(results / "test", 3)
    (folder / "zz-damaged.nii.gz").write_bytes((folder / "v0.nii.gz").read_bytes()[:HALF])
    (folder.parent / "secret.nii.gz").write_bytes((folder / "v0.nii.gz").read_bytes())
    (folder / "notes.txt").write_text("secret")
    return folder


def write_cells(path: Path) -> Path:
    """A cloud in um, one whose points are not finite, and an empty one."""
    clouds = np.random.default_rng(0).random((50, 3)), np.full((2, 3), np.nan), np.zeros((0, 3))
    with h5py.File(path, "w") as file:
        for row, points in enumerate(clouds):
            file[f"cell_{row}/points"] = points
            file[f"cell_{row}/points"].attrs["unit"] = "um"
    return path


def scenes(html: str) -> list[dict[str, Any]]:
    found = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    return [json.loads(one) for one in found]


def reads(path: Path, number: int = 0) -> Shown:
    with listed(path, {}) as listing:
        return listing.read(number)


def nifti(path: Path, voxels: Any, affine: Any, unit: str) -> Path:
    image = nib.Nifti1Image(np.asarray(voxels, np.float32), np.asarray(affine, float))
    image.header.set_xyzt_units(unit)
    nib.save(image, path)
    return path


@contextmanager
def opened_lists(*paths: Path) -> Iterator[Site]:
    with listed(paths[0], {}) as first, listed(paths[-1], {}) as second:
        yield Site(paths, [first, second][: len(paths)])


@contextmanager
def serving(*paths: Path) -> Iterator[PageServer]:
    with opened_lists(*paths) as site, PageServer(0, site, policy()) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def start(*arguments: str) -> subprocess.Popen[str]:
    """The command in a process to which SIGINT means what it means in a terminal."""
    return subprocess.Popen(
        [sys.executable, "-c", "from voxgen.cli.main import main; raise SystemExit(main())", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "BROWSER": "false"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def interrupted(server: PageServer) -> None:
    """In place of `serve_forever`: Ctrl-C at once."""
    raise KeyboardInterrupt
