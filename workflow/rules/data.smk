# Point clouds to volumes.
# Reads: the HDF5 files of data.files, or results/raw/ from the simulator.
# Writes: results/clouds/ (index, splits), results/voxels/ (shards, manifests, volumes, intensity).


rule simulate:
    """Simulate localisation clouds of bent filaments."""
    output:
        "results/raw/{f}.h5",
    log:
        "results/logs/simulate/{f}.log",
    benchmark:
        "results/benchmarks/simulate/{f}.tsv"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        science=science("simulate", "data.synthetic", "seed"),
    script:
        "../scripts/simulate.py"


rule index_clouds:
    """List the clouds of a raw file, with what is wrong with them."""
    input:
        raw=raw_file,
    output:
        "results/clouds/index/{f}.csv",
    log:
        "results/logs/index_clouds/{f}.log",
    benchmark:
        "results/benchmarks/index_clouds/{f}.tsv"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        science=science("index_clouds", "data.key", "data.label", "data.min_points"),
    script:
        "../scripts/index_clouds.py"


rule split_clouds:
    """Assign every good cloud to a split and fix the grid."""
    input:
        parts=expand("results/clouds/index/{f}.csv", f=RAW),
    output:
        split="results/clouds/split.csv",
        dropped="results/clouds/dropped.csv",
        grid="results/voxels/grid.json",
    log:
        "results/logs/split_clouds.log",
    benchmark:
        "results/benchmarks/split_clouds.tsv"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        science=science(
            "split_clouds",
            "data.split",
            "data.grid",
            "data.unit",
            "data.on_bad_cloud",
            "seed",
        ),
    script:
        "../scripts/split_clouds.py"


rule voxelize:
    """Turn one chunk of a raw file's clouds into volumes of counts."""
    input:
        raw=raw_file,
        index="results/clouds/index/{f}.csv",
        grid="results/voxels/grid.json",
    output:
        folder=directory("results/voxels/shards/{f}-{k}"),
        manifest="results/voxels/shards/{f}-{k}/manifest.csv",
    log:
        "results/logs/voxelize/{f}-{k}.log",
    benchmark:
        "results/benchmarks/voxelize/{f}-{k}.tsv"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        science=science("voxelize", "data.key", "data.intensity.quantile"),
    script:
        "../scripts/voxelize.py"


rule collect_voxels:
    """Gather the shards by split and take the intensity law's constants from the train split."""
    input:
        shards=expand("results/voxels/shards/{f}-{k}", f=RAW, k=CHUNKS),
        manifests=expand("results/voxels/shards/{f}-{k}/manifest.csv", f=RAW, k=CHUNKS),
        split="results/clouds/split.csv",
    output:
        **{split: f"results/voxels/{split}.csv" for split in SPLITS},
        **{f"{split}_folder": directory(f"results/voxels/{split}") for split in SPLITS},
        intensity="results/voxels/intensity.json",
    log:
        "results/logs/collect_voxels.log",
    benchmark:
        "results/benchmarks/collect_voxels.tsv"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        science=science("collect_voxels", "data.intensity"),
    script:
        "../scripts/collect_voxels.py"
