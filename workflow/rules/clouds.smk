# Point clouds to volumes.
# Reads: the files of data.files, or results/raw/ from the simulator.
# Writes: results/clouds/index/, results/voxels/shards/.


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
    """List the clouds of a raw source, with what is wrong with them."""
    input:
        raw=raw_input,
        sidecars=sidecar_input,
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
        science=science(
            "index_clouds",
            *READING,
            "data.label",
            "data.split.group",
            "data.split.stratify",
        ),
    script:
        "../scripts/index_clouds.py"


rule voxelize:
    """Turn one chunk of a raw source's clouds into volumes of counts."""
    input:
        raw=raw_input,
        sidecars=sidecar_input,
        index="results/clouds/index/{f}.csv",
        grid="results/voxels/shards/grid.json",
    output:
        folder=directory("results/voxels/shards/{f}-{k}"),
        manifest="results/voxels/shards/{f}-{k}/manifest.csv",
        outside="results/voxels/shards/{f}-{k}/dropped.csv",
    log:
        "results/logs/voxelize/{f}-{k}.log",
    benchmark:
        "results/benchmarks/voxelize/{f}-{k}.tsv"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        science=science("voxelize", *READING, "data.intensity.quantile"),
    script:
        "../scripts/voxelize.py"
