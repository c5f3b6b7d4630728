# Point clouds to volumes.
# Reads: the files of data.files, or results/raw/ from the simulator.
# Writes: results/clouds/index/, results/voxels/shards/.


rule simulate:
    """Simulate localisation clouds of bent filaments."""
    output:
        "results/raw/{name}.h5",
    log:
        "results/logs/simulate/{name}.log",
    benchmark:
        "results/benchmarks/simulate/{name}.tsv"
    params:
        science=science("simulate", "seed", settings="data.synthetic"),
    script:
        "../scripts/simulate.py"


rule index_clouds:
    """List the clouds of a raw source, with what is wrong with them."""
    input:
        sidecar_input,
        raw=raw_input,
    output:
        "results/clouds/index/{name}.csv",
    log:
        "results/logs/index_clouds/{name}.log",
    benchmark:
        "results/benchmarks/index_clouds/{name}.tsv"
    params:
        science=science(
            "index_clouds",
            "data.label",
            "data.covariates",
            "data.split.group",
            "data.split.stratify",
            settings="data.clouds",
        ),
    script:
        "../scripts/index_clouds.py"


rule voxelize:
    """Turn one shard of a raw source's clouds into volumes of counts."""
    input:
        sidecar_input,
        raw=raw_input,
        index="results/clouds/index/{name}.csv",
        grid="results/voxels/shards/grid.json",
    output:
        folder=directory("results/voxels/shards/{name}-{shard}"),
        manifest="results/voxels/shards/{name}-{shard}/manifest.csv",
        outside="results/voxels/shards/{name}-{shard}/dropped.csv",
    log:
        "results/logs/voxelize/{name}-{shard}.log",
    benchmark:
        "results/benchmarks/voxelize/{name}-{shard}.tsv"
    params:
        science=science("voxelize", "data.intensity.quantile", settings="data.clouds"),
    script:
        "../scripts/voxelize.py"
