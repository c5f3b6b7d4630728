# Shards to splits, of clouds and volumes alike.
# Reads: results/clouds/index/ or the shards' index, results/voxels/shards/.
# Writes: results/clouds/ (splits), results/voxels/ (grid, manifests, volumes, intensity, preview).

SHARDS = expand("results/voxels/shards/{f}-{k}", f=FILES, k=CHUNKS)
INDEX = (
    expand("results/clouds/index/{f}.csv", f=FILES)
    if MAKES_CLOUDS
    else expand("{shard}/index.csv", shard=SHARDS)
)


rule split_clouds:
    """Assign every good cloud or volume to a split; it goes first, since it refuses bad data."""
    input:
        parts=INDEX,
    output:
        split="results/clouds/split.csv",
        dropped="results/clouds/dropped.csv",
    log:
        "results/logs/split_clouds.log",
    benchmark:
        "results/benchmarks/split_clouds.tsv"
    priority: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        science=science(
            "split_clouds",
            "data.split",
            "data.grid.bounds",
            "data.unit",
            "data.on_bad_cloud",
            "data.max_dropped",
            "seed",
        ),
    script:
        "../scripts/split_clouds.py"


rule fix_grid:
    """Fix the grid; of the clouds it needs something only where the train split gives the bounds."""
    input:
        parts=INDEX if TRAIN_BOUNDS else [],
        split="results/clouds/split.csv" if TRAIN_BOUNDS else [],
    output:
        "results/voxels/shards/grid.json",
    log:
        "results/logs/fix_grid.log",
    benchmark:
        "results/benchmarks/fix_grid.tsv"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        science=science(
            "fix_grid", "data.grid", "data.unit", "data.source", "data.scans.spacing"
        ),
    script:
        "../scripts/fix_grid.py"


rule collect_voxels:
    """Gather the shards by split and take the intensity law's constants from the train split."""
    input:
        shards=SHARDS,
        manifests=expand("{shard}/manifest.csv", shard=SHARDS),
        outside=expand("{shard}/dropped.csv", shard=SHARDS) if MAKES_CLOUDS else [],
        split="results/clouds/split.csv",
        grid="results/voxels/shards/grid.json",
    output:
        **{split: f"results/voxels/{split}.csv" for split in SPLITS},
        **{f"{split}_folder": directory(f"results/voxels/{split}") for split in SPLITS},
        grid="results/voxels/grid.json",
        intensity="results/voxels/intensity.json",
        dropped="results/voxels/dropped.csv",
    log:
        "results/logs/collect_voxels.log",
    benchmark:
        "results/benchmarks/collect_voxels.tsv"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        science=science(
            "collect_voxels",
            "data.intensity",
            "data.train_shape",
            "data.on_bad_cloud",
            "data.max_dropped",
        ),
    script:
        "../scripts/collect_voxels.py"


rule plot_voxels:
    """Show each split: slices, projections and statistics of its volumes."""
    input:
        **{split: f"results/voxels/{split}.csv" for split in SPLITS},
        **{f"{split}_folder": f"results/voxels/{split}" for split in SPLITS},
    output:
        preview=report(
            "results/voxels/preview.png",
            caption="../report/data.rst",
            category="Data",
        ),
        statistics="results/voxels/statistics.json",
        figure="results/voxels/statistics.png",
    log:
        "results/logs/plot_voxels.log",
    benchmark:
        "results/benchmarks/plot_voxels.tsv"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        science=science("plot_voxels"),
    script:
        "../scripts/plot_voxels.py"
