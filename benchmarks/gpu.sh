#!/usr/bin/env bash
# The reference run on one GPU: config/adrenal.yaml from the HDF5 file to the report.
# NOT RUN YET.
#
#     bash benchmarks/gpu.sh
#     DATA=/path/to/clouds.h5 OUT=/path/for/results bash benchmarks/gpu.sh
#
# DATA    the adrenal clouds (an HDF5 file with `point_clouds` (1286, 2048, 3) in mm and `label`); without
#         it the path in config/adrenal.yaml holds, which starts in the repository's root
# OUT     where preview.png, report.html, the scores and summary.md are copied (benchmarks/results/gpu)
# PYTHON  a Python 3.11 to 3.13 that has torch with CUDA and the other packages of pyproject.toml;
#         where it lacks one of them, .venv is made and used instead
# CORES   as in snakemake --cores (all)
#
# Stopped by a time limit or a kill, it goes on where it was when it is run again.
set -euo pipefail

data=${DATA:+$(realpath "$DATA")}
out=$(realpath -m "${OUT:-$(dirname "${BASH_SOURCE[0]}")/results/gpu}")
python=${PYTHON:-python3}
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1

has_packages() {
    "$1" - <<'EOF'
import sys
from importlib.util import find_spec

needed = "torch monai einops snakemake h5py nibabel scipy yaml tensorboard pydantic safetensors matplotlib"
missing = [name for name in [*needed.split(), "lightning_fabric", "tqdm", "voxgen"] if find_spec(name) is None]
sys.exit(f"missing in {sys.executable}: {', '.join(missing)}" if missing else 0)
EOF
}

if ! has_packages "$python"; then
    make environment PYTHON="$python"
    python=$PWD/.venv/bin/python
fi

"$python" - <<'EOF'
import platform
import sys
from importlib.metadata import version

import torch

if not torch.cuda.is_available():
    sys.exit("torch finds no GPU")
packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "monai", "snakemake", "numpy"))
print(f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, Python {platform.python_version()}, {packages}")
EOF

overlays=(config/adrenal.yaml)
if [[ -n $data ]]; then
    overlay=$(mktemp --suffix=.yaml)
    trap 'rm -f "$overlay"' EXIT
    printf 'data:\n  files:\n    adrenal: "%s"\n' "$data" >"$overlay"
    overlays+=("$overlay")
fi

"$python" -m snakemake --cores "${CORES:-all}" --resources gpu=1 --configfile "${overlays[@]}"

mkdir -p "$out"
cp results/samples/preview.png results/report.html "$out"
cp results/evaluation/reconstruction.json results/evaluation/samples.json "$out"

"$python" - "$out/summary.md" <<'EOF'
import csv
import json
import sys
from pathlib import Path

import torch

from voxgen.metrics.bootstrap import Estimate

lines = [f"Device: {torch.cuda.get_device_name()}, torch {torch.__version__}", ""]

folder = Path("results/benchmarks")
tables = sorted(folder.rglob("*.tsv"), key=lambda path: path.stat().st_mtime)
lines += ["| job | seconds | memory (MB) |", "|---|---:|---:|"]
for path in tables:
    with path.open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            name = path.relative_to(folder).with_suffix("")
            lines.append(f"| {name} | {float(row['s']):.1f} | {row['max_rss']} |")
lines.append("")

REFERENCES = {"zero": "all-zero", "blurred": "blurred", "train_vs_test": "floor (train)"}
for title, model in (("reconstruction", "model"), ("samples", "samples_vs_test")):
    scores = json.loads(Path(f"results/evaluation/{title}.json").read_text())
    metrics = scores["metrics"]
    shown = [key for key in REFERENCES if any(key in metric for metric in metrics.values())]
    heads = [f"{title} (n = {scores['n']})", "value", *(REFERENCES[key] for key in shown), "good is"]
    lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for metric in metrics.values():
        values = [Estimate.from_json(metric[key]).text(metric["unit"]) for key in (model, *shown)]
        lines.append(f"| {' | '.join([metric['label'], *values, metric['direction']])} |")
    lines.append("")
latent = scores["latent"]
lines.append(f"Standard deviation of the sampled latents: {latent['std']:.3f} (1 is right)")

Path(sys.argv[1]).write_text("\n".join(lines) + "\n")
print("\n".join(lines))
EOF
