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

"$python" benchmarks/summary.py results | tee "$out/summary.md"

for size in 64 128; do
    for what in --compile --memory; do
        "$python" benchmarks/training.py --device cuda --config "config/bench-$size.yaml" "$what" \
            --out "$out/training.md"
    done
done
